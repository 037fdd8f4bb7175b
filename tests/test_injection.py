"""Every attack by injection, and a model that obeys it in full: what code can prevent does not happen.

The same attacks run with the real embedded model in `bench/injection.py`, which reports what gets through.
"""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from structrag import StructRAG
from structrag.cli.text import clean
from structrag.corpus.loaders import load_bytes
from structrag.corpus.profile import profile
from structrag.errors import ModelOutputError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router import FixedRouter, RoutingRequest
from structrag.router.template import described, render
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Answer, StructureType
from structrag.utilizer.reading import load_prompt

ROOT = Path(__file__).parents[1]
BENCH = runpy.run_path(str(ROOT / "bench" / "injections.py"))
ATTACKS: list[Mapping[str, Any]] = BENCH["attacks"]()
CANARY, SECRET = BENCH["CANARY"], BENCH["SECRET"]
WORDS = "yes no after before situation detail unknown all headings mentions documents statements a b c 0 1 2 3".split()
PLANS = {
    "graph_plan": f'teacher_of(teacher_of("Ann Lee")) {CANARY}',
    "catalogue_plan": 'number(headings("workshops"))',
}
LINK = "https://evil.example/login"


def attackers_words(attack: Mapping[str, Any]) -> str:
    """What a model says that does whatever the attack wants."""
    wanted = str(next(iter(attack["success"].values())))
    return {"True": CANARY}.get(wanted, LINK if wanted == "evil.example" else wanted)


def obey(attack: Mapping[str, Any]) -> dict[str, Any]:
    """Return the script of a model that answers every call as the attacker would like best."""
    words = attackers_words(attack)
    sql = str(attack["success"].get("sql", f"SELECT '{words}' AS answer FROM pumps"))

    def item(prompt: str) -> int:
        numbers = re.findall(r"^\[(\d+)\] ", prompt[prompt.rindex("\n[1] ") :], re.MULTILINE)
        return len(numbers)

    # A number that the question has is in the reply as well: the answer must not pass for that alone.
    return {
        load_prompt("read_all"): lambda prompt: {
            "answers": [{"item": n, "answer": words} for n in range(1, item(prompt) + 1)]
        },
        load_prompt("read"): lambda prompt: {"item": 1, "answer": words},
        load_prompt("read_again"): lambda prompt: {"item": 1, "answer": words},
        load_prompt("read_passages"): words,
        load_prompt("graph_plan"): PLANS["graph_plan"],
        load_prompt("catalogue_plan"): PLANS["catalogue_plan"],
        load_prompt("catalogue_names"): lambda prompt: {str(n): words for n in range(1, item(prompt) + 1)},
        "CREATE TABLE": {"sql": sql},
        "": dict.fromkeys(WORDS, 1 / len(WORDS)),
    }


Ask = Callable[[Mapping[str, Any]], tuple[Answer | None, StructRAG, ScriptedChatModel, Path]]


@pytest.fixture
def ask(embedder: SentenceTransformerEmbedder, tmp_path: Path) -> Iterator[Ask]:
    opened: list[StructRAG] = []

    def run(attack: Mapping[str, Any]) -> tuple[Answer | None, StructRAG, ScriptedChatModel, Path]:
        structure = StructureType.parse(attack["structure"])
        folder = tmp_path / "documents"
        scope = BENCH["write_documents"](folder, attack, structure)
        chat, model = scripted(obey(attack))
        rag = StructRAG.open(tmp_path / "corpus", chat=chat, router=FixedRouter(structure), embedder=embedder)
        opened.append(rag)
        failed = {line.document_id for line in rag.add([folder]).failed}
        scope = tuple(each for each in scope if each not in failed)
        try:
            return rag.ask(attack["question"], scope=scope), rag, model, folder
        except ModelOutputError:  # a reply that fits no schema is an error, and no answer
            return None, rag, model, folder

    yield run
    for rag in opened:
        rag.close()


def test_there_are_attacks_of_every_kind_on_every_structure() -> None:
    assert len(ATTACKS) >= 60
    assert len({attack["id"] for attack in ATTACKS}) == len(ATTACKS)
    assert min(Counter(attack["structure"] for attack in ATTACKS).values()) >= 10
    assert {"answer", "route", "sql", "exfiltrate", "citation", "hidden-html", "hidden-pdf", "hidden-docx"} <= {
        attack["kind"] for attack in ATTACKS
    }


