"""torch modules as ONNX models, and their weights in fewer bits."""

import hashlib
import importlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Precision = Literal["float32", "float16", "int8"]

SMALL = 1024
"""Numbers below which a tensor is kept in float32: nothing is saved on it."""


def graph(module: nn.Module, arguments: tuple[Any, ...], shapes: Any, inputs: list[str], outputs: list[str]) -> Any:
    """The ONNX model of a module, with the names given.

    The exporter's own optimiser takes minutes over thousands of nodes, most of it in matching patterns that
    onnxruntime matches anyway: constants are folded and the rest is left to the runtime.
    """
    onnx_ir: Any = importlib.import_module("onnx_ir")
    passes: Any = importlib.import_module("onnx_ir.passes.common")
    optimizer: Any = importlib.import_module("onnxscript.optimizer")
    with _quiet(), torch.no_grad():
        program = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes, strict=False)
        onnx_export: Any = torch.onnx.export  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        made: Any = onnx_export(program, dynamo=True, verbose=False, optimize=False).model
        optimizer.fold_constants(made, onnx_shape_inference=False)
        passes.CommonSubexpressionEliminationPass()(made)
        passes.RemoveUnusedNodesPass()(made)
    for values, names in ((made.graph.inputs, inputs), (made.graph.outputs, outputs)):
        for value, name in zip(values, names, strict=True):
            value.name = name
    proto = onnx_ir.to_proto(made)
    # The exporter notes for each node the lines of Python that it came from: megabytes. The shapes in value_info stay:
    # without them onnxruntime takes seconds to load the model.
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in proto.graph.value_info:
        del value.metadata_props[:]
    return proto


@contextmanager
def _quiet() -> Generator[None]:
    """Without the exporter's talk about packages that nobody misses."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def compress(graph: Any, model: nn.Module, weights: Precision) -> None:
    """Store the big parameters of `graph` in fewer bits, each followed by nodes that the runtime folds at loading.

    Only parameters: tables of cosines, filters and averages stay exact. The exporter keeps some of them transposed.
    """
    if weights == "float32":
        return
    numpy_helper: Any = importlib.import_module("onnx.numpy_helper")
    outputs = _output_axes(model)
    kept = list(graph.graph.initializer)
    del graph.graph.initializer[:]
    nodes: list[Any] = []
    for tensor in kept:
        values = numpy_helper.to_array(tensor)
        axis = outputs.get(_digest(values)) if values.size >= SMALL and values.dtype == np.float32 else None
        if axis is None:
            graph.graph.initializer.append(tensor)
        else:
            stored, made = _packed(tensor.name, values, axis, weights)
            graph.graph.initializer.extend(stored)
            nodes += made
    before = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *before])


def _output_axes(model: nn.Module) -> dict[bytes, int]:
    """Of each parameter, as it is and transposed, the axis that its outputs lie along."""
    axes: dict[bytes, int] = {}
    for parameter in model.parameters():
        values = parameter.detach().cpu().numpy()
        if values.ndim >= 2:
            axes[_digest(values)] = 0
            axes[_digest(values.swapaxes(0, -1))] = values.ndim - 1
    return axes


def _digest(values: NDArray[Any]) -> bytes:
    return hashlib.sha256(str(values.shape).encode() + np.ascontiguousarray(values).tobytes()).digest()


def _packed(name: str, values: NDArray[np.float32], axis: int, weights: Precision) -> tuple[list[Any], list[Any]]:
    numpy_helper: Any = importlib.import_module("onnx.numpy_helper")
    helper: Any = importlib.import_module("onnx.helper")
    single = importlib.import_module("onnx").TensorProto.FLOAT
    if weights == "float16":
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        return [stored], [helper.make_node("Cast", [f"{name}.half"], [name], to=single)]
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, 1e-12).astype(np.float32)
    small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    stored = [numpy_helper.from_array(small, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    return stored, [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.whole"], to=single),
        helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
    ]
