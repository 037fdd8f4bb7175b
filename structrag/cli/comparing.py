"""The command that asks one question by way of each structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.asking import NOT_GROUNDED
from structrag.cli.invocation import CorpusOption, Invocation, JsonLinesOption, ModelOption, model_settings
from structrag.cli.narration import Activity
from structrag.cli.text import write_json
from structrag.errors import BudgetExceededError, ModelOutputError
from structrag.types import Answer, StructureType

if TYPE_CHECKING:
    from structrag.errors import StructRAGError

_COLUMNS = ("answer", "structure", "grounded", "citations", "calls", "tokens", "seconds")


def compare(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="ID", help="Ask this document only; can be given several times."),
    ] = None,
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Ask the same question by way of each structure and show the answers side by side.

    The exit code is 4 when no structure finds an answer.
    """
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity("Opening the corpus")
    results: list[Compared] = []
    with activity, invocation.open_corpus(folder, settings=model_settings(model), progress=activity.prepare) as rag:
        route = rag.route(question, documents=scope or None)
        for structure in StructureType:
            try:
                answer = rag.ask(question, structure=structure, scope=scope or None, listener=activity.listen)
                results.append(Compared(structure, answer))
            except (ModelOutputError, BudgetExceededError) as error:
                # One structure may be beyond a small model, and others not; any other error ends the comparison.
                results.append(Compared(structure, None, error))
            if as_json:
                write_json(results[-1].to_dict() | {"routed": structure is route.structure})
    if not as_json:
        _show(results, route.structure)
    if not any(each.answer and each.answer.grounded for each in results):
        raise typer.Exit(NOT_GROUNDED if any(each.answer for each in results) else ModelOutputError.exit_code)


@dataclass(frozen=True, slots=True)
class Compared:
    """One structure's answer, or why there is none."""

    structure: StructureType
    answer: Answer | None
    error: StructRAGError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return one line of the JSON output."""
        return {
            "structure": str(self.structure),
            "answer": self.answer.to_dict(with_structure=False) if self.answer else None,
            "error": self.error.message if self.error else "",
        }

    def row(self, routed: StructureType) -> tuple[str, ...]:
        """Return one row of the table; the structure that the router would choose is marked."""
        name = f"{self.structure} *" if self.structure is routed else str(self.structure)
        if self.answer is None:
            return (self.error.message if self.error else "", name, "error", "", "", "", "")
        usage = self.answer.usage
        return (
            self.answer.text,
            name,
            "yes" if self.answer.grounded else "no",
            str(len(self.answer.citations)),
            str(usage.calls),
            f"{usage.tokens:,}",
            f"{usage.seconds:.1f}",
        )


def _show(results: list[Compared], routed: StructureType) -> None:
    from rich.text import Text

    from structrag.cli.rendering import show, summary_table

    show(summary_table(_COLUMNS, [each.row(routed) for each in results]))
    show(Text("* the router's choice", style="dim"))
