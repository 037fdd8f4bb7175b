"""Which files a path stands for, and under which ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from structrag.corpus.store import DATABASE_NAME


def collect(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the files below ``paths`` with the ids that they are to have, each file once.

    The id of a file in a folder is its path below that folder, of a file given by itself its name. Hidden
    files and folders, links that lead out of the folder, and the folders of corpora are skipped. A path that
    does not exist, and a folder that cannot be listed, are returned as they are: reading them tells why.
    """
    found: dict[Path, str] = {}
    for path in paths:
        root = absolute(path)
        for file in _files(root, root) if is_folder(root) else [root]:
            found.setdefault(file, file.relative_to(root).as_posix() if file != root else root.name)
    return list(found.items())


def absolute(path: Path) -> Path:
    """Return where ``path`` is, the same however it was written; a link to a file keeps its own name."""
    return path.resolve() if is_folder(path) else path.parent.resolve() / path.name


def is_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder; one that cannot even be looked at is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _files(folder: Path, root: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            is_link, is_inside = entry.is_symlink(), entry.resolve().is_relative_to(root)
        except (OSError, RuntimeError):  # no permission, or a link that leads to itself
            yield entry
            continue
        if not is_folder(entry):
            if is_inside:
                yield entry
        # A linked folder is not followed: inside the root its files are found where they are.
        elif not is_link and not (entry / DATABASE_NAME).exists():
            yield from _files(entry, root)
