"""Moving what is damaged out of the way: under a name that says so, and never over anything else."""

from __future__ import annotations

import shutil
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from structrag.errors import StoreError


def set_aside(path: Path) -> Path:
    """Rename a file or folder to ``NAME.damaged-DATE-TIME`` beside it, and return where it is now.

    Raises:
        StoreError: It cannot be renamed.
    """
    place = _free_place(path)
    try:
        return path.rename(place)
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be moved aside: {error.strerror}.", hint="Make its folder writable."
        ) from error


def keep_aside(path: Path) -> Path:
    """Give a file such a second name, or make a copy of that name, for one that is then replaced in one step.

    Raises:
        StoreError: That cannot be done.
    """
    place = _free_place(path)
    try:
        try:
            place.hardlink_to(path)
        except OSError:  # some file systems have no second names
            shutil.copy2(path, place)
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be kept aside: {error.strerror}.",
            hint="Make its folder writable, and see that the disk is not full.",
        ) from error
    return place


def _free_place(path: Path) -> Path:
    name = f"{path.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(free for each in names if not (free := path.with_name(each)).exists())
