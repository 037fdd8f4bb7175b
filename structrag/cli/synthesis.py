"""The command that makes preference pairs with a chat model: questions, sketches of their solutions, a judgement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from structrag.cli.asking import read_batch
from structrag.cli.invocation import CorpusOption, Invocation, ModelOption, model_settings
from structrag.cli.text import narrate, one_line, write
from structrag.errors import StoreError

if TYPE_CHECKING:
    from structrag.router.protocol import RoutingRequest
    from structrag.router.synthesis import SynthesisStep
    from structrag.types import DocumentProfile

_SEEDS = 200
_SHOWN = 80


def synthesize(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Where the preference pairs go.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many questions to make up.")] = 50,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE.jsonl", help='Judge these instead: {"question": …} per line.'),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="For other questions, another number.")] = 0,
    corpus: CorpusOption = None,
    model: ModelOption = None,
) -> None:
    """Make preference pairs for the router with a chat model, over the documents of the corpus.

    The model makes up questions, sketches how each would be solved with each of the five structures, and judges which
    sketch is best. What is done is kept: start it again to go on.
    """
    from structrag.config import load_settings
    from structrag.models.loading import load_chat_model
    from structrag.router.protocol import RoutingRequest
    from structrag.router.questions import shipped_questions
    from structrag.router.synthesis import Brief, read_judgements, synthesize_questions
    from structrag.router.synthesis import synthesize as judge_all
    from structrag.usage import UsageMeter

    invocation = Invocation.of(ctx)
    folder = invocation.folder(corpus) if questions else invocation.existing_folder(corpus)
    settings, _ = load_settings(folder, model_settings(model))
    chat, meter = load_chat_model(settings.models), UsageMeter()
    requests: Iterable[RoutingRequest]
    if questions:
        requests = _given(questions)
    else:
        earlier = [judgement.request.question for judgement in read_judgements(out)]
        manner = Random(seed).sample([q.request.question for q in shipped_questions().training], _SEEDS)
        # In the manner of the shipped questions, which vary as people do. And in another drawing than before an
        # interruption, or a model without chance would only repeat itself.
        new = synthesize_questions(
            chat,
            meter,
            Brief(manner, _profiles(folder), earlier),
            count=max(0, count - len(earlier)),
            seed=seed + len(earlier),
            dropped=_tell_dropped,
        )
        requests = (RoutingRequest(question) for question in new)
    judge_all(chat, requests, out, meter=meter, listener=_tell)
    spent = meter.snapshot()
    narrate(f"{spent.calls} calls, {spent.prompt_tokens:,} tokens in, {spent.completion_tokens:,} out.")
    write(f"preference pairs  {out}")


def _given(path: Path) -> list[RoutingRequest]:
    from structrag.router.protocol import RoutingRequest

    return [RoutingRequest(request.question) for request in read_batch(path)]


def _profiles(folder: Path) -> list[DocumentProfile]:
    from structrag.corpus.profile import profile
    from structrag.corpus.store import DATABASE_NAME, CorpusStore

    with CorpusStore.open(folder.expanduser() / DATABASE_NAME) as store:
        documents = store.documents()
    if not documents:
        raise StoreError(f"The corpus {folder} holds no documents.", hint="Add some: structrag add PATH…")
    return [profile(document) for document in documents]


def _tell(step: SynthesisStep) -> None:
    question = one_line(step.request.question, _SHOWN)
    if step.judgement is None:
        narrate(f"not judged  {question}  ({step.error.message if step.error else ''})")
        return
    told = f"{step.judgement.structure} ({step.judgement.probabilities[step.judgement.structure]:.0%})"
    narrate(f"{told:<16}  {step.pairs} pairs  {question}")


def _tell_dropped(text: str, reason: str) -> None:
    narrate(f"not used: it {reason}  {one_line(text, _SHOWN)}")
