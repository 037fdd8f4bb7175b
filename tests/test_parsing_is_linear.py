"""Long manuals are parsed in time that grows with their length, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.graph_parse import parse_facts
from structrag.types import SourceDocument

SMALL, TIMES = 150, 8


def manual(units: int) -> SourceDocument:
    parts = (
        f"## {n} Unit M{n}\n\nUnit M{n} feeds Unit M{n + 1}. Check it first.\n\n"
        + "".join(f"{step}. Turn valve {step} of it.\n" for step in range(1, 7))
        for n in range(1, units + 1)
    )
    return SourceDocument("manual", "Manual", "# Manual\n\n" + "\n".join(parts), "hash")


def seconds(parse: Callable[[SourceDocument], object], units: int) -> float:
    """Return the best of three, as other work only ever adds to it."""
    document, best = manual(units), float("inf")
    for _ in range(3):
        started = time.process_time()
        parse(document)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize(
    "parse",
    [parse_topics, parse_procedures, lambda document: parse_facts([document])],
    ids=["topics", "procedures", "facts"],
)
def test_a_manual_eight_times_as_long_takes_far_less_than_64_times_as_long(
    parse: Callable[[SourceDocument], object],
) -> None:
    assert seconds(parse, SMALL * TIMES) < 2.5 * TIMES * seconds(parse, SMALL)
