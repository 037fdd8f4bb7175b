"""The short version of `make soak`: the same promises with few rounds, and the frame that runs them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import soak  # noqa: E402 - found by the line above
from promises import Outcome, Promise  # noqa: E402


@pytest.mark.parametrize("promise", soak.promises(), ids=lambda promise: promise.name)
def test_it_holds_for_a_few_rounds(promise: Promise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    outcome = promise.run(promise.short)
    assert outcome.n > 0
    assert outcome.failures == []


@pytest.fixture
def tried() -> list[int]:
    return []


def promise(name: str, tried: list[int], *failures: str) -> Promise:
    def run(rounds: int) -> Outcome:
        tried.append(rounds)
        return Outcome(rounds, list(failures), "3 MB")

    return Promise(name, run, rounds=7, short=2)


def test_what_has_a_line_of_this_code_is_not_tried_again(tmp_path: Path, tried: list[int]) -> None:
    lines = tmp_path / "soak.jsonl"
    chosen = [promise("one", tried), promise("two", tried, "seed 3")]
    first = soak.run(chosen[:1], lines, short=False)
    assert soak.run(chosen, lines, short=False)[0] == first[0]
    assert tried == [7, 7]
    soak.run(chosen, lines, short=True)
    assert tried == [7, 7, 2, 2]
    older = [record | {"version": "another"} for record in soak.read_lines(lines)]
    lines.write_text("".join(json.dumps(line) + "\n" for line in older), encoding="utf-8")
    soak.run(chosen, lines, short=False)
    assert tried == [7, 7, 2, 2, 7, 7]


def test_a_line_that_was_torn_is_tried_again_and_spoils_no_other(tmp_path: Path, tried: list[int]) -> None:
    lines = tmp_path / "soak.jsonl"
    soak.run([promise("one", tried)], lines, short=True)
    with lines.open("a", encoding="utf-8") as file:
        file.write('{"promise": "two", "ver')
    chosen = [promise("one", tried), promise("two", tried)]
    soak.run(chosen, lines, short=True)
    soak.run(chosen, lines, short=True)
    assert tried == [2, 2]


def test_the_table_tells_what_was_broken(tmp_path: Path, tried: list[int]) -> None:
    records = soak.run([promise("one", tried), promise("two", tried, "seed 3")], tmp_path / "s.jsonl", short=True)
    table = soak.table(records)
    assert "| one     | 2     | 0      |" in table
    assert "| two     | 2     | 1      |" in table
    assert "BROKEN: two: seed 3" in table


def test_a_promise_that_raises_or_tries_nothing_is_broken() -> None:
    def broken(rounds: int) -> Outcome:
        raise ZeroDivisionError("by zero")

    assert "ZeroDivisionError: by zero" in soak.tried(Promise("x", broken), short=True)["failures"][0]
    nothing = soak.tried(Promise("x", lambda rounds: Outcome(0)), short=True)
    assert nothing["failures"] == ["It was never tried."]
