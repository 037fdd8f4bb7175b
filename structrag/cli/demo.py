"""The main job on the shipped corpora, offline: one question per structure, routed, built and answered for real."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.invocation import Invocation, JsonOption, ModelOption, model_settings
from structrag.cli.narration import Activity
from structrag.cli.text import clean, narrate, one_line, write_json
from structrag.errors import ModelOutputError
from structrag.types import Answer, StructureType
from structrag.usage import Usage

if TYPE_CHECKING:
    from structrag.pipeline import StructRAG

_QUESTION_WIDTH = 60


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question about a shipped corpus.

    Attributes:
        corpus: The name of the corpus.
        expected: The structure that suits the question best. It is shown beside the router's choice, and neither
            the router nor anything else is told.
    """

    corpus: str
    expected: StructureType
    question: str


# Questions of the dev split of corpora/*/questions.jsonl; those of one corpus stand together.
QUESTIONS = (
    DemoQuestion(
        "companies",
        StructureType.TABLE,
        "how many products in the product list use R290 as refrigerant?",
    ),
    DemoQuestion(
        "companies",
        StructureType.GRAPH,
        "Who owns all the shares of the company that makes the compressors for Alder's heat pumps?",
    ),
    DemoQuestion(
        "companies",
        StructureType.CHUNK,
        "What is the sound power of the Tern 40, in dB(A)?",
    ),
    DemoQuestion(
        "handbook",
        StructureType.ALGORITHM,
        "The compressor is running but the line gauge at the filler is low. The air receiver shows 7.4 bar and the "
        "gauge across the dryer filter 0.3 bar. What should I do?",
    ),
    DemoQuestion(
        "interviews",
        StructureType.CATALOGUE,
        "What topics were talked about at the open meeting on 23 April?",
    ),
)


def demo(
    ctx: typer.Context,
    as_json: JsonOption = False,
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            "-c",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where to keep the indexed demo corpora [default: in the user's cache].",
        ),
    ] = None,
    model: ModelOption = None,
) -> None:
    """Answer one question per structure over shipped documents, offline.

    The router chooses each structure; the second run finds the documents indexed and the replies cached.
    """
    invocation = Invocation.of(ctx)
    home = corpus or invocation.corpus or _default_home()
    activity = Activity("Opening the demo corpora")
    results: list[DemoResult] = []
    with ExitStack() as stack:
        corpora = _open_corpora(invocation, home, activity, model, stack)
        for number, item in enumerate(QUESTIONS, start=1):
            narrate(f"Question {number} of {len(QUESTIONS)} ({item.corpus}): {item.question}")
            result = _answer(item, corpora[item.corpus], activity)
            results.append(result)
            if not as_json:
                _show_result(result)
    if as_json:
        write_json(_to_dict(results))
    else:
        _show_summary(results)
    if any(result.answer is None for result in results):
        raise typer.Exit(ModelOutputError.exit_code)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A question of the demo, and its answer, or why there is none."""

    item: DemoQuestion
    answer: Answer | None
    error: str = ""


def _default_home() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("structrag") / "demo"


def _open_corpora(
    invocation: Invocation, home: Path, activity: Activity, model: str | None, stack: ExitStack
) -> dict[str, StructRAG]:
    """Open the corpora that the questions need and bring them up to date; they are closed with the stack."""
    from structrag.corpora import shipped

    documents = {item.name: item.folder for item in shipped()}
    opened: dict[str, StructRAG] = {}
    for name in dict.fromkeys(item.corpus for item in QUESTIONS):
        with activity:
            rag = stack.enter_context(
                invocation.open_corpus(home / name, settings=model_settings(model), progress=activity.prepare)
            )
            report = rag.add([documents[name]], listener=activity.listen)
        new = report.count("added") + report.count("changed")
        narrate(f"Corpus {name}: {len(report.documents)} documents, {new} of them indexed now")
        for failed in report.failed:
            narrate(f"Without {failed.document_id}: {failed.reason}")
        opened[name] = rag
    return opened


def _answer(item: DemoQuestion, rag: StructRAG, activity: Activity) -> DemoResult:
    try:
        with activity:
            return DemoResult(item, rag.ask(item.question, listener=activity.listen))
    except ModelOutputError as error:
        # A small model may fail on one question and do well on the next; any other error ends the demo.
        return DemoResult(item, None, error.message)


def _show_result(result: DemoResult) -> None:
    from rich.text import Text

    from structrag.cli.rendering import answer_view, heading, show

    show(heading(f"\n{result.item.question}\n"))
    show(answer_view(result.answer) if result.answer else Text(f"Error: {clean(result.error)}", style="red"))


def _show_summary(results: list[DemoResult]) -> None:
    from structrag.cli.rendering import heading, show, summary_table, usage_line

    columns = ("question", "expected", "route", "grounded", "calls", "tokens", "seconds")
    show(heading("\nSummary\n"))
    show(summary_table(columns, [_summary_row(result) for result in results]))
    show(heading(f"\nTogether: {usage_line(_total(results))}"))


def _summary_row(result: DemoResult) -> tuple[str, ...]:
    question = one_line(result.item.question, _QUESTION_WIDTH)
    answer = result.answer
    if answer is None:
        return (question, result.item.expected, "error", "", "", "", "")
    return (
        question,
        result.item.expected,
        answer.route.structure,
        "yes" if answer.grounded else "no",
        str(answer.usage.calls),
        f"{answer.usage.tokens:,}",
        f"{answer.usage.seconds:.1f}",
    )


def _to_dict(results: list[DemoResult]) -> dict[str, Any]:
    questions = [
        {
            "corpus": result.item.corpus,
            "question": result.item.question,
            "expected": str(result.item.expected),
            "answer": result.answer.to_dict() if result.answer else None,
            "error": result.error,
        }
        for result in results
    ]
    return {"questions": questions, "usage": _total(results).to_dict()}


def _total(results: list[DemoResult]) -> Usage:
    used = [result.answer.usage for result in results if result.answer]
    return Usage(**{field.name: sum(getattr(usage, field.name) for usage in used) for field in fields(Usage)})
