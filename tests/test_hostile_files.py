"""Files that somebody made to do harm: each is a line of the report, the others go on, and time and memory are bounded."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from structrag.corpus import canonical, loaders, tabular
from structrag.corpus.bounded import BoundedReader
from structrag.corpus.loaders import LARGEST_FILE, load_bytes, load_file
from structrag.corpus.markup import parse_headings, parse_list_items, parse_steps, parse_tables, split_sentences
from structrag.corpus.profile import profile
from structrag.corpus.splitting import split
from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_files
from structrag.corpus.tables import parse_tables as tables_in
from structrag.errors import DocumentError
from structrag.types import AddReport, SourceDocument

pytestmark = pytest.mark.thorough

TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
    "</Relationships>"
)
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
LAUGHS = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
ENTITY_BOMB = f'<!DOCTYPE x [<!ENTITY a "lollollollol">{LAUGHS}]>'
ENTITY_FILE = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'


class MemoryIndex:
    """The chunks of each document, and nothing to find them by."""

    def __init__(self) -> None:
        self.chunks: dict[int, str] = {}

    def add(self, chunk_ids: list[int], document_ids: list[str], texts: list[str]) -> None:
        self.chunks |= dict(zip(chunk_ids, document_ids, strict=True))

    def remove(self, document_id: str) -> None:
        self.chunks = {key: value for key, value in self.chunks.items() if value != document_id}

    def discard(self, chunk_ids: list[int]) -> None:
        for each in chunk_ids:
            del self.chunks[each]

    def entries(self) -> dict[int, str]:
        return self.chunks


@pytest.fixture
def store() -> Iterator[CorpusStore]:
    with CorpusStore.open(None) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "documents"
    path.mkdir()
    (path / "good.md").write_text("# Good\n\nA good document.\n", encoding="utf-8")
    return path


def added(store: CorpusStore, folder: Path) -> AddReport:
    return add_files(store, MemoryIndex(), [folder])  # type: ignore[arg-type]


def told(report: AddReport) -> dict[str, str]:
    return {each.document_id: f"{each.status}: {each.reason}" for each in report.documents}


def zipped(parts: dict[str, str | bytes]) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def word(body: str, *, head: str = "", parts: dict[str, str | bytes] | None = None) -> bytes:
    document = f'<?xml version="1.0"?>{head}<w:document {WORD}><w:body>{body}</w:body></w:document>'
    return zipped(
        {"[Content_Types].xml": TYPES, "_rels/.rels": RELATIONS, "word/document.xml": document, **(parts or {})}
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def workbook(rows: str, *, head: str = "") -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.save(buffer := io.BytesIO())
    with zipfile.ZipFile(buffer) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    parts["xl/worksheets/sheet1.xml"] = f"{head}<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"
    return zipped(parts)


def pdf(*objects: bytes) -> bytes:
    body = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer <</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table) + end


def stream(content: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d%b>>stream\n%b\nendstream" % (len(content), more, content)


CATALOG, PAGES = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = (
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
    b"/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>"
)
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
TEXT = b"BT /F 12 Tf 10 700 Td (Plain words) Tj ET "
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>"


class TestReport:
    def test_every_hostile_file_is_a_line_and_the_good_one_is_in(self, store: CorpusStore, folder: Path) -> None:
        hostile: dict[str, bytes] = {
            "bomb.docx": word(paragraph("&i;"), head=ENTITY_BOMB),
            "bomb.xlsx": workbook('<row r="1"><c r="A1" t="inlineStr"><is><t>&i;</t></is></c></row>', head=ENTITY_BOMB),
            "file.docx": word(paragraph("&i;"), head=ENTITY_FILE),
            "not.docx": b"PK\x03\x04",
            "nul.txt": b"a\0b",
            "nul.csv": b"a,b\n1,\0",
            "half.txt": "a\ud800b".encode("utf-16-le", "surrogatepass"),
            "deep.json": b"[" * 100_000,
            "deep.html": b"<ul><li>" * 5_000,
            "digits.json": b'{"a": ' + b"9" * 5_000 + b"}",
            "quote.csv": b'a,b\n"' + b"x" * 200_000,
            "loop.pdf": pdf(CATALOG, b"<</Type/Pages/Kids[2 0 R]/Count 1>>"),
            "table.pdf": b"%PDF-1.4\nxref\n0 0\ntrailer <</Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF",
            "program.exe": b"MZ",
            "empty.md": b"",
        }
        for name, data in hostile.items():
            (folder / name).write_bytes(data)
        report = told(added(store, folder))
        failed = {name for name, line in report.items() if line.startswith("failed: ") and len(line) > 20}
        assert failed == set(hostile)
        assert store.ids() == ["good.md"]
        assert not any("root:" in line for line in report.values())

    def test_a_file_that_never_ends_is_given_up(
        self, store: CorpusStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("structrag.corpus.sync.BoundedReader", lambda: BoundedReader(cpu_seconds=4))
        (folder / "a.html").write_bytes(b"<" * 3_000_000)
        (folder / "b.html").write_bytes(b"<p>The next one.")
        report = told(added(store, folder))
        assert report["a.html"].startswith("failed: a.html was given up: reading it took too long")
        assert report["b.html"].startswith("added")
        assert store.ids() == ["b.html", "good.md"]


class TestBoundedReader:
    """What the reading process does is not trusted to end, and not to be there afterwards."""

    def test_it_says_what_reading_here_says(self, tmp_path: Path) -> None:
        page = b"<title>The page</title><h1>Head</h1><p>caf\xe9</p>"
        with BoundedReader() as reader:
            found = reader.load(page, tmp_path / "a.html", "a")
            assert found == load_bytes(page, tmp_path / "a.html", "a")
            assert found.warnings
            document = pdf(CATALOG, PAGES, PAGE, stream(TEXT), FONT, stream(b"", FORM))
            located = reader.load(document, tmp_path / "a.pdf", "b")
            assert located == load_bytes(document, tmp_path / "a.pdf", "b")
            assert located.locators
            with pytest.raises(DocumentError, match=r"a\.pdf is damaged") as refused:
                reader.load(b"x", tmp_path / "a.pdf", "c")
            assert refused.value.hint is None

    def test_memory_is_bounded(self, tmp_path: Path) -> None:
        row = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'
        small, large = (workbook(row.format("x" * length)) for length in (1, 20 << 20))
        with BoundedReader(memory=160 << 20) as reader:
            assert reader.load(small, tmp_path / "a.xlsx", "a").text
            with pytest.raises(DocumentError, match=r"a\.xlsx takes too much memory to read"):
                reader.load(large, tmp_path / "a.xlsx", "a")
            assert reader.load(small, tmp_path / "b.xlsx", "b").text

    def test_the_clock_counts_where_the_processor_is_idle(self, tmp_path: Path) -> None:
        with BoundedReader(wall_seconds=0.01) as reader, pytest.raises(DocumentError, match="given up"):
            reader.load(b"<p>x</p>", tmp_path / "a.html", "a")

    def test_plain_formats_need_no_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(subprocess, "Popen", None)
        with BoundedReader() as reader:
            assert reader.load(b"text", tmp_path / "a.txt", "a").text == "text"

    def test_no_process_is_left(self, tmp_path: Path) -> None:
        with BoundedReader() as reader:
            reader.load(b"<p>x</p>", tmp_path / "a.html", "a")
            process = reader._process
        assert process is not None
        assert process.poll() is not None


class TestArchives:
    def test_names_of_parts_lead_nowhere(self, tmp_path: Path) -> None:
        outside = {"../../evil.txt": "x", "/tmp/structrag-evil.txt": "x", "..\\evil.txt": "x", "word/../../x": "y"}
        found = load_bytes(word(paragraph("Words"), parts=dict(outside)), tmp_path / "in" / "a.docx", "a")
        assert found.text == "Words"
        assert list(tmp_path.iterdir()) == []
        assert not Path("/tmp/structrag-evil.txt").exists()

    def test_a_part_that_is_a_link_is_text_at_most(self, tmp_path: Path) -> None:
        link = zipfile.ZipInfo("word/media/link")
        link.external_attr = 0o120777 << 16
        data = io.BytesIO(word(paragraph("Words")))
        with zipfile.ZipFile(data, "a") as archive:
            archive.writestr(link, "/etc/passwd")
        assert load_bytes(data.getvalue(), tmp_path / "a.docx", "a").text == "Words"

    def test_a_bomb_is_refused_by_the_sizes_that_it_states(self, tmp_path: Path) -> None:
        whole = word(paragraph("x"))
        at = whole.rindex(b"word/document.xml") - 46 + 24
        bomb = whole[:at] + (600 << 20).to_bytes(4, "little") + whole[at + 4 :]
        with pytest.raises(DocumentError, match=r"unpacks to 600 MB"):
            load_bytes(bomb, tmp_path / "a.docx", "a")

    def test_a_bomb_that_lies_about_its_size_is_read_no_further(self, tmp_path: Path) -> None:
        whole = word(paragraph("x" * 100_000))
        # The directory says 10 bytes, and the part unpacks to a hundred thousand.
        at = whole.rindex(b"word/document.xml") - 46 + 24
        lying = whole[:at] + (10).to_bytes(4, "little") + whole[at + 4 :]
        with pytest.raises(DocumentError, match=r"a\.docx cannot be read"):
            load_bytes(lying, tmp_path / "a.docx", "a")


class TestPdf:
    @pytest.mark.parametrize(
        "objects",
        [
            (CATALOG, PAGES, PAGE, stream(TEXT + b"/X Do"), FONT, stream(b"/X Do /X Do", FORM)),
            (CATALOG, PAGES, PAGE, b"<</Length 4 0 R>>stream\nx\nendstream", FONT, stream(b"", FORM)),
            (CATALOG, b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>>", PAGE, stream(TEXT), FONT, stream(b"", FORM)),
            (b"<</Type/Catalog/Pages 1 0 R>>", PAGES),
        ],
        ids=["form in itself", "length of itself", "pages in themselves", "catalog of itself"],
    )
    def test_loops_end(self, tmp_path: Path, objects: tuple[bytes, ...]) -> None:
        started = time.process_time()
        try:
            assert load_bytes(pdf(*objects), tmp_path / "a.pdf", "a").text.strip()
        except DocumentError as error:
            assert "a.pdf" in error.message  # noqa: PT017
        assert time.process_time() - started < 20


class TestPlainFormats:
    """These are read in this process, so no text may take more than time in proportion to its length."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("dots", "." * 200_000),
            ("marks", "?!" * 30_000),
            ("short paragraphs", "Ab\n\n" * 8_000),
            ("spaces after a step", "Step 3" + " " * 100_000 + "x"),
            ("one word", "a" * 300_000),
            ("hashes", "#" * 300_000),
            ("quotes", "> " * 100_000 + "x"),
            ("stars", "*" * 300_000),
            ("blank lines", "\n" * 40_000 + "x"),
            ("tabs", "\t" * 200_000 + "x"),
            ("brackets", "[" * 300_000),
            ("fences", "```\n" * 10_000),
            ("pipes", "|" * 200_000 + "\n" + "|-" * 100_000),
            ("underlines", "a\n=====\n" * 4_000),
            ("deeper and deeper", "\n".join(" " * n + "- x" for n in range(600))),
            ("steps", "".join(f"{n}. go to step {n}\n" for n in range(4_000))),
            ("backslashes", "\\" * 200_000 + "|"),
        ],
        ids=lambda value: value if len(value) < 30 else "",
    )
    def test_reading_takes_time_in_proportion(self, name: str, text: str) -> None:
        started = time.process_time()
        document = load_bytes(text.encode(), Path("a.md"), "a")
        assert split(document)
        profile(document)
        split_sentences(document.text)
        for parse in (parse_headings, parse_tables, parse_steps, parse_list_items):
            parse(document.text)
        assert time.process_time() - started < 20, f"{name}: a second at most, and hours where a parser goes back"

    def test_short_rows_below_a_wide_header_do_not_fill_the_memory(self) -> None:
        text = "|a" * 900 + "|\n" + "|-" * 900 + "|\n" + "|x\n" * 5_000
        (table,) = tables_in(text)
        assert len(table.header) == 900
        assert 1_000 < len(table.rows) < 1_200
        assert table.end < len(text)

    def test_a_header_of_thousands_of_columns_is_no_table(self) -> None:
        assert tables_in("|a" * 2_000 + "|\n" + "|-" * 2_000 + "|\n|x|\n") == []

    @pytest.mark.parametrize("name", ["a.csv", "a.json"])
    def test_one_long_row_does_not_make_a_million_of_them(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(canonical, "MOST_CELLS", 10_000)
        rows = {
            "a.csv": (",".join("abcdefghij" * 100) + "\n" + "1\n" * 1_000),
            "a.json": json.dumps([{f"k{n}": 1} for n in range(200)]),
        }
        with pytest.raises(DocumentError, match="is too large"):
            load_bytes(rows[name].encode(), Path(name), "a")

    def test_indenting_does_not_multiply_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tabular, "_LONGEST_INDENTED", 10_000)
        deep = "[" * 200 + ",".join("1" * 500) + "]" * 200
        with pytest.raises(DocumentError, match=r"a\.json is JSON that is nested too deeply"):
            load_bytes(deep.encode(), Path("a.json"), "a")

    @pytest.mark.parametrize("depth", [400, 900, 985, 5_000])
    def test_nested_json_is_read_or_refused(self, depth: int) -> None:
        try:
            assert load_bytes(b"[" * depth + b"1" + b"]" * depth, Path("a.json"), "a").text
        except DocumentError as error:
            assert "a.json" in error.message  # noqa: PT017

    def test_a_text_that_grows_in_reading_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loaders, "LONGEST_TEXT", 100)
        with pytest.raises(DocumentError, match="holds 101 characters; at most 100"):
            load_bytes(b"a" * 101, Path("a.txt"), "a")

    def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "huge.txt"
        with path.open("wb") as file:
            file.truncate(2**30)
        monkeypatch.setattr(Path, "read_bytes", None)
        with pytest.raises(DocumentError, match=rf"has 1024 MB; at most {LARGEST_FILE // 2**20} MB"):
            load_file(path, "a")

    @pytest.mark.parametrize(
        "charset", ["utf-7", "rot13", "zlib_codec", "hex", "base64", "punycode", "idna", "unicode_escape", "undefined"]
    )
    def test_encodings_that_a_page_may_name_do_nothing(self, charset: str) -> None:
        page = f'<meta charset="{charset}"><p>Words \\x41 +ADw-script+AD4-</p>'.encode()
        try:
            assert "Words" in load_bytes(page, Path("a.html"), "a").text
        except DocumentError as error:
            assert "a.html" in error.message  # noqa: PT017


