"""Where a question speaks of a link, and what is left of it once the link is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.utilizer.phrases import find_phrase


@pytest.mark.parametrize(
    ("relation", "subject", "question", "phrase"),
    [
        ("firm that built", "Sorrel bridge", "Who runs the firm that built the Sorrel bridge?", "the firm that built the Sorrel bridge"),
        ("club of", "Mara Linde", "How many left Mara Linde's club?", "Mara Linde's club"),
        ("town of", "Orrin mill", "When did the town in which the Orrin mill stands burn?", "the town in which the Orrin mill stands"),
        ("lady reported to by", "Jonas Feld", "list all who know the lady that Jonas Feld reports to", "the lady that Jonas Feld reports to"),
        ("team using", "Quill's Park", "What league does the team that uses Quill's Park play in?", "the team that uses Quill's Park"),
        ("father of", "Ann Lee", "Who is the father of Ann Lee's father?", "Ann Lee's father"),
        ("lab led by", "Bo Lee", "Which town has the lab that was led by Bo Lee?", "the lab that was led by Bo Lee"),
        ("supervisor of", "Ann Lee's thesis", "What does the man who supervised Ann Lee's thesis do?", "the man who supervised Ann Lee's thesis"),
        ("supplier of", "Corvina", "Which of Corvina's suppliers does Sund own?", "Corvina's suppliers"),
        ("actor of", "moll's brother in Tess and Moll", "Who married the actor of Moll's brother in Tess and Moll?", "the actor of Moll's brother in Tess and Moll"),
    ],
)  # fmt: skip
def test_a_link_is_found_in_the_words_of_the_question(relation: str, subject: str, question: str, phrase: str) -> None:
    found = find_phrase(relation, subject, question)
    assert found is not None
    assert question[slice(*found)] == phrase


@pytest.mark.parametrize(
    ("relation", "subject", "question"),
    [
        pytest.param("boss of", "Ann Lee", "Who is the aunt of Ann Lee?", id="not said"),
        pytest.param("aunt of", "Bo Lee", "Who is the aunt of Ann Lee?", id="another thing"),
        pytest.param("star in", "Snow Line", "In Snow Line, who did the star play?", id="over the word that asks"),
        pytest.param("owner of", "bakery", "The mill supplies a bakery. Who is its owner?", id="in two sentences"),
        pytest.param("people who work for", "Ann Lee", "list everybody who works for Ann Lee", id="no noun"),
        pytest.param("machine fed by", "Tank 10", "Tank 10 feeds a machine. Who minds it?", id="a clause"),
        pytest.param(
            "panel of", "Rafi's boss", "Rafi's boss sits on some panel. Who chairs it?", id="a clause on its own"
        ),
        pytest.param(
            "payer of", "stakes", "The stakes were paid for by a fund. Who leads it?", id="a clause in the passive"
        ),
        pytest.param("", "Ann Lee", "Ann Lee?", id="nothing else is asked"),
        pytest.param("aunt of", "", "Who is the aunt?", id="no thing"),
    ],
)
def test_what_stands_in_no_one_place_is_not_found(relation: str, subject: str, question: str) -> None:
    assert find_phrase(relation, subject, question) is None


@given(*[st.text("Aab ’'s,.?the who", max_size=40)] * 3)
def test_what_is_found_lies_in_the_question_and_leaves_something(relation: str, subject: str, question: str) -> None:
    found = find_phrase(relation, subject, question)
    if found is not None:
        start, end = found
        assert 0 <= start < end <= len(question)
        assert (question[:start] + question[end:]).strip()
