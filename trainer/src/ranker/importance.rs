//! What each input of a ranker is worth: how much worse it orders if the input is that of another candidate.

use foretaste::features::{Bag, ColumnEncoding};
use serde::{Deserialize, Serialize};

use super::Group;
use crate::random::mix;

/// An input that alone makes more than this share of the quality may be the label in disguise.
const SUSPICIOUS: f64 = 0.5;

/// What an input is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Name of the input.
    pub input: String,
    /// The loss of quality on validation.
    pub worth: f64,
}

/// The requests with one input of each candidate taken from another one, drawn among all (Breiman, Random forests,
/// 2001). The input's slots are `slots`.
pub fn permuted(groups: &[&Group], slots: std::ops::Range<u32>, seed: u64) -> Vec<Vec<Bag>> {
    let all: Vec<&Bag> = groups.iter().flat_map(|group| &group.bags).collect();
    let mut at = 0;
    let mut of = |bag: &Bag| {
        at += 1;
        let other = all[(mix(seed, at) % all.len() as u64) as usize];
        let is_own = |slot: u32| slots.contains(&slot);
        let kept = bag.iter().filter(|(slot, _)| !is_own(*slot));
        kept.chain(other.iter().filter(|(slot, _)| is_own(*slot))).copied().collect()
    };
    groups.iter().map(|group| group.bags.iter().map(&mut of).collect()).collect()
}

/// The slots of each input.
pub fn slots_of(inputs: &[ColumnEncoding]) -> Vec<std::ops::Range<u32>> {
    let mut at = 0;
    let mut next = |column: &ColumnEncoding| {
        let start = at;
        at += column.width() as u32;
        start..at
    };
    inputs.iter().map(&mut next).collect()
}

/// The inputs that are worth so much of `quality` that they may tell the label, but for those of retrieval itself.
pub fn suspicious<'a>(importances: &'a [Importance], quality: f64, retrieval: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let is_own = |one: &&Importance| !retrieval.contains(&one.input.as_str());
    importances.iter().filter(is_own).filter(move |one| one.worth > SUSPICIOUS * quality).map(|one| one.input.as_str())
}

#[cfg(test)]
mod tests {
    use foretaste::features::ColumnKind;

    use super::*;

    #[test]
    fn one_input_moves_and_the_others_stay() {
        let column = |name: &str, edges: usize| ColumnEncoding {
            name: name.into(),
            kind: ColumnKind::Number { edges: (0..edges).map(|x| x as f64).collect(), mean: 0.0, sd: 1.0 },
        };
        let slots = slots_of(&[column("a", 0), column("b", 3), column("c", 0)]);
        assert_eq!(slots, [0..2, 2..7, 7..9]);
        let bags = |n: u32| (0..n).map(|i| vec![(0, i as f32), (2 + i % 4, 1.0), (8, i as f32)]).collect::<Vec<Bag>>();
        let group = Group { user: vec![], rows: vec![], bags: bags(40), labels: vec![], counts: vec![] };
        let moved = permuted(&[&group, &group], slots[1].clone(), 7);
        assert_eq!((moved.len(), moved[1].len()), (2, 40));
        let mut changed = 0;
        for (bag, before) in moved.iter().flatten().zip(group.bags.iter().chain(&group.bags)) {
            assert_eq!((bag[0], bag[1], bag.len()), (before[0], before[2], 3));
            changed += usize::from(bag[2] != before[1]);
        }
        assert!((40..75).contains(&changed), "{changed}");
    }

    #[test]
    fn what_makes_most_of_the_quality_is_suspicious() {
        let one = |input: &str, worth| Importance { input: input.into(), worth };
        let all = [one("score", 0.3), one("leak", 0.26), one("count", 0.1)];
        assert_eq!(suspicious(&all, 0.5, &["score"]).collect::<Vec<_>>(), ["leak"]);
    }
}
