"""Writes the peers' ONNX models of a set of rows, scores-f32.onnx and scores-int8.onnx. Both return the top 100. usage: models.py FOLDER DIM"""

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

folder, dim = Path(sys.argv[1]), int(sys.argv[2])
vectors = np.fromfile(folder / "vectors.f32", "<f4").reshape(-1, dim)
biases = np.fromfile(folder / "biases.f32", "<f4")
rows = len(biases)


def write(name, nodes, inputs, constants):
    outputs = [helper.make_tensor_value_info("values", TensorProto.FLOAT, [1, 100]), helper.make_tensor_value_info("rows", TensorProto.INT64, [1, 100])]
    nodes.append(helper.make_node("TopK", ["scores", "k"], ["values", "rows"], sorted=1))
    constants["k"] = np.array([100], np.int64)
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / f"scores-{name}.onnx").write_bytes(model.SerializeToString())


write(
    "f32",
    [helper.make_node("Gemm", ["query", "vectors", "biases"], ["scores"])],
    [helper.make_tensor_value_info("query", TensorProto.FLOAT, [1, dim])],
    {"vectors": np.ascontiguousarray(vectors.T), "biases": biases.reshape(1, -1)},
)
scales = np.maximum(np.abs(vectors).max(axis=1), 1e-30) / 127
write(
    "int8",
    [
        helper.make_node("MatMulInteger", ["query", "vectors", "zero"], ["dots"]),
        helper.make_node("Cast", ["dots"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scales"], ["unscaled"]),
        helper.make_node("Mul", ["unscaled", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "biases"], ["scores"]),
    ],
    [helper.make_tensor_value_info("query", TensorProto.UINT8, [1, dim]), helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1])],
    {
        "vectors": np.ascontiguousarray(np.round(vectors / scales[:, None]).astype(np.int8).T),
        "zero": np.array(128, np.uint8),
        "scales": scales.astype(np.float32).reshape(1, -1),
        "biases": biases.reshape(1, -1),
    },
)
