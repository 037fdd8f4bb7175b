"""Diagrams as SVG pictures, drawn here: boxes, arrows, and the evidence of each as its tooltip."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from structrag.errors import ConfigError
from structrag.structures.exports.diagrams import Diagram, Edge, Node, NodeKind, evidence_fields, evidence_line
from structrag.structures.exports.text import one_line, plain
from structrag.types import Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_NODES = 400
"""More cannot be read on one picture, and would take minutes to place."""
_LINE_HEIGHT, _PADDING, _GAP, _MARGIN = 16.0, 8.0, 36.0, 24.0
_NARROW_CHARACTER, _WIDE_CHARACTER = 7.0, 13.0
_NAME_WIDTH, _STEP_WIDTH = 24, 44
"""Characters after which a label goes on on the next line."""
_MOST_LINES = 6
_EDGE_LABEL_CHARACTERS = 28
_BEND = 26.0
"""How far edges between the same two nodes are bent apart."""
_SIDE = 60.0
_LABEL_GAP = 150.0
"""Room for the label of an edge that leads to the side."""
_MOST_LANES = 6
_ROOM = 5.0
"""How much of the picture there is for each box, in boxes."""
_STYLE = (
    "text{font:12px sans-serif;fill:#1a1a1a}rect{fill:#f3f6fa;stroke:#3b5b7a}.decision rect{fill:#fdf3dc}"
    ".outcome rect{fill:#e6f4e8}.prerequisite rect{fill:#eeeeee}path{fill:none;stroke:#667788}"
    ".edge text{font-size:10px;fill:#445566;paint-order:stroke;stroke:#ffffff;stroke-width:3px}"
    ".title text{font-weight:bold}.unverified rect,.unverified path{stroke-dasharray:4 3}marker path{fill:#667788}"
)


@dataclass(frozen=True, slots=True)
class _Box:
    """A node in its place; ``x`` and ``y`` are its middle."""

    node: Node
    lines: tuple[str, ...]
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    def border(self, x: float, y: float) -> tuple[float, float]:
        """Return where the line from the middle to a point leaves the box."""
        dx, dy = x - self.x, y - self.y
        reach = max(abs(dx) / (self.width / 2), abs(dy) / (self.height / 2))
        return (self.x + dx / reach, self.y + dy / reach) if reach > 1 else (x, y)


@dataclass(frozen=True, slots=True)
class _Way:
    """The path of an edge, and where its label goes."""

    path: str
    x: float
    y: float


def to_svg(diagram: Diagram) -> bytes:
    """Return a diagram as an SVG picture.

    Raises:
        ConfigError: It has too many nodes to be read.
    """
    if len(diagram.nodes) > _MOST_NODES:
        raise ConfigError(
            f"{len(diagram.nodes):,} nodes are too many for one picture (at most {_MOST_NODES}).",
            hint="Export graphml and open it in a graph viewer such as Gephi or yEd, or ask over fewer documents.",
        )
    boxes = [_box(node, _STEP_WIDTH if diagram.is_ordered else _NAME_WIDTH) for node in diagram.nodes]
    boxes = _stacked(boxes) if diagram.is_ordered else _spread(boxes, diagram.edges)
    places = {box.node.id: box for box in boxes}
    lanes = _lanes(boxes, diagram.edges) if diagram.is_ordered else {}
    picture = _picture(boxes, min(lanes.values(), default=math.inf))
    drawn: Counter[frozenset[str]] = Counter()
    for number, edge in enumerate(diagram.edges):
        pair = frozenset((edge.source, edge.target))
        source, target = places[edge.source], places[edge.target]
        way = _lane_way(source, target, lanes[number]) if number in lanes else _way(source, target, drawn[pair])
        picture.append(_edge(edge, way))
        drawn[pair] += 1
    picture.extend(_node(box) for box in boxes)
    picture.extend(_titles(boxes) if diagram.is_ordered else [])
    content: bytes = ET.tostring(picture, encoding="utf-8", xml_declaration=True)
    return content


def _box(node: Node, width: int) -> _Box:
    lines = textwrap.wrap(one_line(node.label), width, max_lines=_MOST_LINES, placeholder=" …") or [" "]
    widest = max(map(_text_width, lines))
    return _Box(node, tuple(lines), widest + 2 * _PADDING, len(lines) * _LINE_HEIGHT + 2 * _PADDING)


def _text_width(text: str) -> float:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return _WIDE_CHARACTER * wide + _NARROW_CHARACTER * (len(text) - wide)


def _stacked(boxes: Sequence[_Box]) -> list[_Box]:
    """Put steps below each other in their order, and what they lead to beside them."""
    right = max((box.width for box in boxes if box.node.kind is not NodeKind.OUTCOME), default=0.0) / 2 + _LABEL_GAP
    placed: list[_Box] = []
    main_end = side_end = 0.0
    group = ""
    for box in boxes:
        if box.node.kind is NodeKind.OUTCOME:
            top = max(side_end, placed[-1].y - placed[-1].height / 2 if placed else 0.0)
            placed.append(replace(box, x=right + box.width / 2, y=top + box.height / 2))
            side_end = top + box.height + _PADDING
            continue
        procedure = box.node.id.partition(":")[0]
        # Room for the title of the next procedure.
        top = max(main_end, side_end) + 2 * _GAP if procedure != group else main_end
        placed.append(replace(box, y=top + box.height / 2))
        main_end, group = top + box.height + _GAP, procedure
        side_end = max(side_end, top)
    return placed


def _lanes(boxes: Sequence[_Box], edges: Sequence[Edge]) -> dict[int, float]:
    """Return for each edge that passes other steps how far left of them it goes, the further the more they are."""
    steps = [box for box in boxes if box.node.kind is not NodeKind.OUTCOME]
    order = {box.node.id: number for number, box in enumerate(steps)}
    left = min((box.x - box.width / 2 for box in steps), default=0.0)
    passed = {
        number: abs(order[edge.target] - order[edge.source]) - 1
        for number, edge in enumerate(edges)
        if edge.source in order and edge.target in order
    }
    return {number: left - _BEND * min(count, _MOST_LANES) for number, count in passed.items() if count > 0}


def _spread(boxes: Sequence[_Box], edges: Sequence[Edge]) -> list[_Box]:
    """Put what is related near each other: every part that hangs together by itself, in rows, the largest first."""
    import networkx as nx

    network: nx.Graph[str] = nx.Graph()
    network.add_nodes_from(box.node.id for box in boxes)
    network.add_edges_from((edge.source, edge.target) for edge in edges)
    parts = []
    for names in sorted(nx.connected_components(network), key=len, reverse=True):
        inside = [(edge.source, edge.target) for edge in edges if edge.source in names]
        parts.append(_part([box for box in boxes if box.node.id in names], inside))
    row_width = math.sqrt(sum(width * height for _, width, height in parts)) * 1.2
    placed: list[_Box] = []
    left = top = row_height = 0.0
    for part, width, height in parts:
        if left and left + width > row_width:
            left, top, row_height = 0.0, top + row_height, 0.0
        placed += [replace(box, x=box.x + left, y=box.y + top) for box in part]
        left, row_height = left + width, max(row_height, height)
    return placed


def _part(boxes: Sequence[_Box], edges: Sequence[tuple[str, str]]) -> tuple[list[_Box], float, float]:
    """Return boxes placed by the springs between them, from the origin on, and the width and height they take."""
    import networkx as nx
    import numpy as np

    # In the order of the boxes, so that the same graph always gives the same picture.
    network: nx.Graph[str] = nx.Graph()
    network.add_nodes_from(box.node.id for box in boxes)
    network.add_edges_from(edges)
    found = nx.spring_layout(network, seed=0)
    sizes = np.array([(box.width + _GAP, box.height + _GAP) for box in boxes])
    side = math.sqrt(float(sizes.prod(axis=1).sum()) * _ROOM)
    middles = _apart(np.array([found[box.node.id] for box in boxes], dtype=float) * side / 2, sizes)
    middles -= (middles - sizes / 2).min(axis=0)
    width, height = (middles + sizes / 2).max(axis=0)
    placed = [replace(box, x=float(x), y=float(y)) for box, (x, y) in zip(boxes, middles, strict=True)]
    return placed, float(width), float(height)


def _apart(middles: NDArray[np.float64], sizes: NDArray[np.float64], rounds: int = 80) -> NDArray[np.float64]:
    """Push boxes that overlap apart, each pair along the axis on which less is needed."""
    import numpy as np

    wanted = (sizes[:, None, :] + sizes[None, :, :]) / 2
    # Boxes at the same height or place are told apart by their order.
    rank = np.arange(len(middles))
    fallback = np.where(rank[:, None] > rank[None, :], 1.0, -1.0)
    for _ in range(rounds):
        apart = middles[:, None, :] - middles[None, :, :]
        lacking = wanted - np.abs(apart)
        overlaps = np.asarray((lacking > 1e-6).all(axis=2))
        np.fill_diagonal(overlaps, val=False)
        if not overlaps.any():
            break
        for axis in (0, 1):
            is_least = overlaps & ((lacking[:, :, axis] < lacking[:, :, 1 - axis]) | ((axis == 0) & _equal(lacking)))
            signs = np.where(apart[:, :, axis] == 0, fallback, np.sign(apart[:, :, axis]))
            middles[:, axis] += (np.where(is_least, lacking[:, :, axis], 0.0) * signs).sum(axis=1) / 2
    return middles


def _equal(lacking: NDArray[np.float64]) -> NDArray[np.bool_]:
    import numpy as np

    return np.asarray(lacking[:, :, 0] == lacking[:, :, 1])


def _picture(boxes: Sequence[_Box], left_lane: float) -> ET.Element:
    left = min(left_lane, min((b.x - b.width / 2 for b in boxes), default=0.0)) - _MARGIN - _SIDE
    top = min((b.y - b.height / 2 for b in boxes), default=0.0) - _MARGIN - _GAP
    width = max((b.x + b.width / 2 for b in boxes), default=0.0) + _MARGIN + _SIDE - left
    height = max((b.y + b.height / 2 for b in boxes), default=0.0) + _MARGIN - top
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}"}
    box = f"{left:.1f} {top:.1f} {width:.1f} {height:.1f}"
    picture = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": box, **size})
    ET.SubElement(picture, "style").text = _STYLE
    marker = {"viewBox": "0 0 10 10", "refX": "10", "refY": "5", "markerWidth": "7", "markerHeight": "7"}
    arrow = ET.SubElement(ET.SubElement(picture, "defs"), "marker", {"id": "arrow", "orient": "auto", **marker})
    ET.SubElement(arrow, "path", {"d": "M0 0L10 5L0 10z"})
    background = {"x": f"{left:.1f}", "y": f"{top:.1f}", "style": "fill:#ffffff;stroke:none"}
    ET.SubElement(picture, "rect", background | size)
    return picture


def _node(box: _Box) -> ET.Element:
    told = [box.node.label, *(f"{name}: {text}" for name, text in box.node.details.items())]
    group = _group(str(box.node.kind), told, box.node.evidence)
    corner = {"x": f"{box.x - box.width / 2:.1f}", "y": f"{box.y - box.height / 2:.1f}", "rx": "5"}
    ET.SubElement(group, "rect", corner | {"width": f"{box.width:.1f}", "height": f"{box.height:.1f}"})
    first = box.y - box.height / 2 + _PADDING + _LINE_HEIGHT - 4
    for number, line in enumerate(box.lines):
        _text(group, box.x, first + number * _LINE_HEIGHT, line)
    return group


def _edge(edge: Edge, way: _Way) -> ET.Element:
    group = _group("edge", [edge.label, *(f"{name}: {text}" for name, text in edge.details.items())], edge.evidence)
    ET.SubElement(group, "path", {"d": way.path, "marker-end": "url(#arrow)"})
    label = one_line(edge.label)
    shown = label if len(label) <= _EDGE_LABEL_CHARACTERS else f"{label[: _EDGE_LABEL_CHARACTERS - 1].rstrip()}…"
    if shown:
        _text(group, way.x, way.y, shown)
    return group


def _way(source: _Box, target: _Box, before: int) -> _Way:
    """Return the way of an edge when there are ``before`` others between its two nodes already."""
    if source is target:
        right, top = source.x + source.width / 2, source.y - source.height / 2
        reach = _SIDE * (1 + before / 2)
        curve = f"C{right + reach:.1f} {source.y:.1f} {source.x:.1f} {top - reach:.1f} {source.x:.1f} {top:.1f}"
        return _Way(f"M{right:.1f} {source.y:.1f}{curve}", right + reach / 3, top - reach / 3)
    bend = _bend(source, target, before)
    start, end = source.border(*bend), target.border(*bend)
    path = f"M{start[0]:.1f} {start[1]:.1f}Q{bend[0]:.1f} {bend[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    return _Way(path, (start[0] + 2 * bend[0] + end[0]) / 4, (start[1] + 2 * bend[1] + end[1]) / 4)


def _bend(source: _Box, target: _Box, before: int) -> tuple[float, float]:
    """Return the point that an edge is bent towards: the middle for the first, then to either side in turn."""
    dx, dy = target.x - source.x, target.y - source.y
    length = math.hypot(dx, dy) or 1.0
    offset = 2 * _BEND * ((before + 1) // 2) * (1 if before % 2 else -1)
    if source.node.id > target.node.id:
        offset = -offset  # or the two directions would take the same side
    return (source.x + target.x) / 2 - dy / length * offset, (source.y + target.y) / 2 + dx / length * offset


def _lane_way(source: _Box, target: _Box, lane: float) -> _Way:
    """Return the way of an edge that goes round the steps in between, on their left."""
    start, end = source.x - source.width / 2, target.x - target.width / 2
    path = f"M{start:.1f} {source.y:.1f}C{lane:.1f} {source.y:.1f} {lane:.1f} {target.y:.1f} {end:.1f} {target.y:.1f}"
    return _Way(path, (start + 6 * lane + end) / 8, (source.y + target.y) / 2)


def _titles(boxes: Sequence[_Box]) -> list[ET.Element]:
    """Draw each procedure's title above its first box."""
    first: dict[str, _Box] = {}
    for box in boxes:
        first.setdefault(box.node.id.partition(":")[0], box)
    titles = []
    for box in first.values():
        group = ET.Element("g", {"class": "title"})
        _text(group, box.x, box.y - box.height / 2 - _GAP / 2, one_line(box.node.group))
        titles.append(group)
    return titles


def _group(kind: str, told: Sequence[str], evidence: Evidence | None) -> ET.Element:
    """Return the group of a node or an edge, with its evidence as attributes and as a tooltip."""
    is_unverified = evidence is not None and not evidence.verified
    group = ET.Element("g", {"class": f"{kind} unverified" if is_unverified else kind})
    lines = [text for text in told if text]
    if evidence is not None:
        for name, value in evidence_fields(evidence).items():
            group.set(f"data-{name}", plain(value) if isinstance(value, str) else str(value).lower())
        lines.append(evidence_line(evidence))
    ET.SubElement(group, "title").text = plain("\n".join(lines))
    return group


def _text(group: ET.Element, x: float, y: float, text: str) -> None:
    ET.SubElement(group, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": "middle"}).text = text
