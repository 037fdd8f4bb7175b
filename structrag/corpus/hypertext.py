"""Reading html and docx through MarkItDown."""

from __future__ import annotations

import copy
import io
import os
import re
from typing import TYPE_CHECKING

from structrag.corpus.canonical import ParsedText, storable
from structrag.corpus.office import check_archive
from structrag.corpus.plain import decode
from structrag.corpus.unseen_word import without_unseen
from structrag.errors import MissingExtraError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

# markdownify, too, believes no more.
_LONGEST_SPAN = 1000
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)"
    r"|(?<![\w-])(?:opacity|font-size)\s*:\s*0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:[;!]|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{4,}",
    re.IGNORECASE,
)
_LEFT_OUT = "It holds text that a reader of the page would not see; that was left out."
_STYLES = "p[style-name='Title'] => h1:fresh"


def read_html(data: bytes, name: str) -> ParsedText:
    """Return a page as Markdown; its title is that of its ``<title>``."""
    try:
        from bs4.dammit import EncodingDetector
    except ImportError as error:
        raise MissingExtraError("markitdown", extra="formats", purpose=f"Reading {name}") from error
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    return _to_markdown(*_decode(data, declared, name), name)


def read_docx(data: bytes, name: str) -> ParsedText:
    """Return a Word document as Markdown: headings, lists, tables and text, without its images."""
    _keep_offline()
    try:
        import mammoth
        from markitdown.converter_utils.docx.pre_process import pre_process_docx
    except ImportError as error:
        raise MissingExtraError("markitdown", extra="formats", purpose=f"Reading {name}") from error
    check_archive(data, name)
    # What MarkItDown does with a docx, in its two steps, because its tables need care in between.
    seen, has_unseen = without_unseen(pre_process_docx(io.BytesIO(data)).read())
    html = mammoth.convert_to_html(
        io.BytesIO(seen),
        style_map=_STYLES,
        convert_image=lambda image: [],
        external_file_access=False,
    )
    return _to_markdown(html.value, (_LEFT_OUT,) if has_unseen else (), name)


def _decode(data: bytes, declared: str | None, name: str) -> tuple[str, tuple[str, ...]]:
    if declared:
        try:
            return data.decode(declared), ()
        except (LookupError, UnicodeDecodeError):
            # An encoding that does not exist or does not fit is as good as none.
            pass
    return decode(data, name)


def _to_markdown(html: str, warnings: tuple[str, ...], name: str) -> ParsedText:
    _keep_offline()
    try:
        from bs4 import BeautifulSoup
        from markitdown import MarkItDown, StreamInfo
        from markitdown.converters import HtmlConverter
    except ImportError as error:
        raise MissingExtraError("markitdown", extra="formats", purpose=f"Reading {name}") from error
    soup = BeautifulSoup(html, "html.parser")
    if _leave_out_hidden(soup):
        warnings += (_LEFT_OUT,)
    _prepare_tables(soup)
    # One converter alone: the others would open what a page merely pretends to be, some through the network.
    converter = MarkItDown(enable_builtins=False, enable_plugins=False)
    converter.register_converter(HtmlConverter())
    result = converter.convert_stream(
        io.BytesIO(str(soup).encode()),
        stream_info=StreamInfo(extension=".html", mimetype="text/html", charset="utf-8"),
        escape_asterisks=False,
        escape_underscores=False,
        table_infer_header=True,
        strict=True,
    )
    text = storable(result.markdown.replace("\r\n", "\n").replace("\r", "\n"))
    return ParsedText(text, title=result.title or "", warnings=warnings)


def _leave_out_hidden(soup: BeautifulSoup) -> bool:
    """Take out what the page itself says is not to be seen: nobody could check an answer that rests on it.

    Only what stands at the element is looked at; a style sheet may hide more.
    """
    hidden = [
        tag
        for tag in soup.find_all(True)
        if tag.has_attr("hidden") or tag.name == "template" or _UNSEEN.search(str(tag.get("style", "")))
    ]
    told = any(tag.get_text(strip=True) for tag in hidden)
    for tag in hidden:
        tag.extract()
    return told


def _keep_offline() -> None:
    """Keep MarkItDown from reporting to anybody.

    It imports Magika and so ONNX Runtime, which since version 1.29 makes a device id and sends events to Microsoft
    from its import on, unless this is set before. Somebody who has set it otherwise has decided.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _prepare_tables(soup: BeautifulSoup) -> None:
    """Change tables so that each becomes one Markdown table with the same columns in every row."""
    for table in soup.find_all("table"):
        if table.find("table"):
            _dissolve(table)
            continue
        if caption := table.find("caption"):
            caption.name = "p"
            table.insert_before(caption.extract())
        _repeat_spanning_cells(table)
        for text in [text for cell in table.find_all(["td", "th"]) for text in cell.find_all(string=True)]:
            if "|" in text:
                text.replace_with(text.replace("|", "\\|"))


def _dissolve(table: Tag) -> None:
    """Turn a table that is there for the layout, since it holds others, into plain blocks."""
    for part in table.find_all(["tbody", "thead", "tfoot", "tr", "td", "th", "caption"]):
        if part.find_parent("table") is table:
            part.name = "div"
    table.name = "div"


def _repeat_spanning_cells(table: Tag) -> None:
    """Write a cell that spans rows into each of them: Markdown would shift the cells right of it."""
    open_cells: dict[int, tuple[Tag, int]] = {}
    for row in table.find_all("tr"):
        column = 0
        still_open: dict[int, tuple[Tag, int]] = {}
        for cell in [*row.find_all(["td", "th"], recursive=False), None]:
            while column in open_cells:
                spanning, rows_left = open_cells.pop(column)
                if rows_left > 1:
                    still_open[column] = spanning, rows_left - 1
                repeated = copy.copy(spanning)
                row.append(repeated) if cell is None else cell.insert_before(repeated)
                column += _span(spanning, "colspan")
            if cell is not None:
                if (rows := _span(cell, "rowspan")) > 1:
                    del cell["rowspan"]
                    still_open[column] = cell, rows - 1
                column += _span(cell, "colspan")
        open_cells = still_open


def _span(cell: Tag, attribute: str) -> int:
    value = str(cell.get(attribute, "1"))
    return max(1, min(int(value), _LONGEST_SPAN)) if value.isascii() and value.isdigit() else 1
