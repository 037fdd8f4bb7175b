"""What an evaluation keeps: one JSON line for each question and way, written so that a kill loses none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from structrag.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from types import TracebackType

LINES = "lines.jsonl"
RUN = "run.json"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Line:
    """What one way made of one question.

    Attributes:
        id: The question's.
        asked: Digest of the question and its scope.
        way: A structure, ``router``, ``gold`` or ``plain``.
        labels: The structure that the question needs, and then those that are right as well.
        route: What the router said, for the way ``router``.
        structure: Which one answered, or was tried first where none did; empty for ``plain``.
        tried: The structures that were tried, in order.
        values: The answer as bare values.
        grounded: Whether verified evidence supports the answer; ``None`` for ``plain``, which does not verify.
        citations: ``document``, ``start``, ``end``, ``quote``; ``stands`` (the quote is what the document says there),
            ``names`` (a value of the answer follows from it) and ``wanted`` (it is of a document that the answer
            stands in; ``None`` where that is not known).
        usage: As `Tally.usage` has it.
        seconds: Wall time, and what replies from the cache would have taken.
        error: Why there is no answer, where the model's reply was unusable or the budget spent.
    """

    id: str
    asked: str
    way: str
    labels: Sequence[str] = ()
    route: Mapping[str, Any] | None = None
    structure: str = ""
    tried: Sequence[str] = ()
    values: Sequence[str] = ()
    answer: str = ""
    grounded: bool | None = None
    citations: Sequence[Mapping[str, Any]] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    correct: bool = False
    error: str = ""
    trace: Sequence[str] = ()

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return int(self.usage.get("prompt_tokens", 0)) + int(self.usage.get("completion_tokens", 0))


def read_lines(folder: Path) -> list[Line]:
    """Return the lines of a run, the latest of each question and way; a line that was cut off is left out.

    Raises:
        ConfigError: There is no run in the folder, or a line is damaged.
    """
    path = folder / LINES
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"There is no evaluation in {folder}: {LINES} cannot be read ({error.strerror}).",
            hint="Run `structrag eval QUESTIONS.jsonl --documents DOCUMENTS.jsonl --out DIR` first.",
        ) from error
    kept: dict[tuple[str, str], Line] = {}
    # What stands behind the last line end was being written when the process was killed.
    for number, row in enumerate(text.split("\n")[:-1], start=1):
        try:
            line = Line(**json.loads(row))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}, line {number}, is damaged: {error}.", hint="Take the line out.") from error
        kept[line.id, line.way] = line
    return list(kept.values())


@dataclass(slots=True)
class RunRecord:
    """What a run was made with.

    Attributes:
        settings: Those that its figures depend on, by dotted key.
        asked: For each way, the ids of the questions that it was asked for as a whole: other lines of it are
            by-products and would make a biased sample.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Return the record of a run.

        Raises:
            ConfigError: There is none, or it is damaged.
        """
        try:
            return cls(**json.loads((folder / RUN).read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(
                f"There is no evaluation in {folder}: {RUN} cannot be read ({error.strerror}).",
                hint="Run `structrag eval QUESTIONS.jsonl --documents DOCUMENTS.jsonl --out DIR` first.",
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{folder / RUN} is damaged: {error}.", hint="Start again with another --out.") from error

    def ask(self, ways: Iterable[str], ids: Sequence[str]) -> None:
        """Note that ways are asked for these questions."""
        for way in ways:
            self.asked[way] = list(dict.fromkeys([*self.asked.get(way, []), *ids]))

    def write(self, folder: Path) -> None:
        """Keep the record, whole or not at all."""
        temporary = folder / f".{RUN}.part"
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        temporary.replace(folder / RUN)


class KeptLines:
    """The lines of a run that is under way; several threads may keep lines. One process has a folder at a time.

    Args:
        folder: Where the run is kept; created if new.
        settings: With which the questions are asked.

    Raises:
        ConfigError: Lines are there that other settings made, or another process is at it.
        StoreError: The folder cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from filelock import FileLock, Timeout

        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held = FileLock(folder / _LOCK)
            self._held.acquire(timeout=0)
        except Timeout as error:
            raise ConfigError(f"Another evaluation is running in {folder}.", hint="Give another --out.") from error
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}.", hint="Give another --out.") from error
        self.folder = folder
        self._lock = threading.Lock()
        try:
            self.record = _record(folder, settings)
            lines = read_lines(folder) if (folder / LINES).exists() else []
            self._lines = {(line.id, line.way): line for line in lines}
            self._file = (folder / LINES).open("a+b")
            _cut_torn_line(self._file.fileno(), folder / LINES)
        except BaseException:
            self._held.release()
            raise

    def get(self, question_id: str, digest: str, way: str) -> Line | None:
        """Return the line of a question and way, if the same was asked."""
        line = self._lines.get((question_id, way))
        return line if line is not None and line.asked == digest else None

    def keep(self, line: Line) -> Line:
        """Write a line so that it outlives a kill and a power cut."""
        written = (json.dumps(asdict(line), ensure_ascii=True) + "\n").encode()
        with self._lock:
            self._file.write(written)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._lines[line.id, line.way] = line
        return line

    def lines(self) -> list[Line]:
        """Return all lines, the latest of each question and way."""
        with self._lock:
            return list(self._lines.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._held.release()


def _record(folder: Path, settings: Mapping[str, Any]) -> RunRecord:
    if not (folder / RUN).exists():
        return RunRecord(dict(settings))
    record = RunRecord.read(folder)
    changed = [key for key in settings if record.settings.get(key) != settings[key]]
    if changed:
        told = ", ".join(f"{key} was {record.settings.get(key)!r} and is {settings[key]!r}" for key in changed)
        raise ConfigError(
            f"The lines in {folder} were made with other settings: {told}.", hint="Give another --out for these."
        )
    return record


def _cut_torn_line(descriptor: int, path: Path) -> None:
    """Take off what a kill left of a line that was being written."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.ftruncate(descriptor, whole)
