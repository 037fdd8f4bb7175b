"""Reasoning on a catalogue, with scripted replies: the model chooses what to list, and code lists and counts it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.errors import ModelOutputError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.catalogue import CatalogueReasoner
from structrag.utilizer.finding import NOTHING_FOUND
from structrag.utilizer.outlines import choose_outline, outlines
from structrag.utilizer.reading import load_prompt

READ_ALL = load_prompt("read_all")
PLAN = load_prompt("catalogue_plan")
OUTLINE = load_prompt("catalogue_outline")
MENTIONS = load_prompt("catalogue_mentions")
NAMES = load_prompt("catalogue_names")

MakeSession = Callable[[dict[str, Any]], tuple[Session, ScriptedChatModel]]


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    def make(script: dict[str, Any]) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted(script)
        return Session(chat, embedder, CorpusStore.open(None)), model

    return make


def listed(prompt: str) -> dict[int, str]:
    """Return the numbered items of a prompt that reads; its worked examples come before them."""
    listing = prompt[prompt.rindex("\n[1] ") :]
    return {int(number): text for number, text in re.findall(r"^\[(\d+)\] (.*)$", listing, re.MULTILINE)}


def trace(session: Session, name: str) -> list[str]:
    return [step.detail for step in session.trace if step.name == name]


def document(text: str, title: str, document_id: str) -> SourceDocument:
    return SourceDocument(document_id, title, text, "hash")


def catalogue(*texts: str) -> Catalogue:
    trees = [parse_topics(document(text, text.split("\n")[0].strip("# "), f"d{i}")) for i, text in enumerate(texts)]
    return Catalogue(tuple(tree for tree in trees if tree))


MINUTES = "# Minutes\n\n## 1. Roof\n\n- Ann asks for tiles.\n\n## 2. Money\n\n- Bo wants 900 EUR.\n\n## 3. Tea\n\n- Cy brings tea.\n"


HANDBOOK = """# Handbook

## Pests

Rain helps them. Then they eat.

- Slugs: they come at night.
- Pigeons – they come by day.
- Moths
- Mites

## Watering

1. Fill the can.
2. Water the beds.

## Fees

