"""What `soak.py` runs: promises of the reliability page, each a function that tries one many times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying.

    Attributes:
        n: How often the promise was tried.
        failures: One line for each time that it was broken, with whatever is needed to see it again (a seed).
        measured: Further figures worth a line in the table, such as ``"12 MB more after 5,000 questions"``.
    """

    n: int
    failures: list[str] = field(default_factory=list)
    measured: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the table.

    Attributes:
        name: What is promised, in a few words; also what a run that goes on knows it by.
        run: Tries it so many rounds, and raises nothing on a broken promise but reports it.
        rounds: Of the long version.
        short: Rounds of the short version, which belongs to the tests: a second or two.
    """

    name: str
    run: Callable[[int], Outcome]
    rounds: int = 100
    short: int = 5
