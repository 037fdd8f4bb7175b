"""Reads from the settings what a person wants to see, and what the application itself obeys."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from textual.theme import BUILTIN_THEMES

from structrag.errors import ConfigError
from structrag.tui.keys import clashes, split_keys, with_companions
from structrag.tui.requests import SettingsInForce
from structrag.tui.themes import HIGH_CONTRAST
from structrag.usage import Prices

if TYPE_CHECKING:
    from structrag.config import BudgetSettings

_FILE = "structrag.toml"
_VARIABLES = "STRUCTRAG_TUI__"


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the application looks and which keys it obeys.

    Attributes:
        theme: The name of a theme; empty for the usual one.
        keys: The keys of actions, by the actions' names.
    """

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


def read_appearance(folder: Path) -> Appearance:
    """Return what the section ``tui`` of the settings says.

    Reading settings takes a third of a second of importing, so it is not done where nothing is set.

    Raises:
        ConfigError: A setting is wrong; the message names it.
    """
    path = folder.expanduser() / _FILE
    if not path.is_file() and not any(name.startswith(_VARIABLES) for name in os.environ):
        return Appearance()
    from structrag.config import load_settings

    settings, origins = load_settings(folder.expanduser())
    sources = {origin.key: origin.source for origin in origins}
    if settings.tui.theme:
        require_known("theme", [settings.tui.theme], [HIGH_CONTRAST.name, *BUILTIN_THEMES], sources["tui.theme"])
    if not settings.tui.keys:
        return Appearance(settings.tui.theme)
    from structrag.tui.known_actions import known_actions

    known = known_actions()
    _require_keys(settings.tui.keys, known, sources["tui.keys"])
    return Appearance(settings.tui.theme, with_companions(settings.tui.keys, known))


def _require_keys(keys: Mapping[str, str], known: Mapping[str, set[str]], source: str) -> None:
    require_known("action", keys, known, source)
    for name, given in keys.items():
        if not split_keys(given):
            raise ConfigError(f"{source}: section tui: the action {name} would have no key.", hint="Give it one.")
    for key, name, other in clashes(keys, known):
        raise ConfigError(
            f"{source}: section tui: {name} is to have the key {key}, which {other} has.",
            hint=f"Give {other} another key in [tui.keys] too, or choose another one for {name}.",
        )


def require_known(kind: str, names: Iterable[str], known: Iterable[str], source: str) -> None:
    """Check that there is everything that the settings name.

    Args:
        kind: What the names are names of.
        names: From the settings.
        known: What there is.
        source: Where the settings come from, for the message.

    Raises:
        ConfigError: There is none of a name; the nearest one is suggested.
    """
    there = sorted(known)
    for name in names:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(there)}."
            raise ConfigError(f"{source}: section tui: there is no {kind} {name!r}.", hint=hint)


def read_in_force(folder: Path, model: str | None) -> SettingsInForce:
    """Return which model answers within which budget.

    Args:
        folder: The corpus folder.
        model: What the user chose instead of the setting.

    Raises:
        ConfigError: A setting is wrong; the message names it.
    """
    from structrag.config import load_settings

    settings, _ = load_settings(folder.expanduser(), {"models.chat": model} if model else None)
    prices = Prices(settings.models.prompt_price, settings.models.completion_price)
    return SettingsInForce(settings.models.chat, _budget(settings.budget), prices)


def _budget(budget: BudgetSettings) -> str:
    limits = [(budget.calls, "calls"), (budget.tokens, "tokens"), (budget.seconds, "s"), (budget.cost, "cost")]
    told = ", ".join(f"{limit:,g} {unit}" for limit, unit in limits if limit)
    return f"budget {told}" if told else "no budget"
