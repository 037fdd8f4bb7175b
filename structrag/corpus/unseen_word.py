"""Taking out of a Word document what its reader does not see: nobody could check an answer that rests on it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_OFF = ("0", "false", "off", "none")
_WHITE = "FFFFFF"
_SMALLEST_HALF_POINTS = 3
_COLOURED = (f"{_W}tbl", f"{_W}txbxContent", f"{_W}pict")
"""What may have a dark ground that only a style or a shape tells of: white text is left there."""


def without_unseen(data: bytes) -> tuple[bytes, bool]:
    """Return the document without text that is marked as hidden, of a point or less, or white on white.

    Only what stands at the text itself is looked at; a style may hide more.

    Returns:
        The document, and whether anything was taken out of it.

    Raises:
        xml.etree.ElementTree.ParseError: A part of it is no XML.
        defusedxml.DefusedXmlException: A part of it declares entities.
    """
    from defusedxml.ElementTree import fromstring, tostring

    changed: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in set(_PARTS) & set(archive.namelist()):
            root = fromstring(archive.read(name))
            if _blank(root, is_coloured=root.find(f"{_W}background") is not None):
                changed[name] = tostring(root)
        if not changed:
            return data, False
        with zipfile.ZipFile(written := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in archive.infolist():
                copy.writestr(entry, changed.get(entry.filename) or archive.read(entry))
    return written.getvalue(), True


def _blank(root: Element, *, is_coloured: bool) -> bool:
    """Blank the text of every run below that is not seen; return whether there was any."""
    found = False
    waiting = [(root, is_coloured)]
    while waiting:
        element, coloured = waiting.pop()
        coloured = coloured or element.tag in _COLOURED or _is_shaded(element.find(f"{_W}pPr"))
        if element.tag == f"{_W}r" and _is_unseen(element.find(f"{_W}rPr"), is_coloured=coloured):
            for text in element.iter(f"{_W}t"):
                found = found or bool((text.text or "").strip())
                text.text = ""
        waiting += [(child, coloured) for child in element]
    return found


def _is_unseen(properties: Element | None, *, is_coloured: bool) -> bool:
    if properties is None:
        return False
    vanish = properties.find(f"{_W}vanish")
    if vanish is not None and vanish.get(f"{_W}val", "1") not in _OFF:
        return True
    size = _value(properties, "sz")
    if size.isdecimal() and int(size) < _SMALLEST_HALF_POINTS:
        return True
    is_white = _value(properties, "color").upper() == _WHITE
    return is_white and not is_coloured and not _is_shaded(properties)


def _is_shaded(properties: Element | None) -> bool:
    if properties is None:
        return False
    shading = properties.find(f"{_W}shd")
    fill = shading.get(f"{_W}fill", "auto") if shading is not None else "auto"
    return fill.upper() not in ("AUTO", _WHITE) or _value(properties, "highlight") not in ("", "none", "white")


def _value(properties: Element, name: str) -> str:
    found = properties.find(f"{_W}{name}")
    return "" if found is None else found.get(f"{_W}val", "")
