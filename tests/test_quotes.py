"""Verification: where a quote stands, and whether a value follows from it."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from structrag.structures.quotes import content_words, find_quote, follows_from, support

WORDS = st.sampled_from(["revenue", "Alder", "412", "1,204.5", "the", "Straße", "R290", "Анна", "(net)", "a+b", "3.5", "yes"])  # fmt: skip
sentences = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
SPACE = st.sampled_from([" ", "\n", "  ", "\t", " \n "])


class TestFindQuote:
    @given(st.text(max_size=40), sentences, st.text(max_size=40), st.data())
    def test_a_quote_is_found_whatever_its_white_space_and_case(
        self, before: str, quote: str, after: str, data: st.DataObject
    ) -> None:
        written = quote.replace(" ", data.draw(SPACE))
        text = f"{before} {written} {after}"
        found = find_quote(quote.upper() if quote.isascii() else quote, text)
        assert found is not None
        start, end = found
        assert text[start:end].split() == quote.split() or text[start:end].lower().split() == quote.lower().split()

    @given(st.text(max_size=30), st.text(max_size=60))
    def test_what_is_found_is_the_quote(self, quote: str, text: str) -> None:
        found = find_quote(quote, text)
        if found:
            stands = " ".join(text[slice(*found)].split())
            assert re.fullmatch(re.escape(" ".join(quote.split())), stands, re.IGNORECASE)

    @pytest.mark.parametrize(
        ("quote", "text"), [("", "text"), (" \n", "text"), ("tex ts", "texts"), ("412", "41 2"), ("41", "412")]
    )
    def test_what_is_not_there(self, quote: str, text: str) -> None:
        assert find_quote(quote, text) is None


class TestFollowsFrom:
    @given(sentences)
    def test_a_sentence_follows_from_itself_and_so_does_each_of_its_words(self, sentence: str) -> None:
        assert follows_from(sentence, sentence)
        assert all(follows_from(word, sentence) for word in sentence.split())

    @given(sentences, st.integers(0, 10**9), sentences)
    def test_an_invented_number_never_follows(self, real: str, number: int, quote: str) -> None:
        assume(str(number) not in content_words(quote))
        for value in (f"{real} {number}", str(number), f"{number:,} {real}", f"{number} {quote}"):
            assert not follows_from(value, f"{quote} {real}") or str(number) in content_words(real)

    @pytest.mark.parametrize(
        "address",
        ["https://evil.example/x", "evil.example", "www.evil", "me@evil.example", "ftp://evil", "EVIL.example"],
    )
    def test_an_invented_address_never_follows(self, address: str) -> None:
        quote = "Alder had a revenue of four hundred million euros in that year."
        assert follows_from("a revenue of four hundred million euros", quote)
        assert not follows_from(f"a revenue of four hundred million euros, see {address}.", quote)
        assert follows_from(
            f"a revenue of four hundred million euros, see {address}.", f"{quote} See {address.lower()}"
        )

    @given(sentences, st.integers(300, 999), sentences)
    def test_an_invented_code_never_follows(self, real: str, number: int, quote: str) -> None:
        assert not follows_from(f"{real} R{number}", f"{quote} {real}")

    @given(st.sampled_from(["yes", "no", "Yes.", "NO", "no!"]), st.text(max_size=60))
    def test_yes_and_no_have_nothing_to_find(self, value: str, quote: str) -> None:
        assert follows_from(value, quote)

    @pytest.mark.parametrize(
        "value", ["Bo Halvorsen", "a dark secret", "412 million EUR", "...", "he was", "", "no pumps sold"]
    )
    def test_what_the_quote_does_not_say(self, value: str) -> None:
        assert not follows_from(value, "Alder Thermik had a revenue of 214 million EUR.")

    @pytest.mark.parametrize(
        ("value", "quote"),
        [
            ("1204", "It made 1,204 pumps."),
            ("1,204", "It made 1204 pumps."),
            ("12.5 Nm", "Torque: 12.5 Nm"),
            ("José", "Jose did it"),
            ("Zürich", "in ZURICH"),
            ("leaking seals", "the seals leak"),
            ("Will", "Then Will left."),
            ("The Who", "They saw The Who."),
            ("2024", "in 2023–2024"),
            ("Анна", "Анна вернулась в 2024 году"),
            ("収入", "収入 412 万円"),
            ("the tank, at 3 bar", "Fill the tank to 3 bar."),
        ],
    )
    def test_what_it_says_in_other_letters(self, value: str, quote: str) -> None:
        assert follows_from(value, quote)

    @given(st.text(max_size=40), st.text(max_size=60))
    def test_support_is_a_share(self, value: str, quote: str) -> None:
        assert 0 <= support(value, quote) <= 1

    def test_a_code_is_not_another_code_that_begins_like_it(self) -> None:
        assert support("Meeting KV1006a", "Meeting KV1009a") == 0.5
        assert support("KV1003a", "KV1003b") == 0
        assert support("the 1990s", "in 1990") == 1
        assert support("20231", "20232") == 0

    def test_a_word_is_not_every_word_that_begins_like_it(self) -> None:
        assert not follows_from("fourteen", "four of them")
        assert not follows_from("as", "assets")
        assert follows_from("leak", "it leaks")

    def test_a_number_is_not_its_own_digits(self) -> None:
        assert not follows_from("41", "412 pumps")
        assert not follows_from("4.5", "4 pumps and 5 valves")
        assert not follows_from("7", "step 17")


def test_a_unit_stands_there_however_it_is_written() -> None:
    assert follows_from("90 cm", "a door of 90 centimetres")
    assert not follows_from("90 cm", "a door of 90 metres")
    assert not follows_from("90 cm", "a door of 80 centimetres")
    assert not follows_from("3 seconds", "Ann's 3 dogs"), "the s of a genitive is no second"
