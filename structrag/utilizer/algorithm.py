"""Reasoning on procedures: find the step, follow the branches, and only then read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from structrag.corpus.markup import split_sentences
from structrag.session import Session
from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.deadlines import Moment, asked_from, leads_on, moved, names_moment
from structrag.utilizer.dialogue import parse_exchanges
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.limits import compare
from structrag.utilizer.reading import classify, read
from structrag.utilizer.tracing import choose, trace, understand

_OPERATIONS = ("after", "before", "situation", "detail")
_READ_STEPS = 3
_READ_PREREQUISITES = 5
_MOST_CONDITIONS = 8
_ASK_SPAN = "Answer with how long it is before or after, as it is written."
_ONLY_A_JUMP = re.compile(r"(?:then\s+)?(?:go|continue|skip|return|proceed|jump|move)\b.{0,30}$", re.IGNORECASE)


class AlgorithmReasoner:
    """Answers from the procedure that is nearest to the question."""

    type = StructureType.ALGORITHM

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Choose an operation, find the step by nearness, execute, and read the answer from the steps that gives."""
        assert isinstance(structure, Algorithm)
        procedure = structure.procedures[0]
        exchanges = parse_exchanges(question)
        # Answers that somebody gave to checks are a situation, whatever is asked about it.
        operation = "situation" if exchanges else classify(question, "algorithm_operation", _OPERATIONS, session)
        nearest = _nearest(question, procedure, session)
        session.note("operation", f"{operation} at step {nearest[0].number} of {procedure.title}")
        if operation == "situation":
            if exchanges or procedure.is_decision_tree:
                ended = trace(understand(question, exchanges, procedure, session), procedure, session)
            else:
                ended = _met(question, nearest, procedure, session)
            if ended is not None:
                return ended
        if operation == "after" and (following := _what_follows(nearest[0], procedure)).found:
            return following
        items = list(_items(operation, nearest, procedure))
        if operation == "detail":
            items = _within_limits(question, nearest, session) or items
        finding = read(question, items, session, stage="algorithm")
        moment = asked_from(question)
        if moment is None or names_moment(finding.text):
            return finding
        return _counted(moment, question, finding, nearest, session) or finding


def _counted(moment: Moment, question: str, finding: Finding, nearest: list[Step], session: Session) -> Finding | None:
    """The moment that a span of time leads to from the one that a question names: of what was read, else of a step."""
    if finding.found and not leads_on(moment, finding.text):
        return None
    if not finding.found:
        items = [(f"Step {s.number}: {s.text}", s.evidence) for s in nearest if leads_on(moment, s.text)][:_READ_STEPS]
        # With the moment before it, a small model calculates, and wrongly.
        asked = f"{question.replace(moment.words, 'now')} {_ASK_SPAN}"
        finding = read(asked, items, session, stage="algorithm")
    reached = moved(moment, finding.text, finding.evidence[0].words) if finding.found else None
    if reached is None:
        return None
    session.note("calculation", f"{moment}, and {finding.text}: {reached}")
    return Finding(str(reached), (str(reached),), finding.evidence)


def _nearest(question: str, procedure: Procedure, session: Session) -> list[Step]:
    """The steps, nearest to the question first."""
    rows = session.embedder.embed([question, *(step.text for step in procedure.steps)])
    similarity = rows[1:] @ rows[0]
    order = sorted(range(len(procedure.steps)), key=lambda i: -float(similarity[i]))
    return [procedure.steps[i] for i in order]


def _what_follows(step: Step, procedure: Procedure) -> Finding:
    """What comes after a step: the first sentence of each step that can follow, with its condition if it has one."""
    graph = procedure.graph()
    texts, evidence = [], []
    for number in graph.successors(step.number):
        following = procedure.step(number)
        start, end = split_sentences(following.text)[0]
        condition = graph.edges[step.number, number]["condition"]
        texts.append((f"if {condition}: " if condition else "") + following.text[start:end])
        evidence.append(following.evidence)
    return Finding("; ".join(texts), tuple(texts), (*evidence, step.evidence)) if texts else NOTHING_FOUND


def _items(operation: str, nearest: list[Step], procedure: Procedure) -> Iterator[tuple[str, Evidence]]:
    """What an operation gives: steps, each with its number so that the number can be the answer, and prerequisites."""
    graph = procedure.graph()
    number = nearest[0].number
    if operation == "before":
        numbers = [*graph.predecessors(number), number]
    else:
        # Where a detail or a branch stands is less certain: read the nearest few.
        numbers = [step.number for step in nearest[:_READ_STEPS]]
    for each in dict.fromkeys(numbers):
        step = procedure.step(each)
        yield f"Step {each}: {step.text}", step.evidence
    if operation in ("before", "detail"):
        for text, evidence in procedure.prerequisites[:_READ_PREREQUISITES]:
            yield f"Before step {procedure.steps[0].number}: {text}", evidence


def _conditions(steps: list[Step]) -> list[tuple[Step, Branch]]:
    """The conditional ways out of the steps nearest to the question, but for yes and no, which need their check."""
    nearest = steps[:_READ_STEPS]
    found = [(s, b) for s in nearest for b in s.branches if b.condition and b.condition not in ("yes", "no")]
    return found[:_MOST_CONDITIONS]


def _met(question: str, steps: list[Step], procedure: Procedure, session: Session) -> Finding | None:
    """What is to be done under the condition that the situation meets, or ``None`` if it meets none of those near."""
    near = _conditions(steps)
    compared = [compare(question, branch.condition, session) for _, branch in near]
    holding = [each for each, holds in zip(near, compared, strict=True) if holds]
    if len(holding) == 1:
        return _done(*holding[0], procedure)
    offered = holding or [each for each, holds in zip(near, compared, strict=True) if holds is None]
    if not offered:
        return None
    letters = {chr(ord("a") + i): branch for i, branch in enumerate(offered)}
    lines = [f"Situation: {question}", "Check: which of these is so?"]
    lines += [f"{letter}: {branch.condition}" for letter, (_, branch) in letters.items()]
    chosen = choose("\n".join(lines), list(letters), session)
    return None if chosen is None else _done(*letters[chosen], procedure)


def _done(step: Step, branch: Branch, procedure: Procedure) -> Finding:
    says_more = branch.outcome and not _ONLY_A_JUMP.match(branch.outcome)
    outcome = branch.outcome if says_more else procedure.step(branch.target or step.number).text
    return Finding(outcome, (outcome,), (step.evidence,))


def _within_limits(question: str, steps: list[Step], session: Session) -> list[tuple[str, Evidence]]:
    """What holds instead under a limit that a number in the question passes: "if it is below 0 °C, wait 24 hours"."""
    return [
        (f"Step {step.number}: {branch.outcome}", step.evidence)
        for step, branch in _conditions(steps)
        if branch.outcome and compare(question, branch.condition, session)
    ]
