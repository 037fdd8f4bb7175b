"""The token encoding that the other tools would download, from a package that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

ENCODING = "o200k_base"


class Encoding:
    """Counts and cuts text as tiktoken's encoding of the same name; safe in threads, and it may be copied."""

    name = ENCODING

    def encode(self, text: str, **_: Any) -> list[int]:
        """Return the tokens of a text."""
        return list(_loaded().encode(text))

    def decode(self, tokens: Sequence[int], **_: Any) -> str:
        """Return the text of tokens."""
        return _loaded().decode(list(tokens)) or ""

    def encode_batch(self, texts: Sequence[str], **_: Any) -> list[list[int]]:
        """Return the tokens of several texts."""
        return [self.encode(text) for text in texts]

    def decode_batch(self, several: Sequence[Sequence[int]], **_: Any) -> list[str]:
        """Return the texts of several rows of tokens."""
        return [self.decode(tokens) for tokens in several]


@cache
def _loaded() -> Any:
    import bpe_openai

    return bpe_openai.get_encoding(ENCODING)


def install() -> None:
    """Give every user of tiktoken in this process that encoding, without a download."""
    import tiktoken

    for downloading in ("encoding_for_model", "get_encoding"):
        setattr(tiktoken, downloading, lambda name: Encoding())
