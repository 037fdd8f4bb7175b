"""The command that measures: questions with known answers, asked in several ways, and a report."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonOption, ModelOption, model_settings
from structrag.cli.narration import Activity
from structrag.cli.text import narrate, one_line, write, write_json
from structrag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structrag.evaluation.data import KnownQuestion
    from structrag.evaluation.lines import Line

REPORT = "report.md"
_SHOWN = 60

DocumentsOption = Annotated[
    Path | None,
    typer.Option("--documents", metavar="FILE.jsonl", show_default=False, help="{id, title, text} per line."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", file_okay=False, show_default=False, help="Keeps lines, report and corpus; goes on."
    ),
]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=64, help="How many questions at once.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, show_default=False, help="A random subset of so many, each structure in turn."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the subset and the order.")]


def evaluate(
    ctx: typer.Context,
    questions: Annotated[
        Path | None,
        typer.Argument(
            metavar="[QUESTIONS.jsonl]",
            show_default=False,
            help="{id, question, answers, answer_type} per line, and structure, also_ok, documents, scope if known.",
        ),
    ] = None,
    documents: DocumentsOption = None,
    structures: Annotated[
        str,
        typer.Option(
            "--structures",
            metavar="WAYS",
            help="Which ways, with commas: the five structures, all, router, oracle, random, gold, plain.",
        ),
    ] = "router,oracle,all,chunk",
    out: OutOption = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Ask nothing; compute the report from the lines in this folder.",
        ),
    ] = None,
    parallel: ParallelOption = 1,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    passages: Annotated[
        int | None, typer.Option("--passages", min=1, show_default=False, help="Setting retrieval.passages.")
    ] = None,
    chunk_size: Annotated[
        int | None, typer.Option("--chunk-size", min=1, show_default=False, help="Setting retrieval.chunk_size.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option("--embedder", metavar="NAME", show_default=False, help="Setting models.embedder.")
    ] = None,
    router: Annotated[
        str | None, typer.Option("--router", metavar="NAME", show_default=False, help="Setting router.name.")
    ] = None,
    as_json: JsonOption = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Measure on questions with known answers whether routing to structures pays.

    Every question is asked in every way; each answer is kept as one line at once, so a run that was stopped goes on
    when it is started again. The router's, the oracle's and chance's answers follow from those of the structures.
    """
    if report is not None:
        if questions is not None or out is not None:
            raise typer.BadParameter("--report asks nothing: give neither questions nor --out.")
        write_report(report, as_json=as_json)
        return
    if questions is None or documents is None or out is None:
        raise typer.BadParameter("Give QUESTIONS.jsonl, --documents and --out; or --report DIR.")
    chosen: dict[str, Any] = {
        "retrieval.passages": passages,
        "retrieval.chunk_size": chunk_size,
        "models.embedder": embedder,
        "router.name": router,
    }
    run = EvaluationRun(
        Invocation.of(ctx),
        out,
        corpus,
        model_settings(model) | {key: value for key, value in chosen.items() if value is not None},
    )
    run.ask(questions, documents, structures, limit=limit, seed=seed, parallel=parallel)
    write_report(out, as_json=as_json)


class EvaluationRun:
    """Asks questions and keeps the lines in a folder.

    Args:
        invocation: How corpora are opened.
        out: The folder of lines, report and, unless another is given, corpus.
        corpus: The corpus folder, if it is not to be in ``out``.
        settings: By dotted key.
    """

    def __init__(self, invocation: Invocation, out: Path, corpus: Path | None, settings: dict[str, Any]) -> None:
        self._invocation = invocation
        self._out = out
        self._corpus = corpus or invocation.corpus or out / "corpus"
        self._settings = settings

    def ask(
        self, questions: Path, documents: Path, ways: str, *, limit: int | None, seed: int, parallel: int
    ) -> list[KnownQuestion]:
        """Ask what has no line yet, and return the questions.

        Raises:
            ConfigError: A file or an option is wrong.
            ModelError: The model does not answer.
        """
        from structrag.evaluation.data import in_drawn_order, read_documents, read_questions, require_scopes
        from structrag.evaluation.lines import KeptLines
        from structrag.evaluation.plain import PLAIN_SETTINGS
        from structrag.evaluation.running import PLAIN, Evaluation, parse_ways, settings_of_run

        asked = in_drawn_order(read_questions(questions), seed)[:limit]
        wanted, given = parse_ways(ways), read_documents(documents)
        activity = Activity("Opening the corpus")
        with ExitStack() as stack:
            opened = []
            plain_folder = [(self._out / "plain", {**self._settings, **PLAIN_SETTINGS})] if PLAIN in wanted else []
            for folder, settings in [(self._corpus, self._settings), *plain_folder]:
                with activity:
                    rag = stack.enter_context(
                        self._invocation.open_corpus(folder, settings=settings, progress=activity.prepare)
                    )
                    rag.add_documents(given, listener=activity.listen)
                opened.append(rag)
            require_scopes(asked, [document.id for document in opened[0].documents()], questions)
            kept = stack.enter_context(KeptLines(self._out, settings_of_run(opened[0].settings)))
            narrate(f"{len(asked)} questions, {len(given)} documents, ways: {', '.join(wanted)}.")
            plain = opened[1] if plain_folder else None
            Evaluation(opened[0], kept, plain, _tell).run(asked, wanted, parallel=parallel)
        return asked


def write_report(folder: Path, *, as_json: bool) -> None:
    """Compute the report from a folder's lines, keep it there and print it.

    Raises:
        ConfigError: There are no lines.
    """
    from structrag.evaluation.figures import figures
    from structrag.evaluation.lines import RunRecord, read_lines
    from structrag.evaluation.report import render

    record, lines = RunRecord.read(folder), read_lines(folder)
    told = figures(lines, record.asked)
    if not told["ways"]:
        raise ConfigError(f"The lines in {folder} answer no question as yet.", hint="Let the run go on.")
    rendered = render(told, record.settings)
    temporary = folder / f".{REPORT}.part"
    temporary.write_text(rendered, encoding="utf-8")
    temporary.replace(folder / REPORT)
    if as_json:
        write_json({"settings": record.settings, **told})
    else:
        write(rendered.rstrip("\n"))
    narrate(f"The report is in {folder / REPORT}.")


def _tell(line: Line) -> None:
    verdict = "error" if line.error else "right" if line.correct else "wrong" if line.values else "nothing"
    said: Sequence[str] = line.values or [line.error]
    narrate(f"{verdict:<8} {line.way:<10} {one_line(line.id, 30):<30} {one_line('; '.join(said), _SHOWN)}")
