"""Checks the graphs of a bundle with the official checker, and their numbers in onnxruntime.

usage: python onnx_check.py BUNDLE EXPECTED.json     EXPECTED.json has the numbers of the trainer's own forward pass
"""
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime


def main(bundle, expected):
    manifest = json.load(open(os.path.join(bundle, "manifest.json")))
    expected = json.load(open(expected))
    worst = 0.0
    for role in expected:
        path = os.path.join(bundle, next(f["path"] for f in manifest["files"] if f["role"] == role))
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version >= 17
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        case = expected[role]
        inputs = {
            i.name: np.array(case["inputs"][i.name], dtype=kinds[i.type]).reshape([-1, *i.shape[1:]]) for i in session.get_inputs()
        }
        outputs = session.run(None, inputs)
        one = session.run(None, {name: x[:1] for name, x in inputs.items()})
        for output, name, alone in zip(outputs, (o.name for o in session.get_outputs()), one):
            want = np.array(case["outputs"][name], dtype=np.float64).reshape(output.shape)
            worst = max(worst, np.abs(output - want).max(), np.abs(alone - output[:1]).max())
    print(worst)
    assert worst <= 1e-4, f"largest difference {worst}"


main(*sys.argv[1:])
