"""Trained routers side by side: each in a folder of its own, one of them in use."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from structrag.corpus.aside import set_aside
from structrag.errors import RoutingError
from structrag.router.artefact import PolicySettings, read_settings, read_weights

SHIPPED = "shipped"
_ACTIVE = "active"
_LOG = "promotions.jsonl"
_SECONDS_TO_WAIT = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class RouterVersion:
    """One version.

    Attributes:
        settings: What stands in its ``router.json``; ``None`` where that is damaged.
        problem: Why it cannot be used; empty where it can.
    """

    name: str
    folder: Path
    is_active: bool
    settings: PolicySettings | None
    problem: str = ""


class VersionStore:
    """The versions below a folder, and the one that comes with the package.

    Args:
        home: Created when the first version is written.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    def folder(self, name: str) -> Path:
        """Return the folder of a version.

        Raises:
            RoutingError: There is none of that name.
        """
        folder = shipped_folder() if name == SHIPPED else self.home / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            known = ", ".join(version.name for version in self.versions())
            raise RoutingError(
                f"There is no router version {name!r}.",
                hint=f"There are: {known}. `structrag router rollback` goes back to the one before.",
            )
        return folder

    def active(self) -> str:
        """Return the name of the version in use.

        Raises:
            RoutingError: The file that says so cannot be read.
        """
        return self._way()[-1]

    def versions(self) -> list[RouterVersion]:
        """Return all versions, the shipped one first, then by name; those being written are left out."""
        active = self.active()
        found = [(SHIPPED, shipped_folder())]
        if self.home.is_dir():
            found += sorted((f.name, f) for f in self.home.iterdir() if f.is_dir() and _NAME.fullmatch(f.name))
        return [_version(name, folder, is_active=name == active) for name, folder in found]

    def promote(self, name: str, record: Mapping[str, Any]) -> None:
        """Put a version in use, and remember which one was before.

        Args:
            name: The version.
            record: Why: the comparison, and whether it was forced.

        Raises:
            RoutingError: There is no such version, or it is damaged.
        """
        self._require(name)
        with self._alone():
            way = self._way()
            self._log({"from": way[-1], "to": name, **record})
            if name != way[-1]:
                self._keep([*way, name])

    def rollback(self) -> str:
        """Go back to the version that was in use before, and return its name.

        Raises:
            RoutingError: There is none before, or it is gone.
        """
        with self._alone():
            way = self._way()
            if len(way) < 2:
                raise RoutingError(
                    f"No router was in use before {way[-1]!r}.", hint="`structrag router list` shows all."
                )
            self._require(way[-2])
            self._log({"from": way[-1], "to": way[-2], "rollback": True})
            self._keep(way[:-1])
            return way[-2]

    def promotions(self) -> list[dict[str, Any]]:
        """Return the promotions so far, oldest first; a line that a crash cut short is left out."""
        try:
            lines = (self.home / _LOG).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return entries

    def problem(self) -> str:
        """Return why the version in use cannot be used; empty if it can."""
        try:
            self._require(self.active())
        except RoutingError as error:
            return error.message
        return ""

    def leftovers(self) -> list[Path]:
        """Return what writing that was killed left half done; empty while something is being trained."""
        if not self.home.is_dir() or any(map(_is_locked, self.home.glob(".training-*.lock"))):
            return []
        return sorted(self.home.glob(".*.part"))

    def repair(self) -> str:
        """Go back to the last version that can be used, remove what is half written, and return what was done.

        Raises:
            RoutingError: The folder cannot be written.
        """
        done = []
        try:
            with self._alone():
                for leftover in self.leftovers():
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
                    done.append(f"removed {leftover.name}")
                if self.problem():
                    done.append(self._go_back())
        except OSError as error:
            raise RoutingError(
                f"{self.home} cannot be repaired: {error.strerror}.", hint="Make it writable."
            ) from error
        return "; ".join(done)

    def _go_back(self) -> str:
        try:
            way = self._way()
        except RoutingError:
            way = [SHIPPED]
            aside = set_aside(self.home / _ACTIVE)
            told = f"moved {_ACTIVE} to {aside.name}; "
        else:
            told = ""
        before = way[-1]
        while len(way) > 1 and self._is_broken(way[-1]):
            way.pop()
        if self._is_broken(way[-1]):
            way = [SHIPPED]
        self._log({"from": before, "to": way[-1], "repair": True})
        self._keep(way)
        return f"{told}put {way[-1]} in use"

    def _is_broken(self, name: str) -> bool:
        try:
            self._require(name)
        except RoutingError:
            return True
        return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Change what is in use while no other process does."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with FileLock(self.home / f".{_ACTIVE}.lock", timeout=_SECONDS_TO_WAIT):
                yield
        except Timeout as error:
            raise RoutingError(
                f"Another process is changing which router in {self.home} is in use.", hint="Try again."
            ) from error
        except OSError as error:
            raise RoutingError(
                f"Which router is in use cannot be written to {self.home}: {error.strerror}.",
                hint="Make the folder writable for this user, and see that the disk is not full.",
            ) from error

    def _require(self, name: str) -> None:
        folder = self.folder(name)
        read_weights(folder, read_settings(folder))

    def _way(self) -> list[str]:
        """The versions that were in use before the one in use, and that one last: what a rollback goes back along."""
        path = self.home / _ACTIVE
        try:
            return [line for line in path.read_text(encoding="utf-8").split("\n") if line] or [SHIPPED]
        except FileNotFoundError:
            return [SHIPPED]
        except (OSError, UnicodeDecodeError) as error:
            raise RoutingError(
                f"{path} cannot be read: {error}.", hint="Move it aside: structrag doctor --repair"
            ) from error

    def _keep(self, way: Sequence[str]) -> None:
        """Say which version is in use and how it came to be, in one file that is replaced as a whole."""
        part = self.home / f".{_ACTIVE}.{os.getpid()}.part"
        with part.open("w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in way))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.home / _ACTIVE)

    def _log(self, entry: Mapping[str, Any]) -> None:
        """Add to the record of promotions, which is for people: nothing is decided by it."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / _LOG
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **entry})
        with path.open("a+b") as log:
            if log.tell():
                log.seek(-1, os.SEEK_END)
                # A line that a crash cut short must not take this one with it.
                line = line if log.read(1) == b"\n" else f"\n{line}"
            log.write(f"{line}\n".encode())
            log.flush()
            os.fsync(log.fileno())


def _is_locked(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def shipped_folder() -> Path:
    """Return the folder of the router that comes with the package."""
    return Path(str(files("structrag.router").joinpath("shipped")))


def _version(name: str, folder: Path, *, is_active: bool) -> RouterVersion:
    try:
        settings = read_settings(folder)
        read_weights(folder, settings)
        return RouterVersion(name, folder, is_active, settings)
    except RoutingError as error:
        return RouterVersion(name, folder, is_active, None, error.message)
