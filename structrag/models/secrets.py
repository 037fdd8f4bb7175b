"""Keeps keys out of whatever is shown or kept: endpoints repeat them in errors, and models in replies."""

from __future__ import annotations

import os
import re

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
    named = (value for name, value in os.environ.items() if name == key_name or _LIKE_A_SECRET.search(name))
    # The longest first: one may be the beginning of another.
    for secret in sorted((value for value in named if len(value) >= _LEAST_CHARACTERS), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
