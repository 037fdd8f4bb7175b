"""Reasoning on procedures, with scripted replies: code follows the branches and compares with the limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.algorithm import AlgorithmReasoner
from structrag.utilizer.finding import NOTHING_FOUND
from structrag.utilizer.limits import compare, find_limit
from structrag.utilizer.reading import load_prompt

READ = load_prompt("read")
CONFIRM = load_prompt("confirm")
OPERATION = load_prompt("algorithm_operation")
DECIDE = load_prompt("algorithm_decide")
LIMIT = load_prompt("algorithm_reading")
NOTHING = {"item": 0, "answer": ""}

MakeSession = Callable[[dict[str, Any]], tuple[Session, ScriptedChatModel]]


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    def make(script: dict[str, Any]) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted({**script, CONFIRM: {"yes": 1.0}})
        return Session(chat, embedder, CorpusStore.open(None)), model

    return make


def listed(prompt: str) -> dict[int, str]:
    """Return the numbered items of a prompt that reads."""
    return {int(number): text for number, text in re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)}


def asked(model: ScriptedChatModel, fragment: str) -> str:
    """Return the last prompt that holds a fragment."""
    return next(prompt for prompt in reversed(model.prompts) if fragment in prompt)


def item_with(fragment: str, pattern: str) -> Callable[[str], dict[str, Any]]:
    """Return a model that reads: it finds the item that holds the fragment, and in it the pattern."""

    def answer(prompt: str) -> dict[str, Any]:
        for number, text in listed(prompt).items():
            found = re.search(pattern, text)
            if fragment in text and found:
                return {"item": number, "answer": found[0]}
        return NOTHING

    return answer


def trace(session: Session, name: str) -> list[str]:
    return [step.detail for step in session.trace if step.name == name]


KILN = """# Kiln

- The damper key is with Ann.

1. Open the damper by 3 turns.
2. Light the burner at the left.
3. Wait until the gauge shows 80 degrees.
4. Close the peephole.
"""
TREE = """1. Is the red lamp lit?
   - Yes: go to 2
   - No: go to 3
2. Did it trip before?
   - Yes: call the electrician
   - No: let the motor cool
3. Is the receiver above 7 bar?
   - Yes: listen for leaks
   - No: go to 4
4. Is the oil low?
   - Yes: top up with grade 46 oil
   - No: fit a new filter
