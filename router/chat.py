"""A few-shot router on any chat model that offers log-likelihoods."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib.resources import files

from structrag.errors import ModelOutputError, RoutingError
from structrag.models.chat import ChatModel, Prompt
from structrag.router.protocol import RoutingRequest
from structrag.types import Route, StructureType
from structrag.usage import UsageMeter

_UNSURE_BELOW = 0.4
_QUESTION_CHARACTERS = 1200
"""Longer questions are cut in the middle: what is asked stands at the start or at the end."""


class ChatRouter:
    """Reads the route from the log-likelihoods of the five names, so a reply never has to be parsed.

    It looks at the question alone: told what the documents are about, the embedded model calls nearly everything a
    table (docs/decisions/0002-few-shot-router-with-a-measured-prior.md).

    A chat model likes some names better than others whatever is asked. Given ``prior``, its liking measured over
    mixed questions without their labels, the likelihoods are divided by it (batch calibration: Zhou et al. 2023,
    arXiv 2309.17249).

    Args:
        chat: The chat model.
        prior: The mean probability of each structure over mixed questions; see `measure_prior`.
        unsure_below: Routes with less confidence are unsure; 0.4 by default.
    """

    def __init__(
        self, chat: ChatModel, *, prior: Mapping[StructureType, float] | None = None, unsure_below: float | None = None
    ) -> None:
        self._chat = chat
        self._prior = prior or shipped_prior(chat.name)
        self._unsure_below = _UNSURE_BELOW if unsure_below is None else unsure_below
        self._system = _prompt_file("route.txt")
        examples = [json.loads(line) for line in _prompt_file("route_examples.jsonl").splitlines()]
        self._examples = tuple((f"Question: {e['question']}", str(e["structure"])) for e in examples)

    @property
    def name(self) -> str:
        """``chat`` and the model's name."""
        return f"chat:{self._chat.name}"

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        """Return the route.

        Raises:
            RoutingError: The model offers no log-likelihoods, or finds none of the five names likely.
            ModelError: The model does not answer.
        """
        started = time.perf_counter()
        shares = self.likelihoods(request, meter)
        weighted = {s: share / self._prior[s] for s, share in shares.items()} if self._prior else shares
        total = sum(weighted.values())
        probabilities = {s: share / total for s, share in weighted.items()}
        return Route(
            question=request.question,
            probabilities=probabilities,
            unsure=max(probabilities.values()) < self._unsure_below,
            router=self.name,
            seconds=time.perf_counter() - started,
        )

    def likelihoods(self, request: RoutingRequest, meter: UsageMeter) -> dict[StructureType, float]:
        """Return the model's own probabilities, before the prior is taken out.

        Raises:
            RoutingError: The model offers no log-likelihoods, or finds none of the five names likely.
        """
        prompt = Prompt(stage="route", system=self._system, user=_render(request), examples=self._examples)
        try:
            shares = self._chat.choose(prompt, [str(s) for s in StructureType], meter)
        except ModelOutputError as error:
            raise RoutingError(
                f"No route for this question: {error.message}",
                hint="Choose the structure yourself with --structure, or set `router.name`.",
            ) from error
        return {StructureType(name): share for name, share in shares.items()}


def measure_prior(router: ChatRouter) -> dict[StructureType, float]:
    """Return the mean probability of each structure over the shipped mixed questions; their labels are not used."""
    questions = _prompt_file("calibration.txt").splitlines()
    likelihoods = [router.likelihoods(RoutingRequest(question), UsageMeter()) for question in questions]
    return {s: sum(each[s] for each in likelihoods) / len(likelihoods) for s in StructureType}


def shipped_prior(model: str) -> dict[StructureType, float] | None:
    """Return the prior that was measured for this chat model, or ``None`` if none was."""
    priors: dict[str, dict[str, float]] = json.loads(_prompt_file("priors.json"))
    return {StructureType(s): share for s, share in priors[model].items()} if model in priors else None


def _prompt_file(name: str) -> str:
    return files(__package__).joinpath("prompts", name).read_text(encoding="utf-8")


def _render(request: RoutingRequest) -> str:
    question = request.question
    if len(question) > _QUESTION_CHARACTERS:
        half = _QUESTION_CHARACTERS // 2
        question = f"{question[:half]} … {question[-half:]}"
    return f"Question: {question}"
