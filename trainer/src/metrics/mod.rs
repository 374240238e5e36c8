//! Metrics, one a file.
