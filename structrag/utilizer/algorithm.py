"""Reasoning on procedures: find the step, follow the branches, and only then read."""

from __future__ import annotations

from collections.abc import Iterator

from structrag.corpus.markup import split_sentences
from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.limits import compare
from structrag.utilizer.reading import classify, load_examples, load_prompt, read

_LONGEST_TRACE = 30
_UNKNOWN = "unknown"
_UNKNOWN_FROM = 0.6
"""The model must be this sure that the situation does not say, before tracing stops."""
_OPERATIONS = ("after", "before", "situation", "detail")
_READ_STEPS = 3
_READ_PREREQUISITES = 5


class AlgorithmReasoner:
    """Answers from the procedure that is nearest to the question."""

    type = StructureType.ALGORITHM

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Choose an operation, find the step by nearness, execute, and read the answer from the steps that gives."""
        assert isinstance(structure, Algorithm)
        procedure = structure.procedures[0]
        operation = classify(question, "algorithm_operation", _OPERATIONS, session)
        nearest = _nearest(question, procedure, session)
        session.note("operation", f"{operation} at step {nearest[0].number} of {procedure.title}")
        if operation == "situation" and procedure.is_decision_tree:
            ended = _trace(question, procedure, session)
            if ended is not None:
                return ended
        if operation == "after" and (following := _what_follows(nearest[0], procedure)).found:
            return following
        return read(question, list(_items(operation, nearest, procedure)), session, stage="algorithm")


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


def _trace(question: str, procedure: Procedure, session: Session) -> Finding | None:
    """Follow the branches as far as the situation decides them.

    Returns:
        The outcome reached, citing every step on the way; where the situation leaves a check open, that check, since
        it is what to do next; ``None`` if it decides nothing at all.
    """
    step: Step | None = procedure.steps[0]
    way: list[Evidence] = []
    for _ in range(_LONGEST_TRACE):
        if step is None:
            return None
        way.append(step.evidence)
        if not step.decides:
            step = _next(procedure, step, None)
            continue
        branch = _decide(question, step, procedure, session)
        if branch is None:
            return None if len(way) == 1 else Finding(step.text, (step.text,), tuple(reversed(way)))
        session.note("step", f"{step.number}: {branch.condition or 'always'} → {branch.target or branch.outcome}")
        if branch.target is None:
            if not branch.outcome:
                return None
            return Finding(branch.outcome, (branch.outcome,), tuple(reversed(way)))
        step = _next(procedure, step, branch)
    return None


def _next(procedure: Procedure, step: Step, branch: Branch | None) -> Step | None:
    if branch is not None:
        known = {s.number: s for s in procedure.steps}
        return known.get(branch.target or "")
    return next((procedure.step(n) for n in procedure.graph().successors(step.number)), None)


def _following(procedure: Procedure, step: Step) -> Branch:
    """The way to the next line; it leads nowhere from the last one."""
    position = procedure.steps.index(step)
    following = procedure.steps[position + 1 : position + 2]
    return Branch("", following[0].number if following else None)


def _decide(question: str, step: Step, procedure: Procedure, session: Session) -> Branch | None:
    """Return the branch that the situation takes, or ``None`` where it does not say."""
    named = {branch.condition: branch for branch in step.branches if branch.condition}
    if not named:
        return step.branches[0]
    is_yes_no = set(named) <= {"yes", "no"}
    otherwise = next((b for b in step.branches if not b.condition), None)
    if is_yes_no:
        # A check may name one way out alone: the other is "otherwise", or the next step.
        letters = {word: named.get(word) or otherwise or _following(procedure, step) for word in ("yes", "no")}
    else:
        named |= {"none of these": otherwise} if otherwise else {}
        letters = {chr(ord("a") + i): branch for i, branch in enumerate(named.values())}
    check = step.text.split("\n")[0] if is_yes_no else step.text
    lines = [f"Situation: {question}", f"Check: {' '.join(check.split())}"]
    if not is_yes_no:
        lines += [f"{letter}: {condition}" for letter, condition in zip(letters, named, strict=True)]
    if is_yes_no and (holds := compare(question, " ".join(check.split()), session)) is not None:
        return letters["yes" if holds else "no"]
    offered = [*letters, _UNKNOWN]
    lines.append(f"Words: {', '.join(offered)}")
    prompt = Prompt(
        stage="algorithm.decide",
        system=load_prompt("algorithm_decide"),
        user="\n".join(lines),
        examples=load_examples("algorithm_decide"),
    )
    try:
        shares = session.chat.choose(prompt, offered, session.meter)
    except ModelOutputError as error:
        session.note("undecided", error.message)
        return None
    best = max(letters, key=lambda word: shares[word])
    return None if shares[_UNKNOWN] >= _UNKNOWN_FROM else letters[best]
