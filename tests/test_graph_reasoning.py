"""Reasoning on a graph, with scripted replies: link after link from the inside out, each answer put into the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import Embedder, SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Passage, SourceDocument, Span
from structrag.utilizer.finding import NOTHING_FOUND
from structrag.utilizer.graph import GraphReasoner
from structrag.utilizer.plans import Call, parse_plan
from structrag.utilizer.reading import load_prompt

READ = load_prompt("read")
LINK = load_prompt("read_passages")
READ_ALL = load_prompt("read_all")
CONFIRM = load_prompt("confirm")
PLAN = load_prompt("graph_plan")
NOTHING = {"item": 0, "answer": ""}

MakeSession = Callable[..., tuple[Session, ScriptedChatModel]]


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    def make(script: dict[str, Any], used: Embedder = embedder) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted({**script, CONFIRM: {"yes": 1.0}})
        return Session(chat, used, CorpusStore.open(None)), model

    return make


class Indifferent:
    """An embedder to which all texts are equally near."""

    name = "indifferent"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), 1), dtype=np.float32)


def document(text: str, title: str = "Notes", document_id: str = "notes") -> SourceDocument:
    return SourceDocument(document_id, title, text, "hash")


def listed(prompt: str) -> dict[int, str]:
    """Return the numbered items of a prompt that reads."""
    return {int(number): text for number, text in re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)}


def asked_of(model: ScriptedChatModel, instruction: str) -> list[str]:
    """Return the questions that were asked with an instruction, in order."""
    return [p[p.rindex("Question: ") + 10 :].split("\n")[0] for p in model.prompts if p.startswith(instruction)]


def item_with(fragment: str, pattern: str) -> Callable[[str], dict[str, Any]]:
    """Return a model that reads: it finds the item that holds the fragment, and in it the pattern."""

    def answer(prompt: str) -> dict[str, Any]:
        for number, text in listed(prompt).items():
            found = re.search(pattern, text)
            if fragment in text and found:
                return {"item": number, "answer": found[0]}
        return NOTHING

    return answer


def told(prompt: str) -> list[str]:
    """Return the passages of a prompt that reads a link."""
    return prompt.removeprefix(LINK)[: prompt.rindex("Question: ") - len(LINK)].strip().split("\n\n")


def telling(fragment: str, pattern: str) -> Callable[[str], str]:
    """Return a model that reads: it finds the passage that holds the fragment, and in it the pattern."""

    def answer(prompt: str) -> str:
        found = [re.search(pattern, text) for text in told(prompt) if fragment in text]
        return next((each[0] for each in found if each), "Not stated.")

    return answer


def trace(session: Session, name: str) -> list[str]:
    return [step.detail for step in session.trace if step.name == name]


BOG = [
    document("Pim Dahl was supervised by Katrin Moor. He likes rain.", "Thesis", "thesis"),
    document("Prof. Moor leads the Wet Ground Lab. The lab has 12 members.", "Labs", "labs"),
    document("The Wet Ground Lab is paid by the Heron Fund. Ann Lee bakes bread in Oslo.", "Money", "money"),
]
QUESTION = "Which lab is led by the supervisor of Pim Dahl?"
PLANNED = 'lab_led_by(supervisor_of("Pim Dahl"))'
FIRST, SECOND = "Who or what is the supervisor of Pim Dahl?", "What is the lab led by Katrin Moor?"
KNOWING = "Which lab is led by Katrin Moor?"
SUPERVISOR = telling("supervised", "Katrin Moor")
LAB = telling("leads", "Wet Ground Lab")
PROF = telling("leads", "Prof. Moor")


def call_of(inner: st.SearchStrategy[Call | str]) -> st.SearchStrategy[Call | str]:
    names = st.text("abc", min_size=1)
    return st.builds(Call, names, st.lists(inner, min_size=1, max_size=2).map(tuple))


class TestLinks:
    def test_each_answer_is_put_into_the_next_link_and_every_link_is_cited(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: PLANNED, LINK: [SUPERVISOR, LAB]})
        finding = GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        assert finding.values == ("Wet Ground Lab",)
        assert [e.quote for e in finding.evidence] == [
            "Prof. Moor leads the Wet Ground Lab.",
            "Pim Dahl was supervised by Katrin Moor.",
        ]
        assert asked_of(model, PLAN) == [QUESTION]
        # In the question's own words, with what is known in them.
        assert asked_of(model, LINK) == [FIRST, KNOWING]
        assert len(model.prompts) == 3
        assert trace(session, "plan") == [PLANNED]
        (path,) = trace(session, "path")
        assert path.index("Pim Dahl") < path.index("Katrin Moor") < path.rindex("Wet Ground Lab")

    def test_what_only_says_again_what_is_known_is_read_again_as_the_last_link(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: PLANNED, LINK: [SUPERVISOR, SUPERVISOR, SUPERVISOR, LAB]})
        assert GraphReasoner().reason(QUESTION, parse_facts(BOG), session).values == ("Wet Ground Lab",)
        assert asked_of(model, LINK) == [
            FIRST,
            KNOWING,
            f"{KNOWING} The answer is another one than Katrin Moor.",
            SECOND,
        ]

    def test_told_what_is_no_answer_the_model_may_find_the_one_beside_it(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: PLANNED, LINK: [telling("supervised", "Pim Dahl"), SUPERVISOR, LAB]})
        assert GraphReasoner().reason(QUESTION, parse_facts(BOG), session).values == ("Wet Ground Lab",)
        assert asked_of(model, LINK)[:2] == [FIRST, f"{FIRST} The answer is another one than Pim Dahl."]

    def test_where_the_question_has_no_words_for_a_link_the_plan_has(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: 'lab_led_by(boss_of("Pim Dahl"))', LINK: [SUPERVISOR, LAB]})
        GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        first = "What is the boss of Pim Dahl?"
        assert asked_of(model, LINK) == [first, f"{QUESTION} ({first} Katrin Moor.)"]

    @pytest.mark.parametrize("around", ["name", "person", "name_of"])
    def test_a_name_that_is_wanted_is_what_the_link_gives(self, make_session: MakeSession, around: str) -> None:
        session, model = make_session({PLAN: f"{around}({PLANNED})", LINK: [SUPERVISOR, LAB]})
        assert GraphReasoner().reason(QUESTION, parse_facts(BOG), session).values == ("Wet Ground Lab",)
        assert asked_of(model, LINK) == [FIRST, KNOWING]

    def test_a_thing_that_is_described_is_a_link_of_its_own(self, make_session: MakeSession) -> None:
        question = "Which lab is led by the person who supervised Pim Dahl?"
        session, model = make_session({PLAN: 'lab_led_by("person who supervised Pim Dahl")', LINK: [SUPERVISOR, LAB]})
        assert GraphReasoner().reason(question, parse_facts(BOG), session).values == ("Wet Ground Lab",)
        assert asked_of(model, LINK) == ["Who or what is the person who supervised Pim Dahl?", KNOWING]

    def test_of_a_reply_in_a_sentence_what_the_question_did_not_say_is_the_answer(
        self, make_session: MakeSession
    ) -> None:
        script = {PLAN: 'lab_led_by(boss_of("Pim Dahl"))', LINK: ["Pim Dahl was supervised by Katrin Moor", LAB]}
        session, model = make_session(script)
        GraphReasoner().reason("Pim Dahl has a supervisor. Which lab has that boss?", parse_facts(BOG), session)
        assert "supervised by Katrin Moor." in asked_of(model, LINK)[1]

    def test_what_narrows_a_link_down_is_asked_with_it(self, make_session: MakeSession) -> None:
        script = {
            PLAN: 'lab_led_by(supervisor_of("Pim Dahl"), "Wet Ground")',
            LINK: [SUPERVISOR, "not stated", LAB, "not stated"],
        }
        session, model = make_session(script)
        GraphReasoner().reason("Which Wet Ground lab is led by the supervisor of Pim Dahl?", parse_facts(BOG), session)
        assert asked_of(model, LINK)[2] == "What is the lab led by Katrin Moor (Wet Ground)?"

    def test_a_link_that_nothing_answers_ends_it(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: f"payer_of({PLANNED})", LINK: [SUPERVISOR, "Not stated."]})
        assert GraphReasoner().reason(QUESTION, parse_facts(BOG), session) is NOTHING_FOUND
        assert trace(session, "link") == [f"nothing answers: {SECOND}"]
        assert len(asked_of(model, LINK)) == 2

    def test_an_inner_link_that_leads_to_itself_was_answered_by_the_one_before(self, make_session: MakeSession) -> None:
        script = {
            PLAN: f"payer_of(lab_led_by(boss_of({PLANNED[11:-1]})))",
            LINK: [SUPERVISOR, PROF, "not stated", "not stated"],
        }
        session, model = make_session(script)
        GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        boss = "What is the boss of Katrin Moor?"
        assert asked_of(model, LINK) == [FIRST, boss, boss, "What is the lab led by Prof. Moor?"], "it goes on from her"

    def test_what_only_repeats_the_link_answers_nothing(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: PLANNED, LINK: [telling("supervised", "Pim Dahl")] * 2})
        assert GraphReasoner().reason(QUESTION, parse_facts(BOG), session) is NOTHING_FOUND
        assert len(asked_of(model, LINK)) == 2

    def test_what_stands_in_no_passage_is_not_used(self, make_session: MakeSession) -> None:
        invented = "Institute of Bog Research"
        for replies in ([invented], [SUPERVISOR, invented, invented]):
            session, _ = make_session({PLAN: PLANNED, LINK: replies})
            assert not GraphReasoner().reason(QUESTION, parse_facts(BOG), session).found
            assert trace(session, "verify")
            assert replies == []

    def test_another_name_in_the_document_is_another_answer(self, make_session: MakeSession) -> None:
        for lab in ("Wet Ground Lab", "Dry Sand Lab"):
            session, _ = make_session({PLAN: PLANNED, LINK: [SUPERVISOR, telling("leads", r"(?:Wet|Dry) \w+ Lab")]})
            documents = [document(d.text.replace("Wet Ground Lab", lab), d.title, d.id) for d in BOG]
            assert GraphReasoner().reason(QUESTION, parse_facts(documents), session).values == (lab,)

    @pytest.mark.parametrize(
        "text",
        [
            "Ann knows Bo. Bo knows Cy. Cy knows Ann. Ann knows Ann.",
            " ".join(f"Hub knows Spoke {n}." for n in range(40)),
            "Ann knows Bo. Cy knows Di. Ed knows Flo.",
            "| A | B |\n|---|---|\n| Ann | Ann |\n| Bo | Ann |\n",
        ],
        ids=["cycle", "hub", "parts", "loop"],
    )
    def test_cycles_hubs_and_parts_do_no_harm(self, make_session: MakeSession, text: str) -> None:
        def somebody_else(prompt: str) -> str:
            link = prompt[prompt.rindex("Question: ") :]
            named = [name for each in told(prompt) for name in re.findall(r"Spoke \d+|[A-Z]\w+", each)]
            return next((name for name in named if name not in link and name != "Notes"), "not stated")

        script = {PLAN: 'known_by(known_by(known_by(known_by("Ann"))))', LINK: somebody_else}
        session, model = make_session(script)
        GraphReasoner().reason(
            "Who is known by whom Ann knows, and Hub, and Ed?", parse_facts([document(text)]), session
        )
        assert 1 <= len(asked_of(model, LINK)) <= 6
        assert all(0 < len(told(prompt)) <= 6 for prompt in model.prompts if prompt.startswith(LINK))


class Shelf:
    """More of a corpus, for a reasoner: every document that holds a word of the query."""

    def __init__(self, documents: Sequence[SourceDocument]) -> None:
        self.documents = documents
        self.asked: list[str] = []

    def passages(self, query: str, k: int) -> list[Passage]:
        self.asked.append(query)
        words = re.findall(r"[A-Z]\w+", query)
        found = [d for d in self.documents if any(word in d.text for word in words)]
        return [Passage(Span(d.id, 0, len(d.text)), d.text, d.title) for d in found[:k]]

    def grown(self, document_ids: Collection[str]) -> KnowledgeGraph:
        return parse_facts([d for d in self.documents if d.id in document_ids])


class TestGrowing:
    def test_what_a_link_leads_to_is_fetched_and_joins_the_graph(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: PLANNED, LINK: [SUPERVISOR, LAB]})
        shelf = Shelf(BOG)
        session.library = shelf
        first = parse_facts(BOG[:1])
        assert "Wet Ground Lab" not in first.network
        finding = GraphReasoner().reason(QUESTION, first, session)
        assert finding.values == ("Wet Ground Lab",)
        assert shelf.asked == [FIRST, KNOWING]
        assert isinstance(finding.grown, KnowledgeGraph)
        assert "Wet Ground Lab" in finding.grown.network
        assert [e.quote for e in finding.evidence][:2] == [
            "Prof. Moor leads the Wet Ground Lab.",
            "Pim Dahl was supervised by Katrin Moor.",
        ]

    def test_what_stands_in_a_passage_is_not_shown_twice(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: PLANNED, LINK: "not stated"})
        session.library = Shelf(BOG)
        GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        shown = told(next(prompt for prompt in model.prompts if prompt.startswith(LINK)))
        assert sum("supervised" in text for text in shown) == 1


class TestPlan:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param("The lab of Katrin Moor.", id="no call"),
            pytest.param('lab_of("Katrin Moor")', id="a name that the question does not have"),
            pytest.param('a(a(a(a(a(a(a("Pim Dahl")))))))', id="too deep"),
        ],
    )
    def test_without_a_plan_that_can_be_followed_the_whole_question_is_read(
        self, make_session: MakeSession, bad: str
    ) -> None:
        session, model = make_session({PLAN: bad, READ: [item_with("leads", "Wet Ground Lab")]})
        finding = GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        assert finding.values == ("Wet Ground Lab",)
        assert asked_of(model, READ) == [QUESTION]
        assert trace(session, "plan") == [f"none that can be followed: {bad}"]

    def test_a_single_link_is_the_whole_question(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: 'lab_of("Pim Dahl")', READ: [item_with("leads", "Wet Ground Lab")]})
        GraphReasoner().reason(QUESTION, parse_facts(BOG), session)
        assert asked_of(model, READ) == [QUESTION]

    def test_a_way_over_names_that_nothing_speaks_of_is_not_cited(self, make_session: MakeSession) -> None:
        aside = document("Pim Dahl met Bo Fisk at noon. Bo Fisk met Cy Holt. Cy Holt painted the Wet Ground Lab.")
        session, _ = make_session({PLAN: "none", READ: [item_with("leads", "Wet Ground Lab")]})
        finding = GraphReasoner().reason(QUESTION, parse_facts([aside, BOG[1]]), session)
        assert [e.quote for e in finding.evidence] == ["Prof. Moor leads the Wet Ground Lab."]
        assert trace(session, "path") == ["one fact"]


class TestParsing:
    @pytest.mark.parametrize(
        ("line", "read"),
        [
            ('chair_of(owner_of("Tilden Ferry"))', 'chair_of(owner_of("Tilden Ferry"))'),
            ('chair_of(owner_of("Tilden Ferry"', 'chair_of(owner_of("Tilden Ferry"))'),
            ("boss_of(Ann Lee)", 'boss_of("Ann Lee")'),
            ('both(a("x"), b("y"))', 'both(a("x"), b("y"))'),
            ('number(mentions("a (b), c"))', 'number(mentions("a (b), c"))'),
        ],
    )
    def test_calls_are_read(self, line: str, read: str) -> None:
        assert str(parse_plan(line)) == read

    @pytest.mark.parametrize("line", ["", "Ann", '"Ann"', "f()", "))", "(,", "f(" * 9])
    def test_what_is_no_call_is_none(self, line: str) -> None:
        assert parse_plan(line) is None

    @given(st.recursive(st.text("abcé ", min_size=1).map(str.strip).filter(bool), call_of, max_leaves=6))
    def test_what_is_written_is_read_again(self, call: Call | str) -> None:
        if isinstance(call, Call) and str(call).count("(") < 6:
            assert parse_plan(str(call)) == call

    @given(st.text('ab_"(), é'))
    def test_nothing_breaks_it(self, line: str) -> None:
        parsed = parse_plan(line)
        assert parsed is None or parse_plan(str(parsed)) is not None


class TestReading:
    """Which statements are shown for a link."""

    def shown(
        self, question: str, documents: Sequence[SourceDocument], made: tuple[Session, ScriptedChatModel]
    ) -> list[str]:
        session, model = made
        GraphReasoner().reason(question, parse_facts(documents), session)
        prompt = next(p for p in model.prompts if p.startswith((READ, LINK)))
        return told(prompt) if prompt.startswith(LINK) else list(listed(prompt).values())

    def test_what_is_named_by_any_form_of_its_name_comes_first(self, make_session: MakeSession) -> None:
        for question in ("What has K. Moor?", "what has katrin moor?", "what has katrin moors lab?"):
            name = question.removeprefix("What has ").removeprefix("what has ").rstrip("?")
            made = make_session(
                {PLAN: f'payer_of(what_has("{name}"))', READ: NOTHING, LINK: "not stated"}, Indifferent()
            )
            shown = self.shown(question, [document("Bo left Alder. Cy left Birk."), *BOG[::-1]], made)
            assert set(shown[:3]) == {
                "Labs: Prof. Moor leads the Wet Ground Lab.",
                "Labs: The lab has 12 members.",
                "Thesis: Pim Dahl was supervised by Katrin Moor.",
            }
            assert shown[3:] == [
                "Notes: Bo left Alder.",
                "Notes: Cy left Birk.",
                "Money: The Wet Ground Lab is paid by the Heron Fund.",
            ]

    @pytest.mark.parametrize(("planned", "is_shown"), [("none", True), (PLANNED, False)])
    def test_a_question_that_was_not_split_is_read_with_what_its_nearest_statements_lead_to(
        self, make_session: MakeSession, planned: str, *, is_shown: bool
    ) -> None:
        made = make_session({PLAN: planned, READ: NOTHING, LINK: "not stated"}, Indifferent())
        crowd = document(" ".join(f"Guest {n} met Host {n} at noon." for n in range(12)), "Fair", "fair")
        shown = self.shown(QUESTION, [crowd, *BOG], made)
        assert "Thesis: Pim Dahl was supervised by Katrin Moor." in shown[:2]
        assert ("Labs: Prof. Moor leads the Wet Ground Lab." in shown) is is_shown

    def test_no_name_in_the_question_reads_what_is_nearest(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: "none", READ: item_with("bread", "Ann Lee")})
        crowd = document(" ".join(f"Guest {n} met Host {n} at noon." for n in range(30)), "Fair", "fair")
        finding = GraphReasoner().reason("who makes bread?", parse_facts([crowd, *BOG]), session)
        assert finding.values == ("Ann Lee",)

    def test_being_named_is_not_everything(self, make_session: MakeSession) -> None:
        # Nine statements touch Ann, but what is asked stands in the one that does not.
        text = (
            " ".join(f"Ann passed Gate {n} of the Oslo fair." for n in range(9))
            + " The Mill bakes the rye Bread for sale."
        )
        session, _ = make_session({PLAN: "none", READ: item_with("bakes", "Mill")})
        question = "who bakes the rye bread that Ann eats?"
        assert GraphReasoner().reason(question, parse_facts([document(text)]), session).values == ("Mill",)

    def test_one_statement_is_shown_once(self, make_session: MakeSession) -> None:
        made = make_session({PLAN: "none", READ: NOTHING})
        text = "Ann, Bo, Cy, Di, Ed and Flo met. Ann met Bo."
        shown = self.shown("Who met?", [document(text)], made)
        assert sorted(shown) == ["Notes: Ann met Bo.", "Notes: Ann, Bo, Cy, Di, Ed and Flo met."]


class TestLists:
    STAFF = document("Ann works at Alder. Bo works at Alder. Cy left Birk. Di Holm owns Alder.")
    PLANNED = 'people_who_work_at(firm_owned_by("Di Holm"))'

    def everybody(self, prompt: str) -> dict[str, Any]:
        found = {n: re.search(r"\b(?:Ann|Bo)\b(?= works)", item) for n, item in listed(prompt).items()}
        picked = [{"item": n, "answer": name[0]} for n, name in found.items() if name]
        return {"answers": sorted(picked, key=lambda p: str(p["answer"])) + [{"item": 1, "answer": "Zoltan Kiss"}]}

    @pytest.mark.parametrize(
        ("around", "values", "text"), [("list", ("Ann", "Bo"), "Ann; Bo"), ("number", ("2",), "2: Ann; Bo")]
    )
    def test_lists_and_counts(self, make_session: MakeSession, around: str, values: tuple[str, ...], text: str) -> None:
        question = "Who works at the firm that Di Holm owns?"
        script = {
            PLAN: f"{around}({self.PLANNED})",
            LINK: telling("owns", "Alder"),
            READ_ALL: self.everybody,
        }
        session, model = make_session(script)
        finding = GraphReasoner().reason(question, parse_facts([self.STAFF]), session)
        assert (finding.values, finding.text) == (values, text)
        quotes = {"Ann works at Alder.", "Bo works at Alder.", "Di Holm owns Alder."}
        assert {e.quote for e in finding.evidence} == quotes
        assert asked_of(model, READ_ALL) == ["What is the people who work at Alder?"]

    def test_a_link_is_followed_from_each_of_several(self, make_session: MakeSession) -> None:
        family = document("Ann taught Bo. Ann taught Cy. Bo taught Di. Cy taught Ed.")

        def taught(prompt: str) -> dict[str, Any]:
            by = prompt.rstrip("?").rsplit(" ", 1)[1]
            found = {n: re.search(rf"{by} taught (\w+)", item) for n, item in listed(prompt).items()}
            return {"answers": [{"item": n, "answer": name[1]} for n, name in found.items() if name]}

        script = {PLAN: 'list(students_taught_by(students_taught_by("Ann")))', READ_ALL: taught}
        session, model = make_session(script)
        finding = GraphReasoner().reason("Whom did the students of Ann teach?", parse_facts([family]), session)
        assert set(finding.values) == {"Di", "Ed"}
        assert len(asked_of(model, READ_ALL)) == 3

    @pytest.mark.parametrize(("named", "answer"), [("Katrin Moor", "Yes"), ("K. Moor", "Yes"), ("Ann Lee", "No")])
    def test_whether_something_is_so_is_compared_by_code(
        self, make_session: MakeSession, named: str, answer: str
    ) -> None:
        everybody = {"answers": [{"item": 1, "answer": "Katrin Moor"}]}

        def supervisor(prompt: str) -> dict[str, Any]:
            number = next(n for n, text in listed(prompt).items() if "supervised" in text)
            return {"answers": [everybody["answers"][0] | {"item": number}]}

        script = {PLAN: f'is(supervisor_of("Pim Dahl"), "{named}")', READ_ALL: supervisor}
        session, _ = make_session(script)
        finding = GraphReasoner().reason(f"Is Pim Dahl's supervisor {named}?", parse_facts(BOG), session)
        assert finding.values == (answer,)
        assert finding.evidence[0].quote == "Pim Dahl was supervised by Katrin Moor."

    def test_only_what_is_in_both_lists_is_in_the_answer(self, make_session: MakeSession) -> None:
        staff = document("Ann works at Alder. Bo works at Alder. Bo sings in Oslo. Cy sings in Oslo.")

        def of_alder_or_oslo(prompt: str) -> dict[str, Any]:
            pattern = r"(\w+) works" if "Alder?" in prompt[prompt.rindex("Question: ") :] else r"(\w+) sings"
            found = {n: re.search(pattern, item) for n, item in listed(prompt).items()}
            return {"answers": [{"item": n, "answer": name[1]} for n, name in found.items() if name]}

        script = {PLAN: 'list(both(people_working_at("Alder"), people_singing_in("Oslo")))', READ_ALL: of_alder_or_oslo}
        session, _ = make_session(script)
        question = "Which people working at Alder sing in Oslo?"
        assert GraphReasoner().reason(question, parse_facts([staff]), session).values == ("Bo",)

    def test_more_is_read_for_a_list_than_for_a_name(self, make_session: MakeSession) -> None:
        staff = document(" ".join(f"Worker {n} works at Alder." for n in range(30)))
        session, model = make_session({PLAN: 'list(people_at("Alder"))', READ_ALL: {"answers": []}})
        GraphReasoner().reason("Who works at Alder?", parse_facts([staff]), session)
        assert len(listed(model.prompts[-1])) == 12

    def test_an_empty_list_is_nothing_found(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: 'number(people_at("Alder"))', READ_ALL: {"answers": []}})
        assert GraphReasoner().reason("How many work at Alder?", parse_facts(BOG), session) is NOTHING_FOUND
