"""What the chat model knows by heart: the questions without documents, the questions' second halves, and changed facts.

    python bench/contamination.py known questions.jsonl --out build/known
    python bench/contamination.py changed questions.jsonl documents.jsonl --out build/changed

``known`` asks every question without any document, and has the model write the second half of each question from its
first (Golchin and Surdeanu 2023, arXiv 2308.08493); the questions of our own corpora, which were written after the
model, are the control. Resumable, one JSON line each.

``changed`` writes questions.jsonl and documents.jsonl in which the answer of each question is another one of the same
kind, everywhere in the documents it stands in. `structrag eval` is then asked over them: a system that reads says the
new answer, one that remembers says the old one. ``followed`` counts that.

    structrag eval build/changed/questions.jsonl --documents build/changed/documents.jsonl --out build/changed/run
    python bench/contamination.py followed build/changed/run build/changed/questions.jsonl
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from structrag import StructRAG
from structrag.corpora import shipped
from structrag.evaluation.data import KnownQuestion, read_documents, read_questions
from structrag.evaluation.lines import read_lines
from structrag.evaluation.scoring import is_right, normalise, token_f1
from structrag.models.chat import Prompt
from structrag.router.comparison import wilson
from structrag.usage import UsageMeter

_SEED = 2026
_MOST_WORDS = 5
_MOST_LETTERS = 6
_YEAR_DIGITS = 4
_COMMANDS = {"known": ["questions"], "changed": ["questions", "documents"], "followed": ["run", "questions"]}
_CLOSED = (
    "Answer the question from what you know. Reply with the answer alone, as short as possible; give a list as items "
    "separated by semicolons. If you do not know, reply: not stated."
)
_COMPLETE = (
    "You are given the first half of a question from a public collection of questions. Write the second half exactly "
    "as it stands there, and nothing else."
)
_ALIKE = 0.75
"""From which word F1 on a second half counts as known by heart."""
_FEWEST_WORDS = 8
"""Of a question that is halved."""


def known(questions: Sequence[KnownQuestion], out: Path) -> None:
    """Ask what has no line yet."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "lines.jsonl"
    done = {(line["id"], line["kind"]) for line in _lines(path)}
    asked = [(q, "theirs") for q in questions] + [(q, "ours") for q in _ours()]
    with TemporaryDirectory() as folder, StructRAG.open(Path(folder)) as rag, path.open("a", encoding="utf-8") as file:
        for question, whose in asked:
            for kind, trial in (("closed", _closed), ("halves", _halves)):
                if (question.id, kind) in done or (kind == "closed" and question.scope is not None):
                    continue
                told = trial(rag, question)
                if told is not None:
                    row = {"id": question.id, "whose": whose, "kind": kind, "source": question.source, **told}
                    file.write(json.dumps(row) + "\n")
                    file.flush()
    (out / "report.md").write_text(_report(_lines(path)), encoding="utf-8")


def _closed(rag: StructRAG, question: KnownQuestion) -> dict[str, Any]:
    text = rag.chat.reply(Prompt("closed", _CLOSED, question.question, max_tokens=100), UsageMeter()).text
    values = [] if "not stated" in text.lower() else [item.strip(" -.\n") for item in re.split(r";|\n", text)]
    return {"right": is_right([v for v in values if v], question.gold, question.answer_type)}


def _halves(rag: StructRAG, question: KnownQuestion) -> dict[str, Any] | None:
    words = question.question.split()
    if len(words) < _FEWEST_WORDS:
        return None
    middle = len(words) // 2
    prompt = Prompt("halves", _COMPLETE, " ".join(words[:middle]), max_tokens=60)
    second, said = " ".join(words[middle:]), rag.chat.reply(prompt, UsageMeter()).text
    alike = max(token_f1(said, second), token_f1(said, question.question))
    return {"right": normalise(said).endswith(normalise(second)) or alike >= _ALIKE, "alike": round(alike, 3)}


def _ours() -> list[KnownQuestion]:
    return [
        KnownQuestion(row["id"], row["question"], tuple(row["answers"]), row["answer_type"], source=corpus.name)
        for corpus in shipped()
        for row in _lines(corpus.questions)
    ]


def _report(lines: Sequence[dict[str, Any]]) -> str:
    rows = ["| what | questions | n | right (95 %) |", "|---|---|---|---|"]
    names = {"closed": "answered without documents", "halves": "second half written from the first"}
    for kind, name in names.items():
        for whose in ("theirs", "ours"):
            of = [line for line in lines if line["kind"] == kind and line["whose"] == whose]
            for source in ["all", *sorted({line["source"] for line in of})]:
                each = [line["right"] for line in of if source in ("all", line["source"])]
                if each:
                    told = "public" if whose == "theirs" else "of our corpora"
                    rows.append(f"| {name} | {told}, {source} | {len(each)} | {_share(each)} |")
    return "\n".join(rows) + "\n"


