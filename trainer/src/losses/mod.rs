//! Losses, one a file.
