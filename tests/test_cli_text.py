"""What leaves the command line is harmless to a terminal and keeps what can be read."""

import contextlib
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.cli.text import clean, columns, first_lines, one_line, write_json

ANY_TEXT = st.text(alphabet=st.characters(codec=None))


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;ZXZpbA==\x1b\\text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPqsixel\x1b\\text", "text"),
        ("over\rwritten", "overwritten"),
        ("back\x08space\x7f", "backspace"),
        ("bell\x07", "bell"),
        ("nul\x00", "nul"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("lone \ud800", "lone \ufffd"),
    ],
)
def test_takes_out_what_a_terminal_would_obey(hostile: str, left: str) -> None:
    assert clean(hostile) == left


def test_an_open_sequence_does_not_swallow_the_text_after_it() -> None:
    assert clean("\x1b]0;never closed\nThe answer is 4.") == "]0;never closed\nThe answer is 4."


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "a\tb\nc", "Tröls — 12 °C, € 4", "שלום", "[31m"])
def test_keeps_text(text: str) -> None:
    assert clean(text) == text


@given(ANY_TEXT)
def test_no_control_character_is_ever_left(text: str) -> None:
    left = {c for c in clean(text) if unicodedata.category(c) in ("Cc", "Cs")}
    assert left <= {"\n", "\t"}


@given(ANY_TEXT)
def test_text_without_control_characters_is_left_alone(text: str) -> None:
    plain = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    assert clean(plain) == plain


@given(ANY_TEXT, st.integers(min_value=1, max_value=40))
def test_one_line_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line) <= width
    assert "\n" not in line


def test_one_line_says_that_it_was_cut() -> None:
    assert one_line("a long  sentence\nhere", 8) == "a long…"


def test_first_lines_says_how_many_are_missing() -> None:
    assert first_lines("a\nb\nc\nd", 2) == "a\nb\n… 2 more lines"
    assert first_lines("a\nb\nc", 2) == "a\nb\n… 1 more line"
    assert first_lines("a\nb\n", 2) == "a\nb"


def test_columns_are_aligned_and_have_no_trailing_spaces() -> None:
    assert columns([("a", "long title", ""), ("bbb", "x\x1b[2J", "9")]) == ["a    long title", "bbb  x           9"]
    assert columns([]) == []


@given(ANY_TEXT)
def test_json_is_one_ascii_line_that_reads_back(text: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        write_json({"text": text})
    line = out.getvalue()
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {"text": text}
