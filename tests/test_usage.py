"""Counting what a question costs, and stopping it at its budget."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from structrag.errors import BudgetExceededError
from structrag.usage import Budget, ModelCall, Usage, UsageMeter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr("structrag.usage.time", clock)
    return clock


def spend(meter: UsageMeter, prompt: int = 0, completion: int = 0, seconds: float = 0.0) -> None:
    with meter.call():
        meter.record(ModelCall("", (), "", prompt_tokens=prompt, completion_tokens=completion, seconds=seconds))


def test_everything_is_summed(clock: Clock) -> None:
    meter = UsageMeter()
    spend(meter, 10, 3, 1.5)
    spend(meter, 20, 4, 2.0)
    meter.record_cached()
    clock.now += 3
    assert meter.snapshot() == Usage(
        calls=2, cached=1, prompt_tokens=30, completion_tokens=7, seconds=3.0, model_seconds=3.5
    )
    assert meter.snapshot().tokens == 37


def test_the_json_form_has_every_count_and_rounds_the_seconds() -> None:
    usage = Usage(calls=1, cached=2, prompt_tokens=3, completion_tokens=4, seconds=0.12345, model_seconds=6.0)
    assert json.loads(json.dumps(usage.to_dict())) == {
        "calls": 1,
        "cached": 2,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "seconds": 0.123,
        "model_seconds": 6.0,
    }
    assert replace(usage, cost=0.01234567).to_dict()["cost"] == 0.012346


def test_zero_means_no_limit(clock: Clock) -> None:
    meter = UsageMeter(Budget())
    clock.now += 1e6
    for _ in range(50):
        spend(meter, 10_000, 10_000)
    assert meter.snapshot().calls == 50


@pytest.mark.parametrize(
    ("budget", "unit"),
    [(Budget(calls=2), "calls"), (Budget(tokens=25), "tokens"), (Budget(seconds=2.5), "seconds")],
)
def test_the_call_after_the_budget_is_refused_and_says_which_setting_to_raise(
    clock: Clock, budget: Budget, unit: str
) -> None:
    meter = UsageMeter(budget)
    for _ in range(2):
        spend(meter, 10, 4)
        clock.now += 1.5
    with pytest.raises(BudgetExceededError, match=rf"budget of \S+ {unit} .* is spent") as caught, meter.call():
        pytest.fail("The call was made.")
    assert caught.value.hint is not None
    assert f"budget.{unit}" in caught.value.hint
    assert meter.snapshot().calls == 2


def test_a_call_that_fails_is_not_counted_and_leaves_its_place_to_another() -> None:
    meter = UsageMeter(Budget(calls=1))
    with pytest.raises(ConnectionError), meter.call():
        raise ConnectionError
    assert meter.snapshot().calls == 0
    spend(meter)
    assert meter.snapshot().calls == 1


def test_parallel_calls_do_not_exceed_the_budget_together() -> None:
    meter = UsageMeter(Budget(calls=3))
    all_there = Barrier(8)

    def attempt(_: int) -> bool:
        all_there.wait(timeout=10)
        try:
            with meter.call():
                refused.wait(timeout=10)  # those let in wait until the others were refused
        except BudgetExceededError:
            refused.wait(timeout=10)
            return False
        return True

    refused = Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 3
    assert meter.snapshot().calls == 3


def test_cached_replies_cost_no_budget() -> None:
    meter = UsageMeter(Budget(calls=1))
    for _ in range(5):
        meter.record_cached()
    spend(meter)
    assert meter.snapshot().cached == 5
