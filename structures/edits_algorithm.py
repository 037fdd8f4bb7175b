"""A person's edits of procedures: the text of a step, and where its branches lead."""

from __future__ import annotations

import re
from dataclasses import replace

from structrag.errors import ConfigError
from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.structures.edits_records import (
    Anchor,
    BranchTarget,
    KeptEdit,
    StepText,
    TargetGoneError,
    describe_edit,
    folded,
    marked,
)

_NUMBER = re.compile(r"^\W*(?:step\s+)?\d+(?:\.\d+)*[.):]?\s+", re.IGNORECASE)


def step_text_edit(step: Step, text: str) -> StepText:
    """Return the edit that puts another text into a step.

    Raises:
        ConfigError: The text is empty.
    """
    if not text.strip():
        raise ConfigError("A step needs a text.")
    return StepText(Anchor.at(step.evidence), step.number, " ".join(text.split()))


def branch_edit(procedure: Procedure, step: Step, condition: str, to: str | None, *, outcome: str = "") -> BranchTarget:
    """Return the edit that lets a way out of a step lead elsewhere.

    Args:
        procedure: That the step is of.
        step: Whose way out it is.
        condition: Which one.
        to: The number of the step that it is to lead to; ``None`` where the procedure is to end.
        outcome: What to do then; needed where the procedure ends.

    Raises:
        ConfigError: There is no such way out or no such step, or the end has no outcome.
    """
    if condition not in {branch.condition for branch in step.branches}:
        known = ", ".join(branch.condition or "otherwise" for branch in step.branches) or "none"
        raise ConfigError(f"Step {step.number} has no way out {condition!r}.", hint=f"Its ways out: {known}.")
    target = next((each for each in procedure.steps if each.number == to), None)
    if to is not None and target is None:
        numbers = ", ".join(each.number for each in procedure.steps)
        raise ConfigError(f"There is no step {to} in {procedure.title!r}.", hint=f"Use one of: {numbers}.")
    if target is None and not outcome.strip():
        raise ConfigError("A way that leads to no step needs an outcome: what is to be done then.")
    place = Anchor.at(target.evidence) if target else None
    return BranchTarget(Anchor.at(step.evidence), step.number, condition, place, outcome.strip())


def edit_algorithm(structure: Algorithm, kept: KeptEdit, edit: StepText | BranchTarget) -> Algorithm | None:
    """Return the procedures with a step changed; ``None`` if they are of other documents.

    Raises:
        TargetGoneError: The document is there, but not the step, its way out or where it is to lead.
    """
    steps = [
        (at, step)
        for at, procedure in enumerate(structure.procedures)
        for step in procedure.steps
        if step.evidence.span.document_id == edit.place.document
    ]
    if not steps:
        if edit.place.document in structure.unread:
            raise TargetGoneError(f"no steps can be read from {edit.place.document!r} any more")
        return None
    at, step = _meant(steps, edit)
    procedure = structure.procedures[at]
    new = _with_text(step, kept, edit) if isinstance(edit, StepText) else _redirected(step, procedure, kept, edit)
    changed = replace(procedure, steps=tuple(new if each is step else each for each in procedure.steps))
    procedures = (*structure.procedures[:at], changed, *structure.procedures[at + 1 :])
    return replace(structure, procedures=procedures)


def _meant(steps: list[tuple[int, Step]], edit: StepText | BranchTarget) -> tuple[int, Step]:
    """Return the step that an edit means, by its words; its number may have changed since."""
    same = [each for each in steps if _told(each[1].evidence.quote) == _told(edit.place.quote)]
    if not same:
        raise TargetGoneError(f"its step {edit.number} now says something else, or is gone")
    return min(
        same,
        key=lambda each: (each[1].number != edit.number, abs(each[1].evidence.span.start - edit.place.start)),
    )


def _with_text(step: Step, kept: KeptEdit, edit: StepText) -> Step:
    evidence = marked(step.evidence, kept.mark(edit.text, step.text), vouched=True)
    return replace(step, text=edit.text, evidence=evidence)


def _redirected(step: Step, procedure: Procedure, kept: KeptEdit, edit: BranchTarget) -> Step:
    at = next((at for at, branch in enumerate(step.branches) if branch.condition == edit.condition), None)
    if at is None:
        raise TargetGoneError(f"its step {step.number} has no way out {edit.condition or 'otherwise'!r} any more")
    old = step.branches[at]
    new = Branch(old.condition, _number(procedure, edit.to) if edit.to else None, edit.outcome)
    leads = f"step {new.target}" if new.target else new.outcome
    before = f"step {old.target}" if old.target else old.outcome
    mark = kept.mark(f"{describe_edit(edit).split(':')[0]}: {leads}", before)
    branches = (*step.branches[:at], new, *step.branches[at + 1 :])
    return replace(step, branches=branches, evidence=marked(step.evidence, mark, vouched=True))


def _number(procedure: Procedure, to: Anchor) -> str:
    same = [each for each in procedure.steps if _told(each.evidence.quote) == _told(to.quote)]
    if not same:
        raise TargetGoneError(f"the step that it leads to is gone: “{' '.join(to.quote.split())}”")
    return min(same, key=lambda each: abs(each.evidence.span.start - to.start)).number


def _told(quote: str) -> str:
    """Return the words of a step without its number, which changes when a step is put before it."""
    return folded(_NUMBER.sub("", quote))
