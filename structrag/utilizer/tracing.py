"""Follow a procedure's branches as far as a situation decides them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.algorithm import Branch, Procedure, Step
from structrag.utilizer.dialogue import Exchange
from structrag.utilizer.finding import Finding
from structrag.utilizer.limits import compare
from structrag.utilizer.reading import load_examples, load_prompt

_LONGEST_TRACE = 30
_UNKNOWN = "unknown"
_UNKNOWN_FROM = 0.6
"""The model must be this sure that the situation does not say, before tracing stops."""
_SAME_CHECK_FROM = 0.6
"""Nearness from which a question of the dialogue is taken to be a check of the procedure."""
_WAYS_OUT = re.compile(r"\s+(?=(?:if (?:yes|no|so|not)|yes|no)\b\s*(?:[,:]|->|→))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known.

    Attributes:
        text: As it was told.
        answered: By the number of a step, the exchange in which its check was asked, in the order of the dialogue.
    """

    text: str
    answered: dict[str, Exchange] = field(default_factory=dict)

    def asked_after(self, passed: Sequence[str]) -> str | None:
        """Return the step whose check the dialogue asked next, once the steps passed are left out with all before."""
        asked = list(self.answered)
        last = max((asked.index(number) for number in passed if number in self.answered), default=-1)
        return asked[last + 1] if last + 1 < len(asked) else None

    def told_for(self, number: str) -> str:
        """Return what is to be read to decide a step: its exchange where it was asked, else everything."""
        exchange = self.answered.get(number)
        return f"Asked: {exchange.asked} Answered: {exchange.answered}" if exchange else self.text


def understand(text: str, exchanges: Sequence[Exchange], procedure: Procedure, session: Session) -> Situation:
    """Return the situation, each exchange at the check of the procedure that is nearest to what was asked."""
    checks = [step for step in procedure.steps if {"yes", "no"} & {b.condition for b in step.branches}]
    if not exchanges or not checks:
        return Situation(text)
    asked = [exchange.asked for exchange in exchanges]
    rows = session.embedder.embed([*asked, *(_check(step) for step in checks)])
    nearness = rows[: len(asked)] @ rows[len(asked) :].T
    answered: dict[str, Exchange] = {}
    for exchange, row in zip(exchanges, nearness, strict=True):
        best = max(range(len(checks)), key=lambda i: float(row[i]))
        if row[best] >= _SAME_CHECK_FROM:
            answered.setdefault(checks[best].number, exchange)
    return Situation(text, answered)


def trace(situation: Situation, procedure: Procedure, session: Session) -> Finding | None:
    """Follow the branches as far as the situation decides them.

    Returns:
        The outcome reached, citing every step on the way; where the situation leaves a check open, that check, since
        it is what to do next; ``None`` if it decides nothing at all.

    Raises:
        ModelError: The model does not answer.
    """
    step: Step | None = procedure.steps[0]
    way: list[Step] = []
    while step is not None and len(way) < _LONGEST_TRACE:
        way.append(step)
        if not step.decides:
            step = _next(procedure, step)
            continue
        branch = _decide(situation, way, procedure, session)
        if branch is None:
            return None if len(way) == 1 else _ended(step.text, way)
        session.note("step", f"{step.number}: {branch.condition or 'always'} → {branch.target or branch.outcome}")
        if branch.target is None:
            return _ended(branch.outcome, way) if branch.outcome else None
        step = next((each for each in procedure.steps if each.number == branch.target), None)
    return None


def _ended(text: str, way: Sequence[Step]) -> Finding:
    return Finding(text, (text,), tuple(step.evidence for step in reversed(way)))


def _next(procedure: Procedure, step: Step) -> Step | None:
    return next((procedure.step(number) for number in procedure.graph().successors(step.number)), None)


def _decide(situation: Situation, way: Sequence[Step], procedure: Procedure, session: Session) -> Branch | None:
    """Return the branch that the situation takes at the last step of the way, or ``None`` where it does not say."""
    step = way[-1]
    ways_out = _ways_out(step, procedure)
    if len(ways_out) == 1:
        return next(iter(ways_out.values()))
    asked_next = situation.asked_after([each.number for each in way])
    leading = [branch for branch in ways_out.values() if asked_next and _leads(branch, asked_next, procedure)]
    if len(leading) == 1:
        # Whoever asked went on to a check that only this way leads to, so the answer was understood for us.
        session.note("asked", f"the dialogue goes on to step {asked_next}")
        return leading[0]
    told = situation.told_for(step.number)
    is_yes_no = set(ways_out) == {"yes", "no"}
    if is_yes_no and (holds := compare(told, _check(step), session)) is not None:
        return ways_out["yes" if holds else "no"]
    letters = dict(ways_out) if is_yes_no else {chr(ord("a") + i): b for i, b in enumerate(ways_out.values())}
    lines = [f"Situation: {told}", f"Check: {_check(step)}"]
    if not is_yes_no:
        lines += [f"{letter}: {condition}" for letter, condition in zip(letters, ways_out, strict=True)]
    chosen = choose("\n".join(lines), list(letters), session)
    return None if chosen is None else letters[chosen]


def _ways_out(step: Step, procedure: Procedure) -> dict[str, Branch]:
    """The ways out of a step by their conditions; a check that names one alone has the other as well."""
    named = {branch.condition: branch for branch in step.branches if branch.condition}
    otherwise = next((branch for branch in step.branches if not branch.condition), None)
    if named and set(named) <= {"yes", "no"}:
        return {word: named.get(word) or otherwise or _following(procedure, step) for word in ("yes", "no")}
    if not named:
        return {"": step.branches[0]}
    return named | ({"none of these": otherwise} if otherwise else {})


def _following(procedure: Procedure, step: Step) -> Branch:
    """The way on from a check that is not met: the next line that is not the end of another way; else nowhere."""
    below = procedure.steps[procedure.steps.index(step) + 1 :]
    ends = {branch.target for each in procedure.steps for branch in each.branches}
    return Branch("", next((each.number for each in below if each.number not in ends), None))


def _leads(branch: Branch, number: str, procedure: Procedure) -> bool:
    import networkx as nx

    graph = procedure.graph()
    return branch.target is not None and branch.target in graph and nx.has_path(graph, branch.target, number)


def _check(step: Step) -> str:
    """What a step asks, without where each answer leads."""
    return " ".join(_WAYS_OUT.split(step.text.split("\n")[0])[0].split())


def choose(case: str, words: list[str], session: Session) -> str | None:
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
