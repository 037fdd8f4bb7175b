"""Procedures from layout: numbered steps, their branches, and what must be done before the first.

No model is called. Text without numbered steps is taken sentence by sentence, so that a procedure told in prose can
be read in order too; its sentences are steps that follow one another.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from structrag.corpus.markup import (
    MarkupHeading,
    MarkupStep,
    parse_headings,
    parse_list_items,
    parse_steps,
    split_sentences,
)
from structrag.structures.algorithm import Branch, Procedure, Step
from structrag.types import Evidence, SourceDocument, Span

_NUMBER = r"(\d+(?:\.\d+)*[a-z]?)"
_LEADS = r"(?:->|→|=>|:)"
_CLAUSE = re.compile(
    r"\n[ \t]*(?=[-*•]\s|[*_]*(?:yes|no)(?![^\W_]))"
    r"|(?<=[.?!;*_])\s+(?=(?:if|otherwise|on all other)\b)"
    rf"|(?<=[.?!;,])\s+(?=otherwise\b|if\s+(?:yes|no|so|not)\b|(?:yes|no)\s*{_LEADS})",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    rf"^(?:[-*•]\s+)?[*_]*(?:if\s+)?[*_]*(yes|no|(?<=if )(?:so|not))[*_]*"
    rf"(?:\s*(?:{_LEADS}|,|–)\s*|\s+(?=(?:go|continue|skip|return|proceed|jump|stop)\b))(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_YES_OR_NO = {"yes": "yes", "so": "yes", "no": "no", "not": "no"}
_BULLET = re.compile(r"^[-*•]\s+([^:\n]{2,90}):\s+(.+)$", re.DOTALL)
_CONDITION = re.compile(r"^(?:if\s+|(?=unless\s))([^,]{3,120}),\s*(.+)$", re.IGNORECASE | re.DOTALL)
_JUMP_WHEN = re.compile(
    r"^(?:.*[.?!]\s+)?((?:on|when|for|at|above|below|from|under|over|without|in)\s.{3,120}),\s*((?:go|continue|skip|return)\b.+)$",
    re.IGNORECASE | re.DOTALL,
)
_OTHERWISE = re.compile(r"^(?:otherwise|on all other \w+),?\s*(.+)$", re.IGNORECASE | re.DOTALL)
# "Turn the dial to 5" and "continue heating to 80 °C" are no jumps: a bare number must end its clause.
_BARE = rf"{_NUMBER}(?=\s*(?:[.,;:()]|$)|\s+(?:and|or|if|when|unless|until)\b)"
_JUMP = re.compile(
    r"\b(?:go|return|turn|skip|continue|move|jump|proceed)\b[^.;\n]{0,24}?"
    rf"\b(?:step|question|point)\s+{_NUMBER}\b"
    r"|\b(?:go|return|skip|continue|jump|proceed)(?:\s+(?:on|back|straight|ahead|directly))*"
    rf"\s+(?:to|with|at)\s+{_BARE}",
    re.IGNORECASE,
)
_ONLY_A_NUMBER = re.compile(rf"(?:(?:step|question|point)\s+)?{_BARE}", re.IGNORECASE)
_TERMINAL_LABEL = re.compile(r"\(final\b[^)\n]{0,20}\)\s*[:.–-]?\s*", re.IGNORECASE)
_DECISION_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the text shows around the steps, read once for all procedures of a document."""

    headings: list[MarkupHeading]
    items: list[tuple[int, int]]
    sentences: list[tuple[int, int]]


def parse_procedures(document: SourceDocument) -> list[Procedure]:
    """Return the procedures of a document, in order.

    Numbering that starts again starts a new procedure. Bulleted lines above the first step are its prerequisites.
    """
    text = document.text
    groups = list(_groups(parse_steps(text)))
    if not groups:
        return _prose(document)
    layout = _Layout(
        parse_headings(text), [(item.start, item.end) for item in parse_list_items(text)], split_sentences(text)
    )
    procedures: list[Procedure] = []
    previous_end = 0
    for group in groups:
        procedures.append(_procedure(document, group, layout, previous_end))
        previous_end = group[-1].end
    return procedures


def parse_branches(text: str) -> tuple[Branch, ...]:
    """Return the ways out that a step's text names: yes and no, conditions, and jumps to other steps."""
    branches: list[Branch] = []
    for clause in _CLAUSE.split(text.replace("**", "").replace("__", "").strip()):
        branch = _branch(clause.strip())
        if branch is not None and (branch.condition or branch.target or branches):
            # "Otherwise" without a condition before it only warns: "Close the lid, otherwise it splashes."
            branches.append(branch)
        elif branches and branches[-1].target is None and branches[-1].condition:
            last = branches[-1]
            branches[-1] = Branch(last.condition, None, f"{last.outcome} {clause.strip()}".strip())
    return tuple(branches)


