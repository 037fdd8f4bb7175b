"""The command that measures: questions with known answers, asked in several ways, and a report."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonOption, ModelOption, model_settings
from structrag.cli.narration import Activity
from structrag.cli.text import narrate, one_line, write, write_json
from structrag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.documents import Document

    from structrag.evaluation.data import KnownQuestion
    from structrag.evaluation.lines import Line
    from structrag.evaluation.running import EvaluationRun

REPORT = "report.md"
PAIRS = "preferences.jsonl"
_SHOWN = 60

QuestionsArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[QUESTIONS.jsonl]",
        show_default=False,
        help="{id, question, answers, answer_type} per line, and structure, also_ok, documents, scope if known.",
    ),
]
DocumentsOption = Annotated[
    Path | None,
    typer.Option("--documents", metavar="FILE.jsonl", show_default=False, help="{id, title, text} per line."),
]
WaysOption = Annotated[
    str,
    typer.Option(
        "--structures",
        metavar="WAYS",
        help="Which ways, with commas: the five structures, all, router, oracle, random, gold, plain.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", file_okay=False, show_default=False, help="Keeps lines, report and corpus; goes on."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        file_okay=False,
        show_default=False,
        help="Ask nothing; compute the report from the lines in this folder.",
    ),
]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=64, help="How many questions at once.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, show_default=False, help="A random subset of so many, each structure in turn."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the subset and the order.")]
PassagesOption = Annotated[
    int | None, typer.Option("--passages", show_default=False, help="Instead of the setting retrieval.passages.")
]
ChunkSizeOption = Annotated[
    int | None, typer.Option("--chunk-size", show_default=False, help="Instead of the setting retrieval.chunk_size.")
]
RerankerOption = Annotated[
    str | None,
    typer.Option("--reranker", metavar="DIR", show_default=False, help="Instead of the setting retrieval.reranker."),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option("--embedder", metavar="NAME", show_default=False, help="Instead of the setting models.embedder."),
]
RouterOption = Annotated[
    str | None, typer.Option("--router", metavar="NAME", show_default=False, help="Instead of the setting router.name.")
]


def evaluate(
    ctx: typer.Context,
    questions: QuestionsArgument = None,
    documents: DocumentsOption = None,
    structures: WaysOption = "router,oracle,all,chunk",
    out: OutOption = None,
    report: ReportOption = None,
    parallel: ParallelOption = 1,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    passages: PassagesOption = None,
    chunk_size: ChunkSizeOption = None,
    embedder: EmbedderOption = None,
    reranker: RerankerOption = None,
    router: RouterOption = None,
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
        "retrieval.reranker": reranker,
        "router.name": router,
    }
    settings = model_settings(model) | {key: value for key, value in chosen.items() if value is not None}
    job = _Job.of(ctx, questions, documents, structures, out=out, corpus=corpus, settings=settings)
    with job.opened() as run:
        run.run(job.drawn(seed, limit), job.ways, parallel=parallel)
    write_report(out, as_json=as_json)


def label(
    ctx: typer.Context,
    questions: Annotated[Path, typer.Argument(metavar="QUESTIONS.jsonl", help="As for `structrag eval`.")],
    documents: Annotated[
        Path, typer.Option("--documents", metavar="FILE.jsonl", show_default=False, help="{id, title, text} per line.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help=f"Of `structrag eval`, or a new one; the pairs are written to {PAIRS} there.",
        ),
    ],
    parallel: ParallelOption = 1,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Make preference pairs for the router from what the structures came to on questions with known answers.

    The cheapest structure that answered rightly is preferred to each that did not. What `structrag eval` has asked
    already is not asked again.
    """
    from structrag.evaluation.labelling import outcome_pairs
    from structrag.router.preferences import write_preferences

    job = _Job.of(ctx, questions, documents, "all", out=out, corpus=corpus, settings=model_settings(model))
    drawn = job.drawn(seed, limit)
    with job.opened() as run:
        run.run(drawn, job.ways, parallel=parallel)
        rag = run.rag
        pairs = outcome_pairs(drawn, run.kept.lines(), lambda q: rag.routing_request(q.question, documents=q.scope))
    if not pairs:
        raise ConfigError(
            f"None of {len(drawn)} questions tells structures apart: each was answered rightly by all or by none.",
            hint="Use more questions, or a better chat model.",
        )
    write_preferences(out / PAIRS, pairs)
    told = len({pair.source for pair in pairs})
    write(f"{len(pairs)} preference pairs of {told} questions  {out / PAIRS}")


@dataclass(frozen=True, slots=True)
class _Job:
    """What a command was given to ask, read and checked before a corpus is opened.

    Attributes:
        ways: Which must be asked.
        folders: The corpora's folders, and the settings with which they are opened: first the one that is measured,
            then that of plain RAG, if it is asked.
    """

    invocation: Invocation
    path: Path
    questions: Sequence[KnownQuestion]
    documents: Sequence[Document]
    ways: Sequence[str]
    out: Path
    folders: Sequence[tuple[Path, Mapping[str, Any]]]

    @classmethod
    def of(
        cls,
        ctx: typer.Context,
        questions: Path,
        documents: Path,
        ways: str,
        *,
        out: Path,
        corpus: Path | None,
        settings: Mapping[str, Any],
    ) -> _Job:
        from structrag.evaluation.data import read_documents, read_questions, require_labels
        from structrag.evaluation.plain import PLAIN_SETTINGS
        from structrag.evaluation.running import GOLD, PLAIN, parse_ways

        invocation = Invocation.of(ctx)
        wanted, asked = parse_ways(ways), read_questions(questions)
        if GOLD in wanted:
            require_labels(asked, questions)
        folders = [(corpus or invocation.corpus or out / "corpus", settings)]
        if PLAIN in wanted:
            folders.append((out / "plain", {**settings, **PLAIN_SETTINGS}))
        return cls(invocation, questions, asked, read_documents(documents), wanted, out, folders)

    def drawn(self, seed: int, limit: int | None) -> Sequence[KnownQuestion]:
        """Return the questions to ask, in their order."""
        from structrag.evaluation.data import in_drawn_order

        return in_drawn_order(self.questions, seed)[:limit]

    @contextmanager
    def opened(self) -> Iterator[EvaluationRun]:
        """Open the corpora, bring them up to date and yield the run."""
        from structrag.evaluation.data import documents_hash, require_scopes
        from structrag.evaluation.lines import KeptLines
        from structrag.evaluation.running import EvaluationRun, settings_of_run

        activity = Activity("Opening the corpus")
        with ExitStack() as stack:
            with activity:
                rags = [
                    stack.enter_context(
                        self.invocation.open_corpus(folder, settings=settings, progress=activity.prepare)
                    )
                    for folder, settings in self.folders
                ]
                made_with = settings_of_run(rags[0].settings) | {"documents": documents_hash(self.documents)}
                kept = stack.enter_context(KeptLines(self.out, made_with))
                for rag in rags:
                    rag.add_documents(self.documents, listener=activity.listen)
            require_scopes(self.questions, [document.id for document in rags[0].documents()], self.path)
            narrate(f"{len(self.documents)} documents; ways: {', '.join(self.ways)}.")
            yield EvaluationRun(rags[0], kept, rags[1] if len(rags) > 1 else None, _tell)


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
