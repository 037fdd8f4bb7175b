"""An encoder policy as it is served: an int8 ONNX graph, derived once from the artefact and cached; no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from structrag.router import template
from structrag.router.artefact import EncoderShape, PolicySettings, read_weights
from structrag.router.base_model import model_folder
from structrag.router.protocol import RoutingRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_THREADS = 2
"""A question is too short to be shared out among more."""


class EncoderScorer:
    """Scores the five structures by the derived graph.

    Args:
        folder: The artefact.
        settings: What stands in its ``router.json``.
        shape: Its encoder's.
        cache: Where derived graphs are kept.
    """

    def __init__(self, folder: Path, settings: PolicySettings, shape: EncoderShape, cache: Path) -> None:
        base = model_folder(settings.base_model)
        self._tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._tokenizer.enable_truncation(template.MAX_TOKENS)
        self._tokenizer.enable_padding()
        graph = derived_graph(folder, settings, shape, cache)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        # Threads that wait must sleep: the chat model needs the cores next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        onnxruntime.disable_telemetry_events()
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def __call__(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float32]:
        """Return the logits, shape ``(len(requests), 5)``."""
        encoded = self._tokenizer.encode_batch([template.render(r) for r in requests], add_special_tokens=False)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        return np.asarray(self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0])


def derived_graph(folder: Path, settings: PolicySettings, shape: EncoderShape, cache: Path) -> Path:
    """Return the policy's int8 ONNX graph, derived from the artefact if it is not in the cache yet."""
    from structrag.router import encoder_graph

    identity = f"{encoder_graph.VERSION}:{settings.adapter_sha256}:{settings.base_model}:{settings.lora_scale}"
    path = cache / f"router-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.onnx"
    if not path.exists():
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata

        weights = merge(
            _base_weights(model_folder(settings.base_model)), read_weights(folder, settings), settings.lora_scale
        )
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        model = encoder_graph.build(weights, shape)
        add_pre_process_metadata(model)  # it has no node to spare, so quantising need not ask for that
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
