//! What answers are worth.

use std::collections::BTreeMap;

use foretaste::profile::Event;

/// Answers that speak against an item, whatever a bundle declares.
const AGAINST: [&str; 2] = ["hide", "dislike"];

/// What answers are worth, by type of event.
#[derive(Debug, Clone, Default)]
pub struct Rewards {
    /// Worth of named types; empty: what a bundle says, and without one 1 for a slot that has an answer other than `hide` and `dislike`.
    pub named: BTreeMap<String, f64>,
}

impl Rewards {
    /// What one answer is worth by its name; `None` where no types are named.
    pub fn named(&self, kind: &str) -> Option<f64> {
        (!self.named.is_empty()).then(|| self.named.get(kind).copied().unwrap_or(0.0))
    }

    /// What the answers to one slot are worth, without a bundle.
    pub fn of(&self, answers: &[&Event]) -> f64 {
        answers.iter().map(|event| self.named(&event.kind)).sum::<Option<f64>>().unwrap_or_else(|| plain_reward(answers))
    }
}

/// What an answer is worth where nothing else is said: 1, and 0 of a hide or a dislike.
pub(super) fn plain_reward(answers: &[&Event]) -> f64 {
    f64::from(u8::from(answers.iter().any(|event| !AGAINST.contains(&event.kind.as_str()))))
}
