"""Paths as people read and type them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester

_LOOKED_AT = 5_000
"""Entries of a folder that are looked at; a suggestion must come while one types."""


def near(path: str) -> str:
    """Return a path as it is called from here: without the folder that one is in, or with ``~`` for one's home."""
    for folder, name in ((_here(), ""), (str(Path("~").expanduser()), f"~{os.sep}")):
        if folder and path.startswith(folder + os.sep):
            return name + path[len(folder) + 1 :]
    return path


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # the folder is gone
        return ""


def complete(typed: str) -> str | None:
    """Return the path that a typed beginning may stand for, a folder with a separator at its end.

    Hidden entries are suggested only where the beginning names them, and ``~`` stays as it was typed.
    """
    if not typed or typed.endswith(("/", os.sep)):
        return None
    folder, beginning = os.path.split(typed)
    matches: list[os.DirEntry[str]] = []
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                if _may_be(entry.name, beginning):
                    matches.append(entry)
        best = min(matches, key=lambda entry: (len(entry.name), entry.name), default=None)
        if best is None:
            return None
        is_folder = best.is_dir()
    except (OSError, ValueError):  # no such folder, or no path at all
        return None
    return typed + best.name[len(beginning) :] + ("/" if is_folder else "")


def _may_be(name: str, beginning: str) -> bool:
    if name.startswith(".") and not beginning.startswith("."):
        return False
    # What a terminal would obey, or cannot encode, is not suggested; the picker lists it all the same.
    return name.startswith(beginning) and name.isprintable()


class PathSuggester(Suggester):
    """Suggests how a typed path may go on, as the folders are now."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the path that may be meant; the folder is read in a thread."""
        return await asyncio.to_thread(complete, value)
