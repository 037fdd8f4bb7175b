"""What building costs: foreseen without a call, stopped within one call, and never paid for twice."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest
from hashing_embedder import HashingEmbedder
from langchain_core.documents import Document
from numpy.typing import NDArray

from structrag import StructRAG
from structrag.config import Settings, load_settings
from structrag.corpus.store import CorpusStore
from structrag.errors import BudgetExceededError, ConfigError, ModelOutputError
from structrag.models.chat import Prompt, most_prompt_tokens
from structrag.pipeline.estimate import CountingModel, Estimate, RememberingEmbedder
from structrag.router import FixedRouter
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import StructureType
from structrag.usage import Budget, ModelCall, Prices, Usage, UsageMeter

PROMPTS = files("structrag.structures").joinpath("prompts")
PLAN = PROMPTS.joinpath("table_plan.txt").read_text(encoding="utf-8").strip()
SCHEMA = PROMPTS.joinpath("table_schema.txt").read_text(encoding="utf-8").strip()
ROWS = PROMPTS.joinpath("table_rows.txt").read_text(encoding="utf-8").strip()
NAMES = ("Alder", "Birch", "Corvina", "Dune", "Elm", "Fir")
TEXTS = {
    name.lower(): f"# {name}\n\n{name} was founded long ago. In 2024 {name} had a revenue of {50 + 7 * n} million EUR.\n"
    for n, name in enumerate(NAMES)
}
MOST = "Which firm had the highest revenue in 2024?"


def rows_of(prompt: str) -> dict[str, Any]:
    """Read a document as a model would."""
    name = re.findall(r"^Document: (\w+)$", prompt, re.MULTILINE)[-1]
    found = re.search(rf"{name} had a revenue of (\d+ million EUR)", prompt[prompt.rindex("<excerpt>") :])
    assert found
    return {"rows": [{"firm": name, "revenue": found[1]}]}


def slowly(prompt: str) -> dict[str, Any]:
    time.sleep(0.02)
    return rows_of(prompt)


SCRIPT: Mapping[str, Any] = {
    PLAN: 'rows("firm", "revenue")',
    SCHEMA: {"entity": "firm", "columns": [{"name": "revenue", "type": "number", "unit": "EUR million"}]},
    ROWS: rows_of,
    "CREATE TABLE": {"sql": "SELECT firm FROM firm ORDER BY revenue DESC LIMIT 1"},
}

MakeRag = Callable[..., tuple[StructRAG, ScriptedChatModel]]


@pytest.fixture
def replies() -> Iterator[CorpusStore]:
    """The cache of replies that all corpora of a test share."""
    with CorpusStore.open(None) as store:
        yield store


@pytest.fixture
def corpus(replies: CorpusStore) -> Iterator[MakeRag]:
    made: list[StructRAG] = []

    def make(
        texts: Mapping[str, str] = TEXTS,
        *,
        script: Mapping[str, Any] = SCRIPT,
        structure: StructureType = StructureType.TABLE,
        **settings: Any,
    ) -> tuple[StructRAG, ScriptedChatModel]:
        chat, model = scripted(script, cache=replies)
        rag = StructRAG.from_documents(
            [Document(text, id=name) for name, text in texts.items()],
            chat=chat,
            settings={name.replace("__", "."): value for name, value in settings.items()},
            router=FixedRouter(structure),
            embedder=HashingEmbedder(),
        )
        made.append(rag)
        return rag, model

    yield make
    for rag in made:
        rag.close()


def building(calls: Sequence[ModelCall]) -> list[ModelCall]:
    """Return the calls that building made and the cache did not answer."""
    return [
        call
        for call in calls
        if call.stage in ("table.fits", "table.plan", "table.schema", "table.rows") and not call.cached
    ]


class TestEstimate:
    def test_it_is_an_upper_bound_of_what_building_takes_and_asks_nothing(self, corpus: MakeRag) -> None:
        rag, model = corpus()
        estimate = rag.estimate(MOST, "table")
        assert model.prompts == []
        assert rag.answers() == []
        answer = rag.ask(MOST, structure="table")
        assert answer.values == ("Fir",)
        made = building(rag.calls(answer))
        assert len(made) == 2 + len(TEXTS), "how to compute, the schema, and each document"
        assert estimate.structures == (StructureType.TABLE,)
        assert estimate.documents == len(TEXTS)
        assert len(made) <= estimate.calls <= len(made) + 1
        assert sum(call.prompt_tokens for call in made) <= estimate.prompt_tokens
        sent = sum(most_prompt_tokens(call.messages, call.schema) for call in made)
        assert sent <= estimate.prompt_tokens <= 1.5 * sent
        assert sum(call.completion_tokens for call in made) <= estimate.completion_tokens
        assert estimate.seconds > 0
        assert (estimate.cached, estimate.cost) == (0, None)

    def test_what_was_read_before_is_not_foreseen_again(self, corpus: MakeRag) -> None:
        rag, model = corpus()
        rag.ask(MOST, structure="table")
        asked = len(model.prompts)
        after = rag.estimate(MOST, "table")
        assert (after.calls, after.prompt_tokens, after.seconds) == (0, 0, 0.0)
        assert after.cached >= 1
        rag.add_documents([Document("# Gale\n\nIn 2024 Gale had a revenue of 9 million EUR.\n", id="gale")])
        assert rag.estimate(MOST, "table").calls == 1
        assert len(model.prompts) == asked

    def test_tables_that_are_there_cost_nothing(self, corpus: MakeRag) -> None:
        table = "# Firms\n\n| Firm | Revenue (EUR million) |\n|---|---|\n| Alder | 412 |\n| Birch | 97 |\n"
        rag, _ = corpus({"firms": table})
        estimate = rag.estimate("Which firm had the highest revenue?")
        assert (estimate.calls, estimate.prompt_tokens, estimate.documents) == (0, 0, 1)
        assert estimate.structures == (StructureType.TABLE, StructureType.CHUNK)

    @pytest.mark.parametrize("structure", ["graph", "algorithm", "catalogue", "chunk"])
    def test_what_is_parsed_costs_nothing(self, corpus: MakeRag, structure: str) -> None:
        rag, model = corpus({"kiln": "# Kiln of Alder\n\n1. Call Ann Lee of Birch.\n2. Wait.\n"})
        assert rag.estimate("Who is called?", structure).calls == 0
        assert model.prompts == []

    def test_it_knows_prices_and_how_fast_the_model_was(self, corpus: MakeRag) -> None:
        rag, _ = corpus(models__prompt_price=2.0, models__completion_price=8.0)
        guessed = rag.estimate(MOST, "table")
        assert guessed.cost == pytest.approx((2 * guessed.prompt_tokens + 8 * guessed.completion_tokens) / 1e6)
        answer = rag.ask(MOST, structure="table")
        assert answer.usage.cost == pytest.approx(
            (2 * answer.usage.prompt_tokens + 8 * answer.usage.completion_tokens) / 1e6
        )
        measured = rag.estimate("Which firm had the lowest revenue of all in 2024?", "table")
        assert measured.calls == guessed.calls
        assert 0 < measured.seconds < guessed.seconds  # a scripted model is fast

    def test_no_text_is_embedded_twice(self) -> None:
        asked: list[str] = []

        class Watched(HashingEmbedder):
            def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
                asked.extend(texts)
                return super().embed(texts)

        remembering = RememberingEmbedder(Watched())
        first, second = remembering.embed(["a b", "c", "a b"]), remembering.embed(["c", "d"])
        assert asked == ["a b", "c", "d"]
        assert np.array_equal(first, HashingEmbedder().embed(["a b", "c", "a b"]))
        assert np.array_equal(second, HashingEmbedder().embed(["c", "d"]))

    def test_its_json_form_has_every_figure(self) -> None:
        estimate = Estimate((StructureType.TABLE,), 2, 3, 1, 900, 600, 12.34, 0.5)
        assert json.loads(json.dumps(estimate.to_dict())) == {
            "structures": ["table"],
            "documents": 2,
            "calls": 3,
            "cached": 1,
            "prompt_tokens": 900,
            "completion_tokens": 600,
            "seconds": 12.3,
            "cost": 0.5,
        }


class TestCounting:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "string", "minLength": 60},
            {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "string", "maxLength": 5}},
            {"type": "array", "maxItems": 8, "items": {"type": "integer"}},
            {"type": ["number", "null"]},
            {
                "type": "object",
                "properties": {
                    "n": {"type": "integer", "minimum": 3},
                    "is": {"type": "boolean"},
                    "of": {"enum": ["a"]},
                },
                "required": ["n", "is", "of"],
                "additionalProperties": False,
            },
        ],
    )
    def test_replies_are_made_up_in_the_form_asked_for(self, schema: dict[str, Any]) -> None:
        counting = CountingModel(scripted({})[0], prefers_last=True)
        prompt = Prompt("s", "Reply.", "Now.", schema=schema, max_tokens=70)
        jsonschema.validate(counting.reply(prompt, UsageMeter()).data, schema)
        assert (counting.foreseen.calls, counting.foreseen.completion_tokens) == (1, 70)

    def test_strings_differ_and_short_lists_are_full(self) -> None:
        counting = CountingModel(scripted({})[0], prefers_last=True)
        schema = {"type": "array", "maxItems": 4, "items": {"type": "string"}}
        data = counting.reply(Prompt("s", "", "", schema=schema), UsageMeter()).data
        assert len(set(data)) == len(data) == 4

    def test_a_form_that_cannot_be_made_up_is_an_unusable_reply(self) -> None:
        counting = CountingModel(scripted({})[0], prefers_last=True)
        impossible = Prompt("s", "", "", schema={"not": {}})
        fine = Prompt("s", "", "", schema={"type": "string"})
        first, second = counting.reply_many([impossible, fine], UsageMeter())
        assert isinstance(first, ModelOutputError)
        assert not isinstance(second, ModelOutputError)
        assert counting.foreseen.calls == 2

    @pytest.mark.parametrize(("prefers_last", "chosen"), [(True, "no"), (False, "yes")])
    def test_choices_are_tried_both_ways(self, prefers_last: bool, chosen: str) -> None:
        counting = CountingModel(scripted({})[0], prefers_last=prefers_last)
        shares = counting.choose(Prompt("s", "", ""), ["yes", "no"], UsageMeter())
        assert (max(shares, key=lambda option: shares[option]), sum(shares.values())) == (chosen, 1.0)
        assert counting.foreseen.choices == counting.foreseen.calls == 1

    def test_what_is_kept_is_not_counted(self, replies: CorpusStore) -> None:
        chat, _ = scripted({"Fill": "yes", "Sure": {"yes": 0.8, "no": 0.2}}, cache=replies)
        asked, sure = Prompt("s", "Fill", ""), Prompt("s", "Sure", "")
        chat.reply(asked, UsageMeter())
        shares = chat.choose(sure, ["yes", "no"], UsageMeter())
        counting = CountingModel(chat, prefers_last=True)
        assert counting.reply(asked, UsageMeter()).text == "yes"
        assert counting.choose(sure, ["yes", "no"], UsageMeter()) == shares
        assert (counting.foreseen.calls, counting.foreseen.cached) == (0, 2)


class TestStopping:
    @pytest.mark.parametrize("calls", [1, 3, 5])
    def test_it_stops_at_the_calls_and_the_next_run_repeats_none_that_finished(
        self, corpus: MakeRag, calls: int
    ) -> None:
        rag, model = corpus(budget__calls=calls)
        with pytest.raises(BudgetExceededError, match=f"budget of {calls} calls"):
            rag.ask(MOST, structure="table")
        assert len(model.prompts) == calls
        finished = set(model.prompts)
        again, second = corpus()
        answer = again.ask(MOST, structure="table")
        assert answer.values == ("Fir",)
        assert not finished & set(second.prompts)
        assert len(building(again.calls(answer))) == 2 + len(TEXTS) - calls
        assert answer.usage.cached == calls

    def test_tokens_are_exceeded_by_one_call_at_most_also_side_by_side(self, corpus: MakeRag) -> None:
        free, model = corpus()
        calls = building(free.calls(free.ask(MOST, structure="table")))
        largest = max(call.prompt_tokens + call.completion_tokens for call in calls)
        with CorpusStore.open(None) as elsewhere:
            chat, slow = scripted({**SCRIPT, ROWS: slowly}, cache=elsewhere)
            documents = [Document(text, id=name) for name, text in TEXTS.items()]
            limit = 3 * largest
            with (
                StructRAG.from_documents(
                    documents,
                    chat=chat,
                    settings={"budget.tokens": limit},
                    router=FixedRouter(StructureType.TABLE),
                    embedder=HashingEmbedder(),
                ) as rag,
                pytest.raises(BudgetExceededError, match="tokens"),
            ):
                rag.ask(MOST, structure="table")
        spent = sum(len(prompt.split()) for prompt in slow.prompts)
        assert limit - largest <= spent + 100
        assert spent < limit + largest
        assert len(model.prompts) > len(slow.prompts) > 1

    def test_the_cost_stops_a_question_too(self, corpus: MakeRag) -> None:
        rag, model = corpus(budget__cost=0.0005, models__prompt_price=1.0, models__completion_price=1.0)
        with pytest.raises(BudgetExceededError, match=r"budget of 0.0005 cost .* is spent") as caught:
            rag.ask(MOST, structure="table")
        assert "budget.cost" in (caught.value.hint or "")
        assert 0 < len(model.prompts) < 1 + len(TEXTS)

    def test_a_cost_without_prices_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigError, match=r"`budget\.cost` is set.*\n.*models\.prompt_price"):
            load_settings(None, {"budget.cost": 1})

    @pytest.mark.parametrize("price", ["prompt_price", "completion_price"])
    def test_one_price_of_two_is_not_enough(self, price: str) -> None:
        with pytest.raises(ConfigError, match=r"`budget\.cost` is set"):
            load_settings(None, {"budget.cost": 1, f"models.{price}": 2})
        with pytest.raises(ValueError, match=r"`budget\.cost` is set"):
            Settings.model_validate({"budget": {"cost": 1}, "models": {price: 2}})


class TestMeter:
    def test_a_call_waits_for_those_that_may_spend_what_is_left(self) -> None:
        meter = UsageMeter(Budget(tokens=100))
        entered = threading.Event()
        order: list[str] = []

        def second() -> None:
            entered.wait(timeout=10)
            with meter.call(most_prompt_tokens=10, most_completion_tokens=10):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        with meter.call(most_prompt_tokens=60, most_completion_tokens=60):
            entered.set()
            time.sleep(0.05)
            order.append("first")
            meter.record(ModelCall("", (), "", prompt_tokens=30, completion_tokens=10))
        thread.join(timeout=10)
        assert order == ["first", "second"]

    def test_a_call_that_waited_is_refused_if_nothing_is_left(self) -> None:
        meter = UsageMeter(Budget(tokens=100))
        refused: list[BudgetExceededError] = []
        entered = threading.Event()

        def second() -> None:
            entered.wait(timeout=10)
            try:
                with meter.call(most_prompt_tokens=1):
                    pytest.fail("The call was made.")
            except BudgetExceededError as error:
                refused.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        with meter.call(most_prompt_tokens=60, most_completion_tokens=60):
            entered.set()
            time.sleep(0.05)
            meter.record(ModelCall("", (), "", prompt_tokens=90, completion_tokens=20))
        thread.join(timeout=10)
        assert len(refused) == 1

    def test_one_large_call_is_let_in_where_nothing_is_under_way(self) -> None:
        meter = UsageMeter(Budget(tokens=100))
        with meter.call(most_prompt_tokens=5000):
            meter.record(ModelCall("", (), "", prompt_tokens=40))
        assert meter.snapshot().calls == 1

    def test_prices_make_the_cost(self) -> None:
        meter = UsageMeter(prices=Prices(prompt=0.5, completion=2.0))
        with meter.call():
            meter.record(ModelCall("", (), "", prompt_tokens=1_000_000, completion_tokens=500_000))
        assert meter.snapshot().cost == pytest.approx(1.5)
        assert Usage().cost == 0


@pytest.mark.parametrize(
    "text", ["Umsatz 2024: 1.204,5 Mio. €", "売上高は四億円", "| 4.2 | 17 | −3 |\n" * 20, "plain words " * 50]
)
def test_prompts_are_counted_generously(text: str) -> None:
    assert most_prompt_tokens(Prompt("s", "Be brief.", text).messages()) >= len(text.split()) + 2
    assert most_prompt_tokens([("human", text)]) >= len(text.encode()) / 4


def test_digits_and_the_schema_are_counted_too() -> None:
    digits = "1234567890 " * 30
    assert most_prompt_tokens([("human", digits)]) >= 300
    schema = {"type": "object", "description": "x" * 100}
    assert most_prompt_tokens([("human", "a")], schema) >= most_prompt_tokens([("human", "a")]) + 40
