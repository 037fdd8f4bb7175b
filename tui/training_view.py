"""How a training goes: its stage, its loss and its reward margin as they change, the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import ProgressBar, Sparkline, Static

from structrag.cli.text import clean

if TYPE_CHECKING:
    from structrag.router.training_settings import TrainingStep

_STAGES = {"sft": "Learning the labels", "dpo": "Learning the preferences"}
IDLE = "No training is under way: t trains a new version on the preferences."
_MINUTE = 90
"""Seconds from which minutes say enough."""


class TrainingView(Vertical):
    """Shows the reports of one training and what came of it."""

    def __init__(self) -> None:
        super().__init__(id="training-view")
        self._losses: list[float] = []
        self._margins: list[float] = []
        self._stage = ""

    def compose(self) -> ComposeResult:
        """Lay out the stage, the two curves and the outcome."""
        yield Static(IDLE, id="training-stage", markup=False)
        yield ProgressBar(id="training-progress", show_eta=False)
        yield Static("", id="loss-told", markup=False)
        yield Sparkline([], id="loss", summary_function=_mean)
        yield Static("", id="margin-told", markup=False)
        yield Sparkline([], id="margin", summary_function=_mean)
        yield Static("", id="training-outcome", markup=False)

    def begin(self, pairs: int) -> None:
        """Forget the last training and say what this one learns from."""
        self._losses, self._margins, self._stage = [], [], ""
        self._show_curves(is_shown=False)
        self.query_one("#training-outcome", Static).update("")
        self.say(f"Preparing to train on {pairs} preference{'' if pairs == 1 else 's'} and shipped questions")

    def say(self, text: str) -> None:
        """Say what is going on."""
        self.query_one("#training-stage", Static).update(clean(text))

    def note(self, step: TrainingStep) -> None:
        """Show one report."""
        if step.stage != self._stage:
            # Each stage has losses of its own kind: a curve through both would say nothing.
            self._stage, self._losses = step.stage, []
        self._losses.append(step.loss)
        self._show_curves(is_shown=True)
        self.say(f"{_STAGES.get(step.stage, step.stage)}: step {step.step} of {step.steps}, {_left(step)} left")
        self.query_one(ProgressBar).update(total=step.steps, progress=step.step)
        self.query_one("#loss-told", Static).update(_told("Loss", self._losses))
        self.query_one("#loss", Sparkline).data = list(self._losses)
        if step.margin is not None:
            self._margins.append(step.margin)
        self.query_one("#margin-told", Static).update(
            _told("Reward margin", self._margins) if self._margins else "Reward margin: comes with the preferences"
        )
        self.query_one("#margin", Sparkline).data = list(self._margins)

    def end(self, stage: str, outcome: str = "") -> None:
        """Show how it ended; the curves stay."""
        self.say(stage)
        self.query_one("#training-outcome", Static).update(clean(outcome))

    def _show_curves(self, *, is_shown: bool) -> None:
        self.set_class(is_shown, "-has-curves")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _told(name: str, values: list[float]) -> str:
    return f"{name}: {values[-1]:.3f} (from {values[0]:.3f}; least {min(values):.3f}, most {max(values):.3f})"


def _left(step: TrainingStep) -> str:
    return f"{step.seconds_left / 60:.0f} min" if step.seconds_left >= _MINUTE else f"{step.seconds_left:.0f} s"
