//! Evaluation of a bundle through the same `Recommender` that the page runs.
