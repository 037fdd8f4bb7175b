"""Router versions, preferences and measurements as text: rows, the confusion matrix, the reliability curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from structrag.cli.text import one_line
from structrag.tui.rows import Column, Row
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.router.evaluation import Evaluation
    from structrag.router.preferences import PreferencePair
    from structrag.router.retraining import Retraining
    from structrag.router.versions import RouterVersion
    from structrag.tui.routers import Measurement, ReliabilityBin

VERSION_COLUMNS = (
    Column("", 1),
    Column("Version"),
    Column("Accuracy", 8),
    Column("Calibration error", 17),
    Column("Trained on", 14),
)
NO_PREFERENCES = "None yet: on the ask screen, 1 to 5 ask again by another structure and keep that as a preference."
PREFERENCE_COLUMNS = (Column("#", 5), Column("Question"), Column("Preferred", 10), Column("Instead of", 10))

_NAME = 10
_CELL = 10
_HEIGHT = 10
"""Lines of the curve: one for every tenth of the accuracy."""
_POINT = 5
"""Cells of the curve's width for each of its points."""


def version_row(version: RouterVersion) -> Row:
    """Return a version as a row: its mark if it is in use, its name, what was measured, how many pairs taught it."""
    mark = "●" if version.is_active else ""
    if version.settings is None:
        return Row((mark, version.name, "damaged", "", ""), "error")
    metrics, training = version.settings.metrics, version.settings.training
    numbers = (_number(metrics.get(name)) for name in ("accuracy", "calibration_error"))
    return Row((mark, version.name, *numbers, f"{training.get('pairs', '?')} pairs"))


def version_told(version: RouterVersion) -> str:
    """Return what is known of a version, on a few lines."""
    lines = [f"{version.name}, in use" if version.is_active else version.name]
    if version.settings is None:
        return "\n".join([*lines, one_line(version.problem)])
    figures = {name: value for name, value in version.settings.metrics.items() if isinstance(value, int | float)}
    how = {name: value for name, value in version.settings.training.items() if isinstance(value, str | int | float)}
    for told in (figures, how):
        lines.append(one_line(" · ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items()), 400))
    return "\n".join(line for line in lines if line)


def preference_row(number: int, pair: PreferencePair) -> Row:
    """Return a preference as a row."""
    return Row((str(number), pair.request.question, str(pair.chosen), str(pair.rejected)))


def training_outcome(result: Retraining) -> str:
    """Return what a training changed and what can be done now."""
    lines = []
    if result.corrections:
        told = f"{result.agreed_before} before, {result.agreed_after} now"
        lines.append(f"Of {result.corrections} preferences that were kept back it agrees with {told}.")
    lines.append(f"On questions it was not trained on: {result.comparison.verdict}")
    passes = "1 shows the versions; p puts the marked one in use."
    fails = "The gate holds it back: it may be worse. p on the marked version asks whether to use it all the same."
    return "\n".join([*lines, passes if result.comparison.passes else fails])


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def measured_text(measurement: Measurement) -> Content:
    """Return figures, matrix and curve below each other."""
    parts = [_figures(measurement.evaluation), confusion_text(measurement.evaluation)]
    return Content("\n\n").join([*parts, reliability_text(measurement.reliability)])


def _figures(evaluation: Evaluation) -> Content:
    interval = f"{evaluation.low:.1%} to {evaluation.high:.1%}"
    return Content(
        f"Accuracy {evaluation.accuracy:.1%} ({interval}) on {evaluation.questions:,} held-out questions\n"
        f"Macro F1 {evaluation.macro_f1:.1%} · calibration error {evaluation.calibration_error:.3f} · "
        f"the surest 80 %: {evaluation.accuracy_at_80:.1%} · unsure {evaluation.unsure:.1%}"
    )


def confusion_text(evaluation: Evaluation) -> Content:
    """Return the confusion matrix: a row for each needed structure, a column for each chosen one."""
    names = [str(structure) for structure in StructureType]
    head = "needed ╲ chosen".ljust(_NAME + 6) + "".join(name.rjust(_CELL) for name in names) + "recall".rjust(_CELL)
    lines = [Content.styled(head, "bold")]
    for needed in names:
        counts = evaluation.confusion.get(needed, {})
        cells = [Content(needed.ljust(_NAME + 6))]
        for chosen in names:
            count = counts.get(chosen, 0)
            style = "bold $text-success" if chosen == needed else "$text-error" if count else "dim"
            # A mark as well as a colour: the diagonal is what is right.
            shown = f"[{count}]" if chosen == needed else f"{count} "
            cells.append(Content.styled(shown.rjust(_CELL), style))
        recall = evaluation.recall.get(needed)
        cells.append(Content(("–" if recall is None else f"{recall:.0%}").rjust(_CELL)))
        lines.append(Content("").join(cells))
    return Content("\n").join(lines)


def reliability_text(bins: Sequence[ReliabilityBin]) -> Content:
    """Return the reliability curve: how often routes of some confidence are right, beside the confidence itself.

    ``●`` is the accuracy, ``─`` the confidence; where they meet, ``◉`` stands.
    """
    lines = [Content.styled("Reliability: ● share that is right, ─ confidence (the same if calibrated)", "bold")]
    levels = [(_level(each.accuracy), _level(each.confidence)) for each in bins]
    for level in range(_HEIGHT, -1, -1):
        axis = f"{level / _HEIGHT:>4.0%} ┤"
        points = (_point(level, accuracy, confidence) for accuracy, confidence in levels)
        lines.append(Content(axis + "".join(point.center(_POINT) for point in points)))
    lines.append(Content("     └" + "─" * (_POINT * len(bins))))
    lines.append(Content("      " + "".join(f"{each.confidence:.0%}".center(_POINT) for each in bins)))
    lines.append(Content.styled(f"      confidence of ten equal parts, {sum(b.routes for b in bins):,} routes", "dim"))
    return Content("\n").join(lines)


def _level(share: float) -> int:
    return round(share * _HEIGHT)


def _point(level: int, accuracy: int, confidence: int) -> str:
    if level == accuracy == confidence:
        return "◉"
    return "●" if level == accuracy else "─" if level == confidence else " "