def changed(questions: Sequence[KnownQuestion], documents: Path, out: Path) -> int:
    """Write the questions whose answer can be changed, with the documents changed, and return how many there are."""
    texts = {str(d.id): d for d in read_documents(documents)}
    swaps = list(_swaps(questions, {id_: d.page_content for id_, d in texts.items()}))
    for question, new in swaps:
        for id_ in question.documents:
            for old in _answers(question):
                texts[id_].page_content = _replaced(texts[id_].page_content, old, new)
    out.mkdir(parents=True, exist_ok=True)
    kept = [
        {
            "id": question.id,
            "question": question.question,
            "answers": [new],
            "answer_type": question.answer_type,
            "structure": str(question.labels[0]),
            "documents": list(question.documents),
            "before": list(_answers(question)),
        }
        for question, new in swaps
    ]
    rows = [{"id": id_, "title": d.metadata.get("title", ""), "text": d.page_content} for id_, d in texts.items()]
    for name, content in (("questions.jsonl", kept), ("documents.jsonl", rows)):
        (out / name).write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return len(kept)


def followed(run: Path, questions: Path) -> str:
    """Return how often each way of a run of `structrag eval` says the new answer, and how often the old one."""
    before = {row["id"]: row["before"] for row in _lines(questions)}
    types = {question.id: question.answer_type for question in read_questions(questions)}
    rows = ["| way | n | says the new answer | says the old one | nothing |", "|---|---|---|---|---|"]
    lines = [line for line in read_lines(run) if line.id in before]
    for way in dict.fromkeys(line.way for line in lines):
        each = [line for line in lines if line.way == way]
        old = [is_right(line.values, before[line.id], types[line.id]) and not line.correct for line in each]
        shares = [[line.correct for line in each], old, [not line.values for line in each]]
        rows.append(f"| {way} | {len(each)} | " + " | ".join(_share(flags) for flags in shares) + " |")
    return "\n".join(rows) + "\n"


def _share(flags: Sequence[bool]) -> str:
    low, high = wilson(sum(flags), len(flags))
    return f"{sum(flags)}: {sum(flags) / len(flags):.0%} ({low:.0%} to {high:.0%})"


def _swaps(questions: Sequence[KnownQuestion], texts: dict[str, str]) -> Iterator[tuple[KnownQuestion, str]]:
    """Questions whose answer stands in their documents, each with the answer of another one of its kind.

    A document is changed for one question alone, and an answer that the question itself names is none to change.
    """
    random, taken = Random(_SEED), set[str]()
    fitting = [q for q in questions if q.answer_type in ("span", "short") and q.scope is None and q.documents]
    pool = [(q, answer) for q in fitting for answer in _answers(q)[:1] if len(answer.split()) <= _MOST_WORDS]
    for question, answer in random.sample(pool, len(pool)):
        stands = any(_pattern(answer).search(texts.get(id_, "")) for id_ in question.documents)
        others = [a for q, a in pool if _kind(q, a) == _kind(question, answer) and normalise(a) != normalise(answer)]
        clear = not taken.intersection(question.documents) and not _pattern(answer).search(question.question)
        new = _another_number(answer) or (random.choice(others) if others else None)
        if stands and new and clear:
            taken.update(question.documents)
            yield question, new


def _another_number(answer: str) -> str | None:
    """The same with another number: the decade of a year, the first digit of others; none where words say most."""
    found = re.search(r"\d+", answer)
    if found is None or len(re.findall(r"[^\W\d]", answer)) > _MOST_LETTERS:
        return None
    at = found.start() + (2 if len(found[0]) == _YEAR_DIGITS else 0)
    return answer[:at] + str(int(answer[at]) % 9 + 1) + answer[at + 1 :]


def _kind(question: KnownQuestion, answer: str) -> tuple[Any, ...]:
    """By label, capital and length: a person's name is changed for one, not for a country's."""
    return question.labels[:1], answer[:1].isupper(), bool(re.search(r"\d", answer)), min(len(answer.split()), 3)


def _answers(question: KnownQuestion) -> tuple[str, ...]:
    return tuple(sorted(map(str, question.gold), key=len, reverse=True))


def _pattern(answer: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)


def _replaced(text: str, old: str, new: str) -> str:
    return _pattern(old).sub(lambda _: new, text)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, paths in _COMMANDS.items():
        command = commands.add_parser(name)
        for path in paths:
            command.add_argument(path, type=Path)
        if name != "followed":
            command.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "known":
        known(read_questions(arguments.questions), arguments.out)
        print((arguments.out / "report.md").read_text(encoding="utf-8"))
    elif arguments.command == "changed":
        print(changed(read_questions(arguments.questions), arguments.documents, arguments.out), "questions changed")
    else:
        print(followed(arguments.run, arguments.questions))
