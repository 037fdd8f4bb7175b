"""Trained routers side by side: each in a folder of its own, one of them in use."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from structrag.errors import RoutingError
from structrag.router.artefact import RouterSettings, read_settings

SHIPPED = "shipped"
_ACTIVE = "active"
_LOG = "promotions.jsonl"
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
    settings: RouterSettings | None
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
            raise RoutingError(f"There is no router version {name!r}.", hint=f"There are: {known}.")
        return folder

    def active(self) -> str:
        """Return the name of the version in use."""
        try:
            return (self.home / _ACTIVE).read_text(encoding="utf-8").strip() or SHIPPED
        except FileNotFoundError:
            return SHIPPED
        except OSError as error:
            raise RoutingError(f"{self.home / _ACTIVE} cannot be read: {error.strerror}.") from error

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
        read_settings(self.folder(name))
        before = self.active()
        self.home.mkdir(parents=True, exist_ok=True)
        entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "from": before, "to": name, **record}
        with (self.home / _LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
            log.flush()
            os.fsync(log.fileno())
        self._point_to(name)

    def rollback(self) -> str:
        """Go back to the version that was in use before, and return its name.

        Raises:
            RoutingError: There is none before, or it is gone.
        """
        active = self.active()
        before = next(
            (e["from"] for e in reversed(self.promotions()) if e["to"] == active and e["from"] != active), None
        )
        if before is None:
            raise RoutingError(f"No router was in use before {active!r}.", hint="`structrag router list` shows all.")
        self.folder(before)
        self._point_to(before)
        return str(before)

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

    def _point_to(self, name: str) -> None:
        part = self.home / f".{_ACTIVE}.{os.getpid()}.part"
        part.write_text(f"{name}\n", encoding="utf-8")
        part.replace(self.home / _ACTIVE)


def shipped_folder() -> Path:
    """Return the folder of the router that comes with the package."""
    return Path(str(files("structrag.router").joinpath("shipped")))


def _version(name: str, folder: Path, *, is_active: bool) -> RouterVersion:
    try:
        return RouterVersion(name, folder, is_active, read_settings(folder))
    except RoutingError as error:
        return RouterVersion(name, folder, is_active, None, error.message)
