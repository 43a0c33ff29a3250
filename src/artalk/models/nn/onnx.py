"""torch modules as ONNX models, and their weights in fewer bits."""

import hashlib
import importlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from artalk.models.nn.storage import SMALL, Precision, quantize

LARGEST_TABLE = 2**20
"""Numbers above which a tensor is not compared with the others: only the weights of large models are so many."""


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
        # Folding leaves a copy of each table wherever one is used.
        passes.DeduplicateInitializersPass(LARGEST_TABLE)(made)
        passes.CommonSubexpressionEliminationPass()(made)
        _infer_free_sizes(made, onnx_ir)
        passes.RemoveUnusedNodesPass()(made)
    for values, names in ((made.graph.inputs, inputs), (made.graph.outputs, outputs)):
        for value, name in zip(values, names, strict=True):
            value.name = name
    proto = onnx_ir.to_proto(made)
    _forget_origins(proto.graph)
    return proto


def _infer_free_sizes(model: Any, onnx_ir: Any) -> None:
    """Let -1 stand for the one free size of a reshape, instead of nodes that work it out and put the shape together."""
    constant = onnx_ir.convenience.get_const_tensor
    for node in model.graph:
        source = node.inputs[1].producer() if node.op_type == "Reshape" else None
        if source is None or source.op_type != "Concat":
            continue
        sizes = [constant(value) for value in source.inputs]
        free = [value for value, size in zip(source.inputs, sizes, strict=True) if size is None]
        left_open = any(size is not None and (size.numpy() < 0).any() for size in sizes)
        if len(free) == 1 and not left_open and _is_one_number(free[0], onnx_ir):
            shape = np.concatenate([[-1] if size is None else size.numpy() for size in sizes]).astype(np.int64)
            name = f"{node.outputs[0].name}.shape"
            value = onnx_ir.Value(name=name, const_value=onnx_ir.tensor(shape, name=name))
            model.graph.register_initializer(value)
            node.replace_input_with(1, value)


def _is_one_number(value: Any, onnx_ir: Any) -> bool:
    """Whether `value` is one number in a row; where a single number was laid into one, the exporter notes its shape."""
    made = value.producer()
    laid = made is not None and made.op_type == "Reshape" and made.inputs[0].shape == onnx_ir.Shape([])
    return laid or value.shape == onnx_ir.Shape([1])


def _forget_origins(graph: Any) -> None:
    """Drop the lines of Python that the exporter notes for each node, in loops too: megabytes and a machine's paths.

    The shapes in value_info stay: without them onnxruntime takes seconds to load the model.
    """
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _forget_origins(attribute.g)
    for value in (*graph.value_info, *graph.input, *graph.output):
        del value.metadata_props[:]


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

    Only parameters lose by it: tables of cosines, filters and averages stay exact, and tables of whole numbers are kept
    in the smallest type that holds them. The exporter keeps some parameters transposed.
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
        stored, made = [tensor], []
        if values.size >= SMALL and values.dtype == np.int64:
            stored, made = _narrowed(tensor.name, values)
        elif values.size >= SMALL and values.dtype == np.float32 and (digest := _digest(values)) in outputs:
            stored, made = _packed(tensor.name, values, outputs[digest], weights)
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
    small, scale = quantize(values, axis)
    stored = [numpy_helper.from_array(small, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    return stored, [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.whole"], to=single),
        helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
    ]


def _narrowed(name: str, values: NDArray[np.int64]) -> tuple[list[Any], list[Any]]:
    onnx: Any = importlib.import_module("onnx")
    narrow = np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
    stored = onnx.numpy_helper.from_array(values.astype(narrow), f"{name}.narrow")
    return [stored], [onnx.helper.make_node("Cast", [f"{name}.narrow"], [name], to=onnx.TensorProto.INT64)]
