"""The commands on a question: ask, route."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonOption, ModelOption, is_corpus, model_settings
from structrag.cli.narration import Activity, narrate_event, write_event
from structrag.cli.text import write_json
from structrag.errors import ConfigError, StoreError
from structrag.events import Event
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.pipeline import StructRAG
    from structrag.types import Route

NOT_GROUNDED = 4


def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    structure: Annotated[
        StructureType | None,
        typer.Option("--structure", "-s", case_sensitive=False, help="Use this one, whatever the router says."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="ID", help="Ask this document only; can be given several times."),
    ] = None,
    as_json: JsonOption = False,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Say on stderr what happens; with --json, print each event as one line too."),
    ] = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Answer a question from the documents.

    The exit code is 4 when nothing in the documents supports an answer.
    """
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity("Opening the corpus", also=_streaming(as_json=as_json) if stream else None)
    settings = model_settings(model)
    with activity, invocation.open_corpus(folder, settings=settings, progress=activity.prepare) as rag:
        answer = rag.ask(question, structure=structure, scope=scope or None, listener=activity.listen)
    if not as_json:
        from structrag.cli.rendering import answer_view, show

        show(answer_view(answer))
    elif not stream:
        write_json(answer.to_dict())
    if not answer.grounded:
        raise typer.Exit(NOT_GROUNDED)


def route(
    ctx: typer.Context,
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", show_default=False)] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            "--batch",
            metavar="FILE.jsonl",
            show_default=False,
            help='Route the questions of a file instead: {"question": …, "documents": [ids]} per line, '
            "the documents being optional. One JSON line per question comes out.",
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Also show the words that moved the decision.")] = False,
    as_json: JsonOption = False,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Show which structure the router would choose; nothing is built."""
    if (question is None) == (batch is None):
        raise typer.BadParameter("Give either a question or --batch FILE.jsonl.")
    requests = read_batch(batch) if batch else [RouteRequest(question or "")]
    activity = Activity("Routing")
    with _routing_corpus(Invocation.of(ctx), corpus, model, activity) as rag:
        for request in requests:
            with activity:
                chosen = _route_one(rag, request)
                words = rag.moving_words(chosen, documents=request.documents) if why else ()
            if batch or as_json:
                write_json(chosen.to_dict() | ({"words": [word.to_dict() for word in words]} if why else {}))
                continue
            from structrag.cli.rendering import route_view, show, words_view

            show(route_view(chosen))
            if why:
                show(words_view(words))


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """A question to route.

    Attributes:
        documents: Ids of the documents that it is about; ``None`` for all.
        place: The file and line that it comes from, where it is one of a batch.
    """

    question: str
    documents: tuple[str, ...] | None = None
    place: str = ""


def read_batch(path: Path) -> list[RouteRequest]:
    """Read a batch of questions as a whole, so that a bad line costs no model call.

    Raises:
        ConfigError: The file cannot be read, or a line is wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    # Not splitlines(): JSON strings may hold the other characters that it takes for line ends.
    lines = enumerate(text.split("\n"), start=1)
    return [_parse_line(line, f"{path}, line {number}") for number, line in lines if line.strip()]


def _parse_line(line: str, place: str) -> RouteRequest:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{place}: this is not JSON: {error.msg} at column {error.colno}.") from error
    question = data.get("question") if isinstance(data, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f'{place}: an object with a text under "question" is expected.')
    documents = data.get("documents")
    if documents is None:
        return RouteRequest(question, place=place)
    if not isinstance(documents, list) or not all(isinstance(item, str) for item in documents):
        raise ConfigError(f'{place}: "documents" must be a list of document ids.')
    return RouteRequest(question, tuple(documents), place)


@contextmanager
def _routing_corpus(
    invocation: Invocation, corpus: Path | None, model: str | None, activity: Activity
) -> Iterator[StructRAG]:
    """Open the corpus, or an empty one for now: a question can be routed without documents."""
    folder = invocation.folder(corpus)
    with TemporaryDirectory(prefix="structrag-", ignore_cleanup_errors=True) as empty:
        place = folder if is_corpus(folder) else Path(empty)
        with activity:
            rag = invocation.open_corpus(place, settings=model_settings(model), progress=activity.prepare)
        with rag:
            yield rag


def _route_one(rag: StructRAG, request: RouteRequest) -> Route:
    try:
        return rag.route(request.question, documents=request.documents)
    except StoreError as error:
        if not request.place:
            raise
        raise StoreError(f"{request.place}: {error.message}", hint=error.hint) from error


def _streaming(*, as_json: bool) -> Callable[[Event], None]:
    if not as_json:
        return narrate_event

    def narrate_and_write(event: Event) -> None:
        narrate_event(event)
        write_event(event)

    return narrate_and_write
