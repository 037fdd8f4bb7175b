"""Kills a process at the k-th step of what it does to a corpus, and looks at what is left. Run as a script.

    python killing.py --kills 200 --seed 7 [--only add,rm]

Prints one JSON line per kill. Everything heavy is imported once; each operation and each look is a fork of its own. A
step is an SQL statement, a call of Chroma, a file opened for writing, renamed, deleted or synced: the kill comes right
before or right after it. Where strace is installed, some kills come within them: at the k-th write, sync or rename of
the whole process, those of SQLite and Chroma included. Others come after a time drawn at random.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import chromadb
from kill_operations import DOCUMENTS, OPERATIONS, QUESTION, Place, Tell, prepare, text

from structrag import StructRAG
from structrag.corpus.damaged_records import damaged_records
from structrag.corpus.database import Database
from structrag.corpus.salvage import damage
from structrag.corpus.sole_writer import SoleWriter
from structrag.router.preferences import preference_pair
from structrag.router.versions import SHIPPED
from structrag.structures.edits import edit_from_dict

SYSCALLS = ("pwrite64", "write", "fsync", "fdatasync", "rename", "ftruncate", "unlink")


class Steps:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, kill_at: int, root: Path) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._root = str(root)

    def step(self) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count from now on, in this process, for good."""
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, *given: Any) -> sqlite3.Cursor:
                steps.step()
                found = super().execute(*given)
                steps.step()
                return found

        connect, fsync = sqlite3.connect, os.fsync
        sqlite3.connect = lambda *given, **named: connect(*given, factory=Connection, **named)  # type: ignore[assignment]

        def synced(descriptor: int) -> None:
            steps.step()
            fsync(descriptor)

        os.fsync = synced  # type: ignore[assignment]
        for name in ("upsert", "delete"):
            self._around(chromadb.Collection, name)
        sys.addaudithook(self._heard)

    def _around(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counted(*given: Any, **named: Any) -> Any:
            self.step()
            found = real(*given, **named)
            self.step()
            return found

        setattr(owner, name, counted)

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        is_writing = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        is_ours = bool(given) and str(given[0]).startswith(self._root)
        if is_ours and (is_writing or event in ("os.rename", "os.remove", "os.mkdir", "os.link")):
            self.step()


@dataclass
class Child:
    """A forked process that works and tells."""

    pid: int
    told: int

    def told_lines(self) -> list[list[Any]]:
        """Wait for its end, and return what it told."""
        with os.fdopen(self.told, "rb") as lines:
            return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def ended(self) -> int:
        """Return the signal that ended it as a negative number, or its exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start(work: Callable[[Tell], None], *, waits: int | None = None) -> Child:
    """Fork and work; with ``waits``, only when something can be read from that descriptor."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        return Child(pid, readable)
    code = 1
    try:
        os.close(readable)
        if waits is not None:
            os.read(waits, 1)
        work(lambda *what: os.write(writable, (json.dumps(what) + "\n").encode()) and None)
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
        os.write(writable, (json.dumps(["raised", traceback.format_exc(limit=-6)]) + "\n").encode())
    finally:
        os._exit(code)


def finish(work: Callable[[Tell], None]) -> list[list[Any]]:
    """Fork, work to the end, and return what was told; an exit code but 0 is told as ``raised`` too."""
    child = start(work)
    told = child.told_lines()
    code = child.ended()
    return told if not code or any(line[0] == "raised" for line in told) else [*told, ["raised", f"ended with {code}"]]


def killed(operation: str, place: Place, random: Random, steps: int, seconds: float) -> tuple[str, list[list[Any]]]:
    """Run an operation and kill it somewhere; return where, empty if it ended before, and what it told."""
    ways = ["step", "step", "time", *(["syscall"] * 2 if shutil.which("strace") else [])]
    way = random.choice(ways)
    work = OPERATIONS[operation]
    if way == "step":
        at = random.randint(1, steps)

        def counted(tell: Tell) -> None:
            Steps(at, place.root).watch()
            work(place, tell)

        child, where = start(counted), f"step {at} of {steps}"
    elif way == "time":
        at_seconds = random.uniform(0, seconds)
        child, where = start(lambda tell: work(place, tell)), f"{at_seconds:.3f} s"
        time.sleep(at_seconds)
        os.kill(child.pid, signal.SIGKILL)
    else:
        call, nth = random.choice(SYSCALLS), int(2 ** random.uniform(0, 7))
        child, where = traced(lambda tell: work(place, tell), call, nth), f"{call} {nth}"
    told = child.told_lines()
    return (where if child.ended() == -signal.SIGKILL else ""), told


def traced(work: Callable[[Tell], None], call: str, nth: int) -> Child:
    """Start a process that strace kills at its n-th system call of that name."""
    waits, go = os.pipe()
    child = start(work, waits=waits)
    inject = f"inject={call}:signal=SIGKILL:when={nth}"
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, "-p", str(child.pid)],
            stderr=nowhere,
        )
    status = Path(f"/proc/{child.pid}/status")
    until = time.monotonic() + 10
    while "TracerPid:\t0" in status.read_text() and time.monotonic() < until:
        time.sleep(0.005)
    os.write(go, b"g")
    os.close(go)
    os.close(waits)
    return child


