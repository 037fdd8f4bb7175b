"""What building a structure may cost, before it is built: no model is called.

The builder runs as it would, on a stand-in for the model that answers from the cache where a reply is kept, counts the
prompt where none is, and goes on with a made-up reply of the form asked for. Where the way depends on what the model
would say, the dearest way counts: each choice is tried both ways, and once more as if all documents were equally near.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from structrag.errors import BuildError, ModelOutputError
from structrag.models.chat import ChatModel, Prompt, Reply, most_prompt_tokens
from structrag.models.replies import parse_json
from structrag.models.streaming import Growing
from structrag.pipeline.components import builder_and_reasoner
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.types import StructureType
from structrag.usage import Prices, UsageMeter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from structrag.config import BuilderSettings
    from structrag.corpus.store import CorpusStore
    from structrag.models.embedding import Embedder

_COMPLETION_WEIGHT = 6.0
"""How much longer a token takes to write than to read: 64 and 11 tokens a second, the embedded model on two cores."""
_SECONDS_PER_TOKEN = 1 / 64
"""To read one, until calls of this corpus have shown how long the model takes."""
_MEASURED_ANSWERS = 20
_FEWEST_MEASURED = 5
_MOST_FILLED = 4
_FILLER_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Estimate:
    """What building may cost at most; reasoning on what is built adds a few short calls.

    Attributes:
        structures: What would be built, in order; all but the first only if those before find nothing.
        documents: How many it would be built from.
        calls: Calls of the model. A reply that does not fit its form is asked for once more, which is not counted.
        cached: Further calls whose replies are kept already.
        prompt_tokens: By the length of the prompts.
        completion_tokens: As if each reply were as long as it may be.
        seconds: As if the calls came one after the other.
        cost: ``None`` where prices are not known.
    """

    structures: tuple[StructureType, ...]
    documents: int
    calls: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "structures": [str(each) for each in self.structures],
            "documents": self.documents,
            "calls": self.calls,
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 1),
            "cost": None if self.cost is None else round(self.cost, 6),
        }


@dataclass
class Foreseen:
    """The calls of one dry run."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    cached: int = 0
    choices: int = 0

    def add(self, prompt: Prompt, completion_tokens: int) -> None:
        """Count one call."""
        self.calls += 1
        self.prompt_tokens += most_prompt_tokens(prompt.messages(), prompt.schema)
        self.completion_tokens += completion_tokens


class CountingModel(ChatModel):
    """Stands in for a chat model whose calls are only to be counted.

    Args:
        chat: The model whose cache is read.
        prefers_last: Of several options, whether the last is found certain, or the first.
    """

    def __init__(self, chat: ChatModel, *, prefers_last: bool) -> None:
        # One call at a time: nothing is gained by counting side by side.
        super().__init__(chat.name, _load_nothing, concurrency=1)
        self._chat = chat
        self._prefers_last = prefers_last
        self._letters = itertools.cycle("abcdefghijklmnopqrstuvwxyz")
        self.foreseen = Foreseen()

    def reply(self, prompt: Prompt, meter: UsageMeter, growing: Growing | None = None) -> Reply:
        """Return the reply that is kept, or count the prompt and make one up.

        Raises:
            ModelOutputError: None that follows the schema can be made up.
        """
        kept = self._chat.kept_reply(prompt)
        if kept is not None:
            self.foreseen.cached += 1
            return kept
        self.foreseen.add(prompt, prompt.max_tokens)
        if prompt.schema is None:
            return Reply(self._text(_FILLER_CHARACTERS))
        text = json.dumps(self._filled(prompt.schema))
        return Reply(text, parse_json(text, prompt.schema))

    def choose(self, prompt: Prompt, options: Sequence[str], meter: UsageMeter) -> dict[str, float]:
        """Return the shares that are kept, or count the prompt and choose."""
        kept = self._chat.kept_choice(prompt, options)
        if kept is not None:
            self.foreseen.cached += 1
            return kept
        self.foreseen.add(prompt, 1)
        self.foreseen.choices += 1
        chosen = options[-1] if self._prefers_last else options[0]
        return {option: float(option == chosen) for option in options}

    def _filled(self, schema: Mapping[str, Any]) -> Any:
        """Return something of the form that a schema asks for, as large as further prompts can become by it."""
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                return {name: self._filled(schema["properties"][name]) for name in schema.get("required", ())}
            case "array":
                least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 0))
                # Short lists shape the prompts that follow; long ones are results, and nothing is asked about them.
                return [self._filled(schema["items"]) for _ in range(most if most <= _MOST_FILLED else least)]
            case "string":
                longest = min(int(schema.get("maxLength", _FILLER_CHARACTERS)), _FILLER_CHARACTERS)
                return self._text(max(longest, int(schema.get("minLength", 0))))
            case "integer" | "number":
                return schema.get("minimum", 0)
            case "boolean":
                return False
        return None

    def _text(self, characters: int) -> str:
        # Different ones, since columns of the same name would become one.
        return next(self._letters) * characters


