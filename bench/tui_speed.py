"""How fast the terminal UI opens, and how long it is deaf while it works.

Starts are measured in a real pseudo-terminal; deafness by the time of every step of the event loop, while the embedded
model answers and while 500 documents are added.

python bench/tui_speed.py --work build/bench --out bench/results/tui_speed.md
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from textual.pilot import Pilot

from structrag import StructRAG
from structrag.corpora import shipped
from structrag.tui.app import StructRAGApp
from structrag.tui.corpus import open_corpus

STARTS, MOST_STARTS = 10, 60
QUIET = 0.15
"""Processors that other programs may keep busy during a start that counts as one of a quiet machine."""
CORPUS = "companies"
QUESTION = "How much money, in thousand euros, do the loans given by Sundmark that mature in 2026 add up to?"
DOCUMENTS = 500
LIMIT = 0.05
_LONGEST_START = 60
_PAINTED = (b"sk a question", b"Help", b"Evidence", b"Quit")
"""What stands in all corners of the first paint."""
_KEY = "§".encode()
_CTRL_Q = b"\x11"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from the start of the process, and how busy the machine was with other things.

    Attributes:
        painted: Until the first full paint has arrived.
        cpu: Processor time of the process until then.
        heard: Until a key that was pressed then is seen on the screen.
        others: Processors that other programs kept busy meanwhile, on average.
    """

    painted: float
    cpu: float
    heard: float
    others: float


def start(folder: Path) -> Start:
    """Start `structrag` for a corpus in a pseudo-terminal of 120 columns and 40 lines, and quit."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "STRUCTRAG_CORPUS": str(folder)}
    busy, began = _busy(), time.perf_counter()
    command = [str(Path(sys.executable).with_name("structrag"))]
    with subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
    ) as process:
        os.close(inner)
        _read_until(outer, lambda seen: all(text in seen for text in _PAINTED))
        painted, cpu = time.perf_counter() - began, _cpu(process.pid)
        others = (_busy() - busy - cpu) / painted
        os.write(outer, _KEY)
        _read_until(outer, lambda seen: _KEY in seen)
        heard = time.perf_counter() - began
        os.write(outer, _CTRL_Q)
        _read_until(outer, lambda seen: False)
    os.close(outer)
    return Start(painted, cpu, heard, max(0.0, others))


def _read_until(terminal: int, is_enough: Callable[[bytes], bool]) -> None:
    """Read until it is enough, or until the program has ended."""
    seen, until = b"", time.monotonic() + _LONGEST_START
    while not is_enough(seen):
        if time.monotonic() > until:
            raise TimeoutError(f"Not seen after {_LONGEST_START} s; the end of what was: {seen[-500:]!r}")
        if select.select([terminal], [], [], 1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the program has ended
                return


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _busy() -> float:
    """Return the seconds that all processors together have been busy since the machine was started."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / _TICKS


def starts(folder: Path) -> list[Start]:
    """Return the starts until ten happened on a quiet machine, or until it is of no use to wait for one."""
    start(folder)
    done: list[Start] = []
    while len([each for each in done if each.others < QUIET]) < STARTS and len(done) < MOST_STARTS:
        done.append(start(folder))
    return done


# Handlers


@contextmanager
def loop_steps() -> Iterator[list[tuple[float, float]]]:
    """Collect the seconds that each step of the event loop takes, and those of processor time among them."""
    steps: list[tuple[float, float]] = []
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        run(handle)
        steps.append((time.perf_counter() - wall, time.thread_time() - cpu))

    loop_handle: Any = asyncio.events.Handle
    loop_handle._run = timed
    try:
        yield steps
    finally:
        loop_handle._run = run


async def settle(pilot: Pilot[None]) -> None:
    """Wait until nothing is under way."""
    await pilot.pause()
    while list(pilot.app.workers):
        await asyncio.sleep(0.1)
    await pilot.pause()


