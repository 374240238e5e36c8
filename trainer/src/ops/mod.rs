//! Fused operations, forward and backward side by side, one a file.
