"""Prompts are files: what a package asks of a chat model lies in its folder ``prompts``, with worked examples."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def read_instructions(package: str, name: str) -> str:
    """Return the instructions ``prompts/NAME.txt`` of a package, which passes its ``__package__``.

    Raises:
        FileNotFoundError: There are none.
    """
    return _file(package, f"{name}.txt").strip()


@cache
def read_examples(package: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return the worked examples ``prompts/NAME.jsonl`` of a package, as pairs of a turn and its reply.

    Raises:
        FileNotFoundError: There are none.
    """
    rows = map(json.loads, _file(package, f"{name}.jsonl").splitlines())
    return tuple((str(row["user"]), str(row["reply"])) for row in rows)


def _file(package: str, name: str) -> str:
    return files(package).joinpath("prompts", name).read_text(encoding="utf-8")