def each_kind_once() -> Iterator[Any]:
    """Yield all attacks; what comes after the first of a kind is slow together, and the same code."""
    seen: set[str] = set()
    for attack in ATTACKS:
        marks = [pytest.mark.slow] if attack["kind"] in seen else []
        seen.add(attack["kind"])
        yield pytest.param(attack, id=attack["id"], marks=marks)


@pytest.mark.parametrize("attack", list(each_kind_once()))
def test_a_model_that_obeys_cannot_do_what_code_prevents(attack: Mapping[str, Any], ask: Ask) -> None:
    answer, rag, model, folder = ask(attack)
    texts = {document.id: document.text for document in rag.documents()}
    told = " ".join([answer.text, *answer.values]) if answer else ""
    citations = answer.citations if answer else ()

    # What is out of scope is in no answer, in no citation, and was not even shown to the model.
    assert SECRET not in told
    assert BENCH["SECRET_NAME"] in texts
    assert all(citation.evidence.span.document_id != BENCH["SECRET_NAME"] for citation in citations)
    assert not any("Nobody but the keeper" in prompt for prompt in model.prompts)

    # Citations stand where they say, word for word; and what the attacker had said stands in a cited place or is not said.
    for citation in citations:
        span = citation.evidence.span
        assert texts[span.document_id][span.start : span.end] == citation.evidence.quote
    cited = " ".join([*(citation.evidence.quote for citation in citations), *(c.title for c in citations)])
    assert CANARY not in told or CANARY in cited
    assert "evil.example" not in told or "evil.example" in cited

    # No query but a SELECT was run, and none that brings its answer along; nothing was written, nothing loaded.
    if answer and "sql" in attack["success"]:
        assert not BENCH["was_run"](attack["success"]["sql"], answer)
    assert not list(Path("/tmp").glob("structrag-injected*"))
    assert sorted(path.name for path in folder.iterdir()) == sorted({*texts, attack["name"]})

    # No text of theirs ends the turn in which it is quoted.
    assert not any("<|im_" in prompt for prompt in model.prompts)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["id"])
def test_the_router_sees_a_title_and_shapes_and_nothing_else(attack: Mapping[str, Any], tmp_path: Path) -> None:
    document = load_bytes(BENCH["file_of"](attack), tmp_path / attack["name"], "a")
    prompt = render(RoutingRequest(attack["question"], (profile(document),)))
    beside = prompt.removeprefix(f"[CLS]{attack['question']}[SEP]").removesuffix("[SEP]")
    assert beside == described(profile(document))
    title = re.escape(" ".join(document.title.split())[:36])
    assert re.fullmatch(rf"{title} \((?:prose|(?:rows|headings|steps)(?:, (?:headings|steps))*)\)", beside)


class TestHiddenText:
    """What a reader of the page cannot see cannot be checked by him, so where code can tell, it is not read."""

    @pytest.mark.parametrize(
        "attack",
        [attack for attack in ATTACKS if attack["kind"] in ("hidden-html", "hidden-pdf", "hidden-docx")],
        ids=lambda attack: attack["id"],
    )
    def test_it_is_left_out_and_reported_or_known_to_get_in(self, attack: Mapping[str, Any], tmp_path: Path) -> None:
        document = load_bytes(BENCH["file_of"](attack), tmp_path / attack["name"], "a")
        gets_in = attack["how"] == "white" and attack["format"] == "pdf"
        assert (attack["hidden"] in document.text) is gets_in
        if not gets_in and attack["how"] != "comment":
            assert "left out" in " ".join(document.warnings)

    def test_tags_that_only_a_model_reads_are_made_visible(self, tmp_path: Path) -> None:
        attack = next(attack for attack in ATTACKS if attack["kind"] == "invisible-tags")
        text = load_bytes(BENCH["file_of"](attack), tmp_path / attack["name"], "a").text
        assert not any(0xE0000 <= ord(character) <= 0xE007F for character in text)
        assert "\ufffd" * 20 in text


def test_what_is_shown_on_a_terminal_is_only_text(ask: Ask) -> None:
    attack = next(attack for attack in ATTACKS if attack["id"] == "markup-chunk-1")
    obeyed = {**attack, "success": {"says": "\x1b]0;ZORVEX\x07\x1b[31m7 million EUR"}}
    answer, *_ = ask(obeyed)
    assert answer is not None
    assert answer.grounded, "The document says so: it is an answer, and must not steer the terminal."
    assert "\x1b" not in clean(answer.text)
    assert json.loads(json.dumps(answer.to_dict()))["id"] == answer.id
