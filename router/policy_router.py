"""The trained router in use: an artefact's policy, scored and calibrated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from structrag.router.artefact import PolicySettings, read_settings, read_weights
from structrag.router.base_model import model_folder
from structrag.router.protocol import RoutingRequest
from structrag.types import Route, StructureType
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Scorer = Callable[[RoutingRequest], "NDArray[np.float32]"]
"""A request in, the logits of the five structures out."""


class PolicyRouter:
    """Routes by the trained policy; calls no chat model.

    Args:
        folder: The artefact, or what says where it is; nothing is read before the first route.
        cache: Where the derived graph is kept.
        unsure_below: Routes with less confidence are unsure; the artefact's own threshold by default.
    """

    def __init__(self, folder: Path | Callable[[], Path], cache: Path, *, unsure_below: float | None = None) -> None:
        self._locate = folder if callable(folder) else lambda: folder
        self._cache = cache
        self._unsure_below = unsure_below
        self._lock = Lock()

    @cached_property
    def folder(self) -> Path:
        """Where the artefact is.

        Raises:
            RoutingError: There is none of that name.
        """
        return self._locate()

    @cached_property
    def settings(self) -> PolicySettings:
        """What stands in the artefact's ``router.json``.

        Raises:
            RoutingError: It is missing, damaged, or made for another template or another set of labels.
        """
        return read_settings(self.folder)

    @property
    def name(self) -> str:
        """``policy:`` and the version's name, by which ``router.name`` takes it."""
        return f"policy:{self.folder.name}"

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        """Return the route.

        Raises:
            RoutingError: The artefact is damaged.
        """
        started = time.perf_counter()
        probabilities = self.probabilities([request])[0]
        shares = {s: float(p) for s, p in zip(StructureType, probabilities, strict=True)}
        return Route(
            question=request.question,
            probabilities=shares,
            unsure=max(shares.values()) < self.unsure_below,
            router=self.name,
            seconds=time.perf_counter() - started,
        )

    @property
    def unsure_below(self) -> float:
        """Routes with less confidence are unsure."""
        return self.settings.unsure_below if self._unsure_below is None else self._unsure_below

    def probabilities(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float32]:
        """Return calibrated probabilities, shape ``(len(requests), 5)``, in the order of `StructureType`."""
        import numpy as np

        logits = self.logits(requests) / self.settings.temperature
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def logits(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float32]:
        """Return what the policy says before calibration, shape ``(len(requests), 5)``."""
        import numpy as np

        with self._lock:
            scorer = self._scorer
        rows = [scorer(request) for request in requests]
        return np.stack(rows) if rows else np.zeros((0, len(StructureType)), dtype=np.float32)

    @cached_property
    def _scorer(self) -> Scorer:
        if self.settings.encoder is not None:
            from structrag.router.encoder_scorer import EncoderScorer

            return EncoderScorer(self.folder, self.settings, self.settings.encoder, self._cache)
        from structrag.router.causal import CausalScorer

        weights = read_weights(self.folder, self.settings)
        return CausalScorer(model_folder(self.settings.base_model), weights)
