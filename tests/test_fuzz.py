"""Every parser takes any bytes: what is wrong with them is told by one error of ours, and nothing else comes out.

`bench/fuzz.py` does the same for hours; what it found is kept in `tests/findings/TARGET/` and tried here each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fuzz_targets import SEEDS, TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FINDINGS = Path(__file__).parent / "findings"
# One example builds an archive and reads it through libraries of others, which takes a tenth of a second.
SLOW = frozenset({"docx-document", "xlsx-sheet", "load.docx", "load.xlsx", "load.pdf", "load.html", "load.htm"})
MARKS = "|-#*.:;,\"'()[]{}<>/\\\n\t\0 =0123456789aZé。\u2028\ufeff"


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Bytes of a seed with some cut out, doubled or replaced, which get further into a parser than any others."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.binary(max_size=6), st.text(MARKS, max_size=8).map(str.encode), st.just(data[:end])))
        data[start:end] = piece
    return bytes(data)


def inputs(name: str) -> st.SearchStrategy[bytes]:
    found = [st.binary(max_size=200), st.text(MARKS, max_size=200).map(str.encode)]
    return st.one_of(*found, mutated(SEEDS[name])) if name in SEEDS else st.one_of(*found)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    @settings(max_examples=5 if name in SLOW else 60, suppress_health_check=list(HealthCheck), database=None)
    @given(inputs(name))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


@pytest.mark.parametrize(
    "path", sorted(path for path in FINDINGS.rglob("*") if path.is_file()), ids=lambda path: "-".join(path.parts[-2:])
)
def test_what_was_found_before_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_seed_passes() -> None:
    for name, seeds in SEEDS.items():
        for seed in seeds:
            TARGETS[name](seed)


def test_a_target_sees_a_wrong_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises nothing whatever happens would find nothing."""

    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(sys.modules["fuzz_targets"], "guard", broken)
    with pytest.raises(RecursionError):
        TARGETS["sql"](b"SELECT 1")
