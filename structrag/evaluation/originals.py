"""Public question sets, from the files that their owners publish, in the form that `structrag eval` reads.

Nothing is fetched. Structures are labelled by how a set was made: questions over one table need a table, composed ones
a graph, topics of a meeting a catalogue, one-span reading questions passages.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structrag.errors import ConfigError

Row = dict[str, Any]

_LOONG_LEVELS = {1: "chunk", 2: "table", 3: "catalogue", 4: "graph"}
_WTQ_ESCAPES = (("\\n", "\n"), ("\\p", "|"), ("\\\\", "\\"))


@dataclass(slots=True)
class Converted:
    """What became of a set.

    Attributes:
        left_out: How many questions no scorer fits: answers in prose, or grouped by title.
    """

    questions: list[Row] = field(default_factory=list)
    documents: list[Row] = field(default_factory=list)
    left_out: int = 0
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def document(self, document_id: str, title: str, text: str) -> str:
        """Take a document in and return its id: that of an earlier one of the same title and text, if there is one."""
        if (title, text) not in self._known:
            self._known[title, text] = document_id
            self.documents.append({"id": document_id, "title": title, "text": text})
        return self._known[title, text]

    def question(self, id_: str, text: str, structure: str, answers: Any, answer_type: str, **more: Any) -> None:
        """Take a question in.

        Args:
            id_: Unique in its set.
            text: The question.
            structure: Which it needs.
            answers: As the answer type wants them.
            answer_type: One of `structrag.evaluation.scoring.ANSWER_TYPES`.
            more: ``also_ok``, ``documents``, ``scope``.
        """
        row = {"id": id_, "question": text.strip(), "structure": structure, "also_ok": [], "answers": answers}
        self.questions.append(row | {"answer_type": answer_type, "documents": [], "scope": None} | more)


def convert(name: str, path: Path) -> Converted:
    """Return the questions and documents of a set's file.

    Args:
        name: One of `FORMATS`.
        path: The questions' file as published; tables and documents that are files of their own are found from it.

    Raises:
        ConfigError: The set is unknown, or the file cannot be read or is not of that form.
    """
    if name not in FORMATS:
        raise ConfigError(f"{name!r} is no set that can be converted.", hint=f"Use one of: {', '.join(FORMATS)}.")
    converted = Converted()
    try:
        FORMATS[name](path, converted)
    except OSError as error:
        raise ConfigError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise ConfigError(
            f"{path} is not a file of {name}: {error!r} after {len(converted.questions)} questions.",
            hint="Give the file as its owners publish it.",
        ) from error
    for row in converted.questions:
        row["source"] = name
    return converted


def _squad(path: Path, out: Converted) -> None:
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        title = article["title"].replace("_", " ")
        for number, paragraph in enumerate(article["paragraphs"]):
            document = out.document(f"{article['title']}-{number}", title, paragraph["context"])
            for asked in paragraph["qas"]:
                answers = list(dict.fromkeys(answer["text"] for answer in asked["answers"]))
                # What version 2 marks as impossible has no answer.
                answer_type = "span" if answers else "none"
                out.question(asked["id"], asked["question"], "chunk", answers, answer_type, documents=[document])


def _hotpot(path: Path, out: Converted) -> None:
    """HotpotQA, and 2WikiMultihopQA, which has the same form."""
    for row in json.loads(path.read_text(encoding="utf-8")):
        ids = {
            title: out.document(f"{row['_id']}#{number}", title, "".join(_spaced(sentences)))
            for number, (title, sentences) in enumerate(row["context"])
        }
        answer_type = "yes/no" if row["answer"].lower() in ("yes", "no") else "short"
        out.question(
            row["_id"],
            row["question"],
            "graph",
            [row["answer"]],
            answer_type,
            also_ok=["table"] if "comparison" in row.get("type", "") else [],
            documents=list(dict.fromkeys(ids[title] for title, _ in row["supporting_facts"] if title in ids)),
        )


def _spaced(sentences: Sequence[str]) -> Iterator[str]:
    """Yield sentences with a space between those that bring none."""
    for number, sentence in enumerate(sentences):
        yield f" {sentence}" if number and not sentence.startswith(" ") else sentence


def _musique(path: Path, out: Converted) -> None:
    for row in _json_lines(path):
        ids = [out.document(f"{row['id']}#{p['idx']}", p["title"], p["paragraph_text"]) for p in row["paragraphs"]]
        answered = row.get("answerable", True)
        out.question(
            row["id"],
            row["question"],
            "graph",
            [row["answer"], *row.get("answer_aliases", [])] if answered else [],
            "short" if answered else "none",
            documents=[id_ for id_, p in zip(ids, row["paragraphs"], strict=True) if p["is_supporting"]],
        )


def _wikitables(path: Path, out: Converted) -> None:
    root = path.parent.parent  # questions are in data/, and name tables as csv/203-csv/733.csv
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            context = row["context"]
            name = context.removesuffix(".csv").replace("-csv/", "-").removeprefix("csv/")
            with (root / context).open(encoding="utf-8", newline="") as table:
                rows = list(csv.reader(table, escapechar="\\", doublequote=False))
            document = out.document(f"wtq-{name}", f"Table {name}", _markdown(rows))
            answers = [_unescaped(part) for part in row["targetValue"].split("|")]
            answer_type = "short" if len(answers) == 1 else "list"
            over = {"documents": [document], "scope": [document]}
            out.question(row["id"], _unescaped(row["utterance"]), "table", answers, answer_type, **over)


def _unescaped(text: str) -> str:
    for escaped, meant in _WTQ_ESCAPES:
        text = text.replace(escaped, meant)
    return text


def _tatqa(path: Path, out: Converted) -> None:
    for row in json.loads(path.read_text(encoding="utf-8")):
        uid = row["table"]["uid"]
        told = [p["text"] for p in sorted(row["paragraphs"], key=lambda p: p["order"])]
        document = out.document(uid, f"Report {uid[:8]}", "\n\n".join([_markdown(row["table"]["table"]), *told]))
        for asked in row["questions"]:
            answer, kind = asked["answer"], asked["answer_type"]
            answers = [str(each) for each in (answer if isinstance(answer, list) else [answer])]
            if kind in ("arithmetic", "count"):
                answer_type, answers = "number", [f"{answers[0]} {asked.get('scale', '')}".strip()]
            else:
                answer_type = "list" if kind == "multi-span" else "span"
            over = {"also_ok": ["chunk"] if asked.get("answer_from") == "text" else [], "scope": [document]}
            out.question(asked["uid"], asked["question"], "table", answers, answer_type, documents=[document], **over)


def _qmsum(path: Path, out: Converted) -> None:
    whole = path.suffix == ".json"  # one meeting in a file of its name, or many in JSON Lines
    meetings = [json.loads(path.read_text(encoding="utf-8"))] if whole else _json_lines(path)
    for number, meeting in enumerate(meetings):
        name = path.stem if whole else f"{path.stem}-{number}"
        turns = (f"[{n}] {turn['speaker']}: {turn['content']}" for n, turn in enumerate(meeting["meeting_transcripts"]))
        document = out.document(f"qmsum-{name}", f"Meeting {name}", "\n".join(turns))
        topics = [topic["topic"].strip() for topic in meeting["topic_list"]]
        asked = f"What topics were discussed in Meeting {name}? List them."
        out.question(f"{name}:topics", asked, "catalogue", topics, "set", documents=[document])
        # Its other questions are answered by a paragraph of prose, which no scorer of ours judges.
        out.left_out += len(meeting["general_query_list"]) + len(meeting["specific_query_list"])


def _loong(path: Path, out: Converted) -> None:
    folder = path.parent / "doc"
    for row in _json_lines(path):
        answer = row["answer"]
        if not isinstance(answer, str) and not _is_texts(answer):
            out.left_out += 1  # groups by title, which no scorer of ours judges
            continue
        ids = [_loong_document(folder, row, name, out) for name in row["doc"]]
        answers = [answer] if isinstance(answer, str) else answer
        asked = "\n\n".join(filter(None, (row["instruction"].strip(), row["question"].strip())))
        answer_type = "span" if len(answers) == 1 else "list"
        label = _LOONG_LEVELS[int(row["level"])]
        out.question(str(row["id"]), asked, label, answers, answer_type, documents=ids, scope=ids)


def _loong_document(folder: Path, row: Row, name: str, out: Converted) -> str:
    kind = row["type"]
    if kind == "legal":
        case = json.loads((folder / kind / "legal.json").read_text(encoding="utf-8"))[name]
        return out.document(f"{kind}/{name}", name, case["content"] + case["result"])
    # Reports are named by year, company and a letter; only the last level asks about other years than 2024.
    year = "" if int(row["level"]) == 4 else "2024-"
    wanted = f"{year}{name}" if kind == "financial" else name
    found = sorted(file for file in (folder / kind).iterdir() if wanted in file.name)
    if not found:
        raise ValueError(f"no document of {folder / kind} is named {wanted}")
    return out.document(f"{kind}/{found[0].name}", found[0].stem, found[0].read_text(encoding="utf-8"))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _markdown(rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; the first row is its head, and short rows are filled up."""
    width = max(map(len, rows))
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in row] for row in rows]
    filled = [[*row, *[""] * (width - len(row))] for row in cells]
    lines = [filled[0], ["---"] * width, *filled[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _json_lines(path: Path) -> Iterator[Row]:
    return (json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip())


FORMATS: Mapping[str, Callable[[Path, Converted], None]] = {
    "squad": _squad,
    "hotpotqa": _hotpot,
    "2wikimultihopqa": _hotpot,
    "musique": _musique,
    "wikitablequestions": _wikitables,
    "tatqa": _tatqa,
    "qmsum": _qmsum,
    "loong": _loong,
}