def _branch(clause: str) -> Branch | None:
    found = _OTHERWISE.match(clause)
    if found:
        return _leading_to("", found[1])
    for pattern in (_YES_NO, _BULLET, _CONDITION, _JUMP_WHEN):
        found = pattern.match(clause)
        if found:
            condition = found[1].strip()
            return _leading_to(_YES_OR_NO[condition.lower()] if pattern is _YES_NO else condition, found[2])
    jump = _JUMP.search(clause)
    return Branch("", jump[1] or jump[2]) if jump else None


def _leading_to(condition: str, action: str) -> Branch:
    action = re.sub(r"\s+END$", "", action.strip()).replace("*", "").strip("_ ,;")
    jump = _ONLY_A_NUMBER.match(action) or _JUMP.search(action)
    target = next(filter(None, jump.groups())) if jump else None
    return Branch(condition, target, " ".join(action.split()))


def _within(branches: Sequence[Branch], numbers: Collection[str]) -> Iterator[Branch]:
    """Yield the branches; where one leads to a step of another document, its words are the outcome."""
    for branch in branches:
        if branch.target is None or branch.target in numbers:
            yield branch
        elif branch.outcome:
            yield Branch(branch.condition, None, branch.outcome)


def _groups(steps: Sequence[MarkupStep]) -> Iterator[list[MarkupStep]]:
    group: list[MarkupStep] = []
    for step in steps:
        if group and _starts_again(step, group):
            yield group
            group = []
        group.append(step)
    if group:
        yield group


def _starts_again(step: MarkupStep, group: Sequence[MarkupStep]) -> bool:
    return step.number in {s.number for s in group} or step.number == "1"


def _procedure(document: SourceDocument, group: Sequence[MarkupStep], layout: _Layout, previous_end: int) -> Procedure:
    numbers = {step.number for step in group}
    deciding = [tuple(_within(parse_branches(document.text[step.start : step.end]), numbers)) for step in group]
    decides = sum({"yes", "no"} <= {b.condition for b in bs} for bs in deciding)
    is_decision_tree = decides >= _DECISION_SHARE * len(group)
    steps = []
    for mark, branches in zip(group, deciding, strict=True):
        label = document.text[mark.start : mark.start + 40]
        is_final = bool(_TERMINAL_LABEL.search(label))
        ends = is_final or (is_decision_tree and not branches)
        # A way out with neither target nor condition: here the procedure ends.
        ways = (Branch("", None, _without_label(mark.text)),) if ends else branches
        steps.append(Step(mark.number, mark.text, _evidence(document, mark.start, mark.end), ways))
    return Procedure(
        document_id=document.id,
        title=_title(document, layout.headings, group[0].start),
        steps=tuple(steps),
        prerequisites=tuple(_prerequisites(document, layout, previous_end, group[0].start)),
    )


def _without_label(text: str) -> str:
    """What a step at which the procedure ends says to do, without the words that mark it as the end."""
    label = _TERMINAL_LABEL.match(text)
    return " ".join(text[label.end() if label else 0 :].split())


def _title(document: SourceDocument, headings: Sequence[MarkupHeading], start: int) -> str:
    before = reversed(headings[: bisect_left(headings, start, key=lambda h: h.start)])
    above = next((h.title for h in before if start <= h.section_end and h.title != document.title), None)
    return f"{document.title} – {above}" if above is not None else document.title


def _prerequisites(document: SourceDocument, layout: _Layout, start: int, end: int) -> Iterator[tuple[str, Evidence]]:
    listed, above = (
        spans[bisect_left(spans, (start, 0)) : bisect_left(spans, (end, 0))]
        for spans in (layout.items, layout.sentences)
    )
    told = [span for span in above if _names_condition(document.text[slice(*span)])]
    for first, last in listed or told:
        yield document.text[first:last].lstrip("-*• "), _evidence(document, first, last)


def _names_condition(sentence: str) -> bool:
    return bool(re.search(r"\b(before|first|must|required|only)\b", sentence, re.IGNORECASE))


def _prose(document: SourceDocument) -> list[Procedure]:
    spans = split_sentences(document.text)
    steps = []
    for number, (start, end) in enumerate(spans, 1):
        text = document.text[start:end]
        # Sentences have no numbers of their own that another could send the reader to.
        # A yes or a no answers a check in the sentence before, which is another step here.
        found = _within(parse_branches(text), ())
        conditions = tuple(branch for branch in found if branch.condition not in ("", "yes", "no"))
        steps.append(Step(str(number), text, _evidence(document, start, end), conditions))
    return [Procedure(document.id, document.title, tuple(steps))] if steps else []


def _evidence(document: SourceDocument, start: int, end: int) -> Evidence:
    return Evidence(Span(document.id, start, end), document.text[start:end])
