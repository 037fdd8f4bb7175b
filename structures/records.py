"""Structures back from JSON: every field is checked, so that damaged data is an error which says where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from structrag.errors import StoreError
from structrag.types import EditMark, Evidence, Span

_T = TypeVar("_T")
_NAMES: Mapping[type, str] = {str: "text", bool: "true or false", int: "a whole number", list: "a list"}


def evidence_dict(evidence: Evidence) -> dict[str, Any]:
    """Return evidence in the JSON form that all structures share; ``edits`` is there only where there are any."""
    told: dict[str, Any] = {
        "document": evidence.span.document_id,
        "start": evidence.span.start,
        "end": evidence.span.end,
        "quote": evidence.quote,
        "verified": evidence.verified,
    }
    return told | ({"edits": [asdict(mark) for mark in evidence.edits]} if evidence.edits else {})


def damaged(what: str) -> StoreError:
    """Return the error for data that no structure can be made of."""
    return StoreError(
        f"The kept structure is damaged or of another version: {what}.", hint="Ask the question again to build it anew."
    )


class Record:
    """One JSON object.

    Args:
        data: What was read.
        place: Where in the whole it stands, for errors.

    Raises:
        StoreError: It is no object. All methods raise it for a field that is missing or of the wrong kind.
    """

    def __init__(self, data: object, place: str = "the structure") -> None:
        if not isinstance(data, Mapping):
            raise damaged(f"{place} is no object")
        self._data: Mapping[Any, Any] = data
        self.place = place

    def value(self, name: str) -> Any:
        """Return a field as it is."""
        if name not in self._data:
            raise damaged(f"{self.place} has no {name!r}")
        return self._data[name]

    def text(self, name: str) -> str:
        """Return a text."""
        return self._of(str, name)

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or ``None`` for null."""
        return None if self.value(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return self._of(bool, name)

    def whole(self, name: str) -> int:
        """Return a whole number."""
        return self._of(int, name)

    def number(self, name: str) -> float:
        """Return a number."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self._of(list, name)
        if not all(isinstance(item, str) for item in found):
            raise self.wrong(name, "a list of texts")
        return tuple(found)

    def text_map(self, name: str) -> dict[str, str]:
        """Return an object whose values are texts."""
        value = self.value(name)
        if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
            raise self.wrong(name, "an object of texts")
        return dict(value)

    def records(self, name: str) -> list[Record]:
        """Return a list of objects."""
        return [Record(item, f"{self.place}, {name} {n}") for n, item in enumerate(self._of(list, name), start=1)]

    def record_or_none(self, name: str) -> Record | None:
        """Return an object, or ``None`` for null."""
        value = self.value(name)
        return None if value is None else Record(value, f"{self.place}, {name}")

    def evidence(self) -> Evidence:
        """Return the evidence that `evidence_dict` put into this object."""
        span = Span(self.text("document"), self.whole("start"), self.whole("end"))
        edits = tuple(item.edit_mark() for item in self.records("edits")) if "edits" in self._data else ()
        return Evidence(span, self.text("quote"), self.flag("verified"), edits)

    def edit_mark(self) -> EditMark:
        """Return the mark of a person's edit."""
        return EditMark(
            self.whole("edit_id"), self.text("who"), self.text("when"), self.text("said"), self.text("before")
        )

    def wrong(self, name: str, wanted: str) -> StoreError:
        """Return the error for a field that is not what it has to be."""
        return damaged(f"{name!r} of {self.place} is not {wanted}")

    def _of(self, kind: type[_T], name: str) -> _T:
        value = self.value(name)
        # Exactly that: for Python, true is a whole number too.
        if type(value) is not kind:
            raise self.wrong(name, _NAMES[kind])
        return value
