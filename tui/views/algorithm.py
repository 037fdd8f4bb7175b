"""Procedures as steps with their branches, the way that was taken marked."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.structures.edits import Edit, branch_edit, step_text_edit
from structrag.tui.views.outline import Item, Items, Outline
from structrag.tui.views.view import Editable, StructureView, Use, label

TAKEN = "▶"
"""The mark of a branch that was taken."""


class AlgorithmView(StructureView):
    """Shows the procedures, the one that was followed open."""

    def __init__(self, algorithm: Algorithm, use: Use) -> None:
        super().__init__(use)
        self._algorithm = algorithm

    def compose(self) -> ComposeResult:
        """Lay out the way that was taken and the steps."""
        yield Static(classes="summary", markup=False)
        yield Outline("steps")
        yield Static("Enter source · Space branches · i edit", classes="hint", markup=False)

    def redraw(self) -> None:
        """Draw the steps, and the way through them."""
        parts = [f"{len(self._algorithm.procedures):,} procedures"]
        parts += [label(operation) for operation in self.use.details("operation")[-1:]]
        way = [detail.partition(":")[0] for detail in self.use.details("step")]
        parts += [f"way {label(' → '.join(way))}"] if way else []
        self.query_one(".summary", Static).update(" · ".join(parts))
        self.query_one(Outline).show(algorithm_items(self._algorithm, self.use))

    def focus_content(self) -> None:
        """Go to the steps."""
        self.query_one(Outline).focus()

    def editable(self) -> Editable | None:
        """Return the step or the way out under the cursor."""
        item = self.query_one(Outline).item
        return item.edit if item is not None else None


def algorithm_items(algorithm: Algorithm, use: Use) -> Items:
    """Return the procedures as entries. The reasoner follows the first, so only that can have been traced."""
    traced = frozenset(use.details("step"))

    def make(index: int) -> Item:
        is_followed = not index
        return _procedure(algorithm.procedures[index], use, traced if is_followed else frozenset(), is_open=is_followed)

    return Items(len(algorithm.procedures), make)


def _procedure(procedure: Procedure, use: Use, traced: frozenset[str], *, is_open: bool) -> Item:
    before = len(procedure.prerequisites)

    def make(index: int) -> Item:
        if index < before:
            text, evidence = procedure.prerequisites[index]
            return Item(f"Before: {text}", evidence=evidence, is_cited=use.cites(evidence))
        return _step(procedure, procedure.steps[index - before], use, traced)

    count = before + len(procedure.steps)
    return Item(procedure.title, f"({len(procedure.steps):,} steps)", is_open=is_open, below=lambda: Items(count, make))


def _step(procedure: Procedure, step: Step, use: Use, traced: frozenset[str]) -> Item:
    taken = [_is_taken(step, branch, traced) for branch in step.branches]

    def make(index: int) -> Item:
        branch = step.branches[index]
        mark = f"{TAKEN} " if taken[index] else ""
        return Item(mark + _way_out(branch), evidence=step.evidence, edit=_editable_way(procedure, step, branch))

    return Item(
        f"{step.number}. {step.text}",
        evidence=step.evidence,
        is_cited=any(taken) or use.cites(step.evidence),
        is_open=any(taken),
        below=(lambda: Items(len(step.branches), make)) if step.branches else None,
        edit=Editable(f"The text of step {step.number}", step.text, lambda text: step_text_edit(step, text)),
    )


def _editable_way(procedure: Procedure, step: Step, branch: Branch) -> Editable:
    numbers = {each.number for each in procedure.steps}

    def make(text: str) -> Edit:
        wanted = text.strip()
        if wanted in numbers:
            return branch_edit(procedure, step, branch.condition, wanted)
        return branch_edit(procedure, step, branch.condition, None, outcome=wanted)

    way = f"Where step {step.number} leads to, {branch.condition or 'otherwise'}"
    return Editable(f"{way}: the number of a step, or what to do at the end", branch.target or branch.outcome, make)


def _is_taken(step: Step, branch: Branch, traced: frozenset[str]) -> bool:
    # As the reasoner notes it.
    return f"{step.number}: {branch.condition or 'always'} → {branch.target or branch.outcome}" in traced


def _way_out(branch: Branch) -> str:
    leads_to = f"step {branch.target}" if branch.target else "end"
    outcome = f": {branch.outcome}" if branch.outcome else ""
    return f"{branch.condition or 'otherwise'} → {leads_to}{outcome}"
