"""What all questions of a corpus may cost together: counted in its folder, stopped within one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from firm_reports import MOST, SCRIPT, HashingEmbedder, firms, reports

from structrag import StructRAG
from structrag.config import load_settings
from structrag.corpus.spending import Spending
from structrag.corpus.store import CorpusStore
from structrag.errors import BudgetExceededError, ConfigError
from structrag.models.chat import ChatModel, Prompt
from structrag.router import FixedRouter
from structrag.testing import ScriptedChatModel
from structrag.types import StructureType
from structrag.usage import Budget, CorpusMeter, ModelCall, Prices, Usage, UsageMeter

NAMES = firms(20)


def opened(folder: Path, model: ScriptedChatModel, **settings: Any) -> StructRAG:
    return StructRAG.open(
        folder,
        settings={name.replace("__", "."): value for name, value in settings.items()},
        chat=ChatModel("scripted", lambda: model),
        router=FixedRouter(StructureType.TABLE),
        embedder=HashingEmbedder(),
    )


@pytest.fixture
def model() -> ScriptedChatModel:
    return ScriptedChatModel(script=SCRIPT)


@pytest.fixture
def ledger() -> Iterator[Spending]:
    with CorpusStore.open(None) as store:
        yield store.spending


def spend(meter: UsageMeter, prompt: int = 0, completion: int = 0) -> None:
    with meter.call():
        meter.record(ModelCall("", (), "", prompt_tokens=prompt, completion_tokens=completion, seconds=0.5))


class TestCorpus:
    def test_questions_are_stopped_together_also_after_reopening(
        self, tmp_path: Path, model: ScriptedChatModel
    ) -> None:
        with opened(tmp_path, model) as rag:
            rag.add_documents(reports(NAMES))
            first = rag.ask(MOST, scope=NAMES[:10])
            assert rag.spent().calls == first.usage.calls == len(model.prompts)
            assert rag.spent().tokens == first.usage.tokens
        limit = len(model.prompts) + 4
        with opened(tmp_path, model, corpus_budget__calls=limit) as rag:
            with pytest.raises(
                BudgetExceededError, match=rf"budget of {limit} calls for this corpus .*\n.*corpus_budget\.calls"
            ):
                rag.ask(MOST, scope=NAMES[10:])
            assert len(model.prompts) == rag.spent().calls == limit
            assert [document.id for document in rag.documents()] == sorted(NAMES)
            assert len(rag.answers()) == 1
        with opened(tmp_path, model) as rag:
            assert rag.ask(MOST, scope=NAMES[10:]).values == (NAMES[-1],)

    def test_a_question_has_its_own_budget_too(self, tmp_path: Path, model: ScriptedChatModel) -> None:
        with opened(tmp_path, model, budget__calls=3, corpus_budget__calls=4) as rag:
            rag.add_documents(reports(NAMES))
            with pytest.raises(BudgetExceededError, match="for this question"):
                rag.ask(MOST, scope=NAMES[:10])
            with pytest.raises(BudgetExceededError, match="for this corpus"):
                rag.ask(MOST, scope=NAMES[10:])
            assert len(model.prompts) == 4

    def test_money_stops_it(self, tmp_path: Path, model: ScriptedChatModel) -> None:
        prices = {"models__prompt_price": 2.0, "models__completion_price": 8.0}
        with opened(tmp_path, model, corpus_budget__cost=0.002, **prices) as rag:
            rag.add_documents(reports(NAMES))
            with pytest.raises(BudgetExceededError, match=r"budget of 0.002 cost for this corpus"):
                rag.ask(MOST, scope=NAMES[:10])
            spent = rag.spent()
        assert spent.cost == pytest.approx((2 * spent.prompt_tokens + 8 * spent.completion_tokens) / 1e6)
        largest = max(2 * len(prompt.split()) + 8 * 40 for prompt in model.prompts) / 1e6
        assert 0.002 <= spent.cost < 0.002 + largest

    def test_money_without_prices_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigError, match=r"`corpus_budget\.cost` is set.*\n.*models\.prompt_price"):
            load_settings(None, {"corpus_budget.cost": 1})


class TestMeter:
    @pytest.mark.parametrize(
        ("budget", "unit"),
        [
            (Budget(calls=2), "calls"),
            (Budget(tokens=25), "tokens"),
            (Budget(seconds=1), "seconds"),
            (Budget(cost=2e-5), "cost"),
        ],
    )
    def test_each_limit_counts_what_earlier_questions_used(self, ledger: Spending, budget: Budget, unit: str) -> None:
        corpus = CorpusMeter(ledger, budget, Prices(1, 1))
        for _ in range(2):
            spend(UsageMeter(corpus=corpus), 10, 4)
        with pytest.raises(BudgetExceededError, match=f"{unit} for this corpus") as caught:
            spend(UsageMeter(corpus=corpus))
        assert f"corpus_budget.{unit}" in (caught.value.hint or "")
        assert ledger.total().calls == 2

    def test_a_call_that_fails_counts_for_neither(self, ledger: Spending) -> None:
        meter = UsageMeter(corpus=CorpusMeter(ledger, Budget(calls=1)))
        with pytest.raises(ConnectionError), meter.call():
            raise ConnectionError
        assert (meter.snapshot().calls, ledger.total().calls) == (0, 0)

    def test_a_call_that_the_corpus_refuses_does_not_count_for_the_question(self, ledger: Spending) -> None:
        ledger.add(Usage(calls=1))
        meter = UsageMeter(corpus=CorpusMeter(ledger, Budget(calls=1)))
        with pytest.raises(BudgetExceededError):
            spend(meter)
        assert meter.snapshot().calls == 0

    def test_many_questions_side_by_side_exceed_it_by_one_call_at_most(self, ledger: Spending) -> None:
        def slow(_: str) -> str:
            time.sleep(0.002)
            return "word " * 20

        model = ScriptedChatModel(script={"": slow})
        chat = ChatModel("scripted", lambda: model, concurrency=8)
        corpus = CorpusMeter(ledger, Budget(tokens=500))

        def ask(number: int) -> bool:
            try:
                chat.reply(Prompt("test", "Be brief.", f"Number {number}?", max_tokens=20), UsageMeter(corpus=corpus))
            except BudgetExceededError:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            done = list(pool.map(ask, range(100)))
        assert sum(done) == len(model.prompts) == ledger.total().calls
        assert 500 <= ledger.total().tokens < 500 + 25

    def test_processes_add_to_one_sum(self, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "c") as one, CorpusStore.open(tmp_path / "c") as other:
            threads = [
                threading.Thread(target=lambda s=store: [s.spending.add(Usage(calls=1, cost=0.5)) for _ in range(50)])
                for store in (one, other)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert one.spending.total() == other.spending.total()
            assert (one.spending.total().calls, one.spending.total().cost) == (100, 50.0)
