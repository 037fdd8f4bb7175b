"""What counts as a reply: JSON that means one thing and follows its schema, and no more than was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from structrag.errors import ModelOutputError

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from structrag.usage import ModelCall

_CHARACTERS_PER_TOKEN = 100
"""More than tokens have, runs of spaces included."""
_LONGEST_COMPLAINT = 300
"""Characters of what is wrong: it quotes the reply, and goes into the next prompt."""


class OversizeError(Exception):
    """The response is larger than any reply."""


def text_of(message: AIMessage, max_tokens: int) -> str:
    """Return the text of a reply, or of a refusal, fit to be stored and no longer than so many tokens can be."""
    text = str(message.text) or str(message.additional_kwargs.get("refusal") or "")
    return storable(text[: _CHARACTERS_PER_TOKEN * max_tokens])


def storable(text: str) -> str:
    """Return a text without half surrogate pairs."""
    # They are no characters, and neither SQLite nor a terminal takes them.
    return text.encode("utf-8", "replace").decode()


def is_too_long(text: str, max_tokens: int) -> bool:
    """Whether a text is longer than so many tokens can be."""
    return len(text) > _CHARACTERS_PER_TOKEN * max_tokens


def final_problem(message: AIMessage, call: ModelCall) -> ModelOutputError | None:
    """Return what is wrong with a reply, if it would be the same again: it was refused, or ran out of its bounds."""
    finish = message.response_metadata.get("finish_reason")
    if message.additional_kwargs.get("refusal") or finish == "content_filter":
        return ModelOutputError(
            f"The model refused to reply to {call.stage}{f': {shortened(call.reply)}' if call.reply else '.'}",
            reply=call.reply,
            hint="Ask in other words, leave out what it objects to with --scope, or use another model.",
        )
    if is_too_long(str(message.text), call.max_tokens):
        return ModelOutputError(
            f"The reply to {call.stage} is longer than the {call.max_tokens} tokens that were asked for.",
            reply=call.reply,
            hint="The endpoint does not keep to `max_tokens`: use another one.",
        )
    if call.is_cut:
        return ModelOutputError(
            f"The reply to {call.stage} was cut off at {call.max_tokens} tokens.",
            reply=call.reply,
            hint="Ask about fewer or shorter documents, or use a larger model.",
        )
    return None


def parse_json(text: str, schema: Mapping[str, Any]) -> Any:
    """Parse a reply and check it against a schema; a surrounding code fence is taken off.

    Raises:
        ModelOutputError: It is not JSON, says something twice, or does not follow the schema.
    """
    import jsonschema

    body = text.strip()
    if body.startswith("```"):
        body = body.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        data = json.loads(body, object_pairs_hook=_object, parse_constant=_constant)
        if "\\u" in body:
            json.dumps(data, ensure_ascii=False).encode()
        jsonschema.validate(data, dict(schema))
    except json.JSONDecodeError as error:
        raise ModelOutputError(f"The reply is not JSON: {error.msg} at character {error.pos}.", reply=text) from error
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "the top level"
        raise ModelOutputError(
            f"The reply does not follow the schema at {place}: {shortened(error.message)}.", reply=text
        ) from error
    except UnicodeEncodeError as error:
        raise ModelOutputError("The reply holds half a character (\\ud800 to \\udfff).", reply=text) from error
    except ValueError as error:  # from the two functions below, and numbers of thousands of digits
        raise ModelOutputError(f"The reply is not JSON: {shortened(str(error))}.", reply=text) from error
    except RecursionError as error:
        raise ModelOutputError("The reply is nested too deeply.", reply=text) from error
    return data


def shortened(text: str) -> str:
    """Return a text on one line, cut to what fits into a message."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_COMPLAINT else f"{line[:_LONGEST_COMPLAINT]}…"


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"the key {twice!r} stands there twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