async def use_until(pilot: Pilot[None], keys: str, is_done: Callable[[], bool]) -> None:
    """Press these keys one after the other, ten a second, again and again."""
    pressed = 0
    while not is_done():
        await pilot.press(keys.split()[pressed % len(keys.split())])
        await asyncio.sleep(0.1)
        pressed += 1


async def while_asking(folder: Path) -> list[tuple[float, float]]:
    """Type while the embedded model answers a question."""
    app = StructRAGApp(folder, open_corpus)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*QUESTION, "enter", "slash")
        inquiry = app._ask.inquiry
        with loop_steps() as steps:
            await use_until(pilot, "w h o space l e n t backspace", lambda: inquiry.under_way is None)
    app.close_corpus()
    return steps


async def while_adding(folder: Path, documents: Path) -> list[tuple[float, float]]:
    """Walk through the list of documents while they are added."""
    app: Any = StructRAGApp(folder, open_corpus)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        await pilot.press("a", *str(documents))
        with loop_steps() as steps:
            await pilot.press("enter")
            await pilot.pause()
            await use_until(pilot, "down down pagedown up end home", lambda: not app.screen.is_adding)
            await settle(pilot)
        assert app.screen.rows.row_count >= DOCUMENTS, app.screen.rows.row_count
    app.close_corpus()
    return steps


def write_documents(folder: Path) -> None:
    """Write 500 short documents."""
    for number in range(DOCUMENTS):
        text = "\n\n".join(f"Machine {number} was serviced {i} times in {2000 + i}." for i in range(1, 5))
        (folder / f"machine-{number:03}.md").write_text(f"# Machine {number}\n\n{text}\n", encoding="utf-8")


# The report


def start_line(name: str, measured: list[Start]) -> str:
    """Return one line of the table of starts."""
    if not measured:
        return f"| {name} | 0 | | | | |"
    painted, cpu, heard, others = (
        median(getattr(each, part) for each in measured) for part in ("painted", "cpu", "heard", "others")
    )
    return f"| {name} | {len(measured)} | {painted:.2f} s | {cpu:.2f} s | {heard:.2f} s | {others:.1f} |"


def step_line(name: str, steps: list[tuple[float, float]]) -> str:
    """Return one line of the table of steps."""
    wall, cpu = (sorted(each[part] for each in steps) for part in (0, 1))
    over = [sum(time > LIMIT for time in times) for times in (wall, cpu)]
    rare = round(0.999 * (len(steps) - 1))
    return (
        f"| {name} | {len(steps):,} | {1000 * cpu[rare]:.0f} ms | {1000 * cpu[-1]:.0f} ms | {over[1]} "
        f"| {1000 * wall[-1]:.0f} ms | {over[0]} |"
    )


def report(work: Path) -> Iterator[str]:
    """Measure, and yield lines of Markdown."""
    asked, filled = work / "asked", work / "filled"
    with StructRAG.open(asked) as rag:
        rag.add([corpus.folder for corpus in shipped() if corpus.name == CORPUS])
    measured = starts(asked)
    yield from (
        "`structrag` from the start of the process, in a pseudo-terminal, over a corpus of 16 documents (medians)",
        "",
        "| starts | n | painted | processor time until then | a key pressed then is shown | other busy processors |",
        "|---|---|---|---|---|---|",
        start_line("all", measured),
        start_line("on a quiet machine", [each for each in measured if each.others < QUIET][:STARTS]),
        "",
        "Steps of the event loop, drawing included, while keys are pressed ten times a second",
        "",
        "| while | steps | 99.9 % (processor) | longest (processor) | over 50 ms | longest (clock) | over 50 ms |",
        "|---|---|---|---|---|---|---|",
        step_line("the embedded model answers a question", asyncio.run(while_asking(asked))),
    )
    with TemporaryDirectory() as folder:
        write_documents(Path(folder))
        yield step_line("500 documents are added", asyncio.run(while_adding(filled, Path(folder))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.work.mkdir(parents=True, exist_ok=True) or given.work) as scratch:
        text = "\n".join(report(Path(scratch)))
    given.out.write_text(text + "\n", encoding="utf-8")
    sys.stderr.write(text + "\n")
