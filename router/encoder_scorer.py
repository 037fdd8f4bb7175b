"""An encoder policy as it is served: an int8 ONNX graph, derived once from the artefact and cached; no torch."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from structrag.errors import RoutingError
from structrag.models.processors import allowed_processors
from structrag.router import template
from structrag.router.artefact import EncoderShape, PolicySettings, read_weights
from structrag.router.base_model import model_folder
from structrag.router.protocol import RoutingRequest
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRAPH = 2
"""Counted up when the graph is built otherwise: those in caches are of no use then."""
_BASE_WEIGHTS = "model.safetensors"
_DAMAGED = (failures.Fail, failures.InvalidArgument, failures.InvalidGraph, failures.InvalidProtobuf)
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
        _require_shape(base, folder, shape)
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing more exact
            raise RoutingError(f"The tokenizer at {base} cannot be read: {error}.") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()  # its file pads to a fixed length
        onnxruntime.disable_telemetry_events()
        graph = derived_graph(folder, settings, shape, cache)
        try:
            self._session = _session(graph)
        except _DAMAGED:
            # Whatever became of the file: it can be made again.
            graph.unlink()
            self._session = _session(derived_graph(folder, settings, shape, cache))

    def __call__(self, request: RoutingRequest) -> NDArray[np.float32]:
        """Return the five logits.

        One request at a time: in 8 bits, activations are scaled by the largest of a batch, so that a route would
        depend on its neighbours.
        """
        prompt = template.fitted(request, lambda text: len(self._encode(text)))
        # A character may be several tokens, as in Korean: what is longer even so loses its end.
        ids = np.array([self._encode(prompt)[: template.MAX_TOKENS]], dtype=np.int64)
        return np.asarray(self._session.run(["logits"], {"input_ids": ids})[0][0])

    def _encode(self, prompt: str) -> list[int]:
        return list(self._tokenizer.encode(prompt, add_special_tokens=False).ids)


def _session(graph: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_MOST_THREADS, allowed_processors())
    # Threads that wait within a route spin, as waking them takes longer; after it, the chat model needs the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def derived_graph(folder: Path, settings: PolicySettings, shape: EncoderShape, cache: Path) -> Path:
    """Return the policy's int8 ONNX graph, derived from the artefact if it is not in the cache yet.

    Raises:
        RoutingError: The artefact is damaged, or the cache cannot be written.
    """
    base = model_folder(settings.base_model) / _BASE_WEIGHTS
    stamp = base.stat()
    identity = [_GRAPH, settings.adapter_sha256, settings.lora_scale, str(base), stamp.st_size]
    path = cache / f"router-{hashlib.sha256(repr(identity).encode()).hexdigest()[:16]}.onnx"
    if path.exists():
        return path
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    from structrag.router import encoder_graph

    weights = merge(dict(load_file(base)), read_weights(folder, settings), settings.lora_scale)
    model = encoder_graph.build(weights, shape)
    add_pre_process_metadata(model)  # it has no node to spare, so quantising need not ask for that
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(
            model,
            part,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Behind a fused node, the quantiser cannot tell the type of what comes out.
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
        part.replace(path)
    except OSError as error:
        raise RoutingError(
            f"The router's graph cannot be kept in {cache}: {error.strerror}.", hint="Set `models.cache`."
        ) from error
    return path


def _require_shape(base: Path, folder: Path, shape: EncoderShape) -> None:
    try:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        layers, heads, width = (
            int(config[name]) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")
        )
        found = EncoderShape(layers, heads, width, epsilon=float(config["layer_norm_eps"]))
        (base / _BASE_WEIGHTS).stat()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RoutingError(
            f"The encoder at {base}, on which {folder} was trained, cannot be read: {error!r}."
        ) from error
    if found != shape:
        raise RoutingError(
            f"The router at {folder} was made for another encoder than the one at {base}.", hint="Train again."
        )


def merge(
    base: dict[str, NDArray[np.float32]], adapter: dict[str, NDArray[np.float32]], scale: float
) -> dict[str, NDArray[np.float32]]:
    """Return the encoder's weights with the low-rank products added in, and the head's.

    Raises:
        RoutingError: The adapter has matrices that do not fit the encoder, or lacks the head.
    """
    merged = dict(base)
    hidden = len(base["embeddings.LayerNorm.weight"])
    head = {"head.weight": (len(StructureType), hidden), "head.bias": (len(StructureType),)}
    fits = all(name in adapter and adapter[name].shape == shape for name, shape in head.items())
    for name, value in adapter.items():
        layer, _, part = name.rpartition(".")
        if part == "lora_A":
            up, weight = adapter.get(f"{layer}.lora_B"), base.get(f"{layer}.weight")
            if up is None or weight is None or not _multiply_to(up, value, weight):
                fits = False
            else:
                merged[f"{layer}.weight"] = weight + scale * (up @ value)
        elif name in head:
            merged[name] = value
        elif part != "lora_B" or f"{layer}.lora_A" not in adapter:
            fits = False
    if not fits:
        raise RoutingError(
            "The router's adapter does not fit its encoder.", hint="Go back with `structrag router rollback`."
        )
    return merged


def _multiply_to(up: NDArray[np.float32], down: NDArray[np.float32], weight: NDArray[np.float32]) -> bool:
    return up.ndim == down.ndim == 2 and up.shape[1] == down.shape[0] and (len(up), down.shape[1]) == weight.shape
