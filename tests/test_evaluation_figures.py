"""Figures from lines whose figures are known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.evaluation.data import KnownQuestion
from structrag.evaluation.figures import figures, interval, outcomes
from structrag.evaluation.labelling import outcome_pairs
from structrag.evaluation.lines import Line
from structrag.evaluation.report import render
from structrag.router import RoutingRequest
from structrag.types import StructureType

STRUCTURES = [str(structure) for structure in StructureType]


def line(id_: str, way: str, correct: bool, tokens: int = 100, **more: Any) -> Line:
    usage = {"calls": 2, "cached": 0, "prompt_tokens": tokens - 10, "completion_tokens": 10}
    given: dict[str, Any] = {"labels": ["table"], "structure": way, "grounded": True, "usage": usage, "seconds": 1.5}
    return Line(id_, "digest", way, correct=correct, **given | more)


def route(structure: str, confidence: float) -> dict[str, Any]:
    return {"structure": structure, "confidence": confidence, "unsure": confidence < 0.5, "router": "policy:x"}


def four() -> tuple[list[Line], dict[str, list[str]]]:
    """q1: only the table is right. q2: table and chunk are right, chunk is cheaper. q3: chunk alone. q4: none."""
    right = {"q1": ["table"], "q2": ["table", "chunk"], "q3": ["chunk"], "q4": []}
    costs = {"table": 300, "graph": 200, "algorithm": 250, "catalogue": 400, "chunk": 100}
    lines = [line(id_, s, s in good, costs[s]) for id_, good in right.items() for s in STRUCTURES]
    chosen = {"q1": ("table", 0.9), "q2": ("table", 0.8), "q3": ("table", 0.4), "q4": ("graph", 0.6)}
    lines += [
        line(id_, "router", s in right[id_], costs[s], structure=s, route=route(s, sure))
        for id_, (s, sure) in chosen.items()
    ]
    return lines, {way: list(right) for way in [*STRUCTURES, "router"]}


def test_the_oracle_is_right_and_cheapest_and_chance_is_the_mean() -> None:
    ways = outcomes(*four())
    assert {id_: o.line.structure for id_, o in ways["oracle"].items() if o.line} == {
        "q1": "table", "q2": "chunk", "q3": "chunk", "q4": "chunk",
    }  # fmt: skip
    assert [o.correct for o in ways["random"].values()] == [0.2, 0.4, 0.2, 0]
    assert ways["random"]["q1"].tokens == 250


def test_chance_goes_on_to_passages_like_the_pipeline() -> None:
    lines = [line("q1", s, s == "chunk", 100, grounded=s in ("chunk", "graph")) for s in STRUCTURES]
    ways = outcomes(lines, {s: ["q1"] for s in STRUCTURES})
    # Table, algorithm and catalogue find nothing and fall back; the graph is wrong.
    assert ways["random"]["q1"].correct == pytest.approx(0.8)
    assert ways["random"]["q1"].tokens == pytest.approx((3 * 200 + 2 * 100) / 5)


def test_worth_regret_and_differences() -> None:
    told = figures(*four())
    assert told["questions"] == 4
    assert {way: each["accuracy"]["all"]["right"] for way, each in told["ways"].items()} == {
        "table": 2, "graph": 0, "algorithm": 0, "catalogue": 0, "chunk": 2, "router": 2, "oracle": 3, "random": 0.8,
    }  # fmt: skip
    worth = told["worth"]
    assert (worth["n"], worth["gain"]["value"], worth["regret"]["value"], worth["recovered"]["value"]) == (
        4,
        0.25,
        0.25,
        0,
    )
    assert worth["recovered"]["low"] is None, "in a third of the drawn samples the oracle gains nothing"
    assert worth["tokens"] == {"router": 275, "oracle": 150, "chunk": 100}
    assert told["differences"]["router - chunk"]["value"] == 0
    assert told["differences"]["router - chunk"]["low"] < 0 < told["differences"]["router - chunk"]["high"]
    assert told["ways"]["chunk"]["accuracy"]["all"] == {"n": 4, "right": 2, "value": 0.5, "low": 0.15, "high": 0.85}
    routing = told["routing"]
    assert (routing["value"], routing["unsure"], routing["confusion"]["table"]["graph"]) == (0.75, 0.25, 1)
    assert [b["confidence"] for b in routing["reliability"]] == [0.4, 0.6, 0.8, 0.9]


def test_the_share_recovered_has_an_interval_where_the_gain_is_clear() -> None:
    lines = []
    for n in range(60):
        lines += [line(f"q{n}", s, s == "table" and n < 40) for s in STRUCTURES]
        lines.append(line(f"q{n}", "router", n < 30, route=route("table", 0.9)))
    worth = figures(lines, {way: [f"q{n}" for n in range(60)] for way in [*STRUCTURES, "router"]})["worth"]
    assert worth["recovered"]["value"] == 0.75
    assert 0.55 < worth["recovered"]["low"] < 0.75 < worth["recovered"]["high"] < 0.95


def test_a_way_counts_on_the_questions_it_was_asked_for() -> None:
    lines, asked = four()
    ways = outcomes(lines, {**asked, "table": ["q1"], "graph": []})
    assert list(ways["table"]) == ["q1"]
    assert "graph" not in ways
    assert "oracle" not in ways


def test_replies_from_the_cache_do_not_make_an_answer_cheap() -> None:
    cached = {"calls": 0, "cached": 2, "prompt_tokens": 0, "completion_tokens": 0}
    cost = figures([line("q1", "chunk", True), line("q2", "chunk", True, usage=cached)], {"chunk": ["q1", "q2"]})
    assert cost["ways"]["chunk"]["cost"] == {"n": 1, "tokens": 100, "calls": 2, "seconds": 1.5}


def test_citations_of_answers_that_are_not_grounded_do_not_count() -> None:
    citation = {"document": "d", "start": 0, "end": 1, "quote": "x", "stands": True, "names": False, "wanted": None}
    cited = [citation, {**citation, "names": True}, {**citation, "names": True, "stands": False}]
    lines = [line("q1", "chunk", True, citations=cited), line("q2", "chunk", False, citations=cited, grounded=False)]
    told = figures(lines, {"chunk": ["q1", "q2"]})["ways"]["chunk"]
    assert told["citations"] == {"n": 3, "stand": 0.6667, "precision": 0.3333, "in_wanted_document": None}
    assert (told["grounded"], told["right_of_grounded"], told["errors"]) == (0.5, 1, 0)


def test_an_interval_of_what_is_often_not_defined_is_none() -> None:
    random = np.random.default_rng(0)
    assert interval(lambda drawn: np.full(len(drawn), np.nan), 5, random) is None
    assert interval(lambda drawn: np.ones(len(drawn)), 5, random) == (1, 1)


def test_the_report_shows_every_figure() -> None:
    lines, asked = four()
    report = render(figures(lines, asked), {"models.chat": "embedded", "models.base_url": ""})
    assert report.startswith("# Evaluation\n\n4 questions. `models.chat` = embedded.\n")
    assert "| chunk | 2/4 = 50% (15% to 85%) | 2/4 = 50% (15% to 85%) |" in report
    assert "| share of the gain that the router recovers | 0% (interval not defined) |" in report
    assert "| table | 3 | 1 | 0 | 0 | 0 |" in report
    assert "nan" not in report.lower()
    assert "None" not in report


flags = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=6)


@given(flags)
def test_the_oracle_is_never_worse_than_a_structure_or_than_chance(rows: list[list[bool]]) -> None:
    lines, ids = [], [f"q{n}" for n in range(len(rows))]
    for id_, (*five, _) in zip(ids, rows, strict=True):
        lines += [line(id_, s, correct) for s, correct in zip(STRUCTURES, five, strict=True)]
    ways = outcomes(lines, dict.fromkeys(STRUCTURES, ids))
    for id_ in ids:
        assert all(ways["oracle"][id_].correct >= ways[way][id_].correct for way in [*STRUCTURES, "random"])


def test_pairs_need_a_line_of_each_structure_for_the_same_question() -> None:
    lines, _ = four()
    question = KnownQuestion("q2", "How many?", ["3"], "short")
    lines = [line(each.id, each.way, each.correct, each.tokens) for each in lines]

    def pairs(asked: str, kept: list[Line]) -> list[tuple[str, str]]:
        kept = [Line(each.id, asked, each.way, correct=each.correct, usage=each.usage) for each in kept]
        made = outcome_pairs([question], kept, lambda q: RoutingRequest(q.question))
        return [(str(pair.chosen), str(pair.rejected)) for pair in made]

    # The table is right as well, and dearer: neither chosen nor rejected.
    assert pairs(question.digest, lines) == [("chunk", s) for s in ("graph", "algorithm", "catalogue")]
    assert pairs("another question", lines) == []
    assert pairs(question.digest, [each for each in lines if each.way != "graph"]) == []
