//! Ranks of targets among the candidates.

/// The rank of each target, from 1: 1 + the number of candidates with a higher score + the number with an equal score
/// and a smaller index.
///
/// Candidates are the items of `universe` `[items]` without `removed`; a target is a candidate even if it was removed.
/// NaN is below all other scores.
pub fn ranks(scores: &[f32], universe: &[bool], removed: &[u32], targets: &[u32]) -> Vec<usize> {
    let allowed = candidates(universe, removed);
    let key = |item: usize| key(scores[item]);
    let before = |item: usize, target: usize| key(item) > key(target) || (key(item) == key(target) && item < target);
    let rank = |target: &u32| {
        let target = *target as usize;
        1 + (0..scores.len()).filter(|item| allowed[*item] && *item != target && before(*item, target)).count()
    };
    targets.iter().map(rank).collect()
}

/// The `k` candidates with the highest scores, best first; ties are broken by the smaller index.
pub fn top(scores: &[f32], universe: &[bool], removed: &[u32], k: usize) -> Vec<u32> {
    let allowed = candidates(universe, removed);
    let mut items: Vec<u32> = (0..scores.len() as u32).filter(|item| allowed[*item as usize]).collect();
    let key = |item: &u32| key(scores[*item as usize]);
    let order = |a: &u32, b: &u32| key(b).total_cmp(&key(a)).then(a.cmp(b));
    if k < items.len() {
        items.select_nth_unstable_by(k, order);
        items.truncate(k);
    }
    items.sort_unstable_by(order);
    items
}

fn key(score: f32) -> f32 {
    // Adding 0 turns −0 into 0, so that the two are equal.
    if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 }
}

fn candidates(universe: &[bool], removed: &[u32]) -> Vec<bool> {
    let mut allowed = universe.to_vec();
    removed.iter().for_each(|item| allowed[*item as usize] = false);
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_smaller_index_and_removed_items_do_not_count() {
        let scores = [0.5, 0.9, 0.5, 0.5, f32::NAN];
        let universe = [true, true, true, false, true];
        assert_eq!(ranks(&scores, &universe, &[], &[0, 1, 2, 4]), [2, 1, 3, 4]);
        assert_eq!(ranks(&scores, &universe, &[1], &[0, 1, 2]), [1, 1, 2]);
        assert_eq!(top(&scores, &universe, &[1], 2), [0, 2]);
    }
}
