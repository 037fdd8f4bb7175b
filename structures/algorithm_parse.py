"""Procedures from layout: numbered steps, their branches, and what must be done before the first.

No model is called. Text without numbered steps is taken sentence by sentence, so that a procedure told in prose can
be read in order too; its sentences are steps that follow one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from structrag.structures.algorithm import Branch, Procedure, Step

from structrag.corpus.markup import (
    MarkupHeading,
    MarkupStep,
    parse_headings,
    parse_list_items,
    parse_steps,
    split_sentences,
)
from structrag.types import Evidence, SourceDocument, Span

_CLAUSE = re.compile(
    r"\n\s*(?=[-*•]\s|[*_]*(?:yes|no)\b)|(?<=[.?!*_])\s+(?=(?:if|otherwise|on all other)\b)", re.IGNORECASE
)
_YES_NO = re.compile(
    r"^(?:[-*•]\s+)?(?:if\s+)?[*_]*(yes|no)[*_]*\s*(?:->|→|=>|:|,|–)\s*(.+)$", re.IGNORECASE | re.DOTALL
)
_BULLET = re.compile(r"^[-*•]\s+([^:\n]{2,90}):\s+(.+)$", re.DOTALL)
_CONDITION = re.compile(r"^(?:if|unless)\s+([^,]{3,120}),\s*(.+)$", re.IGNORECASE | re.DOTALL)
_JUMP_WHEN = re.compile(
    r"^(?:.*[.?!]\s+)?((?:on|when|for)\s.{3,120}),\s*((?:go|continue|skip|return)\b.+)$",
    re.IGNORECASE | re.DOTALL,
)
_OTHERWISE = re.compile(r"^(?:otherwise|on all other \w+),?\s*(.+)$", re.IGNORECASE | re.DOTALL)
_TARGET = re.compile(
    r"\b(?:go|return|turn|skip|continue|move|jump|proceed)\b[^.;\n]{0,24}?"
    r"\b(?:step|question|point|to|with)\s+(\d+(?:\.\d+)*)\b"
    r"|^(\d+(?:\.\d+)*)\b",
    re.IGNORECASE,
)
_TERMINAL_LABEL = re.compile(r"\(final\b", re.IGNORECASE)
_DECISION_SHARE = 0.4


def parse_procedures(document: SourceDocument) -> list[Procedure]:
    """Return the procedures of a document, in order.

    Numbering that starts again starts a new procedure. Bulleted lines above the first step are its prerequisites.
    """
    groups = list(_groups(parse_steps(document.text)))
    if not groups:
        return _prose(document)
    headings = parse_headings(document.text)
    procedures: list[Procedure] = []
    previous_end = 0
    for group in groups:
        procedures.append(_procedure(document, group, headings, previous_end))
        previous_end = group[-1].end
    return procedures


def parse_branches(text: str) -> tuple[Branch, ...]:
    """Return the ways out that a step's text names: yes and no, conditions, and jumps to other steps."""
    branches: list[Branch] = []
    for clause in _CLAUSE.split(text.strip()):
        branch = _branch(clause.strip())
        if branch is not None:
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
            condition = condition.lower() if pattern is _YES_NO else condition
            return _leading_to(condition, found[2])
    jump = _TARGET.search(clause)
    return Branch("", jump[1] or jump[2]) if jump and jump[1] else None


def _leading_to(condition: str, action: str) -> Branch:
    action = re.sub(r"\s+END$", "", action.strip()).replace("*", "").strip("_ ")
    jump = _TARGET.search(action)
    target = (jump[1] or jump[2]) if jump else None
    return Branch(condition, target, " ".join(action.split()))


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


def _procedure(
    document: SourceDocument, group: Sequence[MarkupStep], headings: Sequence[MarkupHeading], previous_end: int
) -> Procedure:
    deciding = [parse_branches(document.text[step.start : step.end]) for step in group]
    decides = sum({"yes", "no"} <= {b.condition for b in bs} for bs in deciding)
    is_decision_tree = decides >= _DECISION_SHARE * len(group)
    steps = []
    for mark, branches in zip(group, deciding, strict=True):
        label = document.text[mark.start : mark.start + 40]
        ends = not branches and (is_decision_tree or bool(_TERMINAL_LABEL.search(label)))
        # A way out with neither target nor condition: here the procedure ends.
        ways = (Branch("", None, " ".join(mark.text.split())),) if ends else branches
        steps.append(Step(mark.number, mark.text, _evidence(document, mark.start, mark.end), ways))
    return Procedure(
        document_id=document.id,
        title=_title(document, headings, group[0].start),
        steps=tuple(steps),
        prerequisites=tuple(_prerequisites(document, previous_end, group[0].start)),
    )


def _title(document: SourceDocument, headings: Sequence[MarkupHeading], start: int) -> str:
    above = [h.title for h in headings if h.start < start <= h.section_end and h.title != document.title]
    return " – ".join([document.title, *above[-1:]])


def _prerequisites(document: SourceDocument, start: int, end: int) -> Iterator[tuple[str, Evidence]]:
    listed = [(i.start, i.end) for i in parse_list_items(document.text) if start <= i.start < end]
    sentences = split_sentences(document.text, start, end)
    told = [span for span in sentences if _names_condition(document.text[slice(*span)])]
    for first, last in listed or told:
        yield document.text[first:last].lstrip("-*• "), _evidence(document, first, last)


def _names_condition(sentence: str) -> bool:
    return bool(re.search(r"\b(before|first|must|required|only)\b", sentence, re.IGNORECASE))


def _prose(document: SourceDocument) -> list[Procedure]:
    spans = split_sentences(document.text)
    steps = tuple(
        Step(str(number), document.text[start:end], _evidence(document, start, end))
        for number, (start, end) in enumerate(spans, 1)
    )
    return [Procedure(document.id, document.title, steps)] if steps else []


def _evidence(document: SourceDocument, start: int, end: int) -> Evidence:
    return Evidence(Span(document.id, start, end), document.text[start:end])
