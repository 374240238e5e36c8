//! From learnt towers to a bundle: ONNX graphs, int8 rows, catalog, golden rows.
