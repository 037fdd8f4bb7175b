"""Reasoning on procedures: find the step, follow the branches, and only then read."""

from __future__ import annotations

import re
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
_MOST_CONDITIONS = 8
_ONLY_A_JUMP = re.compile(r"(?:then\s+)?(?:go|continue|skip|return|proceed|jump|move)\b.{0,30}$", re.IGNORECASE)


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
        if operation == "situation":
            trees = procedure.is_decision_tree
            ended = _trace(question, procedure, session) if trees else _met(question, nearest, procedure, session)
            if ended is not None:
                return ended
        if operation == "after" and (following := _what_follows(nearest[0], procedure)).found:
            return following
        items = list(_items(operation, nearest, procedure))
        if operation == "detail":
            items = _within_limits(question, nearest, session) or items
        return read(question, items, session, stage="algorithm")


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
    chosen = _choose("\n".join(lines), list(letters), session)
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
    check = " ".join(step.text.split("\n")[0].split())
    if is_yes_no and (holds := compare(question, check, session)) is not None:
        return letters["yes" if holds else "no"]
    lines = [f"Situation: {question}", f"Check: {check}"]
    if not is_yes_no:
        lines += [f"{letter}: {condition}" for letter, condition in zip(letters, named, strict=True)]
    chosen = _choose("\n".join(lines), list(letters), session)
    return None if chosen is None else letters[chosen]


def _choose(case: str, words: list[str], session: Session) -> str | None:
    """Return the word that the situation decides for, or ``None`` where it does not say."""
    offered = [*words, _UNKNOWN]
    prompt = Prompt(
        stage="algorithm.decide",
        system=load_prompt("algorithm_decide"),
        user=f"{case}\nWords: {', '.join(offered)}",
        examples=load_examples("algorithm_decide"),
    )
    try:
        shares = session.chat.choose(prompt, offered, session.meter)
    except ModelOutputError as error:
        session.note("undecided", error.message)
        return None
    best = max(words, key=lambda word: shares[word])
    return None if shares[_UNKNOWN] >= _UNKNOWN_FROM else best
