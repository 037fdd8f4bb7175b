"""A BERT encoder with mean pooling and a head as an ONNX graph, from its weights: neither torch nor an exporter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from structrag.router.artefact import EncoderShape

_OPSET = 20
_FUSED = "com.microsoft"
"""The operators that ONNX Runtime adds."""


class _Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self._used: dict[str, NDArray[Any]] = {}
        self.nodes: list[Any] = []

    def weight(self, name: str, *, transposed: bool = False) -> str:
        """Use a weight as it is, or transposed: a linear layer keeps its matrix as (out, in)."""
        value = self.weights[name]
        return self.constant(name, value.T if transposed else value)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self._used[name] = np.ascontiguousarray(value)
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, name: str, x: str) -> str:
        return self.node(
            "Add", self.node("MatMul", x, self.weight(f"{name}.weight", transposed=True)), self.weight(f"{name}.bias")
        )

    def norm(self, name: str, x: str, epsilon: float) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def initializers(self) -> list[TensorProto]:
        return [numpy_helper.from_array(value, name) for name, value in self._used.items()]


def build(weights: Mapping[str, NDArray[np.float32]], shape: EncoderShape) -> ModelProto:
    """Return the graph: ``input_ids`` (1, length) in; ``logits`` (1, 5) out.

    One request at a time, so there is nothing to mask.

    Args:
        weights: The encoder's by their names in transformers' `BertModel`, and ``head.weight``, ``head.bias``.
        shape: Its layers, heads and epsilon.
    """
    graph = _Graph(weights)
    x = _embeddings(graph, shape)
    for layer in range(shape.layers):
        x = _layer(graph, x, f"encoder.layer.{layer}", shape)
    pooled = graph.node("ReduceMean", x, graph.constant("axis_1", np.array([1])), keepdims=0)
    logits = graph.linear("head", pooled)
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "length"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])
    made = helper.make_graph(graph.nodes, "router", [ids], [out], initializer=graph.initializers())
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def _embeddings(graph: _Graph, shape: EncoderShape) -> str:
    # Half of the file is this one matrix; in 16 bits it costs nothing that could be measured.
    words = graph.constant("words", graph.weights["embeddings.word_embeddings.weight"].astype(np.float16))
    x = graph.node("Cast", graph.node("Gather", words, "input_ids"), to=TensorProto.FLOAT)
    length = graph.node("Slice", graph.node("Shape", "input_ids"), *(_ints(graph, n) for n in (1, 2)))
    kind = graph.weights["embeddings.token_type_embeddings.weight"][0]
    positions = graph.constant("positions", graph.weights["embeddings.position_embeddings.weight"] + kind)
    x = graph.node("Add", x, graph.node("Slice", positions, _ints(graph, 0), length))
    return graph.norm("embeddings.LayerNorm", x, shape.epsilon)


def _layer(graph: _Graph, x: str, name: str, shape: EncoderShape) -> str:
    attended = graph.linear(f"{name}.attention.output.dense", _attention(graph, x, f"{name}.attention.self", shape))
    x = graph.norm(f"{name}.attention.output.LayerNorm", graph.node("Add", attended, x), shape.epsilon)
    inner = graph.node("Gelu", graph.linear(f"{name}.intermediate.dense", x))
    outer = graph.linear(f"{name}.output.dense", inner)
    return graph.norm(f"{name}.output.LayerNorm", graph.node("Add", outer, x), shape.epsilon)


def _attention(graph: _Graph, x: str, name: str, shape: EncoderShape) -> str:
    """Queries, keys and values as one matrix, so that activations are scaled to 8 bits once, and one fused node."""
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([graph.weights[f"{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in parts])
    joined = graph.node("MatMul", x, graph.constant(f"{name}.weight", matrix))
    graph.nodes.append(
        helper.make_node("Split", [joined, _ints(graph, *[shape.hidden] * 3)], parts, name=f"{name}.split", axis=-1)
    )
    biased = graph.constant(f"{name}.bias", bias)
    return graph.node("MultiHeadAttention", *parts, biased, domain=_FUSED, num_heads=shape.heads)


def _ints(graph: _Graph, *values: int) -> str:
    return graph.constant("ints_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))
