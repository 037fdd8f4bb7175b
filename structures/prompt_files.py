"""The prompt files of the builders, and the worked examples that stand beside them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def load_prompt(name: str) -> str:
    """Return one of the builders' prompt files."""
    return files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def load_examples(name: str) -> tuple[tuple[str, str], ...]:
    """Return the worked examples that stand beside a prompt file, as pairs of a turn and its reply."""
    lines = files(__package__).joinpath("prompts", f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple((str(e["user"]), str(e["reply"])) for e in map(json.loads, lines))
