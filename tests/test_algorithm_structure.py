"""Procedures read off the layout: steps, branches, jumps, prerequisites, and the graph they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.algorithm import Algorithm, AlgorithmBuilder, Branch, Procedure, Step
from structrag.structures.algorithm_parse import parse_branches, parse_procedures
from structrag.structures.building import BuildRequest
from structrag.testing import scripted
from structrag.types import SourceDocument


def document(text: str, title: str = "Manual", document_id: str = "manual") -> SourceDocument:
    return SourceDocument(document_id, title, text, "hash")


def procedure(text: str) -> Procedure:
    (found,) = parse_procedures(document(text))
    return found


def edges(found: Procedure) -> set[tuple[str, str, str]]:
    return {(a, b, data["condition"]) for a, b, data in found.graph().edges(data=True)}


class TestBranches:
    @pytest.mark.parametrize(
        "text",
        [
            "Is it on? If yes, go to 3. If no, go to 4.",
            "Is it on? If yes go to step 3. If no go to step 4.",
            "Is it on? If yes, go to 3, if no, go to 4.",
            "Is it on? **If yes**, go to 3. **If no**, go to 4.",
            "Is it on? If **yes**, go to 3. If **no**, go to 4.",
            "Is it on? Yes: go to 3. No: go to 4.",
            "Is it on? Yes -> 3, No -> 4",
            "Is it on?\n   - Yes: go to question 3\n   - No: go to question 4",
            "Is it on?\n   - **Yes:** go to question 3.\n   - **No:** go to question 4.",
            "Is it on?\n* Yes: go on to step 3\n* No: skip to step 4",
            "Is it on?\n   - If yes: continue with step 3.\n   - If no: return to step 4.",
            "Is it on?\n      yes -> 3   (the air is made)\n      no  -> 4   (it is not)",
            "Is it on?\nYes → Step 3\nNo → Step 4",
            "Is it on?\nYES => 3\n\n\nNO => 4",
            "Is it on?\n**Yes** – go to step 3\n_No_ – go to step 4",
            "Is it on? If so, go to step 3. If not, go to step 4.",
        ],
    )
    def test_every_layout_of_a_yes_no_check(self, text: str) -> None:
        assert [(b.condition, b.target) for b in parse_branches(text)] == [("yes", "3"), ("no", "4")]

    @pytest.mark.parametrize(
        ("text", "outcome"),
        [
            ("Dead? If yes, call the electrician. If no, go to 2.", "call the electrician."),
            ("Dead?\n- Yes: **Advice A.** Call Ann.\n  She has the key.\n- No: go to 2", "Advice A. Call Ann. She has the key."),
            ("Dead?\n  yes -> check the stop. Still dead?\n         Call Ann.  END\n  no  -> 2", "check the stop. Still dead? Call Ann."),
            ("Dead? If yes, *replace the fuse* and wait. If no, go to 2.", "replace the fuse and wait."),
            ("Dead?\n- Yes: 4 drops of oil.\n- No: go to 2", "4 drops of oil."),
        ],
    )  # fmt: skip
    def test_an_outcome_is_told_in_full(self, text: str, outcome: str) -> None:
        assert parse_branches(text) == (
            Branch("yes", None, outcome),
            Branch("no", "2", parse_branches(text)[1].outcome),
        )

    def test_conditions_and_otherwise(self) -> None:
        text = "Check the seal. If it leaks, return to step 2. Otherwise continue with step 6."
        assert [(b.condition, b.target) for b in parse_branches(text)] == [("it leaks", "2"), ("", "6")]
        text = "Is it warm? If so, go to step 3; otherwise wait."
        assert parse_branches(text) == (Branch("yes", "3", "go to step 3"), Branch("", None, "wait."))

    def test_a_condition_before_a_jump_keeps_the_next_step(self) -> None:
        found = procedure("1. Read the gauge. At 40 % or more, go to step 3.\n2. Fill up.\n3. Start.\n")
        assert edges(found) == {("1", "3", "At 40 % or more"), ("1", "2", ""), ("2", "3", "")}

    @pytest.mark.parametrize(
        ("text", "target"),
        [("Press reset. Go back to step 1.", "1"), ("Then skip to 4.2.", "4.2"), ("Return to step 2a.", "2a")],
    )
    def test_a_jump(self, text: str, target: str) -> None:
        assert parse_branches(text) == (Branch("", target),)

    @pytest.mark.parametrize(
        "text",
        [
            "Open the valve.",
            "Turn the dial to 5.",
            "Continue heating to 80 °C.",
            "Return to 20 degrees before you go on.",
            "Repeat steps 2 and 3 until dry.",
            "Keep the lid shut, otherwise the glaze splashes.",
            "No screwdrivers. Yes-men neither.",
            "",
        ],
    )
    def test_what_is_no_branch(self, text: str) -> None:
        assert parse_branches(text) == ()


class TestProcedures:
    def test_numbered_steps_follow_one_another(self) -> None:
        found = procedure("# Kiln\n\n1. Open the damper.\n2. Light the burner\n   at the left.\n3) Wait.\n")
        assert [(s.number, s.text) for s in found.steps] == [
            ("1", "Open the damper."),
            ("2", "Light the burner at the left."),
            ("3", "Wait."),
        ]
        assert edges(found) == {("1", "2", ""), ("2", "3", "")}
        assert not found.is_decision_tree

    def test_step_n_with_a_remark_ends_where_it_says_final(self) -> None:
        found = procedure(
            "Step 1: Is the lamp lit?\n- Yes: go to step 2\n- No: go to step 3\n\n"
            "Step 2 (final advice): Call the electrician.\n\nStep 3 (final advice): Replace the lamp.\n"
        )
        assert [s.number for s in found.steps] == ["1", "2", "3"]
        assert found.step("2").branches == (Branch("", None, "Call the electrician."),)
        assert edges(found) == {("1", "2", "yes"), ("1", "3", "no")}

    def test_a_jump_back_replaces_the_next_line(self) -> None:
        found = procedure("1. Sand.\n2. Paint.\n3. Dry. Go back to step 2.\n4. Pack.\n")
        assert edges(found) == {("1", "2", ""), ("2", "3", ""), ("3", "2", "")}

    def test_what_is_done_under_a_condition_goes_on_with_the_next_step(self) -> None:
        found = procedure("1. Look. If dry, oil it. Otherwise wipe it.\n2. Close.\n3. Lock.\n4. Leave.\n")
        assert ("1", "2", "") in edges(found)

    def test_a_jump_to_a_step_of_another_document_is_an_outcome(self) -> None:
        found = procedure("1. Hot? If yes, go to step 9. If no, go to 2.\n2. Wet? If yes, mop. If no, leave.\n")
        assert found.step("1").branches[0] == Branch("yes", None, "go to step 9.")
        assert edges(found) == {("1", "2", "no")}

    def test_prerequisites_are_the_bullets_above_the_first_step(self) -> None:
        text = "# Start\n\nBefore you start:\n\n- The tank is full.\n- The door is shut.\n\n1. Press.\n2. Wait.\n"
        found = procedure(text)
        assert [told for told, _ in found.prerequisites] == ["The tank is full.", "The door is shut."]
        assert [text[e.span.start : e.span.end] for _, e in found.prerequisites] == [
            "- The tank is full.",
            "- The door is shut.",
        ]

    def test_prerequisites_told_in_a_sentence(self) -> None:
        found = procedure("Made in Oslo. The key must be with Ann.\n\n1. Press.\n2. Wait.\n")
        assert [told for told, _ in found.prerequisites] == ["The key must be with Ann."]

    def test_prose_is_read_sentence_by_sentence(self) -> None:
        found = procedure("First fill the pan. Then heat it. Dr. Moor stirs.")
        assert [s.text for s in found.steps] == ["First fill the pan.", "Then heat it.", "Dr. Moor stirs."]
        assert [s.number for s in found.steps] == ["1", "2", "3"]

    def test_prose_has_conditions_and_no_jumps(self) -> None:
        found = procedure(
            "Fill the pan and go to step 3. If it is below −3 °C, wait 24 hours. If it leaks, go back to step 1. "
            "Stir it, otherwise it burns. Serve it."
        )
        assert [step.branches for step in found.steps] == [
            (),
            (Branch("it is below −3 °C", None, "wait 24 hours."),),
            (Branch("it leaks", None, "go back to step 1."),),
            (),
            (),
        ]
        assert edges(found) == {(str(n), str(n + 1), "") for n in range(1, 5)}
        assert not found.is_decision_tree

    def test_several_procedures_in_one_document(self) -> None:
        text = "# Oven\n\n## Start\n\n1. Open.\n2. Light.\n\n## Stop\n\n1. Close.\n2. Cool.\n3. Lock.\n"
        first, second = parse_procedures(document(text, title="Oven"))
        assert (first.title, second.title) == ("Oven – Start", "Oven – Stop")
        assert [len(first.steps), len(second.steps)] == [2, 3]
        assert second.step("1").text == "Close."

    def test_no_text_is_no_procedure(self) -> None:
        assert parse_procedures(document("   \n")) == []

    def test_an_unknown_step(self) -> None:
        with pytest.raises(KeyError, match="7"):
            procedure("1. Open.").step("7")


PIECES = st.sampled_from(
    [
        *("# Title", "## Step 2: go", "1. Open.", "2. Is it on? If yes, go to 1. If no, stop.", "3) Go to step 2."),
        *("1. Again", "   - Yes: go to 3", "   - No: **Call** Ann.", "Step 4 (final advice): Rest.", "- The tank is full."),
        *("yes -> 2", "no -> 1", "", "   wrapped line", "Plain text. If dry, go to step 3.", "4.2 Open Ü", "```", "| a | b |"),
        *("if otherwise, no", "**1.** Bold? If yes, *a*. If no, b.", "On Mondays, go to step 1.", "\t", "Dr. No, yes: 3"),
    ]
)  # fmt: skip
texts = st.one_of(st.lists(PIECES, max_size=14).map("\n".join), st.text(max_size=80))


class TestProperties:
    @given(texts)
    def test_every_span_is_exact(self, text: str) -> None:
        for found in parse_procedures(document(text)):
            evidence = [*(s.evidence for s in found.steps), *(e for _, e in found.prerequisites)]
            assert all(text[e.span.start : e.span.end] == e.quote and e.quote.strip() for e in evidence)

    @given(texts)
    def test_every_edge_is_a_branch_or_the_sequence(self, text: str) -> None:
        for found in parse_procedures(document(text)):
            numbers = [s.number for s in found.steps]
            assert len(set(numbers)) == len(numbers)
            allowed = {(s.number, b.target, b.condition) for s in found.steps for b in s.branches}
            allowed |= {(a, b, "") for a, b in zip(numbers, numbers[1:], strict=False)}
            assert edges(found) <= allowed
            assert list(found.graph()) == numbers

    @given(texts)
    def test_branches_lead_to_steps_that_are_there(self, text: str) -> None:
        for found in parse_procedures(document(text)):
            numbers = {s.number for s in found.steps}
            assert all(b.target in numbers or b.outcome for s in found.steps for b in s.branches)


@st.composite
def trees(draw: st.DrawFn) -> str:
    """A decision tree as text: each check leads on to a later check, or to an outcome of its own."""
    count = draw(st.integers(1, 7))
    layout = draw(
        st.sampled_from(["   - Yes: {}\n   - No: {}", "   yes -> {}\n   no  -> {}", " If yes, {}. If no, {}."])
    )
    lines = []
    for number in range(1, count + 1):
        ways = []
        for answer in "yn":
            target = draw(st.integers(number + 1, count + 3))
            ways.append(f"go to {target}" if target <= count else f"apply remedy {answer}{number}")
        question = f"{number}. Is lamp {number} lit?"
        separator = "" if layout.startswith(" If") else "\n"
        lines.append(question + separator + layout.format(*ways))
    return "\n".join(lines)


def outcomes(found: Procedure, step: Step) -> Iterator[str]:
    """Trace with every combination of answers."""
    for branch in step.branches:
        if branch.target is None:
            yield branch.outcome.rstrip(".")
        else:
            yield from outcomes(found, found.step(branch.target))


@settings(max_examples=60)
@given(trees())
def test_tracing_reaches_what_networkx_says_is_reachable(text: str) -> None:
    (found,) = parse_procedures(document(text))
    assert found.is_decision_tree
    assert all([b.condition for b in s.branches] == ["yes", "no"] for s in found.steps)
    graph = found.graph()
    reachable = {"1", *nx.descendants(graph, "1")}
    expected = {
        b.outcome.rstrip(".") for s in found.steps if s.number in reachable for b in s.branches if b.target is None
    }
    assert set(outcomes(found, found.steps[0])) == expected
    assert expected
    assert nx.is_directed_acyclic_graph(graph)


class TestBuilding:
    @pytest.fixture
    def session(self, embedder: SentenceTransformerEmbedder) -> Session:
        return Session(scripted({})[0], embedder, CorpusStore.open(None))

    def test_the_nearest_procedure_comes_first(self, session: Session) -> None:
        documents = (
            document("1. Fill the kettle.\n2. Brew the tea.\n", "Making tea", "tea"),
            document("1. Jack up the car.\n2. Loosen the wheel nuts.\n", "Changing a tyre", "tyre"),
            document(" ", "Empty", "empty"),
        )
        for question, wanted in (("How do I change a flat tyre?", "tyre"), ("how is tea made", "tea")):
            built = AlgorithmBuilder().build(BuildRequest(question, documents, ()), session)
            assert built.procedures[0].document_id == wanted
            assert built.unread == ("empty",)

    def test_nothing_to_follow(self, session: Session) -> None:
        with pytest.raises(BuildError, match="steps"):
            AlgorithmBuilder().build(BuildRequest("How?", (document(" "),), ()), session)

    def test_forms(self) -> None:
        built = Algorithm(tuple(parse_procedures(document("- Be calm.\n\n1. Hot? If yes, go to 2.\n2. Wait.\n"))))
        assert built.render().splitlines() == ["# Manual", "Before: Be calm.", "1. Hot? If yes, go to 2.", "2. Wait."]
        assert built.render(limit=10).endswith(" …")
        (only,) = built.to_dict()["procedures"]
        assert only["steps"][0]["branches"] == [{"condition": "yes", "target": "2", "outcome": "go to 2."}]
        assert len(built.evidence()) == 3


def test_unless_is_kept_with_its_condition() -> None:
    (branch,) = parse_branches("Unless it is below 0 °C, paint the wall.")
    assert (branch.condition, branch.outcome) == ("Unless it is below 0 °C", "paint the wall.")


def test_a_yes_or_no_in_prose_answers_no_check_of_its_own_sentence() -> None:
    text = "Is it hot? If yes, cool it. If no, heat it. If it smokes, run."
    (procedure,) = parse_procedures(document(text))
    assert not procedure.is_decision_tree
    assert [b.condition for step in procedure.steps for b in step.branches] == ["it smokes"]


class _CountingEmbedder:
    """The embedder, and how many texts it was given."""

    def __init__(self, embedder: SentenceTransformerEmbedder) -> None:
        self.name = embedder.name
        self.texts = 0
        self._embedder = embedder

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        return self._embedder.embed(texts)


@pytest.mark.parametrize(
    "question",
    ["How do I descale unit K131?", "What do I do about a jammed shredder?", "My paper shredder is jammed"],
)
def test_of_a_long_manual_not_every_step_is_embedded_and_the_right_procedure_is_first(
    question: str, embedder: SentenceTransformerEmbedder
) -> None:
    parts = [
        f"## Unit K{number}\n\n1. Open the lid of K{number}.\n2. {extra}\n3. Close the lid.\n"
        for number, extra in ((n, "Take out the jammed shredder." if n == 77 else "Pour in water.") for n in range(200))
    ]
    parts[131] = "## Descaling unit K131\n\n1. Open the lid of K131.\n2. Descale it with vinegar.\n"
    counting = _CountingEmbedder(embedder)
    session = Session(scripted({})[0], counting, CorpusStore.open(None))
    built = AlgorithmBuilder().build(BuildRequest(question, (document("\n".join(parts)),), ()), session)
    assert len(built.procedures) == 200
    assert ("K131" if "K131" in question else "K77") in built.procedures[0].title
    assert counting.texts < 400, "of 800 titles and steps"
