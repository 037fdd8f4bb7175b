"""How far a training is: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from structrag.cli.text import narrate

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from structrag.router.training_settings import TrainingStep

_STAGES = {"sft": "learning the labels", "dpo": "learning the preferences"}
_LINES_PER_STAGE = 4


class TrainingProgress:
    """Shows each stage with its loss, reward margin and the time that is left.

    Args:
        live: Whether to draw a live line; by default, whether stderr is a terminal.
    """

    def __init__(self, *, live: bool | None = None) -> None:
        self._live = sys.stderr.isatty() if live is None else live
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: set[tuple[str, int]] = set()

    def __enter__(self) -> TrainingProgress:
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[told]}"),
                console=Console(stderr=True),
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def listen(self, step: TrainingStep) -> None:
        """Show one report: the listener of ``retrain``."""
        margin = "" if step.margin is None else f", margin {step.margin:.2f}"
        told = f"loss {step.loss:.3f}{margin}, {_duration(step.seconds_left)} left"
        stage = _STAGES.get(step.stage, step.stage)
        if self._progress is not None:
            if step.stage not in self._tasks:
                self._tasks[step.stage] = self._progress.add_task(stage, total=step.steps, told="")
            self._progress.update(self._tasks[step.stage], completed=step.step, told=told)
            return
        part = (step.stage, _LINES_PER_STAGE * step.step // step.steps)
        if part not in self._said:
            self._said.add(part)
            narrate(f"{stage}: step {step.step} of {step.steps}, {told}")


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
