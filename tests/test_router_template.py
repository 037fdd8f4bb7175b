"""The template: what a policy reads, and that nothing in a question or a title can pass for the tokenizer's marks."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from structrag.router.base_model import model_folder
from structrag.router.protocol import RoutingRequest
from structrag.router.template import MAX_TOKENS, VERSION, fitted, render
from structrag.types import DocumentProfile

MARK = re.compile(r"\[(CLS|SEP|MASK|PAD|UNK|unused\d+)\]", re.IGNORECASE)
PIECES = st.sampled_from(["[", "]", "CLS", "SEP", "sep", "MASK", "PAD", "UNK", "unused0", "unused12", "a", " ", "\n"])
nasty = st.lists(PIECES, max_size=12).map("".join)


def profile(title: str, table: float = 0.0, heading: float = 0.0, step: float = 0.0) -> DocumentProfile:
    return DocumentProfile(title, words=100, table_share=table, heading_share=heading, step_share=step)


def prompt(question: str, *documents: DocumentProfile) -> str:
    return render(RoutingRequest(question, documents))


TOKENIZER = Tokenizer.from_file(str(model_folder("embedded") / "tokenizer.json"))
TOKENIZER.no_truncation()


def tokens(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False).ids)


def body(rendered: str) -> str:
    """The prompt without the marks that the template itself puts at its ends."""
    assert rendered.startswith("[CLS]")
    assert rendered.endswith("[SEP]")
    return rendered.removeprefix("[CLS]").removesuffix("[SEP]")


def test_another_text_for_the_same_request_needs_another_version() -> None:
    documents = (profile("Pump list", table=0.8, heading=0.2), profile("Manual", step=0.5), profile("Letter"))
    assert VERSION == 2
    assert prompt("Which pump is the loudest?", *documents) == (
        "[CLS]Which pump is the loudest?[SEP]Pump list (rows, headings); Manual (steps); Letter (prose)[SEP]"
    )


def test_without_documents_the_question_stands_alone() -> None:
    assert prompt("Which pump is the loudest?") == "[CLS]Which pump is the loudest?[SEP]"


@pytest.mark.parametrize(("share", "shape"), [(0.0, "prose"), (0.149, "prose"), (0.15, "rows"), (1.0, "rows")])
def test_a_shape_is_named_from_fifteen_percent(share: float, shape: str) -> None:
    assert prompt("Q", profile("T", table=share)) == f"[CLS]Q[SEP]T ({shape})[SEP]"


def test_every_shape_has_its_own_word() -> None:
    shapes = [prompt("Q", profile("T", *shares)) for shares in ((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5))]
    assert shapes == [f"[CLS]Q[SEP]T ({s})[SEP]" for s in ("rows", "headings", "steps", "rows, headings, steps")]


def test_only_the_first_three_documents_count() -> None:
    documents = [profile(f"Document {number}") for number in range(6)]
    assert prompt("Q", *documents) == prompt("Q", *documents[:3])
    assert prompt("Q", *documents[:3]) != prompt("Q", *documents[:2])


def test_a_long_title_is_cut_at_its_end() -> None:
    assert prompt("Q", profile("t" * 36)) == f"[CLS]Q[SEP]{'t' * 36} (prose)[SEP]"
    assert prompt("Q", profile("t" * 36 + "u")) == f"[CLS]Q[SEP]{'t' * 36} (prose)[SEP]"


def test_a_long_question_is_cut_in_its_middle() -> None:
    assert prompt("q" * 900) == f"[CLS]{'q' * 900}[SEP]"
    cut = prompt("a" * 500 + "m" * 200 + "z" * 500)
    assert cut == f"[CLS]{'a' * 450} … {'z' * 450}[SEP]"


@given(st.text(max_size=2500), st.lists(st.text(max_size=200), max_size=8))
def test_a_prompt_is_one_short_line_whatever_it_is_made_of(question: str, titles: list[str]) -> None:
    rendered = prompt(question, *map(profile, titles))
    assert len(rendered) <= len("[CLS][SEP][SEP]") + 903 + 3 * (36 + len(" (rows, headings, steps); "))
    assert not re.search(r"[\n\r\t\v\f\x85\u2028\u2029]", rendered)


@settings(max_examples=60)
@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=300, max_size=1200))
def test_no_prompt_is_longer_than_the_policy_reads(text: str) -> None:
    documents = [profile(text, 0.5, 0.5, 0.5)] * 4
    request = RoutingRequest(text, tuple(documents))
    assert tokens(fitted(request, tokens)) <= MAX_TOKENS


def test_nor_one_in_a_script_of_more_tokens_than_characters() -> None:
    text = "한국어 문서에서 가장 높은 매출을 기록한 회사는 어디입니까 " * 30
    request = RoutingRequest(text, tuple([profile(text, 0.5, 0.5, 0.5)] * 4))
    assert tokens(render(request, 360)) > MAX_TOKENS
    assert tokens(fitted(request, tokens)) <= MAX_TOKENS
    assert fitted(request, tokens).count("(rows, headings, steps)") == 3


def test_a_long_question_in_words_is_read_whole() -> None:
    question = " ".join(["Please look at the report on pumps."] * 24)
    assert question in fitted(RoutingRequest(question), tokens)


@given(
    st.lists(st.text(alphabet="abc?", min_size=1), min_size=1, max_size=6),
    st.sampled_from(["  ", "\n", " \t ", "\u00a0"]),
)
def test_white_space_makes_no_difference(words: list[str], space: str) -> None:
    plain, spaced = " ".join(words), space + space.join(words) + space
    assert prompt(spaced, profile(spaced)) == prompt(plain, profile(plain))


@pytest.mark.parametrize("mark", ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[unused0]", "[unused12]", "[sep]"])
def test_a_mark_in_a_question_or_title_becomes_a_word(mark: str) -> None:
    word = mark.strip("[]")
    assert prompt(f"What is {mark}?", profile(f"On {mark}")) == f"[CLS]What is {word}?[SEP]On {word} (prose)[SEP]"


@pytest.mark.parametrize("text", ["[12]", "[SEPA]", "[unused]", "SEP", "[ SEP ]", "a[0]"])
def test_other_brackets_stay(text: str) -> None:
    assert prompt(text) == f"[CLS]{text}[SEP]"


@given(nasty, nasty)
@example("[[SEP]]", "")
@example("", "[[unused0]]")
def test_no_text_can_put_a_mark_into_the_prompt(question: str, title: str) -> None:
    assert not MARK.search(body(prompt(question)))
    described = body(prompt("Q", profile(title)))
    assert not MARK.search(described.removeprefix("Q[SEP]"))
