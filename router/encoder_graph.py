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
_MASKED = -1e4


class _Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._used: dict[str, NDArray[Any]] = {}
        self.nodes: list[Any] = []

    def weight(self, name: str, *, transposed: bool = False) -> str:
        """Use a weight as it is, or transposed: a linear layer keeps its matrix as (out, in)."""
        value = self._weights[name]
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
    """Return the graph: ``input_ids`` and ``attention_mask``, both (batch, length), in; ``logits`` (batch, 5) out.

    Args:
        weights: The encoder's by their names in transformers' `BertModel`, and ``head.weight``, ``head.bias``.
        shape: Its layers, heads and epsilon.
    """
    graph = _Graph(weights)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    x = _embeddings(graph, shape)
    one = graph.constant("one", np.array(1.0, dtype=np.float32))
    masked = graph.constant("masked", np.array(_MASKED, dtype=np.float32))
    bias = graph.node("Mul", graph.node("Sub", one, mask), masked)
    bias = graph.node("Unsqueeze", bias, graph.constant("axes_1_2", np.array([1, 2])))
    for layer in range(shape.layers):
        x = _layer(graph, x, bias, f"encoder.layer.{layer}", shape)
    weight = graph.node("Unsqueeze", mask, graph.constant("axis_2", np.array([2])))
    axis = graph.constant("axis_1", np.array([1]))
    total = graph.node("ReduceSum", graph.node("Mul", x, weight), axis, keepdims=0)
    pooled = graph.node("Div", total, graph.node("ReduceSum", weight, axis, keepdims=0))
    logits = graph.linear("head", pooled)
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    ids = [
        helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"])
        for n in ("input_ids", "attention_mask")
    ]
    out = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 5])]
    made = helper.make_graph(graph.nodes, "router", ids, out, initializer=graph.initializers())
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)


def _embeddings(graph: _Graph, shape: EncoderShape) -> str:
    # Half of the file is this one matrix; in 16 bits it costs nothing that could be measured.
    words = graph.constant("words", graph._weights["embeddings.word_embeddings.weight"].astype(np.float16))
    x = graph.node("Cast", graph.node("Gather", words, "input_ids"), to=TensorProto.FLOAT)
    length = graph.node("Slice", graph.node("Shape", "input_ids"), *(_ints(graph, n) for n in (1, 2)))
    positions = graph.weight("embeddings.position_embeddings.weight")
    x = graph.node("Add", x, graph.node("Slice", positions, _ints(graph, 0), length))
    kind = graph.constant("kind", graph._weights["embeddings.token_type_embeddings.weight"][0])
    return graph.norm("embeddings.LayerNorm", graph.node("Add", x, kind), shape.epsilon)


def _layer(graph: _Graph, x: str, bias: str, name: str, shape: EncoderShape) -> str:
    split = _ints(graph, 0, 0, shape.heads, shape.hidden // shape.heads)

    def heads(part: str, order: list[int]) -> str:
        projected = graph.linear(f"{name}.attention.self.{part}", x)
        return graph.node("Transpose", graph.node("Reshape", projected, split), perm=order)

    query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
    root = graph.constant("root", np.array((shape.hidden // shape.heads) ** -0.5, dtype=np.float32))
    scores = graph.node("Add", graph.node("Mul", graph.node("MatMul", query, key), root), bias)
    context = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), heads("value", [0, 2, 1, 3]))
    joined = graph.node(
        "Reshape", graph.node("Transpose", context, perm=[0, 2, 1, 3]), _ints(graph, 0, 0, shape.hidden)
    )
    attended = graph.linear(f"{name}.attention.output.dense", joined)
    x = graph.norm(f"{name}.attention.output.LayerNorm", graph.node("Add", attended, x), shape.epsilon)
    inner = graph.node("Gelu", graph.linear(f"{name}.intermediate.dense", x))
    outer = graph.linear(f"{name}.output.dense", inner)
    return graph.norm(f"{name}.output.LayerNorm", graph.node("Add", outer, x), shape.epsilon)


def _ints(graph: _Graph, *values: int) -> str:
    return graph.constant("ints_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))
