"""Reasoning on procedures: find the step, follow the branches, and only then read."""

from __future__ import annotations

from collections.abc import Iterator

from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.finding import Finding
from structrag.utilizer.reading import load_prompt, read

_LONGEST_TRACE = 30
_UNKNOWN = "unknown"
_UNKNOWN_FROM = 0.6
"""The model must be this sure that the situation does not say, before tracing stops."""
_SHOWN_STEPS = 40


class AlgorithmReasoner:
    """Answers from the procedure that is nearest to the question."""

    type = StructureType.ALGORITHM

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Choose an operation on the best procedure, execute it, and read the answer from the steps it gives."""
        assert isinstance(structure, Algorithm)
        procedure = structure.procedures[0]
        operation, step = _operation(question, procedure, session)
        session.note("operation", f"{operation} at step {step.number} of {procedure.title}")
        if operation == "situation" and procedure.is_decision_tree:
            ended = _trace(question, procedure, session)
            if ended is not None:
                return ended
        items = list(_items(operation, step, procedure))
        return read(question, items, session, stage="algorithm")


def _operation(question: str, procedure: Procedure, session: Session) -> tuple[str, Step]:
    shown = procedure.steps[:_SHOWN_STEPS]
    schema = {
        "type": "object",
        "properties": {
            "operation": {"enum": ["situation", "after", "before", "look up"]},
            "step": {"enum": [step.number for step in shown]},
        },
        "required": ["operation", "step"],
        "additionalProperties": False,
    }
    prompt = Prompt(
        stage="algorithm.operation",
        system=load_prompt("algorithm_operation"),
        user=f"{procedure.render()}\n\nQuestion: {question}",
        schema=schema,
        max_tokens=40,
    )
    reply = session.ask(prompt).data
    return str(reply["operation"]), procedure.step(str(reply["step"]))


def _items(operation: str, step: Step, procedure: Procedure) -> Iterator[tuple[str, Evidence]]:
    """The steps that an operation gives, best first, each with its number so that the number can be the answer."""
    graph = procedure.graph()
    numbers = [step.number]
    if operation == "after":
        numbers = [*graph.successors(step.number), step.number]
    elif operation == "before":
        numbers = [*graph.predecessors(step.number), step.number]
    else:
        numbers = [step.number, *graph.predecessors(step.number), *graph.successors(step.number)]
    for number in dict.fromkeys(numbers):
        found = procedure.step(number)
        yield f"Step {number}: {found.text}", found.evidence
    if operation in ("before", "look up"):
        for text, evidence in procedure.prerequisites:
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
        branch = _decide(question, step, session)
        if branch is None:
            return None if len(way) == 1 else Finding(step.text, (step.text,), tuple(reversed(way)))
        session.note("step", f"{step.number}: {branch.condition or 'always'} → {branch.target or branch.outcome}")
        if branch.target is None:
            return Finding(branch.outcome, (branch.outcome,), tuple(reversed(way)))
        step = _next(procedure, step, branch)
    return None


def _next(procedure: Procedure, step: Step, branch: Branch | None) -> Step | None:
    if branch is not None:
        known = {s.number: s for s in procedure.steps}
        return known.get(branch.target or "")
    return next((procedure.step(n) for n in procedure.graph().successors(step.number)), None)


def _decide(question: str, step: Step, session: Session) -> Branch | None:
    """Return the branch that the situation takes, or ``None`` where it does not say."""
    named = {branch.condition: branch for branch in step.branches if branch.condition}
    if not named:
        return step.branches[0]
    is_yes_no = set(named) <= {"yes", "no"}
    letters = {condition if is_yes_no else chr(ord("a") + i): b for i, (condition, b) in enumerate(named.items())}
    check = step.text.split("\n")[0] if is_yes_no else step.text
    lines = [f"Situation: {question}", f"Check: {' '.join(check.split())}"]
    if not is_yes_no:
        lines += [f"{letter}: {branch.condition}" for letter, branch in letters.items()]
    offered = [*letters, _UNKNOWN]
    lines.append(f"Words: {', '.join(offered)}")
    prompt = Prompt(stage="algorithm.decide", system=load_prompt("algorithm_decide"), user="\n".join(lines))
    try:
        shares = session.chat.choose(prompt, offered, session.meter)
    except ModelOutputError as error:
        session.note("undecided", error.message)
        return None
    best = max(letters, key=lambda word: shares[word])
    return None if shares[_UNKNOWN] >= _UNKNOWN_FROM else letters[best]
