"""How far a training is, as `structrag router train` tells it."""

from __future__ import annotations

import sys

import pytest

from structrag.cli.training_progress import TrainingProgress
from structrag.router.training_settings import TrainingStep


def step(stage: str, number: int, *, steps: int = 100, margin: float | None = None, left: float = 30.0) -> TrainingStep:
    return TrainingStep(stage, number, steps, 0.5, margin, left)


def test_without_a_terminal_there_are_a_few_lines_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(live=False) as progress:
        for number in range(1, 101):
            progress.listen(step("sft", number))
        for number in range(1, 101):
            progress.listen(step("dpo", number, margin=0.25, left=600))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    labels = [line for line in lines if line.startswith("learning the labels: ")]
    preferences = [line for line in lines if line.startswith("learning the preferences: ")]
    assert len(labels) + len(preferences) == len(lines)
    assert 2 <= len(labels) <= 5
    assert len(preferences) == len(labels)
    assert labels[0] == "learning the labels: step 1 of 100, loss 0.500, 30 s left"
    assert labels[-1].startswith("learning the labels: step 100 of 100")
    assert preferences[0] == "learning the preferences: step 1 of 100, loss 0.500, margin 0.25, 10 min left"


def test_a_short_stage_is_told_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(live=False) as progress:
        progress.listen(step("sft", 3, steps=3))
    assert capsys.readouterr().err == "learning the labels: step 3 of 3, loss 0.500, 30 s left\n"


def test_on_a_terminal_each_stage_is_one_line_that_is_drawn_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with TrainingProgress(live=True) as progress:
        for stage in ("sft", "dpo"):
            for number in (50, 100):
                progress.listen(step(stage, number, margin=0.25))
        sys.stdout.write("data\n")
    captured = capsys.readouterr()
    assert captured.out == "data\n"
    drawn = captured.err[captured.err.rindex("learning the labels") :]
    assert "loss 0.500, margin 0.25, 30 s left" in drawn
    assert "learning the preferences" in drawn
    assert "\x1b[" in captured.err


def test_a_training_that_fails_leaves_the_terminal_as_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    progress = TrainingProgress(live=True)

    def fail() -> None:
        with progress:
            progress.listen(step("sft", 5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    err = capsys.readouterr().err
    assert err.rindex("\x1b[?25h") > err.rindex("\x1b[?25l")


def test_elsewhere_than_on_a_terminal_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        progress.listen(step("sft", 5))
    err = capsys.readouterr().err
    assert err.startswith("learning the labels: step 5 of 100")
    assert "\x1b" not in err