def problems(place: Place, operation: str, told: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Open the corpus as its next user would, and yield what is wrong with it."""
    for line in told:
        if line[0] == "raised":
            yield f"it raised before it was killed: {line[1]}"
    if found := damage(place.corpus / "corpus.sqlite"):
        yield f"the database is damaged: {found}"
    finished = [*place.known["told"], *told]
    with place.open() as rag:
        rag.add([])
        yield from _missing(rag, finished)
        yield from _documents(rag, operation, finished)
        stored = {number: span.document_id for number, span in rag._store.chunks()}
        if dict(rag._vectors.entries()) != stored:
            yield "the index does not hold the chunks of the documents"
        if not rag.ask(QUESTION).grounded:
            yield "a question finds no answer any more"
    database = Database(place.corpus / "corpus.sqlite")
    if torn := damaged_records(database, {"preferences": preference_pair, "edits": edit_from_dict}):
        yield f"torn records: {torn}"
    database.close()
    if SoleWriter(place.corpus).interrupted():
        yield "the corpus is still marked as being written"
    yield from _versions(place, finished)
    yield from (f"left behind: {path.name}" for path in place.corpus.glob(".*.part"))


def _missing(rag: StructRAG, finished: Sequence[Sequence[Any]]) -> Iterator[str]:
    by_kind: dict[str, list[Any]] = {}
    for kind, *rest in finished:
        by_kind.setdefault(kind, []).extend(rest)
    undone = by_kind.get("undone preference", []), by_kind.get("undone edit", [])
    kept = set(rag.preferences()), {each.id for each in rag.edits()}
    for name, counting, gone in zip(("preference", "edit"), kept, undone, strict=True):
        lost = set(by_kind.get(name, [])) - counting - set(gone)
        if lost or counting & set(gone):
            yield f"{name}s: lost {lost}, back again {counting & set(gone)}"
    for answer_id in by_kind.get("answer", []):
        if rag.answer(answer_id)["id"] != answer_id or rag.structure(answer_id) is None:
            yield f"the answer {answer_id} is not whole"
        rag.calls(answer_id)
    rag.answers(50)


def _documents(rag: StructRAG, operation: str, finished: Sequence[Sequence[Any]]) -> Iterator[str]:
    held = {document.id: document.text for document in rag.documents()}
    told = {each[1] for each in finished if each[0] == "document"}
    removed = {each[1] for each in finished if each[0] == "removed"}
    for number in range(2 * DOCUMENTS):
        name = f"report-{number}.txt"
        editions = {text(number), text(number, 2)} if operation == "add" else {text(number)}
        if name in told:
            editions = {Path(rag._store.document(name).source).read_text(encoding="utf-8")} if name in held else {""}
        may_lack = number >= DOCUMENTS or (operation == "rm" and number in (5, 6))
        if name in held and held[name] not in editions:
            yield f"{name} is torn"
        if name not in held and (name in told or not may_lack):
            yield f"{name} is lost"
        if name in held and name in removed:
            yield f"{name} is back again"


def _versions(place: Place, finished: Sequence[Sequence[Any]]) -> Iterator[str]:
    versions = place.versions
    if problem := versions.problem():
        yield f"router: {problem}"
    if broken := [version.name for version in versions.versions() if version.problem]:
        yield f"half-written versions: {broken}"
    written = {each[1] for each in finished if each[0] == "version"}
    if not written <= {version.name for version in versions.versions()}:
        yield "a version is lost"
    if versions.active() not in ("v1", "v2", SHIPPED):
        yield f"{versions.active()} is in use"


def tell_all(tell: Tell, found: Iterator[str]) -> None:
    for each in found:
        tell("problem", each)


def look(place: Place, operation: str, told: Sequence[Sequence[Any]]) -> list[str]:
    """Return what is wrong after a kill: now, and when the same is done again to its end."""
    before = {path.name: path.read_bytes() for path in place.documents.iterdir()}
    now = finish(lambda tell: tell_all(tell, problems(place, operation, told)))

    def again(tell: Tell) -> None:
        done: list[list[Any]] = []
        OPERATIONS[operation](place, lambda *what: done.append(list(what)))
        tell_all(tell, problems(place, operation, [*told, *done]))

    found = [*now, *finish(again)]
    changed = (
        [] if operation == "add" else [name for name in before if (place.documents / name).read_bytes() != before[name]]
    )
    return [" ".join(map(str, line)) for line in found] + [f"the file {name} was touched" for name in changed]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(OPERATIONS))
    parser.add_argument("--forget", type=int, help="lose this preference on purpose, to see that it is noticed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="structrag-kills-") as scratch:
        place = Place(Path(scratch) / "place")
        told = finish(lambda tell: prepare(place, tell))
        assert not any(line[0] == "raised" for line in told), told
        place.known["told"] = told
        if arguments.forget is not None:
            finish(lambda tell: forget(place, arguments.forget))
        for line in kills(place, arguments.only.split(","), arguments.kills, arguments.seed):
            print(json.dumps(line), flush=True)  # noqa: T201 - whoever started this reads it


def forget(place: Place, preference: int) -> None:
    database = Database(place.corpus / "corpus.sqlite")
    database.change("DELETE FROM preferences WHERE id = ?", [preference])
    database.close()


def kills(place: Place, names: Sequence[str], wanted: int, seed: int) -> Iterator[dict[str, Any]]:
    """Kill so many processes, each at the corpus as it was prepared, and yield what became of it."""
    # Always in one place, as a corpus knows its documents by their paths.
    sound = place.root.with_name("sound")
    place.root.rename(sound)
    measured: dict[str, tuple[int, float]] = {}
    done = tried = 0
    while done < wanted:
        operation = names[done % len(names)]
        if operation not in measured:
            shutil.copytree(sound, place.root)
            measured[operation] = measure(place, operation)
            shutil.rmtree(place.root)
        shutil.copytree(sound, place.root)
        where, told = killed(operation, place, Random(f"{seed}/{tried}"), *measured[operation])
        if where:
            done += 1
            found = look(place, operation, told)
            remade = operation != "repair" and any(place.corpus.glob("chroma.damaged-*"))
            yield {"operation": operation, "where": where, "try": tried, "problems": found, "index remade": remade}
        tried += 1
        shutil.rmtree(place.root)


def measure(place: Place, operation: str) -> tuple[int, float]:
    """Return how many steps and seconds an operation takes."""

    def counted(tell: Tell) -> None:
        steps = Steps(0, place.root)
        steps.watch()
        started = time.monotonic()
        OPERATIONS[operation](place, tell)
        seconds, count = time.monotonic() - started, steps.count
        list(problems(place, operation, []))
        tell("measured", count, seconds, sorted(sys.modules))

    told = finish(counted)
    assert told[-1][0] == "measured", told
    for name in told[-1][3]:  # what each fork would import anew
        with suppress(ImportError):
            importlib.import_module(name)
    return told[-1][1], told[-1][2]


if __name__ == "__main__":
    main()