class EqualEmbedder:
    """Finds all texts equally near, so that no document is left out for being far."""

    name = "equal"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return nothing but zeros."""
        import numpy as np

        return np.zeros((len(texts), 1), dtype=np.float32)


class RememberingEmbedder:
    """Embeds each text once: the dry runs look at the same documents, and a hosted embedder is paid by the text.

    Args:
        embedder: Whom it asks.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._rows: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text."""
        import numpy as np

        if not texts:
            return self._embedder.embed(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            self._rows.update(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._rows[text] for text in texts])


@dataclass(frozen=True, slots=True)
class BuiltReader:
    """Reads what was built before, and keeps nothing of a dry run."""

    store: CorpusStore

    def built(self, document_id: str, key: str) -> str | None:
        """Return what was kept for this document."""
        return self.store.built(document_id, key)

    def put_built(self, document_id: str, key: str, payload: str) -> None:
        """Keep nothing."""


def estimate_building(
    request: BuildRequest,
    types: Sequence[StructureType],
    builders: BuilderSettings,
    *,
    chat: ChatModel,
    embedder: Embedder,
    store: CorpusStore,
    prices: Prices,
) -> Estimate:
    """Return what building these structures may cost at most.

    Args:
        request: What they would be built from.
        types: Which, in order.
        builders: Who builds them.
        chat: The model that would be asked; only its cache is.
        embedder: The corpus's.
        store: The corpus.
        prices: Of the model.
    """
    remembering = RememberingEmbedder(embedder)
    totals = [_dearest(request, type_, builders, chat, remembering, store) for type_ in types]
    prompt, completion = (sum(t.prompt_tokens for t in totals), sum(t.completion_tokens for t in totals))
    return Estimate(
        structures=tuple(types),
        documents=len(request.documents),
        calls=sum(t.calls for t in totals),
        cached=sum(t.cached for t in totals),
        prompt_tokens=prompt,
        completion_tokens=completion,
        seconds=(prompt + _COMPLETION_WEIGHT * completion) * _pace(store),
        cost=prices.cost(prompt, completion) if prices.known else None,
    )


def _dearest(
    request: BuildRequest,
    type_: StructureType,
    builders: BuilderSettings,
    chat: ChatModel,
    embedder: Embedder,
    store: CorpusStore,
) -> Foreseen:
    builder, _ = builder_and_reasoner(type_, builders)

    def run(seen_by: Embedder, *, prefers_last: bool) -> Foreseen:
        counting = CountingModel(chat, prefers_last=prefers_last)
        # Where building ends early, what was asked until then is asked all the same.
        with suppress(BuildError, ModelOutputError):
            builder.build(request, Session(chat=counting, embedder=seen_by, cache=BuiltReader(store)))
        return counting.foreseen

    runs = [run(embedder, prefers_last=False)]
    if runs[0].choices:
        runs.append(run(embedder, prefers_last=True))
    if any(each.calls > each.choices for each in runs):
        runs.append(run(EqualEmbedder(), prefers_last=True))
    return max(runs, key=lambda each: (each.calls, each.prompt_tokens))


def _pace(store: CorpusStore) -> float:
    """Return how many seconds the model takes for a token that it reads: nine of ten calls were not slower."""
    paces = sorted(_paces(store))
    return paces[int(0.9 * len(paces))] if len(paces) >= _FEWEST_MEASURED else _SECONDS_PER_TOKEN


def _paces(store: CorpusStore) -> Iterator[float]:
    for call in store.last_calls(_MEASURED_ANSWERS):
        size = call["prompt_tokens"] + _COMPLETION_WEIGHT * call["completion_tokens"]
        if not call["cached"] and size:
            yield call["seconds"] / size


def _load_nothing() -> NoReturn:
    raise AssertionError("A model whose calls are only counted was asked.")
