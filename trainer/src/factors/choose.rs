//! Chooses settings on the validation part, by a measure that the caller passes in.

use crate::protocols::{Model, Sequence, Split};

/// Quality of a model on the split's validation part; higher is better.
pub type Quality<'a> = &'a dyn Fn(&dyn Model) -> f64;

/// The setting whose model, fitted on the split's training part, has the highest quality; the first of equals.
///
/// # Panics
/// If `settings` is empty.
pub fn best<S: Copy, M: Model>(split: &Split, settings: &[S], quality: Quality, fit: impl Fn(&[Sequence], S) -> M) -> S {
    let judged = settings.iter().map(|setting| (quality(&fit(&split.train, *setting)), *setting));
    let best = judged.reduce(|a, b| if b.0 > a.0 { b } else { a });
    best.expect("a setting to choose from").1
}

/// Fits a model with the [`best`] setting on all events that the split's model may see.
///
/// # Panics
/// If `settings` is empty.
pub fn chosen<S: Copy, M: Model>(split: &Split, settings: &[S], quality: Quality, fit: impl Fn(&[Sequence], S) -> M) -> M {
    fit(split.fitted(), best(split, settings, quality, &fit))
}
