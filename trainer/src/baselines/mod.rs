//! Cheap recommenders to compare with.
