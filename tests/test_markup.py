"""What a text shows by its layout, and that every span is exact."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.markup import (
    parse_headings,
    parse_list_items,
    parse_steps,
    parse_tables,
    split_sentences,
)
from structrag.corpus.profile import profile
from structrag.types import SourceDocument

# Pieces of which hostile and ordinary documents alike are made.
_PIECES = st.sampled_from(
    [
        *("# Title", "## Step 2: go", "Title\n===", "Sub\n---", "```", "~~~", "---", "|", "| a | b |", "| --- | --- |"),
        *("|-|", "a | b", "x \\| y", "1. one", "2) two", "3.2 Open", "Step 4 (why): z", "- dot", "* star", "• •"),
        *(
            "",
            " ",
            "\n",
            "   indented",
            "\t",
            "Dr. K. Moor left. He",
            "e.g. 3.5 m!",
            "你好。再见。",
            "CAPITALS",
            "CAPITALS\nright above text",
            "\x0b\u2028",
        ),
    ]
)
documents = st.one_of(st.lists(_PIECES, max_size=14).map("\n".join), st.text(max_size=80))


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


class TestTables:
    def test_cells_have_text_and_exact_spans(self) -> None:
        text = "Intro.\n\n| Firm | Sales |\n|------|------:|\n| Alder | 412 |\n|Birk \\| Co| |\n\nAfter."
        (table,) = parse_tables(text)
        assert [cell.text for cell in table.header] == ["Firm", "Sales"]
        assert [[cell.text for cell in row] for row in table.rows] == [["Alder", "412"], ["Birk | Co", ""]]
        assert text[table.start : table.end].endswith("| |")
        assert [text[c.start : c.end] for c in table.rows[1]] == ["Birk \\| Co", ""]

    def test_outer_pipes_are_optional(self) -> None:
        (table,) = parse_tables("a | b\n--- | ---\n1 | 2\nprose ends it")
        assert [[cell.text for cell in row] for row in table.rows] == [["1", "2"]]

    def test_short_rows_are_padded_and_long_rows_cut(self) -> None:
        (table,) = parse_tables("| a | b |\n| - | - |\n| 1 |\n| 1 | 2 | 3 |")
        assert [[cell.text for cell in row] for row in table.rows] == [["1", ""], ["1", "2"]]

    def test_one_column_is_a_table(self) -> None:
        (table,) = parse_tables("| name |\n| --- |\n| Alder |")
        assert table.rows[0][0].text == "Alder"

    @pytest.mark.parametrize(
        "text",
        [
            "```\n| a | b |\n| - | - |\n```",
            "| a | b |\n| - |",
            "| a | b |\n| 1 | 2 |",
            "a\n---\nb",
            "| a | b |\n\n| - | - |",
        ],
        ids=["fenced", "fewer delimiters", "no delimiters", "setext heading", "blank line between"],
    )
    def test_what_is_no_table(self, text: str) -> None:
        assert parse_tables(text) == []

    @pytest.mark.parametrize(
        ("above", "caption"),
        [
            ("# Report\n\n## Sales by region", "Sales by region"),
            ("# Report\n\nTable 2: Staff.\n", "Table 2: Staff."),
            ("# Report\n\n**Staff at year end:**", "Staff at year end"),
            ("# Report\n\nThe staff grew again this year.", "Report"),
            ("# Report\n\n- a bullet", "Report"),
            ("", ""),
        ],
    )
    def test_caption(self, above: str, caption: str) -> None:
        (table,) = parse_tables(f"{above}\n| a | b |\n| - | - |\n| 1 | 2 |")
        assert table.caption == caption

    @given(documents)
    def test_spans_are_exact(self, text: str) -> None:
        for table in parse_tables(text):
            assert 0 <= table.start < table.end <= len(text)
            assert all(len(row) == len(table.header) for row in table.rows)
            for cell in [cell for row in (table.header, *table.rows) for cell in row]:
                assert table.start <= cell.start <= cell.end <= table.end
                assert text[cell.start : cell.end].replace("\\|", "|") == cell.text == cell.text.strip()

    @given(st.lists(st.lists(st.text("ab|\\ -é", max_size=6), min_size=2, max_size=2), min_size=1, max_size=4))
    def test_reads_what_the_loaders_write(self, rows: list[list[str]]) -> None:
        from structrag.corpus.canonical import markdown_table

        (table,) = parse_tables(markdown_table(rows))
        read = [[cell.text for cell in row] for row in (table.header, *table.rows)]
        assert read == [[cell.strip() for cell in row] for row in rows]


class TestHeadings:
    def test_atx_and_setext_with_sections(self) -> None:
        text = "Report\n======\nIntro\n\n## Sales ##\nup\n\n### Asia\nmore\n\n## Staff\nsame"
        found = parse_headings(text)
        assert [(h.level, h.title) for h in found] == [(1, "Report"), (2, "Sales"), (3, "Asia"), (2, "Staff")]
        sections = [text[h.end : h.section_end].strip() for h in found]
        assert sections[1:] == ["up\n\n### Asia\nmore", "more", "same"]
        assert sections[0].startswith("Intro")
        assert sections[0].endswith("same")

    @pytest.mark.parametrize(
        "text",
        [
            "```\n# comment\n```",
            "#hashtag",
            "one\ntwo\n---\nthree",
            "- item\n---\nx",
            "a | b\n---\nx",
            "#\n\nx\ny",
            "~~~\n# x",
        ],
        ids=["fenced", "hashtag", "rule under a paragraph", "rule under an item", "row", "no title", "unclosed fence"],
    )
    def test_what_is_no_heading(self, text: str) -> None:
        assert parse_headings(text) == []

    def test_plain_headings_where_there_are_no_markdown_ones(self) -> None:
        text = "SAFETY FIRST!\n\nPutting the lock on\n\nTell the leader. Stop it.\n\nToo long a line to be one, " + (
            "x" * 60 + "\n\nA sentence.\n\n1. Purpose\n\nWhy we do it.\n\nThe end"
        )
        found = parse_headings(text)
        assert [(h.level, h.title) for h in found] == [
            (1, "SAFETY FIRST!"),
            (2, "Putting the lock on"),
            (2, "1. Purpose"),
        ]
        assert not any(h.is_markdown for h in found)
        assert parse_headings("# Marked\n\nPutting the lock on\n\nTell.")[0].title == "Marked"
        assert len(parse_headings("# Marked\n\nPutting the lock on\n\nTell.")) == 1

    def test_a_line_in_capitals_right_above_text_is_a_heading(self) -> None:
        text = "PUMP HOUSE\nWho works here.\n\nSAFETY FIRST!\nTell the leader.\nStop it.\n\nLocks\n\nOne each.\n"
        found = parse_headings(text)
        assert [(h.level, h.title) for h in found] == [(1, "PUMP HOUSE"), (1, "SAFETY FIRST!"), (2, "Locks")]
        sections = [text[h.end : h.section_end].strip() for h in found]
        assert sections == ["Who works here.", "Tell the leader.\nStop it.\n\nLocks\n\nOne each.", "One each."]
        assert sentences(text)[:2] == ["PUMP HOUSE", "Who works here."]

    @pytest.mark.parametrize(
        "text",
        [
            "Pump house\nWho works here.",
            "It stands by\nPUMP HOUSE\nat the weir.",
            "PUMP HOUSE\nWEIR ROAD\n\n",
            "PUMP HOUSE\n12 – 14",
            "PUMP HOUSE",
            "1998\nwas good.",
            "P" * 61 + "\nWho works here.",
            "- PUMP HOUSE\n- at the weir",
            "1. PUMP HOUSE\n2. At the weir",
            "> PUMP HOUSE\nat the weir.",
            "PUMP | HOUSE\nat the weir.",
            "```\nPUMP HOUSE\nat the weir.\n```",
            "# Marked\n\nPUMP HOUSE\nat the weir.",
        ],
        ids=[
            *("mixed case", "no blank line above", "capitals below", "no letters below", "nothing below"),
            *("no letters", "long", "bullet", "numbered item", "quote", "row", "fenced", "among marked ones"),
        ],
    )
    def test_what_is_no_heading_right_above_text(self, text: str) -> None:
        assert [heading.title for heading in parse_headings(text)] in ([], ["Marked"])

    def test_spaced_list_is_no_row_of_headings(self) -> None:
        assert parse_headings("1. Turn it off\n\n2. Unplug it\n\n3. Wait\n\n- a bullet\n\nEnd.") == []

    @given(documents)
    def test_spans_are_exact(self, text: str) -> None:
        found = parse_headings(text)
        for heading in found:
            assert 0 <= heading.start < heading.end <= heading.section_end <= len(text)
            assert heading.title
            assert heading.title in text[heading.start : heading.end]
            assert 1 <= heading.level <= 6
        assert all(a.end <= b.start for a, b in pairwise(found))


class TestSteps:
    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            ("1. Stop it.\n2. Lock it.", [("1", "Stop it."), ("2", "Lock it.")]),
            ("1) Stop\n2) Lock", [("1", "Stop"), ("2", "Lock")]),
            ("Step 3: Lock it.", [("3", "Lock it.")]),
            ("step 12. Lock it.", [("12", "Lock it.")]),
            ("Step 3 (final advice): Call.", [("3", "(final advice): Call.")]),
            ("**Step 3:** Lock it.", [("3", "Lock it.")]),
            ("**4.** Lock it.", [("4", "Lock it.")]),
            ("**1. Lock** it.", [("1", "Lock it.")]),
            ("3.2 Open the valve\n3.3 Close it", [("3.2", "Open the valve"), ("3.3", "Close it")]),
            ("1. Press\n   START\n\n   and wait\n2. Go", [("1", "Press START and wait"), ("2", "Go")]),
            ("1. wrapped\nwithout indent\n\nOutside", [("1", "wrapped without indent")]),
            ("1. Read it\n- yes: go on\n- no: stop\n2. Go", [("1", "Read it - yes: go on - no: stop"), ("2", "Go")]),
            ("Then do:\n4. Go", [("4", "Go")]),
            ("## Step 2: Reset\n\nHold it.\n\nLet go.\n\n## Other\nx", [("2", "Reset Hold it. Let go.")]),
            ("1. Go\n# Next\nx", [("1", "Go")]),
            ("1. Outer\n   1. Inner\n2. Last", [("1", "Outer"), ("1", "Inner"), ("2", "Last")]),
        ],
    )
    def test_finds(self, text: str, steps: list[tuple[str, str]]) -> None:
        assert [(step.number, step.text) for step in parse_steps(text)] == steps

    @pytest.mark.parametrize(
        "text",
        [
            "It costs\n14. That is all.",
            "3.5 million people came.",
            "1.5 litres",
            "Step 5 is the hard one.",
            "1998. A good year.",
            "```\n1. code\n```",
            "- 1. a bullet",
        ],
    )
    def test_what_is_no_step(self, text: str) -> None:
        assert parse_steps(text) == []

    def test_span_covers_number_and_continuation(self) -> None:
        text = "Do this:\n\n  1. Press START\n     twice.  \n\nDone."
        (step,) = parse_steps(text)
        assert text[step.start : step.end] == "1. Press START\n     twice."

    def test_long_list_of_a_troubleshooting_guide(self) -> None:
        text = "Guide\n" + "\n".join(f"Step {n}: Is it {n}? If no, go to step {n + 1}." for n in range(1, 24))
        assert [step.number for step in parse_steps(text)] == [str(n) for n in range(1, 24)]

    @given(documents)
    def test_spans_are_exact(self, text: str) -> None:
        steps = parse_steps(text)
        for step in steps:
            assert 0 <= step.start < step.end <= len(text)
            assert step.number in text[step.start : step.end]
            assert text[step.start : step.end] == text[step.start : step.end].strip()
            assert set(step.text.split()) <= set(text[step.start : step.end].replace("**", "").split()) | set(
                text[step.start : step.end].split()
            )
        assert all(a.end <= b.start for a, b in pairwise(steps))


class TestListItems:
    def test_all_marks_with_continuation(self) -> None:
        text = "- one\n* two\n  more\n+ three\n• four\n\nOutside\n\n* * *\n---\n*not* one"
        items = parse_list_items(text)
        assert [item.text for item in items] == ["one", "two more", "three", "four"]
        assert [text[item.start : item.end] for item in items][1] == "* two\n  more"

    def test_numbered_item_and_heading_end_a_bullet(self) -> None:
        assert [item.text for item in parse_list_items("- a\n1. b\n- c\n# d\ne")] == ["a", "c"]

    @given(documents)
    def test_spans_are_exact(self, text: str) -> None:
        items = parse_list_items(text)
        for item in items:
            assert text[item.start] in "-*+•"
            assert item.text == " ".join(text[item.start + 1 : item.end].split())
        assert all(a.end <= b.start for a, b in pairwise(items))


class TestSentences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("It rose to 3.5 percent. Then it fell.", ["It rose to 3.5 percent.", "Then it fell."]),
            ("Ask K. Moor. She knows.", ["Ask K. Moor.", "She knows."]),
            ("Dr. Venn agrees. So does Prof. Holm.", ["Dr. Venn agrees.", "So does Prof. Holm."]),
            ("Use tools, e.g. Spanners. Go!", ["Use tools, e.g. Spanners.", "Go!"]),
            ("See No. 4 here. No. That is wrong.", ["See No. 4 here.", "No.", "That is wrong."]),
            ("It takes approx. Two hours. Wait.", ["It takes approx. Two hours.", "Wait."]),
            ('"Really?" he asked. "Yes." They left.', ['"Really?" he asked.', '"Yes."', "They left."]),
            ("A wrapped\nsentence. Another\none", ["A wrapped\nsentence.", "Another\none"]),
            ("你好。再见。", ["你好。", "再见。"]),
            ("# Title\nText one. Two.", ["# Title", "Text one.", "Two."]),
            ("1. Stop. Look.\n2. Go.\n- bullet\n  more", ["1. Stop. Look.", "2. Go.", "- bullet\n  more"]),
            ("| a. B | c |\n| - | - |\nx. Y | z", ["| a. B | c |", "| - | - |", "x. Y | z"]),
            ("```\na. B\n\nc\n```", ["```", "a. B", "c", "```"]),
            ("", []),
        ],
    )
    def test_splits(self, text: str, expected: list[str]) -> None:
        assert sentences(text) == expected

    def test_window(self) -> None:
        text = "One here. Two here. Three here."
        spans = split_sentences(text, 4, 19)
        assert [text[start:end] for start, end in spans] == ["here.", "Two here."]

    @given(documents, st.integers(0, 60), st.integers(0, 60))
    def test_cover_the_window_without_overlap(self, text: str, start: int, length: int) -> None:
        start = min(start, len(text))
        end = min(start + length, len(text))
        spans = split_sentences(text, start, end)
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
        assert all(start <= s < e <= end and text[s:e] == text[s:e].strip() for s, e in spans)
        covered = {i for s, e in spans for i in range(s, e)}
        assert covered >= {i for i in range(start, end) if not text[i].isspace()}


class TestProfile:
    def test_shares_are_of_lines(self) -> None:
        text = "# Title\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n1. Go\n2. Stop\n\nProse here.\nMore."
        found = profile(SourceDocument("d", "Title", text, ""))
        assert (found.title, found.words) == ("Title", len(text.split()))
        assert found.heading_share == pytest.approx(1 / 8)
        assert found.table_share == pytest.approx(3 / 8)
        assert found.step_share == pytest.approx(2 / 8)

    @given(documents)
    def test_shares_are_between_0_and_1(self, text: str) -> None:
        found = profile(SourceDocument("d", "t", text, ""))
        assert all(0 <= share <= 1 for share in (found.table_share, found.heading_share, found.step_share))