There is one.
"""


def choosing(outline: str) -> Callable[[str], dict[str, float]]:
    """Return a model that chooses the list that is shown like this."""

    def choose(prompt: str) -> dict[str, float]:
        (number,) = (number for number, shown in listed(prompt).items() if shown == outline)
        return {str(number): 0.9, "0": 0.1}

    return choose


class TestCatalogue:
    @pytest.mark.parametrize(
        ("planned", "values"),
        [('headings("minutes")', ("Roof", "Money", "Tea")), ('number(headings("minutes"))', ("3",))],
    )
    def test_sections_are_walked_and_counted_without_reading(
        self, make_session: MakeSession, planned: str, values: tuple[str, ...]
    ) -> None:
        session, model = make_session({PLAN: planned})
        finding = CatalogueReasoner().reason(
            "Which topics do the minutes have?", catalogue(MINUTES, "# Other\n\nNo."), session
        )
        assert finding.values == values
        assert [e.quote for e in finding.evidence] == ["## 1. Roof", "## 2. Money", "## 3. Tea"]
        assert len(model.prompts) == 1, "one heading alone has the name, so nothing is left to choose"
        assert trace(session, "outline") == ["Minutes"]

    def test_of_several_headings_of_a_name_the_model_chooses(self, make_session: MakeSession) -> None:
        lists = ("Minutes: Roof; Money; Tea", "Minutes: Ropes; Money; Tea")
        session, model = make_session({PLAN: 'headings("minutes")', OUTLINE: choosing(lists[1])})
        finding = CatalogueReasoner().reason(
            "Which topics do the minutes have?", catalogue(MINUTES, MINUTES.replace("Roof", "Ropes"), HANDBOOK), session
        )
        assert finding.values == ("Ropes", "Money", "Tea")
        assert sorted(listed(model.prompts[-1]).values()) == list(lists)

    def test_the_items_of_a_list_are_told_by_their_names(self, make_session: MakeSession) -> None:
        script = {PLAN: 'headings("pests")'}
        session, _ = make_session(script)
        finding = CatalogueReasoner().reason("Which pests are there?", catalogue(HANDBOOK, MINUTES), session)
        assert finding.values == ("Slugs", "Pigeons", "Moths", "Mites")
        quotes = ["- Slugs: they come at night.", "- Pigeons – they come by day.", "- Moths", "- Mites"]
        assert [e.quote for e in finding.evidence] == quotes
        assert all(HANDBOOK[e.span.start : e.span.end] == e.quote for e in finding.evidence)

    def test_another_item_in_the_document_is_another_answer(self, make_session: MakeSession) -> None:
        for name in ("Mites", "Woodlice"):
            script = {PLAN: 'headings("pests")'}
            session, _ = make_session(script)
            built = catalogue(HANDBOOK.replace("Mites", name))
            assert CatalogueReasoner().reason("Which pests?", built, session).values[-1] == name

    def test_where_no_list_is_what_is_asked_for_statements_are_read(self, make_session: MakeSession) -> None:
        script = {
            PLAN: 'headings("wished")',
            OUTLINE: {"0": 0.6, "1": 0.4},
            READ_ALL: self.everything("tiles|900 EUR"),
        }
        session, _ = make_session(script)
        finding = CatalogueReasoner().reason("What was wished for?", catalogue(MINUTES), session)
        assert finding.values == ("tiles", "900 EUR")
        assert trace(session, "outline") == []

    def everything(self, pattern: str) -> Callable[[str], dict[str, Any]]:
        def answer(prompt: str) -> dict[str, Any]:
            found = {n: re.search(pattern, text) for n, text in listed(prompt).items()}
            return {"answers": [{"item": n, "answer": match[0]} for n, match in found.items() if match]}

        return answer

    LETTERS = tuple(f"# Letter by {name}\n\n{name} asks for tiles.\n" for name in ("Ann", "Bo", "Cy", "Di"))

    def test_counts_are_exact_over_what_is_picked(self, make_session: MakeSession) -> None:
        picked = self.everything(r"(?:Ann|Bo|Di)\b(?= asks)")
        session, _ = make_session({PLAN: 'number(statements("tiles"))', READ_ALL: picked})
        finding = CatalogueReasoner().reason("How many ask for tiles?", catalogue(*self.LETTERS), session)
        assert finding.values == ("3",)
        assert finding.text == "3: Ann; Bo; Di"
        assert [e.quote for e in finding.evidence] == [f"{name} asks for tiles." for name in ("Ann", "Bo", "Di")]

    def test_documents_are_judged_one_by_one_and_named_by_their_titles(self, make_session: MakeSession) -> None:
        def judge(prompt: str) -> dict[str, float]:
            document = prompt[prompt.rindex("Document: ") :].split("\n")[0]
            return {"no": 0.99} if "Cy" in document else {"yes": 0.99}

        def name(prompt: str) -> dict[str, str]:
            titles = {str(number): title for number, title in listed(prompt).items()}
            # A name that the title does not hold is not used.
            return {n: "Zoltan Kiss" if "Di" in title else title.split()[-2] for n, title in titles.items()}

        script = {PLAN: 'number(documents("people who ask for tiles"))', MENTIONS: judge, NAMES: name}
        session, _ = make_session(script)
        finding = CatalogueReasoner().reason("How many ask for tiles?", catalogue(*self.LETTERS), session)
        assert finding.values == ("3",)
        assert set(finding.text.removeprefix("3: ").split("; ")) == {"Ann", "Bo", "Letter by Di"}
        assert {e.quote for e in finding.evidence} == {f"{name} asks for tiles." for name in ("Ann", "Bo", "Di")}

    def test_invented_members_are_not_counted(self, make_session: MakeSession) -> None:
        script = {
            PLAN: 'number(statements("wishes"))',
            READ_ALL: {"answers": [{"item": 1, "answer": "Zoltan"}, {"item": 2, "answer": "Bo wants 900 EUR"}]},
        }
        session, _ = make_session(script)
        finding = CatalogueReasoner().reason("How many wishes?", catalogue(MINUTES), session)
        assert finding.values == ("1",)

    def test_nothing_picked_is_nothing_found_not_zero(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: 'number(statements("many"))', READ_ALL: {"answers": []}})
        assert CatalogueReasoner().reason("How many?", catalogue(MINUTES), session) is NOTHING_FOUND

    def test_sections_of_a_document_without_any_are_read(self, make_session: MakeSession) -> None:
        script = {PLAN: 'headings("topics")', READ_ALL: self.everything("Ann|Bo")}
        session, _ = make_session(script)
        assert CatalogueReasoner().reason("Topics?", catalogue("# Flat\n\nAnn. Bo."), session).values == ("Ann", "Bo")

    def test_another_value_in_the_document_is_another_answer(self, make_session: MakeSession) -> None:
        for value in ("900 EUR", "75 EUR"):
            script = {PLAN: 'statements("amounts")', READ_ALL: self.everything(r"\d+ EUR")}
            session, _ = make_session(script)
            built = catalogue(MINUTES.replace("900 EUR", value))
            assert CatalogueReasoner().reason("Which amounts?", built, session).values == (value,)


class TestMentions:
    DOCUMENTS = (
        "# Ann\n\nThe solar panel came in May.\n",
        "# Bo\n\nWe have no roof.\n",
        "# Cy\n\n## Solar panels\n\nNone yet.\n",
        "# Di\n\nSolar power? Panels?\n",
    )

    @pytest.mark.parametrize("phrase", ["solar panels", "Solar Panel", "solar panel"])
    def test_a_phrase_is_looked_for_in_every_document_without_the_model(
        self, make_session: MakeSession, phrase: str
    ) -> None:
        script = {PLAN: f'number(mentions("{phrase}"))', NAMES: {"1": "Ann", "2": "Cy"}}
        session, model = make_session(script)
        question = f"In how many of the documents does the {phrase} come up?"
        finding = CatalogueReasoner().reason(question, catalogue(*self.DOCUMENTS), session)
        assert (finding.values, finding.text) == (("2",), "2: Ann; Cy")
        assert [e.quote for e in finding.evidence] == ["The solar panel came in May.", "## Solar panels"]
        assert len(model.prompts) == 1

    def test_documents_of_the_same_title_are_counted_each(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: 'number(mentions("panel"))'})
        same = catalogue(*["# Minutes\n\nThe panel met.\n"] * 3)
        finding = CatalogueReasoner().reason("How many minutes mention the panel?", same, session)
        assert finding.values == ("3",)

    def test_an_answer_over_a_part_of_the_documents_says_so(self, make_session: MakeSession) -> None:
        session, _ = make_session({PLAN: 'number(all("documents"))'})
        part = replace(catalogue(*self.DOCUMENTS), left_out=30)
        finding = CatalogueReasoner().reason("How many documents are there?", part, session)
        assert finding.text.endswith("(among the 4 documents nearest to the question, of 34)")
        assert Catalogue.from_dict(part.to_dict()) == part

    def test_files_can_be_named_by_their_names(self, make_session: MakeSession) -> None:
        script = {PLAN: 'mentions("panel")', NAMES: {str(n): f"d{i}" for n, i in ((1, 0), (2, 2), (3, 3))}}
        session, _ = make_session(script)
        question = "Which files mention a panel? File names please."
        finding = CatalogueReasoner().reason(question, catalogue(*self.DOCUMENTS), session)
        assert finding.values == ("d0", "d2", "d3")

    def test_what_stands_nowhere_word_for_word_is_judged_by_meaning(self, make_session: MakeSession) -> None:
        judged = {PLAN: 'number(mentions("photovoltaics"))', MENTIONS: {"no": 1.0}}
        session, model = make_session(judged)
        question = "In how many documents does photovoltaics come up?"
        assert CatalogueReasoner().reason(question, catalogue(*self.DOCUMENTS), session) is NOTHING_FOUND
        assert sum(MENTIONS in prompt for prompt in model.prompts) == 4

    def test_all_documents_are_counted_without_being_read(self, make_session: MakeSession) -> None:
        session, model = make_session({PLAN: 'number(all("documents"))'})
        finding = CatalogueReasoner().reason("How many documents are there?", catalogue(*self.DOCUMENTS), session)
        assert finding.values == ("4",)
        assert len(model.prompts) == 1

    @pytest.mark.parametrize("plan", ["The lists.", 'paint("documents")'])
    def test_without_a_list_that_is_known_statements_are_read(self, make_session: MakeSession, plan: str) -> None:
        session, _ = make_session({PLAN: plan, READ_ALL: {"answers": [{"item": 1, "answer": "May"}]}})
        finding = CatalogueReasoner().reason("When did the documents come?", catalogue(self.DOCUMENTS[0]), session)
        assert finding.values == ("May",)


class TestOutlines:
    def shown(self, *texts: str) -> list[str]:
        return [outline.render() for outline in outlines(catalogue(*texts))]

    def test_headings_and_items_are_lists_and_sentences_are_none(self) -> None:
        assert self.shown(HANDBOOK, MINUTES, "# Flat\n\nAnn sings. Bo hums. Cy counts.") == [
            "Handbook: Pests; Watering; Fees",
            "Handbook > Pests: Slugs; Pigeons; Moths …",
            "Handbook > Watering: Fill the can.; Water the beds.",
            "Minutes: Roof; Money; Tea",
        ]

    def test_headings_that_run_into_their_paragraphs_are_a_list_beside_the_items(self) -> None:
        letter = (
            "# Letter 31\n\n**New chair.** Ann took over. She follows Bo.\n\n__Foundry sold:__ It went to Cy.\n\n"
            "**What we make.**\n\n- Pumps: 12\n- Fans: 3\n\n**1.** Nothing. **2.** Nothing else.\n"
        )
        assert self.shown(letter) == ["Letter 31: New chair; Foundry sold; What we make", "Letter 31: Pumps; Fans"]
        talk = "# Talk\n\n" + "\n\n".join(f"**{who}:** said {n}." for n in range(4) for who in ("AB", "CD"))
        assert self.shown(talk) == []

    def test_entries_keep_their_order_and_their_place(self) -> None:
        _, pests, watering = outlines(catalogue(HANDBOOK))
        assert [title for title, _ in pests.entries] == ["Slugs", "Pigeons", "Moths", "Mites"]
        assert [e.quote for _, e in watering.entries] == ["1. Fill the can.", "2. Water the beds."]
        assert all(HANDBOOK[e.span.start : e.span.end] == e.quote for _, e in (*pests.entries, *watering.entries))

    def test_a_single_entry_is_no_list(self) -> None:
        assert self.shown("# Fees\n\n## Plots\n\n- Half a plot\n") == []
        assert self.shown("# Fees\n\n## Plots\n\n- Half a plot\n- A plot\n") == ["Fees > Plots: Half a plot; A plot"]

    def test_a_heading_that_repeats_the_title_is_not_told_twice(self) -> None:
        tree = parse_topics(document("# Rules:\n\n- Be kind\n- Be calm\n", "Rules", "d"))
        assert tree is not None
        assert [child.title for child in tree.children] == ["Rules"]
        assert [outline.render() for outline in outlines(Catalogue((tree,)))] == ["Rules: Be kind; Be calm"]

    def test_long_entries_are_cut_where_they_are_shown_and_nowhere_else(self) -> None:
        (outline,) = outlines(catalogue(f"# Fees\n\n- {'a' * 70}\n- b\n"))
        assert outline.render() == f"Fees: {'a' * 50}; b"
        assert outline.entries[0][0] == "a" * 70

    CRAFTS = ("tuning of bells", "baking of bread", "mending of nets", "felling of trees", "glazing of pots")
    CRAFTS += ("weaving of mats", "keeping of bees", "pruning of vines")

    def lists(self) -> Catalogue:
        return catalogue(*(f"# The {craft}\n\n- Morning {n}\n- Evening {n}\n" for n, craft in enumerate(self.CRAFTS)))

    @pytest.mark.parametrize("craft", ["keeping of bees", "baking of bread"])
    def test_the_nearest_few_are_offered_nearest_first(self, make_session: MakeSession, craft: str) -> None:
        session, model = make_session({OUTLINE: {"1": 1.0}})
        question = f"When is the {craft} taught?"
        chosen = choose_outline(question, list(outlines(self.lists())), session)
        assert chosen is not None
        assert chosen.path == f"The {craft}"
        assert list(listed(model.prompts[0])) == [1, 2, 3, 4, 5, 6]
        assert model.prompts[0].endswith(f"\nQuestion: {question}")

    def test_none_of_them_and_nothing_to_offer(self, make_session: MakeSession) -> None:
        session, model = make_session({OUTLINE: {"0": 0.6, "3": 0.4}})
        assert choose_outline("Who pays?", list(outlines(self.lists())), session) is None
        assert choose_outline("Who pays?", [], session) is None
        assert len(model.prompts) == 1

    @pytest.mark.parametrize("reply", ["7", "9", "bells"])
    def test_a_number_that_was_not_offered_chooses_nothing(self, make_session: MakeSession, reply: str) -> None:
        session, _ = make_session({OUTLINE: {reply: 1.0}})
        with pytest.raises(ModelOutputError, match="None of 1, 2, 3, 4, 5, 6, 0 is among the likely replies"):
            choose_outline("Who?", list(outlines(self.lists())), session)