class TestFolders:
    def test_links_out_of_the_folder_are_not_followed(self, store: CorpusStore, folder: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.mkdir()
        (secret / "key.txt").write_text("the key", encoding="utf-8")
        (folder / "link.txt").symlink_to(secret / "key.txt")
        (folder / "linked").symlink_to(secret)
        (folder / "up").symlink_to(tmp_path)
        (folder / "self").symlink_to(folder)
        (folder / "loop.txt").symlink_to(folder / "loop.txt")
        (folder / "hidden").mkdir()
        (folder / "hidden" / "deep.txt").symlink_to(folder / "hidden" / ".." / ".." / "secret" / "key.txt")
        report = told(added(store, folder))
        assert store.ids() == ["good.md"]
        assert "the key" not in str(report)

    def test_what_is_no_file_is_not_waited_for(self, store: CorpusStore, folder: Path) -> None:
        os.mkfifo(folder / "pipe.txt")
        assert told(added(store, folder))["pipe.txt"].endswith("is no file, but a pipe or a device.")

    def test_names_are_only_names(self, store: CorpusStore, folder: Path) -> None:
        names = [
            "%2e%2e%2fetc.md",
            "a\nb.md",
            "[red]x.md",
            "\x1b[31mx.md",
            "'; DROP TABLE documents;--.md",
            "-.md",
        ]
        for name in names:
            (folder / name).write_text(f"Text of {name!r}.", encoding="utf-8")
        report = told(added(store, folder))
        assert store.ids() == sorted([*names, "good.md"])
        assert all(line.startswith("added") for line in report.values())


def test_the_reader_dies_with_the_one_who_asked() -> None:
    """Its input ends then."""
    process = subprocess.run(
        [sys.executable, "-m", "structrag.corpus.reader"], input=b"", capture_output=True, timeout=120, check=True
    )
    assert (process.stdout, process.stderr) == (b"", b"")


def test_documents_are_compared_whole() -> None:
    """The reader's reply carries every field: a new one would be lost on the way unnoticed."""
    assert set(SourceDocument.__dataclass_fields__) == {
        *("id", "title", "text", "sha256", "source", "locators", "warnings")
    }
