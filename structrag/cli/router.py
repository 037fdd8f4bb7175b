"""The commands on the router: its versions, training it on preferences, and how good it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.evaluation import label
from structrag.cli.invocation import CorpusOption, Invocation, JsonLinesOption, JsonOption, is_corpus
from structrag.cli.synthesis import synthesize
from structrag.cli.text import columns, narrate, write, write_json
from structrag.cli.training_progress import TrainingProgress
from structrag.errors import ConfigError, RoutingError

if TYPE_CHECKING:
    from structrag.router.comparison import Comparison
    from structrag.router.evaluation import Evaluation
    from structrag.router.policy_router import PolicyRouter
    from structrag.router.preferences import PreferencePair
    from structrag.router.questions import LabelledQuestion
    from structrag.router.retraining import Retraining
    from structrag.router.versions import RouterVersion, VersionStore

router = typer.Typer(help="The router: versions, training, evaluation.", no_args_is_help=True)
router.command()(synthesize)
router.command()(label)


@router.callback()
def _router() -> None:
    """The router: versions, training, evaluation."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where versions and derived graphs are kept."""

    versions: VersionStore
    cache: Path

    @classmethod
    def of(cls, ctx: typer.Context, corpus: Path | None) -> _Place:
        from structrag.config import load_settings
        from structrag.router.versions import VersionStore

        settings, _ = load_settings(Invocation.of(ctx).folder(corpus))
        return cls(VersionStore(settings.router.versions), settings.models.cache)

    def open(self, name: str) -> PolicyRouter:
        from structrag.router.policy_router import PolicyRouter

        return PolicyRouter(self.versions.folder(name), self.cache)


@router.command("list")
def list_versions(ctx: typer.Context, as_json: JsonLinesOption = False, corpus: CorpusOption = None) -> None:
    """List the versions with what was measured on held-out questions; * marks the one in use."""
    found = _Place.of(ctx, corpus).versions.versions()
    if as_json:
        for version in found:
            write_json(_version_record(version))
        return
    for line in columns([("", "version", "accuracy", "calibration error", "trained on"), *map(_version_row, found)]):
        write(line)


@router.command()
def train(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PREFERENCES.jsonl]...", help="Preference pairs, besides those kept in the corpus."),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start anew with all shipped questions, instead of going on from the one in use."),
    ] = False,
    base_model: Annotated[
        Path | None,
        typer.Option(
            "--base-model",
            metavar="DIR",
            exists=True,
            file_okay=False,
            resolve_path=True,
            help="Start anew on this sentence encoder or causal language model.",
        ),
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Put the new version in use if it is not worse.")] = False,
    as_json: JsonOption = False,
    corpus: CorpusOption = None,
) -> None:
    """Train a new version on preference pairs; the one in use stays in use.

    A training that was interrupted goes on where it was when it is started again with the same pairs.
    """
    # The reference pass of trl has a bar of its own that nothing else turns off; read when tqdm is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    from structrag.router.base_model import EMBEDDED
    from structrag.router.retraining import retrain

    place = _Place.of(ctx, corpus)
    pairs = _preferences(Invocation.of(ctx), corpus, files or [])
    anew = str(base_model) if base_model else EMBEDDED if fresh else None
    if not (pairs or anew):
        raise ConfigError("There are no preferences to train on.", hint="Give a file of them, or train with --fresh.")
    narrate(f"Training on {len(pairs)} preference pairs and {'all' if anew else 'some'} shipped questions.")
    with TrainingProgress() as progress:
        result = retrain(place.versions, place.cache, pairs, progress.listen, base_model=anew)
    promoted = promote and result.comparison.passes
    if promoted:
        place.versions.promote(result.folder.name, {"comparison": result.comparison.to_dict(), "forced": False})
    if as_json:
        write_json(result.to_dict() | {"promoted": promoted})
    else:
        _tell(result, promoted=promoted)


@router.command()
def evaluate(
    ctx: typer.Context,
    questions: Annotated[
        Path | None,
        typer.Argument(
            metavar="[QUESTIONS.jsonl]",
            help='Labelled questions, {"id", "question", "structure", "also_ok"} per line; by default the shipped '
            "ones that no shipped router was trained on.",
        ),
    ] = None,
    version: Annotated[
        list[str] | None, typer.Option("--version", metavar="NAME", help="Versions; by default the one in use.")
    ] = None,
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
) -> None:
    """Measure versions on labelled questions: accuracy, recall, calibration, time."""
    from structrag.router.evaluation import evaluate_router

    place = _Place.of(ctx, corpus)
    asked = _labelled(questions)
    names = version or [place.versions.active()]
    measured = [(name, evaluate_router(place.open(name), asked)) for name in names]
    if as_json:
        for name, evaluation in measured:
            write_json({"version": name, **evaluation.to_dict()})
        return
    for name, evaluation in measured:
        write(f"{name}, {evaluation.questions} questions")
        for line in columns(_evaluation_rows(evaluation)):
            write(f"  {line}")


