"""Promises about endpoints, budgets, secrets and many questions at once, at the loopback server of `tests/support`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

from promises import Outcome, Promise

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from faulty_endpoint import FAULTS
from faulty_many import FlakyFirms
from firm_reports import READING, HashingEmbedder, firms, reports, revenue_answer, revenue_question

from structrag import StructRAG
from structrag.corpus.store import CorpusStore
from structrag.errors import BudgetExceededError
from structrag.models.chat import ChatModel, Prompt
from structrag.router import FixedRouter
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import StructureType
from structrag.usage import Budget, CorpusMeter, Prices, UsageMeter

_QUESTIONS_OF_A_CORPUS = 25
_AT_ONCE = 200
_KEY = "sk-planted-9a61c07e3d52"
_MOST_GROWTH = 30
"""Megabytes over all questions but the first tenth; 5,000 answers kept in memory would be about 50."""


def faults_lose_nothing(rounds: int) -> Outcome:
    """Ask so many questions over ten documents each while one call in ten goes wrong in one of all ways."""
    failures: list[str] = []
    faults: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    calls = reported = 0
    for seed, start in enumerate(range(0, rounds, _QUESTIONS_OF_A_CORPUS)):
        questions = min(_QUESTIONS_OF_A_CORPUS, rounds - start)
        flaky = FlakyFirms(questions, frozenset(FAULTS), seed, timeout=2, concurrency=8)
        failures += [f"seed {seed}: {wrong}" for wrong in flaky.run()]
        faults += flaky.faults
        errors += flaky.errors
        calls += flaky.calls
        reported += flaky.reported
    told = ", ".join(f"{count} {name}" for name, count in errors.most_common())
    measured = (
        f"{rounds * 10:,} documents, {faults.total():,} faults of {len(faults)} kinds, {reported} reported; {told}"
    )
    return Outcome(calls, failures, measured)


def budgets_hold(rounds: int) -> Outcome:
    """Spend random budgets of a question and of its corpus by random calls, several at once."""
    failures = [f"seed {seed}: {wrong}" for seed in range(rounds) for wrong in _overspent(Random(seed))]
    return Outcome(rounds, failures)


def _overspent(random: Random) -> Iterator[str]:
    unit = random.choice(["calls", "tokens", "cost"])
    whose = random.choice(["question", "corpus"])
    limit = {"calls": random.randint(1, 30), "tokens": random.randint(1, 600), "cost": random.uniform(1e-6, 1e-3)}[unit]
    most, calls, prices = 20, 60, Prices(1, 4)
    budget = Budget(**{unit: limit})
    model = ScriptedChatModel(script={"": lambda prompt: "word " * random.randint(1, most)})
    chat = ChatModel("scripted", lambda: model, concurrency=random.randint(1, 8))
    with CorpusStore.open(None) as store:
        corpus = CorpusMeter(store.spending, budget if whose == "corpus" else None, prices)
        meters = [UsageMeter(budget if whose == "question" else None, prices, corpus) for _ in range(3)]

        def ask(number: int) -> None:
            try:
                chat.reply(Prompt("s", "Be brief.", f"Number {number}?", max_tokens=most), meters[number % len(meters)])
            except BudgetExceededError:
                return

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(calls)))
        spent = [store.spending.total()] if whose == "corpus" else [meter.snapshot() for meter in meters]
        total = store.spending.total()
    if total.calls != len(model.prompts):
        yield f"{len(model.prompts)} calls were made and {total.calls} counted"
    one = {"calls": 0, "tokens": 4 + most, "cost": prices.cost(4, most)}[unit]
    for each in spent:
        used = {"calls": each.calls, "tokens": each.tokens, "cost": each.cost}[unit]
        if used > limit + one:
            yield f"{used:g} {unit} of {limit:g} were used by one {whose}"
        if used < limit and each.calls < calls // len(spent):
            yield f"only {used:g} {unit} of {limit:g} were used by one {whose}"


def key_stays_secret(rounds: int) -> Outcome:
    """Ask at an endpoint that repeats the key in errors and replies, and look for it in every file of the corpus."""
    failures: list[str] = []
    files = 0
    before = os.environ.get("OPENAI_API_KEY")
    os.environ["OPENAI_API_KEY"] = _KEY
    try:
        for seed in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                flaky = FlakyFirms(3, frozenset({"401", "echo"}), seed, folder=Path(folder))
                failures += [f"seed {seed}: {wrong}" for wrong in flaky.run()]
                for path, content in _every_byte(Path(folder)):
                    files += 1
                    failures += [f"seed {seed}: the key is in {path}"] if _KEY.encode() in content else []
    finally:
        os.environ.pop("OPENAI_API_KEY")
        if before is not None:
            os.environ["OPENAI_API_KEY"] = before
    return Outcome(rounds, failures, f"{files:,} files searched")


def _every_byte(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
    with CorpusStore.open(folder / "corpus.sqlite") as store:
        for (packed,) in store._database.rows("SELECT payload FROM calls"):
            yield "calls", zlib.decompress(packed)


@contextmanager
def _reading_corpus(names: list[str]) -> Iterator[StructRAG]:
    router = FixedRouter(StructureType.CHUNK)
    with tempfile.TemporaryDirectory() as folder:
        chat, model = scripted(READING)
        model.prompts = _Forgetting()  # pydantic checks a field only when the model is made
        with StructRAG.open(folder, chat=chat, router=router, embedder=HashingEmbedder()) as rag:
            rag.add_documents(reports(names))
            yield rag


class _Forgetting(list[str]):
    def append(self, prompt: str) -> None:
        """Keep nothing: what is measured is what the pipeline keeps."""


def all_at_once_are_right(rounds: int) -> Outcome:
    """Ask so many questions through the async API, 200 at once."""
    names = firms(100)
    failures: list[str] = []

    async def ask(rag: StructRAG, count: int) -> list[str]:
        asked = [names[number % len(names)] for number in range(count)]
        answers = await asyncio.gather(*(rag.aask(revenue_question(name), scope=[name]) for name in asked))
        return [
            f"{name}: {answer.values}"
            for name, answer in zip(asked, answers, strict=True)
            if answer.values != (revenue_answer(names, name),)
        ]

    with _reading_corpus(names) as rag:
        for start in range(0, rounds, _AT_ONCE):
            failures += [f"from {start}: {wrong}" for wrong in asyncio.run(ask(rag, min(_AT_ONCE, rounds - start)))]
    return Outcome(rounds, failures)


def memory_is_flat(rounds: int) -> Outcome:
    """Ask so many questions one after the other, and compare the memory after a tenth of them with that after all."""
    names = firms(100)
    wrong: list[str] = []
    with _reading_corpus(names) as rag:
        for number in range(rounds):
            name = names[number % len(names)]
            answer = rag.ask(revenue_question(name), scope=[name])
            if answer.values != (revenue_answer(names, name),):
                wrong.append(f"question {number}: {answer.values}")
            if number == rounds // 10:
                before = _megabytes()
        after = _megabytes()
    grown = after - before
    failures = [f"{grown:.0f} MB more, from {before:.0f} to {after:.0f} MB"] if grown > _MOST_GROWTH else []
    return Outcome(rounds, wrong + failures, f"{grown:+.1f} MB over the last nine tenths, {after:.0f} MB in all")


def _megabytes() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


PROMISES: list[Promise] = [
    Promise("one call in ten fails: every document is built or reported, once", faults_lose_nothing, 850, 2),
    Promise("no budget is exceeded by more than one call", budgets_hold, 2000, 20),
    Promise("a key that the endpoint repeats is in no file", key_stays_secret, 50, 1),
    Promise("200 questions at once: all are answered, each with its own", all_at_once_are_right, 2000, 40),
    Promise("memory is flat over many questions", memory_is_flat, 5000, 60),
]
