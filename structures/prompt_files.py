"""The prompt files of the builders, and the worked examples that stand beside them."""

from __future__ import annotations

from structrag.models.prompt_files import read_examples, read_instructions


def load_prompt(name: str) -> str:
    """Return one of the builders' prompt files."""
    return read_instructions(__package__, name)


def load_examples(name: str) -> tuple[tuple[str, str], ...]:
    """Return the worked examples that stand beside a prompt file, as pairs of a turn and its reply."""
    return read_examples(__package__, name)
