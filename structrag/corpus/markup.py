"""The structure that a text shows by its layout: tables, headings, steps, bullets and sentences.

All parsers take a document's text and return spans into it, so that whatever is built from them can be traced
back to where it stands.
"""

from __future__ import annotations

from structrag.corpus.headings import MarkupHeading, parse_headings
from structrag.corpus.list_items import MarkupItem, MarkupStep, parse_list_items, parse_steps
from structrag.corpus.sentences import split_sentences
from structrag.corpus.tables import MarkupCell, MarkupTable, parse_tables

__all__ = [
    "MarkupCell",
    "MarkupHeading",
    "MarkupItem",
    "MarkupStep",
    "MarkupTable",
    "parse_headings",
    "parse_list_items",
    "parse_steps",
    "parse_tables",
    "split_sentences",
]
