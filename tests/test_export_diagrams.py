"""Structures as graphs: GraphML, Mermaid and SVG, and that no text of a document becomes code."""

import io
import re
from typing import Any
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from export_structures import HOSTILE, MANUAL, algorithm, evidence, graph
from hypothesis import given, settings
from hypothesis import strategies as st

from structrag.errors import ConfigError
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.exports.diagrams import diagram_of
from structrag.structures.exports.export import export
from structrag.structures.exports.svg import to_svg
from structrag.structures.exports.text import one_line, plain
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.types import SourceDocument, Structure

# Graphs and procedures.


def read_graphml(content: bytes) -> "nx.MultiDiGraph[str]":
    found = nx.read_graphml(io.BytesIO(content), force_multigraph=True)
    assert isinstance(found, nx.MultiDiGraph)
    return found


NAMES = st.text(max_size=6)
FACTS = st.builds(
    lambda head, relation, tail, start, verified: Fact(
        head, relation, tail, f"{head} {tail}", evidence(relation, start, verified=verified)
    ),
    *(NAMES, NAMES, NAMES, st.integers(0, 99), st.booleans()),
)


@settings(max_examples=50)
@given(st.lists(FACTS, max_size=4))
def test_graphml_is_read_back_by_networkx(facts: list[Fact]) -> None:
    network = read_graphml(export(KnowledgeGraph(tuple(facts)), "graphml"))
    assert set(network) == {plain(name) for fact in facts for name in (fact.head, fact.tail)}
    found = [(head, tail, *told.items()) for head, tail, told in network.edges(data=True)]
    expected = [
        (
            *(plain(fact.head), plain(fact.tail)),
            *[("label", plain(fact.relation))] * bool(plain(fact.relation)),
            ("statement", plain(fact.statement)),
            *(("document", "notes/a.md"), ("start", fact.evidence.span.start), ("end", fact.evidence.span.end)),
            *(("quote", plain(fact.relation)), ("verified", fact.evidence.verified)),
        )
        for fact in facts
    ]
    assert sorted(map(sorted_told, found)) == sorted(map(sorted_told, expected))


def sorted_told(edge: tuple[Any, ...]) -> tuple[Any, ...]:
    return edge[0], edge[1], sorted((name, str(value)) for name, value in edge[2:])


def test_graphml_of_a_graph_has_its_other_names() -> None:
    network = read_graphml(export(graph(), "graphml"))
    assert network.nodes["Katrin Moor"] == {"label": "Katrin Moor", "kind": "name", "aliases": "K. Moor"}
    assert network.number_of_edges("Katrin Moor", "Alder") == 2


def test_a_procedure_as_nodes_and_edges() -> None:
    network = read_graphml(export(algorithm(), "graphml"))
    kinds = {name: told["kind"] for name, told in network.nodes(data=True)}
    assert kinds == {
        "1:before 1": "prerequisite",
        "1:before 2": "prerequisite",
        "1:1": "decision",
        "1:1:2": "outcome",
        "1:2": "step",
        "1:3": "decision",
        "1:3:1": "outcome",
    }
    edges = {(source, target): told.get("label", "") for source, target, told in network.edges(data=True)}
    assert edges == {
        ("1:before 1", "1:1"): "before",
        ("1:before 2", "1:1"): "before",
        ("1:1", "1:3"): "yes",
        ("1:1", "1:1:2"): "no",
        ("1:1", "1:2"): "",
        ("1:2", "1:3"): "",
        ("1:3", "1:3:1"): "it smokes",
    }
    assert network.nodes["1:1:2"]["label"] == "stop and call Ann."
    assert network.nodes["1:2"]["number"] == "2"
    assert network.nodes["1:2"]["procedure"] == "Manual"
    assert MANUAL[network.nodes["1:2"]["start"] : network.nodes["1:2"]["end"]] == network.nodes["1:2"]["quote"]


def test_steps_of_several_procedures_stay_apart() -> None:
    one = parse_procedures(SourceDocument("a", "A", "1. Fill.\n2. Boil.\n", "1"))
    other = parse_procedures(SourceDocument("b", "B", "1. Dig.\n2. Sow.\n", "2"))
    network = read_graphml(export(Algorithm((*one, *other)), "graphml"))
    assert set(network.edges()) == {("1:1", "1:2"), ("2:1", "2:2")}


LABEL = r'"(?:[^\W_]|[ ,]|#\d+;)*"'
NODE_LINE = re.compile(rf"  n\d+(?:\[{LABEL}\]|\{{{LABEL}\}}|\(\[{LABEL}\]\))")
EDGE_LINE = re.compile(rf"  n\d+ -->(?:\|{LABEL}\|)? n\d+")
COMMENT_LINE = re.compile(r"%% n\d+(?: to n\d+)?: [^%{}\n]*")


