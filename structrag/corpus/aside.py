"""Moving what is damaged out of the way: under a name that says so, and never over anything else."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, count
from pathlib import Path

from structrag.errors import StoreError


def set_aside(path: Path) -> Path:
    """Rename a file or folder to ``NAME.damaged-DATE-TIME`` beside it, and return where it is now.

    Raises:
        StoreError: It cannot be renamed.
    """
    name = f"{path.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    place = next(free for each in names if not (free := path.with_name(each)).exists())
    try:
        return path.rename(place)
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be moved aside: {error.strerror}.", hint="Make its folder writable."
        ) from error
