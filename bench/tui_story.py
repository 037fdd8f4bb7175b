"""Drive the terminal UI through its whole story by keyboard alone: in tmux, with the embedded chat model.

Load the demo corpus, ask, see the route, look at the structure, open the sentence behind a number, correct the route,
take that back, quit. Every step waits for what it must show; the screens are the transcript.

python bench/tui_story.py --size 80x24 --out build/story-80x24.txt
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

QUESTION = "how many products in the product list use R290 as refrigerant?"
_LONGEST = 7200
"""Seconds that a step may take: two questions to a model of 1.5 billion parameters are among them."""
_SESSION = "story"


@dataclass
class Terminal:
    """A terminal in tmux, with a server of its own.

    Attributes:
        told: The transcript.
    """

    socket: str
    columns: int
    lines: int
    told: list[str] = field(default_factory=list)

    def start(self, command: Sequence[str], folder: Path) -> None:
        """Start a command in it."""
        size = ["-x", str(self.columns), "-y", str(self.lines)]
        line = " ".join(["exec", *map(quote, command)])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", _SESSION, *size, "-c", str(folder), line)
        self.tmux("set", "-g", "status", "off")

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux and return what it prints."""
        done = subprocess.run(
            ["tmux", "-L", self.socket, *arguments], check=True, capture_output=True, encoding="utf-8"
        )
        return done.stdout

    def screen(self) -> str:
        """Return what the terminal shows."""
        return self.tmux("capture-pane", "-p", "-t", _SESSION)

    def press(self, *keys: str) -> None:
        """Press keys, by their names in tmux."""
        self.tmux("send-keys", "-t", _SESSION, *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self.tmux("send-keys", "-t", _SESSION, "-l", text)

    def wait(self, step: str, pattern: str, without: str = "never shown") -> None:
        """Wait until the screen shows what the pattern fits, and keep the screen in the transcript.

        Args:
            step: What is to happen.
            pattern: What must be shown.
            without: What must be gone.
        """
        began = time.monotonic()
        while not re.search(pattern, shown := self.screen()) or without in shown:
            if time.monotonic() - began > _LONGEST:
                raise TimeoutError(f"{step}: {pattern!r} was never seen:\n{shown}")
            time.sleep(0.05)
        took = time.monotonic() - began
        self.told.append(f"=== {step} ({took:.1f} s)\n\n{shown.rstrip()}\n")
        sys.stderr.write(f"{step}: {took:.1f} s\n")

    def is_open(self) -> bool:
        """Whether the program still runs."""
        return not subprocess.run(
            ["tmux", "-L", self.socket, "has-session"], check=False, capture_output=True
        ).returncode


def tell_story(terminal: Terminal) -> None:
    """Press the keys of the story, each as soon as what came before is on the screen."""
    terminal.wait("it opens on an empty corpus", r"Press d to load the demo corpus")
    terminal.press("d")
    terminal.wait("d loads the demo corpus", r"my-corpus is open")
    terminal.type(QUESTION)
    # It is among the examples too.
    terminal.wait("the question is typed", r"refrigerant\?[^?]*refrigerant\?")
    terminal.press("Enter")
    terminal.wait("Enter asks it; steps are shown as they are done", r"Route \w+ \(\d+%")
    terminal.wait("the answer", r"Answered by \w+ in")
    terminal.press("r")
    terminal.wait("r shows why this structure", r"Runner-up")
    terminal.press("s")
    terminal.wait("s shows the structure", r"Enter source")
    terminal.press("Enter")
    terminal.wait("Enter opens the sentence behind a cell", r"Escape closes")
    terminal.press("Escape")
    terminal.wait("Escape goes back", r"Enter source", without="Escape closes")
    terminal.press("n")
    terminal.wait("n marks the first citation of the answer", r"Answered by")
    terminal.press("Enter")
    terminal.wait("Enter opens the sentence behind the number", r"Escape closes")
    terminal.press("Escape")
    terminal.wait("Escape goes back", r"Answered by", without="Escape closes")
    terminal.press("5")
    terminal.wait("5 corrects the route: the same question by passages", r"Asking by chunk|Structure chunk")
    terminal.wait("the other answer; the correction is kept", r"Kept as your preference: chunk")
    terminal.press("u")
    terminal.wait("u takes the correction back", r"Taken back: your preference")
    terminal.press("C-q")
    while terminal.is_open():
        time.sleep(0.05)
    terminal.told.append("=== Ctrl+Q quits\n")


def story(columns: int, lines: int, out: Path) -> None:
    """Live the story in a terminal of that size, and write the transcript, of a story that broke off too."""
    with TemporaryDirectory() as folder:
        terminal = Terminal(f"structrag-{os.getpid()}", columns, lines)
        terminal.start([str(Path(sys.executable).with_name("structrag"))], Path(folder))
        try:
            tell_story(terminal)
        finally:
            if terminal.is_open():
                terminal.told.append(f"=== it broke off here\n\n{terminal.screen()}")
                terminal.tmux("kill-server")
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text("\n".join(terminal.told), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="80x24", help="columns x lines")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    story(width, height, given.out)
