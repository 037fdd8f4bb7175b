"""Probabilities of a few options from the log-likelihoods of the next token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from structrag.errors import ModelOutputError

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


_LEAST_MASS = 0.1
"""With less on all options together, the model is about to say something else, and their shares mean nothing."""
_LEAST_CHARACTERS = 2
"""A single letter is no beginning of an option: ``a`` is an article before it is the start of ``algorithm``."""


def option_probabilities(message: AIMessage, options: Sequence[str]) -> dict[str, float]:
    """Return the share of probability that each option has among the likely next tokens.

    A token counts for an option when it is the option, or when the option begins with it and no other option does.

    Raises:
        ModelOutputError: The message carries no log-likelihoods, or they leave the options hardly any probability.
    """
    content = (message.response_metadata.get("logprobs") or {}).get("content") or []
    if not content:
        raise ModelOutputError(
            "The chat model returned no log-likelihoods.",
            reply=str(message.text),
            hint="Use a model that offers them, or choose the structure yourself with --structure.",
        )
    mass = dict.fromkeys(options, 0.0)
    for candidate in content[0]["top_logprobs"]:
        token = str(candidate["token"]).strip().lower()
        meant = _meant(token, options)
        if meant is not None:
            mass[meant] += math.exp(candidate["logprob"])
    total = sum(mass.values())
    if total < _LEAST_MASS:
        likely = ", ".join(repr(c["token"]) for c in content[0]["top_logprobs"][:5])
        raise ModelOutputError(
            f"None of {', '.join(options)} is among the likely replies ({likely}).", reply=str(message.text)
        )
    return {option: share / total for option, share in mass.items()}


def _meant(token: str, options: Sequence[str]) -> str | None:
    whole = next((option for option in options if option.lower() == token), None)
    if whole is not None or len(token) < _LEAST_CHARACTERS:
        return whole
    matches = [option for option in options if option.lower().startswith(token)]
    return matches[0] if len(matches) == 1 else None