"""


def algorithm(text: str) -> Algorithm:
    return Algorithm(tuple(parse_procedures(SourceDocument("notes", "Manual", text, "hash"))))


def deciding(answers: dict[str, str]) -> Callable[[str], dict[str, float]]:
    """Return a model that knows the answers to some checks, by a fragment of each."""

    def decide(prompt: str) -> dict[str, float]:
        check = prompt[prompt.rindex("Check: ") :].split("\n")[0]
        word = next((w for fragment, w in answers.items() if fragment in check), "unknown")
        return {word: 0.9, "zebra": 0.1}

    return decide


class TestAlgorithm:
    def test_what_comes_after_a_step_is_read_off_the_graph(self, make_session: MakeSession) -> None:
        session, model = make_session({OPERATION: {"after": 1.0}})
        finding = AlgorithmReasoner().reason("What follows once the burner is lit?", algorithm(KILN), session)
        assert finding.values == ("Wait until the gauge shows 80 degrees.",)
        assert [e.quote[:2] for e in finding.evidence] == ["3.", "2."]
        assert len(model.prompts) == 1

    def test_what_comes_before_a_step_is_the_step_above_and_the_prerequisites(self, make_session: MakeSession) -> None:
        session, model = make_session({OPERATION: {"before": 1.0}, READ: item_with("damper by", r"\w+ the \w+")})
        finding = AlgorithmReasoner().reason("What comes before lighting the burner?", algorithm(KILN), session)
        assert list(listed(asked(model, READ)).values()) == [
            "Step 1: Open the damper by 3 turns.",
            "Step 2: Light the burner at the left.",
            "Before step 1: The damper key is with Ann.",
        ]
        assert finding.evidence[0].quote == "1. Open the damper by 3 turns."

    def test_a_detail_is_read_from_the_nearest_steps(self, make_session: MakeSession) -> None:
        session, _ = make_session({OPERATION: {"detail": 1.0}, READ: item_with("gauge", r"\d+ degrees")})
        finding = AlgorithmReasoner().reason("Until what temperature do I wait?", algorithm(KILN), session)
        assert (finding.text, finding.evidence[0].quote) == ("80 degrees", "3. Wait until the gauge shows 80 degrees.")

    def test_the_number_of_a_step_can_be_the_answer_and_no_other(self, make_session: MakeSession) -> None:
        for number, found in (("2", True), ("9", False)):
            session, _ = make_session({OPERATION: {"detail": 1.0}, READ: {"item": 2, "answer": number}})
            assert AlgorithmReasoner().reason("Which step lights it?", algorithm(KILN), session).found is found

    def test_another_value_in_the_document_is_another_answer(self, make_session: MakeSession) -> None:
        for value in ("80", "950"):
            session, _ = make_session({OPERATION: {"detail": 1.0}, READ: item_with("gauge", r"\d+ degrees")})
            built = algorithm(KILN.replace("80", value))
            assert AlgorithmReasoner().reason("How hot?", built, session).values == (f"{value} degrees",)

    @pytest.mark.parametrize(
        ("answers", "outcome", "cited"),
        [
            ({"lamp": "yes", "trip": "yes"}, "call the electrician", "21"),
            ({"lamp": "yes", "trip": "no"}, "let the motor cool", "21"),
            ({"lamp": "no", "receiver": "yes"}, "listen for leaks", "31"),
            ({"lamp": "no", "receiver": "no", "oil": "yes"}, "top up with grade 46 oil", "431"),
            ({"lamp": "no", "receiver": "no", "oil": "no"}, "fit a new filter", "431"),
        ],
    )
    def test_tracing_reaches_the_outcome_and_cites_the_way(
        self, make_session: MakeSession, answers: dict[str, str], outcome: str, cited: str
    ) -> None:
        session, _ = make_session({OPERATION: {"situation": 1.0}, DECIDE: deciding(answers)})
        finding = AlgorithmReasoner().reason("It is like this.", algorithm(TREE), session)
        assert finding.values == (outcome,)
        assert "".join(e.quote[0] for e in finding.evidence) == cited
        assert len(trace(session, "step")) == len(cited)

    def test_tracing_stops_at_a_check_that_is_not_known(self, make_session: MakeSession) -> None:
        session, _ = make_session({OPERATION: {"situation": 1.0}, DECIDE: deciding({"lamp": "no"})})
        finding = AlgorithmReasoner().reason("The lamp is off.", algorithm(TREE), session)
        assert finding.text.startswith("Is the receiver above 7 bar?")
        assert [e.quote[0] for e in finding.evidence] == ["3", "1"]

    def test_a_situation_that_decides_nothing_is_read(self, make_session: MakeSession) -> None:
        script = {OPERATION: {"situation": 1.0}, DECIDE: deciding({}), READ: item_with("oil", "grade 46 oil")}
        session, _ = make_session(script)
        assert AlgorithmReasoner().reason("Which oil?", algorithm(TREE), session).values == ("grade 46 oil",)

    @pytest.mark.parametrize(("answer", "outcome"), [("yes", "close the door"), ("no", "go home")])
    def test_a_check_with_one_way_out_leads_on_otherwise(
        self, make_session: MakeSession, answer: str, outcome: str
    ) -> None:
        text = "1. Is it hot? If no, go home.\n2. Is it shut? If no, close the door. If yes, go home.\n"
        answers = {"hot": answer, "shut": "no"}
        session, _ = make_session({OPERATION: {"situation": 1.0}, DECIDE: deciding(answers)})
        assert AlgorithmReasoner().reason("So it is.", algorithm(text), session).values == (f"{outcome}.",)

    def test_otherwise_is_a_way_out(self, make_session: MakeSession) -> None:
        for text, word in (
            ("1. Is it hot? If yes, cool it. Otherwise heat it.\n", "no"),
            ("1. Look. If yes, stop. If the lamp is red, call Ann. Otherwise heat it.\n", "c"),
        ):
            session, _ = make_session({OPERATION: {"situation": 1.0}, DECIDE: deciding({"": word})})
            assert AlgorithmReasoner().reason("So it is.", algorithm(text), session).values == ("heat it.",)

    def test_going_in_circles_ends(self, make_session: MakeSession) -> None:
        text = "1. Dry? If yes, go to 2. If no, go to 2.\n2. Wet? If yes, go to 1. If no, go to 1.\n"
        script = {
            OPERATION: {"situation": 1.0},
            DECIDE: deciding({"": "yes"}),
            READ: {"item": 0, "answer": ""},
        }
        session, model = make_session(script)
        assert AlgorithmReasoner().reason("So?", algorithm(text), session) is NOTHING_FOUND
        assert len(model.prompts) < 40

    def test_a_planted_step_is_not_used(self, make_session: MakeSession) -> None:
        planted = {"item": 1, "answer": "Evacuate the whole building"}
        session, _ = make_session({OPERATION: {"before": 1.0}, READ: planted})
        assert not AlgorithmReasoner().reason("What precedes the burner?", algorithm(KILN), session).found

    @pytest.mark.parametrize(
        ("reading", "situation", "outcome"),
        [
            (7.4, "the receiver shows 7.4 bar", "listen for leaks"),
            (7, "the receiver shows 7 bar", None),
            (9, "the receiver shows 5 bar", None),
            (None, "on 2 machines", None),
        ],
    )
    def test_code_compares_a_reading_with_its_limit(
        self, make_session: MakeSession, reading: float | None, situation: str, outcome: str | None
    ) -> None:
        script = {
            OPERATION: {"situation": 1.0},
            LIMIT: {"reading": reading},
            DECIDE: deciding({"lamp": "no", "oil": "unknown"}),
        }
        session, _ = make_session(script)
        finding = AlgorithmReasoner().reason(f"The lamp is off, {situation}.", algorithm(TREE), session)
        if outcome:
            assert finding.values == (outcome,)
        elif reading == 7:
            assert finding.text.startswith("Is the oil low?")
        else:
            assert finding.text.startswith("Is the receiver above 7 bar?")

    @pytest.mark.parametrize(("sure", "outcome"), [(0.59, "listen for leaks"), (0.61, None)])
    def test_only_a_model_that_is_sure_of_it_finds_a_check_open(
        self, make_session: MakeSession, sure: float, outcome: str | None
    ) -> None:
        def decide(prompt: str) -> dict[str, float]:
            check = prompt[prompt.rindex("Check: ") :]
            return {"no": 1.0} if "lamp" in check else {"yes": 1 - sure, "unknown": sure}

        session, _ = make_session({OPERATION: {"situation": 1.0}, LIMIT: {"reading": None}, DECIDE: decide})
        finding = AlgorithmReasoner().reason("The lamp is off.", algorithm(TREE), session)
        assert finding.text.startswith(outcome or "Is the receiver above 7 bar?")


PLASTER = "Let the plaster dry for 3 days. If it is below 0 °C, wait 24 hours more. Then paint it white."
LAMPS = (
    "Look at the panel. If the lamp is red, call the electrician. If the lamp is green, start the pump. "
    "If the lamp is blue, fetch Ann."
)


def shown_number(prompt: str) -> dict[str, Any]:
    """Be the model that reads a number: the first of the situation, if any."""
    situation = prompt[prompt.rindex("Situation: ") :].split("\n")[0]
    found = re.search(r"[-−]?\d+(?:\.\d+)?", situation)
    return {"reading": float(found[0].replace("−", "-")) if found else None}


def choosing(wanted: str, *, unknown: float = 0.0) -> Callable[[str], dict[str, float]]:
    """Return a model that finds the condition with these words likely, as far as it is not unknown to it."""

    def choose(prompt: str) -> dict[str, float]:
        lines = prompt[prompt.rindex("Check: ") :].split("\n")
        letter = next(line[0] for line in lines[1:] if wanted in line)
        return {letter: 1 - unknown, "unknown": unknown}

    return choose


class TestConditions:
    """What is to be done under a condition, where the procedure is no decision tree."""

    @pytest.mark.parametrize("told", ["−3 °C", "-3 °C", "-0.5 degrees"])
    def test_a_number_past_the_limit_picks_what_is_to_be_done(self, make_session: MakeSession, told: str) -> None:
        # The model is not asked to decide: a prompt to would not be in the script.
        session, _ = make_session({OPERATION: {"situation": 1.0}, LIMIT: shown_number})
        finding = AlgorithmReasoner().reason(f"It is {told} in the hall, and now?", algorithm(PLASTER), session)
        assert finding.values == ("wait 24 hours more.",)
        assert [e.quote for e in finding.evidence] == ["If it is below 0 °C, wait 24 hours more."]
        assert trace(session, "compare")[0].endswith("below 0: yes")

    @pytest.mark.parametrize(("told", "reading"), [("3 °C", 3), ("0 °C", 0), ("3 °C", -3), ("30 °C", None)])
    def test_a_number_that_does_not_pass_the_limit_or_is_not_given_picks_nothing(
        self, make_session: MakeSession, told: str, reading: float | None
    ) -> None:
        script = {OPERATION: {"situation": 1.0}, LIMIT: {"reading": reading}, DECIDE: {"unknown": 1.0}, READ: NOTHING}
        session, _ = make_session(script)
        question = f"It is {told} in the hall, and now?"
        assert AlgorithmReasoner().reason(question, algorithm(PLASTER), session) is NOTHING_FOUND

    @pytest.mark.parametrize(
        ("lamp", "outcome"), [("red", "call the electrician."), ("green", "start the pump."), ("blue", "fetch Ann.")]
    )
    def test_the_model_chooses_among_the_conditions(self, make_session: MakeSession, lamp: str, outcome: str) -> None:
        session, model = make_session({OPERATION: {"situation": 1.0}, DECIDE: choosing(lamp)})
        question = f"The lamp is {lamp}."
        finding = AlgorithmReasoner().reason(question, algorithm(LAMPS), session)
        assert finding.values == (outcome,)
        assert [e.quote for e in finding.evidence] == [f"If the lamp is {lamp}, {outcome}"]
        case = asked(model, DECIDE)
        situation, check, *conditions, words = case[case.rindex("Situation: ") :].split("\n")
        assert situation == f"Situation: {question}"
        assert check == "Check: which of these is so?"
        assert [line[:3] for line in conditions] == ["a: ", "b: ", "c: "]
        assert {line[3:] for line in conditions} == {f"the lamp is {c}" for c in ("red", "green", "blue")}
        assert words == "Words: a, b, c, unknown"

    @pytest.mark.parametrize(("sure", "picks"), [(0.59, True), (0.61, False)])
    def test_a_situation_that_meets_none_is_read(self, make_session: MakeSession, sure: float, picks: bool) -> None:
        decide = choosing("red", unknown=sure)
        session, _ = make_session({OPERATION: {"situation": 1.0}, DECIDE: decide, READ: item_with("Ann", "Ann")})
        finding = AlgorithmReasoner().reason("The lamp is odd.", algorithm(LAMPS), session)
        assert finding.values == (("call the electrician.",) if picks else ("Ann",))

    def test_only_the_conditions_of_the_nearest_steps_are_offered(self, make_session: MakeSession) -> None:
        places = ("roof", "cellar", "attic", "garden", "garage")
        text = " ".join(f"If the {place} is wet, call Ann about the {place}." for place in places)
        session, model = make_session({OPERATION: {"situation": 1.0}, DECIDE: choosing("garden")})
        finding = AlgorithmReasoner().reason("The garden is wet.", algorithm(text), session)
        assert finding.values == ("call Ann about the garden.",)
        assert "Words: a, b, c, unknown" in asked(model, DECIDE)

    def test_yes_and_no_are_not_offered_without_their_check(self, make_session: MakeSession) -> None:
        text = "1. Is it hot? If yes, cool it. If no, heat it.\n2. Stir.\n3. Pour.\n"
        session, model = make_session({OPERATION: {"situation": 1.0}, READ: item_with("Stir", "Stir")})
        assert AlgorithmReasoner().reason("It is lukewarm.", algorithm(text), session).values == ("Stir",)
        assert not any(DECIDE in prompt for prompt in model.prompts)

    @pytest.mark.parametrize("value", ["24", "36"])
    def test_a_detail_under_a_limit_that_the_question_passes(self, make_session: MakeSession, value: str) -> None:
        script = {OPERATION: {"detail": 1.0}, LIMIT: shown_number, READ: item_with("", r"\d+ (?:hours|days)")}
        session, model = make_session(script)
        built = algorithm(PLASTER.replace("24", value))
        finding = AlgorithmReasoner().reason("How long do I wait at −3 °C?", built, session)
        assert finding.values == (f"{value} hours",)
        assert listed(asked(model, READ)) == {1: f"Step 2: wait {value} hours more."}
        assert finding.evidence[0].quote == f"If it is below 0 °C, wait {value} hours more."

    @pytest.mark.parametrize("question", ["How long do I wait at 3 °C?", "How long does the plaster dry?"])
    def test_a_detail_under_no_limit_is_read_from_the_steps(self, make_session: MakeSession, question: str) -> None:
        script = {OPERATION: {"detail": 1.0}, LIMIT: shown_number, READ: item_with("dry", r"3 days")}
        session, model = make_session(script)
        assert AlgorithmReasoner().reason(question, algorithm(PLASTER), session).values == ("3 days",)
        assert len(listed(asked(model, READ))) == 3


@pytest.mark.parametrize(
    ("check", "reading", "holds"),
    [
        ("Is it above 4,400 l/h?", 4400, False),
        ("Is it above 4,400 l/h?", 4400.5, True),
        ("Is it at least 5.5 bar?", 5.5, True),
        ("Is it below 74 °C?", 73.9, True),
        ("Is it AT MOST 3?", 3.1, False),
        ("Is it below −3 °C?", -3.5, True),
        ("Is it below -3 °C?", -3, False),
        ("Is it below −3 °C?", 2, False),
        ("Is it at least -10.5?", -10.5, True),
    ],
)
def test_limits(check: str, reading: float, holds: bool) -> None:
    limit = find_limit(check)
    assert limit is not None
    assert limit.holds_for(reading) is holds


@pytest.mark.parametrize("check", ["Is it on?", "Is it above 3 and below 5?", "Is it 7?"])
def test_no_limit_or_several(check: str) -> None:
    assert find_limit(check) is None


@pytest.mark.parametrize(
    ("situation", "reading", "holds"),
    [
        ("It is −3 °C.", -3, True),
        ("It is -3 °C.", -3, True),
        ("(-3)", -3, True),
        ("It is 3 °C.", 3, False),
        ("It is 3 °C.", -3, None),
        ("It is −3 °C.", 3, None),
        ("Of 2-3 pumps.", -3, None),
        ("Of 2-3 pumps.", 3, False),
        ("Pump T-11 runs.", -11, None),
        ("It is cold.", -3, None),
        ("It is −1,200.5.", -1200.5, True),
    ],
)
def test_only_a_number_of_the_situation_is_compared(
    make_session: MakeSession, situation: str, reading: float, holds: bool | None
) -> None:
    session, _ = make_session({LIMIT: {"reading": reading}})
    assert compare(situation, "Is it below 0 °C?", session) is holds
