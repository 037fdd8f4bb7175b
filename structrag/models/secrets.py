"""Keeps keys out of whatever is shown or kept: endpoints repeat them in errors, and models in replies."""

from __future__ import annotations

import os
import re
from itertools import takewhile

_LIKE_A_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_LEAST_CHARACTERS = 8
"""Shorter values, such as ``none`` or ``EMPTY``, are what local servers are given, and ordinary words."""
MASK = "[secret]"


def redacted(text: str, key_name: str = "") -> str:
    """Return a text in which no secret of the environment stands.

    Args:
        text: From outside: an endpoint's error, a model's reply.
        key_name: An environment variable that holds one, whatever it is called.
    """
    for secret in _secrets(key_name):
        text = text.replace(secret, MASK)
    return text


def redacted_so_far(text: str, key_name: str = "") -> str:
    """Return as much of a text that goes on as is `redacted` in the same way however it does.

    Args:
        text: Its beginning.
        key_name: An environment variable that holds a secret, whatever it is called.
    """
    rests = (
        secret[length:]
        for secret in _secrets(key_name)
        for length in range(1, len(secret))
        if text.endswith(secret[:length])
    )
    shown = redacted(text, key_name)
    for rest in rests:
        alike = zip(shown, redacted(text + rest, key_name), strict=False)
        shown = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], alike))
    return shown


def _secrets(key_name: str) -> list[str]:
    """Return the secrets of the environment, the longest first: one may be the beginning of another."""
    named = (value for name, value in os.environ.items() if name == key_name or _LIKE_A_SECRET.search(name))
    return sorted((value for value in named if len(value) >= _LEAST_CHARACTERS), key=len, reverse=True)
