//! The reward of an answer.

use std::collections::BTreeMap;

use foretaste::profile::Event;

/// Types of answers that count against an item, whatever a bundle declares.
const AGAINST: [&str; 2] = ["hide", "dislike"];

/// Rewards by type of event.
#[derive(Debug, Clone, Default)]
pub struct Rewards {
    /// The reward of each named type; types that are not named earn 0. If the map is empty, the bundle's weights apply.
    /// Without a bundle a slot then earns 1 if it has an answer other than `hide` and `dislike`.
    pub named: BTreeMap<String, f64>,
}

impl Rewards {
    /// The reward of one answer of this type; `None` if no types are named.
    pub fn named(&self, kind: &str) -> Option<f64> {
        (!self.named.is_empty()).then(|| self.named.get(kind).copied().unwrap_or(0.0))
    }

    /// The reward of one slot, without a bundle: the sum over its answers.
    pub fn of(&self, answers: &[&Event]) -> f64 {
        answers.iter().map(|event| self.named(&event.kind)).sum::<Option<f64>>().unwrap_or_else(|| plain_reward(answers))
    }
}

/// The reward of a slot if no types are named: 1 if an answer is neither `hide` nor `dislike`, else 0.
pub(super) fn plain_reward(answers: &[&Event]) -> f64 {
    f64::from(u8::from(answers.iter().any(|event| !AGAINST.contains(&event.kind.as_str()))))
}
