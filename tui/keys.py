"""Keys that can be changed in ``structrag.toml``: every action has a name, and ``[tui.keys]`` gives it other keys.

For example::

    [tui.keys]
    corpus.add = "ctrl+n"
    app.help = "f1,question_mark"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from textual.binding import Binding, BindingType

_PARAMETER = re.compile(r"[^\w-]+")


def action(  # noqa: PLR0913 - Textual's own way to say what a key does has more
    screen: str,
    key: str,
    name: str,
    description: str,
    *,
    show: bool = True,
    key_display: str | None = None,
    priority: bool = False,
    tooltip: str = "",
) -> Binding:
    """Return the binding of an action that ``[tui.keys]`` knows as ``screen.name``.

    Args:
        screen: The screen's name, or ``app`` for what works everywhere.
        key: The keys, with commas between them.
        name: The action as Textual calls it, parameters included.
        description: What it does, in a word or two.
        show: Whether the footer shows it.
        key_display: What the footer shows for the key.
        priority: Whether it goes before what the focused widget does with the key.
        tooltip: What it does, in a sentence.
    """
    binding_id = f"{screen}.{_PARAMETER.sub('_', name.removeprefix('app.')).strip('_')}"
    return Binding(
        key, name, description, show=show, key_display=key_display, priority=priority, id=binding_id, tooltip=tooltip
    )


def default_keys(bindings: Iterable[BindingType]) -> dict[str, set[str]]:
    """Return the keys that actions have if nothing is set, by the names under which ``[tui.keys]`` knows them."""
    named = (binding for binding in bindings if isinstance(binding, Binding) and binding.id)
    return {binding.id or "": split_keys(binding.key) for binding in named}


def split_keys(keys: str) -> set[str]:
    """Return the single keys of a list with commas."""
    return {key.strip() for key in keys.split(",") if key.strip()}


def clashes(keys: Mapping[str, str], defaults: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    """Yield every key that ``[tui.keys]`` gives to an action while another one of its screen has it, with both names.

    Args:
        keys: From ``[tui.keys]``: the keys of actions.
        defaults: The keys of all actions if nothing is set.
    """
    in_force = {name: split_keys(keys.get(name, ",".join(usual))) for name, usual in defaults.items()}
    for name in keys:
        for other, taken in in_force.items():
            is_beside = other.partition(".")[0] in (name.partition(".")[0], "app") or name.startswith("app.")
            if other != name and is_beside:
                yield from ((key, name, other) for key in sorted(in_force[name] & taken))


def with_companions(keys: Mapping[str, str], defaults: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the keys with those of actions that share a key with a changed one: Textual takes the key from all."""
    freed = {(name.partition(".")[0], key) for name in keys for key in defaults[name]}
    companions = {
        name: ",".join(sorted(usual))
        for name, usual in defaults.items()
        if name not in keys and any((name.partition(".")[0], key) in freed for key in usual)
    }
    return {**keys, **companions}