@settings(max_examples=80)
@given(st.text(max_size=20) | st.text(alphabet='"]}|>-;%{}#&<`\n\u2028 endclick:', max_size=16))
def test_every_line_of_mermaid_is_ours(text: str) -> None:
    facts = (Fact(text, text, f"{text}x", text, evidence(text, document=text)),)
    head, *lines = export(KnowledgeGraph(facts, {text: text}), "mermaid").decode().splitlines()
    assert head == "flowchart LR"
    for line in lines:
        assert NODE_LINE.fullmatch(line) or EDGE_LINE.fullmatch(line) or COMMENT_LINE.fullmatch(line), line
    label = lines[0].removeprefix('  n0["').removesuffix('"]')
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label).strip() == one_line(text)


def test_mermaid_of_a_procedure() -> None:
    assert export(algorithm("1. Hot? If yes, go to 1. If no, run.\n2. Wait.\n"), "mermaid").decode().splitlines() == [
        "flowchart TD",
        '  n0{"1#46; Hot#63; If yes, go to 1#46; If no, run#46;"}',
        '  n1(["run#46;"])',
        '  n2["2#46; Wait#46;"]',
        '  n0 -->|"yes"| n0',
        '  n0 -->|"no"| n1',
        "%% n0: number: 1; manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n1: manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n2: number: 2; manual.md, characters 37–45, verified: “2. Wait.”",
        "%% n0 to n0: outcome: go to 1.; manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n0 to n1: manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
    ]


SVG = "{http://www.w3.org/2000/svg}"


def svg_of(structure: Structure) -> ET.Element:
    return ET.fromstring(export(structure, "svg"))


def groups(picture: ET.Element, kind: str) -> list[ET.Element]:
    return [group for group in picture.iter(f"{SVG}g") if kind in group.attrib["class"].split()]


def test_svg_draws_every_node_and_edge_with_its_evidence() -> None:
    picture = svg_of(graph())
    assert len(groups(picture, "name")) == 3
    first, owns, _ = groups(picture, "edge")
    assert first.attrib["data-quote"] == "Katrin Moor leads Alder."
    assert [first.attrib[f"data-{part}"] for part in ("document", "start", "end", "verified")] == [
        *("notes/a.md", "3", "27", "true"),
    ]
    assert "unverified" in owns.attrib["class"].split()
    assert owns.findtext(f"{SVG}title", "").endswith("unverified: “Alder owns Birk.”")
    paths = [group.find(f"{SVG}path") for group in groups(picture, "edge")]
    assert len({path.attrib["d"] for path in paths if path is not None}) == 3


def test_svg_of_procedures_has_a_title_for_each() -> None:
    two = Algorithm((*algorithm().procedures, *algorithm("1. Dig.\n2. Sow.\n").procedures))
    picture = svg_of(two)
    assert [group.findtext(f"{SVG}text") for group in groups(picture, "title")] == ["Manual", "Manual"]
    assert len(groups(picture, "outcome")) == 2
    assert len(groups(picture, "edge")) == len(diagram_of(two).edges) == 8


def test_the_same_graph_gives_the_same_picture() -> None:
    assert export(graph(), "svg") == export(graph(), "svg")


@pytest.mark.parametrize("structure", [graph(HOSTILE, relation=HOSTILE), algorithm(f"1. {HOSTILE}"), graph("A", "A")])
def test_hostile_text_stays_text_in_svg(structure: Structure) -> None:
    content = export(structure, "svg")
    assert b"\x1b" not in content
    tags = {part.tag.removeprefix(SVG) for part in ET.fromstring(content).iter()}
    assert tags <= {"svg", "style", "defs", "marker", "path", "rect", "g", "title", "text"}


def boxes(picture: ET.Element) -> list[tuple[float, float, float, float]]:
    found = [rect for group in picture.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")]
    return [
        (float(r.attrib["x"]), float(r.attrib["y"]), float(r.attrib["width"]), float(r.attrib["height"])) for r in found
    ]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=14))
def test_no_two_boxes_of_a_picture_overlap_and_all_are_on_it(pairs: list[tuple[int, int]]) -> None:
    facts = [Fact(f"name {a}", "to", f"name {b}", "", evidence("x")) for a, b in pairs]
    picture = svg_of(KnowledgeGraph(tuple(facts)))
    left, top, width, height = map(float, picture.attrib["viewBox"].split())
    found = boxes(picture)
    assert len(found) == len({name for fact in facts for name in (fact.head, fact.tail)})
    for number, (x, y, w, h) in enumerate(found):
        assert left < x
        assert x + w < left + width
        assert top < y
        assert y + h < top + height
        for x2, y2, w2, h2 in found[:number]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_graph_too_large_to_be_read_is_not_drawn() -> None:
    facts = tuple(Fact("hub", "to", f"name {number}", "", evidence("x")) for number in range(400))
    with pytest.raises(ConfigError, match="401 nodes are too many") as caught:
        to_svg(diagram_of(KnowledgeGraph(facts)))
    assert "graphml" in (caught.value.hint or "")
