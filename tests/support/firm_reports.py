"""A corpus of short reports, one firm in each, of which a table is made by one call each; and the model that reads them."""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from langchain_core.documents import Document
from numpy.typing import NDArray

from structrag.structures.table_set import TableSet
from structrag.types import Answer
from structrag.utilizer.reading import load_prompt

_PROMPTS = files("structrag.structures").joinpath("prompts")
PLAN = _PROMPTS.joinpath("table_plan.txt").read_text(encoding="utf-8").strip()
SCHEMA = _PROMPTS.joinpath("table_schema.txt").read_text(encoding="utf-8").strip()
ROWS = _PROMPTS.joinpath("table_rows.txt").read_text(encoding="utf-8").strip()
MOST = "Which firm had the highest revenue in 2024?"
_TITLE = re.compile(r"^Document: (\w+)$", re.MULTILINE)


class HashingEmbedder:
    """Bags of words, so that nobody waits for a real model."""

    name = "hashing"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text."""
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def firms(number: int) -> list[str]:
    """Return so many names, at most 8,000."""
    syllables = [a + b for a in "bdklmnprst" for b in "ao"]
    return ["".join(parts).capitalize() for parts in itertools.islice(itertools.product(syllables, repeat=3), number)]


def reports(names: Sequence[str]) -> list[Document]:
    """Return one report for each firm; the last one has the highest revenue."""
    text = "# {name}\n\n{name} was founded long ago. In 2024 {name} had a revenue of {amount} million EUR.\n"
    return [Document(text.format(name=name, amount=50 + n), id=name) for n, name in enumerate(names)]


def firm_of(prompt: str) -> str | None:
    """Return whose report a prompt asks to read; ``None`` if it asks something else."""
    return _TITLE.findall(prompt)[-1] if ROWS in prompt else None


def reply(prompt: str) -> str:
    """Reply to a prompt as a model would that reads well."""
    if PLAN in prompt:
        return 'rows("firm", "revenue")'
    if SCHEMA in prompt:
        columns = [{"name": "revenue", "type": "number", "unit": "EUR million"}]
        return json.dumps({"entity": "firm", "columns": columns})
    name = firm_of(prompt)
    if name is None:
        return json.dumps({"sql": "SELECT firm FROM firm ORDER BY revenue DESC LIMIT 1"})
    found = re.search(rf"{name} had a revenue of (\d+ million EUR)", prompt[prompt.rindex("<excerpt>") :])
    return json.dumps({"rows": [{"firm": name, "revenue": found[1]}] if found else []})


SCRIPT: Mapping[str, Any] = {"": reply}


def unaccounted(answer: Answer, names: Iterable[str]) -> list[str]:
    """Return what is wrong with the table of an answer: firms in it twice, and firms neither in it nor reported."""
    structure = answer.structure
    if not isinstance(structure, TableSet):
        return [f"no table but {answer.structure_type}"]
    rows = Counter(row.document_id for table in structure.tables for row in table.rows)
    reported = {step.detail.partition(":")[0] for step in answer.trace if step.name == "extract"}
    wrong = [f"{name} is there {count} times" for name, count in rows.items() if count > 1]
    wrong += [f"{name} is missing and not reported" for name in names if not rows[name] and name not in reported]
    return wrong + [f"{name} is reported and there" for name in reported if rows[name]]


_READ, _CONFIRM = load_prompt("read"), load_prompt("confirm")
_ASKED = re.compile(r"Question: What revenue did (\w+) have in 2024\?")


def revenue_question(name: str) -> str:
    """Return the question for one firm's revenue, which is answered from passages."""
    return f"What revenue did {name} have in 2024?"


def revenue_answer(names: Sequence[str], name: str) -> str:
    """Return what the report of a firm says."""
    return f"{50 + names.index(name)} million EUR"


def read_revenue(prompt: str) -> dict[str, Any]:
    """Reply to a prompt to read as a model would that finds the firm's figure among the sentences."""
    name = _ASKED.findall(prompt)[-1]
    stated = re.search(rf"^\[(\d+)\] .*{name} had a revenue of (\d+ million EUR)", prompt, re.MULTILINE)
    return {"item": int(stated[1]), "answer": stated[2]} if stated else {"item": 0, "answer": ""}


READING: Mapping[str, Any] = {_READ: read_revenue, _CONFIRM: {"yes": 0.9, "no": 0.1}}
