"""What is kept of a run: one JSON line for each tool's index and each answer, the latest of each counting."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from peers.counting import Spent

INDEX = ""
"""In place of a question's id, for the line of a tool's index."""
RUNNING, DONE, FAILED, TIME_UP = "running", "done", "failed", "time up"


@dataclass(frozen=True, slots=True)
class Line:
    """What one tool did with one question, or with the documents.

    Attributes:
        id: The question's; `INDEX` for the documents.
        label: The structure that the question is labelled with.
        status: `RUNNING` (not yet at its end when it was last written), `DONE`, `FAILED` or `TIME_UP`.
        documents: How many the tool had taken up.
        correct: By the scorers of `structrag.evaluation`.
        names: Whether the answer holds the right one, whatever else it says.
        error: What went wrong.
    """

    tool: str
    id: str = INDEX
    label: str = ""
    status: str = DONE
    documents: int = 0
    answer: str = ""
    values: Sequence[str] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)
    correct: bool = False
    names: bool = False
    seconds: float = 0.0
    spent: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def cost(self) -> Spent:
        """What the endpoint was asked."""
        return Spent(**self.spent)


class Kept:
    """The lines in a folder; one process at a time writes them.

    Args:
        path: Of the file; a line that a kill cut short is left out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = {(line.tool, line.id): line for line in _read(path)}

    def get(self, tool: str, id_: str = INDEX) -> Line | None:
        """Return the latest line of a tool for a question, or for the documents."""
        return self._lines.get((tool, id_))

    def keep(self, line: Line) -> Line:
        """Write a line so that it outlives a kill."""
        with self._path.open("a", encoding="utf-8") as file:
            # A line end first: a line that a kill cut short must not spoil this one. Empty lines are no lines.
            file.write("\n" + json.dumps(asdict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines[line.tool, line.id] = line
        return line

    def lines(self) -> list[Line]:
        """Return the latest of each."""
        return list(self._lines.values())


def _read(path: Path) -> Iterator[Line]:
    if not path.exists():
        return
    for row in path.read_text(encoding="utf-8").split("\n"):
        try:
            yield Line(**json.loads(row))
        except ValueError:
            continue