@router.command()
def promote(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="VERSION")],
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse; that is recorded.")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Put a version in use, unless it is worse than the one in use.

    They are compared on the same held-out questions; the lower end of the difference's 95 % interval must be at
    least -2 points.
    """
    place = _Place.of(ctx, corpus)
    try:
        compared = _compare(place, version, place.versions.active())
    except RoutingError as error:
        if not force:
            raise
        # The one in use may be what is damaged; if it is the new one, promoting it fails.
        narrate(f"Not compared: {error.message}")
        place.versions.promote(version, {"comparison": None, "forced": True})
    else:
        narrate(compared.verdict)
        if not (compared.passes or force):
            raise ConfigError(f"{version} was not put in use.", hint="Use --force to do it all the same.")
        place.versions.promote(version, {"comparison": compared.to_dict(), "forced": not compared.passes})
    write(f"in use  {version}")


def _compare(place: _Place, candidate: str, active: str) -> Comparison:
    from structrag.router.evaluation import compare_routers
    from structrag.router.retraining import unseen

    new, old = place.open(candidate), place.open(active)
    return compare_routers(new, old, unseen(_labelled(None), new.settings, old.settings))


@router.command()
def rollback(ctx: typer.Context, corpus: CorpusOption = None) -> None:
    """Go back to the version that was in use before."""
    write(f"in use  {_Place.of(ctx, corpus).versions.rollback()}")


@router.command()
def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="FILE.jsonl")],
    corpus: CorpusOption = None,
) -> None:
    """Write the preferences kept in the corpus as preference pairs, in TRL's columns."""
    from structrag.router.preferences import write_preferences

    pairs = _kept_preferences(Invocation.of(ctx), Invocation.of(ctx).existing_folder(corpus))
    if not pairs:
        raise ConfigError("The corpus holds no preferences.", hint="Correct a route first, in the terminal UI.")
    write_preferences(out, pairs)
    write(f"{len(pairs)} preference pairs  {out}")


def _preferences(invocation: Invocation, corpus: Path | None, files: Sequence[Path]) -> Sequence[PreferencePair]:
    """Return the pairs of the files and of the corpus, if there is one; what is odd about them is said."""
    from structrag.router.preferences import merge_preferences, read_preferences

    placed: list[tuple[str, PreferencePair]] = []
    for path in files:
        read = read_preferences(path)
        for warning in read.warnings:
            narrate(warning)
        placed += [(path.name, pair) for pair in read.pairs]
    folder = invocation.folder(corpus)
    if is_corpus(folder):
        kept = _kept_preferences(invocation, folder)
        narrate(f"{len(kept)} preferences are kept in {folder}.")
        placed += [(str(folder), pair) for pair in kept]
    merged = merge_preferences(placed)
    for warning in merged.warnings:
        narrate(warning)
    return merged.pairs


def _kept_preferences(invocation: Invocation, folder: Path) -> list[PreferencePair]:
    with invocation.open_corpus(folder, settings={}, progress=lambda *_: None) as rag:
        return list(rag.preferences().values())


def _labelled(path: Path | None) -> Sequence[LabelledQuestion]:
    from structrag.router.questions import read_domain, shipped_questions, with_mixed_documents

    if path is None:
        return with_mixed_documents(shipped_questions().held_out)
    questions = read_domain(path)
    if not questions:
        raise ConfigError(f"{path} holds no questions.")
    return questions


def _tell(result: Retraining, *, promoted: bool) -> None:
    write(f"version    {result.folder.name}")
    if result.corrections:
        told = f"{result.agreed_before} before, {result.agreed_after} now"
        write(f"learnt     agrees with {told}, of {result.corrections} preferences that were kept back")
    write(f"otherwise  {result.comparison.verdict}")
    narrate(_next_step(result.folder.name, result.comparison, promoted=promoted))


def _next_step(name: str, comparison: Comparison, *, promoted: bool) -> str:
    if promoted:
        return "It is in use now; `structrag router rollback` goes back."
    if comparison.passes:
        return f"Put it in use with `structrag router promote {name}`."
    return "It was not put in use."


def _version_record(version: RouterVersion) -> dict[str, Any]:
    record: dict[str, Any] = {"version": version.name, "active": version.is_active, "folder": str(version.folder)}
    if version.settings is None:
        return record | {"problem": version.problem}
    return record | {"metrics": dict(version.settings.metrics), "training": dict(version.settings.training)}


def _version_row(version: RouterVersion) -> tuple[str, ...]:
    mark = "*" if version.is_active else ""
    if version.settings is None:
        return (mark, version.name, "damaged", "", version.problem)
    metrics, training = version.settings.metrics, version.settings.training
    numbers = (f"{metrics[name]:.3f}" if name in metrics else "" for name in ("accuracy", "calibration_error"))
    return (mark, version.name, *numbers, f"{training.get('pairs', '?')} pairs")


def _evaluation_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("accuracy", f"{evaluation.accuracy:.1%}", f"({evaluation.low:.1%} to {evaluation.high:.1%})"),
        (
            "macro F1",
            f"{evaluation.macro_f1:.1%}",
            f"({evaluation.macro_f1_low:.1%} to {evaluation.macro_f1_high:.1%})",
        ),
        *((f"recall, {name}", f"{share:.1%}", "") for name, share in evaluation.recall.items()),
        ("calibration error", f"{evaluation.calibration_error:.3f}", ""),
        ("accuracy of the surest 80 %", f"{evaluation.accuracy_at_80:.1%}", ""),
        ("unsure", f"{evaluation.unsure:.1%}", ""),
    ]
    if evaluation.hard is not None:
        rows.append(("accuracy, hard questions", f"{evaluation.hard:.1%}", ""))
    if evaluation.milliseconds is not None:
        rows.append(("milliseconds a route, median", f"{evaluation.milliseconds:.1f}", ""))
    for wanted, chosen in evaluation.confusion.items():
        others = {name: n for name, n in chosen.items() if n and name != wanted}
        told = ", ".join(f"{name} {n}" for name, n in sorted(others.items(), key=lambda item: -item[1]))
        rows.append((f"{wanted}, routed elsewhere", told or "never", ""))
    return rows
