"""Where the time of building goes: the share inside calls of the model, and what parsing alone takes by size.

    python bench/builder_throughput.py --out bench/results/builders.md

Half an hour on two cores. The first part builds the tables of the corpora's development questions with nothing kept
from before, and compares with `rag.estimate`; the second builds every structure of a made-up CSV file and manual of
several sizes, and counts only what is spent outside calls of the model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from structrag import StructRAG
from structrag.config import load_settings
from structrag.corpora import shipped
from structrag.errors import ModelError
from structrag.events import Event, ModelCalled, RouteChosen, StructureBuilt
from structrag.models.chat import ChatModel
from structrag.models.loading import load_chat_model

_ROWS = (250, 500, 1000, 2000)
_PAGES = (125, 250, 500)
_PAGE_WORDS = 400
_WORDS = "valve pump filter pressure gauge panel check tighten replace inspect drain flush seal bolt hose motor".split()


@dataclass
class _Watch:
    """Listens to one question: when building began and ended, and when the model was at work.

    Attributes:
        calls: Begin and end of each call.
    """

    began: float = 0.0
    ended: float = 0.0
    calls: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, RouteChosen):
            self.began = now
        elif isinstance(event, StructureBuilt) and not self.ended:
            self.ended = now
        elif isinstance(event, ModelCalled) and not self.ended and not event.call.cached:
            self.calls.append((now - event.call.seconds, now))

    @property
    def wall(self) -> float:
        """Seconds of building."""
        return self.ended - self.began

    @property
    def inside(self) -> float:
        """Seconds of it in which at least one call was under way."""
        total, reached = 0.0, self.began
        for begin, end in sorted(self.calls):
            total += max(0.0, min(end, self.ended) - max(begin, reached))
            reached = max(reached, end)
        return total


def extraction(limit: int) -> list[str]:
    """Return the rows of the first part: for the first so many questions of each corpus whose table is extracted."""
    rows = ["| question | documents | calls | estimated | seconds | inside calls |", "|---|---|---|---|---|---|"]
    shares = []
    for corpus in shipped():
        with tempfile.TemporaryDirectory() as folder, StructRAG.open(folder, chat=_uncached()) as rag:
            rag.add([corpus.folder])
            paths = (corpus.questions, corpus.questions.with_name("development.jsonl"))
            asked = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
            asked = [row for row in asked if row["structure"] == "table" and row["split"] == "dev"]
            measured = 0
            for row in asked:
                if measured == limit:
                    break
                estimate, watch = rag.estimate(row["question"], "table"), _Watch()
                rag.ask(row["question"], structure="table", listener=watch)
                print(f"{row['id']}: {len(watch.calls)} calls, {watch.wall:.0f} s", flush=True)
                if not watch.ended or not watch.calls:
                    continue
                measured += 1
                share = watch.inside / watch.wall
                shares.append((watch.inside, watch.wall))
                rows.append(
                    f"| {row['id']} | {estimate.documents} | {len(watch.calls)} | {estimate.calls} | {watch.wall:.1f} "
                    f"| {share:.0%} |"
                )
    inside, wall = (sum(each) for each in zip(*shares, strict=True))
    median = statistics.median(share / whole for share, whole in shares)
    return [*rows, "", f"Together {inside / wall:.1%} of {wall:,.0f} seconds inside calls; median {median:.0%}."]


def _uncached() -> ChatModel:
    return load_chat_model(load_settings()[0].models)


def parsing() -> list[str]:
    """Return the rows of the second part."""
    rows = ["| file | structure | size | seconds outside the model | per 1,000 |", "|---|---|---|---|---|"]
    csv_question = "Which site has the highest output in 2023?"
    manual_question = "What has to be checked before the pump is started?"
    for name, sizes, write, question, structures in (
        ("CSV rows", _ROWS, _write_csv, csv_question, ("table",)),
        ("manual pages", _PAGES, _write_manual, manual_question, ("graph", "algorithm", "catalogue")),
    ):
        for size in sizes:
            for structure, seconds in _parsed(write, size, question, structures):
                rows.append(f"| {name} | {structure} | {size:,} | {seconds:.2f} | {1000 * seconds / size:.2f} |")
    return rows


def _parsed(
    write: Callable[[Path, int], Path], size: int, question: str, structures: Sequence[str]
) -> list[tuple[str, float]]:
    """Return the seconds outside calls of the model: of adding the file, and of building each structure."""
    with tempfile.TemporaryDirectory() as folder, StructRAG.open(Path(folder) / "corpus") as rag:
        path = write(Path(folder), size)
        started = time.monotonic()
        rag.add([path])
        spent = [("(adding, with vectors)", time.monotonic() - started)]
        for structure in structures:
            watch = _Watch()
            try:
                rag.ask(question, structure=structure, listener=watch)
            except ModelError as error:
                print(f"{structure}, {size}: {error.message}", flush=True)
            spent.append((structure, watch.wall - watch.inside if watch.ended else float("nan")))
    return spent


def _write_csv(folder: Path, rows: int) -> Path:
    random = Random(rows)
    path = folder / "sites.csv"
    lines = ["site,region,opened,output 2022 (MWh),output 2023 (MWh),manager"]
    lines += [
        f"Site {number},{random.choice('NESW')}{random.randint(1, 9)},{random.randint(1950, 2020)},"
        f"{random.randint(100, 9000)},{random.randint(100, 9000)},Person {random.randint(1, rows)}"
        for number in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _write_manual(folder: Path, pages: int) -> Path:
    """Write a manual of about so many pages: each a heading, a paragraph and numbered steps."""
    random = Random(pages)
    parts = ["# Operating manual\n"]
    for page in range(1, pages + 1):
        sentence = " ".join(random.choices(_WORDS, k=_PAGE_WORDS // 2)).capitalize()
        steps = "\n".join(
            f"{number}. {' '.join(random.choices(_WORDS, k=_PAGE_WORDS // 12)).capitalize()}." for number in range(1, 7)
        )
        prose = ". ".join(sentence[i : i + 90].strip().capitalize() for i in range(0, len(sentence), 90))
        parts.append(f"## {page} Unit M{page}\n\nUnit M{page} feeds Unit M{page + 1}. {prose}.\n\n{steps}\n")
    path = folder / "manual.md"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=5, help="questions of each corpus, for the first part")
    parser.add_argument("--only", choices=["extraction", "parsing"])
    arguments = parser.parse_args()
    text = "# Building\n"
    if arguments.only != "parsing":
        text += "\n## Tables from prose, nothing kept from before\n\n" + "\n".join(extraction(arguments.limit)) + "\n"
    if arguments.only != "extraction":
        text += "\n## Parsing, by size\n\n" + "\n".join(parsing()) + "\n"
    arguments.out.write_text(text, encoding="utf-8")
    print(text)
