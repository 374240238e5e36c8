//! The stories that readers read, in order: sessions with a mood, in which each choice depends on the story before.

use std::collections::HashSet;

use foretaste::explore::{below, decision_rng, normal, unit};
use rand_chacha::rand_core::Rng;

use super::Size;
use super::world::{MOODS, Mood, SEGMENTS, SPANS, World, index};

/// Start of the world, 2023-01-01, in Unix seconds; its length in days; seconds of a day.
const START: u64 = 1_672_531_200;
const DAYS: u64 = 360;
const DAY: u64 = 86_400;
/// Number of stories that a reader chooses from.
const SHELF: usize = 40;
/// How much more attractive a story of the same category as the last one is within a session, in logits.
const SAME_CATEGORY: f64 = 1.0;
/// Logits of one unit of affinity.
const CHOICE: f64 = 2.2;

/// One story read; user and item are rows of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub user: u64,
    pub item: u64,
    pub rating: u64,
    pub time: u64,
    /// Whether it is the first of its session.
    #[cfg(test)]
    pub first: bool,
}

/// All events, by time, then user.
pub(super) fn generate(world: &World, size: &Size, seed: u64) -> Vec<Read> {
    let popularity: Vec<Vec<f64>> = (0..SPANS).map(|span| world.popularity(span)).collect();
    let mut out = Vec::with_capacity(size.events as usize);
    for (user, count) in counts(size, seed).into_iter().enumerate() {
        read(world, &popularity, user, count, &mut decision_rng(seed, &format!("synthetic/user {user}")), &mut out);
    }
    out.sort_by_key(|e| (e.time, e.user));
    out
}

/// Number of events of each user: skewed, `size.events` together, and at most half of the items each.
fn counts(size: &Size, seed: u64) -> Vec<usize> {
    let rng = &mut decision_rng(seed, "synthetic/counts");
    let (users, events, most) = (size.users as usize, size.events as usize, size.items as usize / 2);
    let least = (events / users).min(5);
    let weights: Vec<f64> = (0..users).map(|_| libm::exp(0.8 * normal(rng))).collect();
    let spare = (events - least * users) as f64 / weights.iter().sum::<f64>();
    let mut counts: Vec<usize> = weights.iter().map(|w| (least + (w * spare) as usize).min(most)).collect();
    let mut missing = events - counts.iter().sum::<usize>();
    while missing > 0 {
        for count in counts.iter_mut().filter(|count| **count < most) {
            if missing > 0 {
                *count += 1;
                missing -= 1;
            }
        }
    }
    counts
}

/// The sessions of one reader.
fn read(world: &World, popularity: &[Vec<f64>], user: usize, count: usize, rng: &mut dyn Rng, out: &mut Vec<Read>) {
    let reader = &world.users[user];
    let mut lengths = Vec::new();
    let mut left = count;
    while left > 0 {
        lengths.push((1 + index(rng, 5) + index(rng, 6)).min(left));
        left -= lengths[lengths.len() - 1];
    }
    let joined = below(rng, DAYS * 4 / 5);
    let mut days: Vec<u64> = lengths.iter().map(|_| joined + below(rng, DAYS - joined)).collect();
    days.sort_unstable();
    let mut seen = HashSet::new();
    let mut last = None;
    let mut now = 0;
    for (length, day) in lengths.into_iter().zip(days) {
        let draw = unit(rng);
        let mood = reader.moods.iter().position(|m| draw < *m).unwrap_or(MOODS.len() - 1);
        let Mood { first_hour: hour, hours, .. } = MOODS[mood];
        now = (START + day * DAY + hour * 3600 + below(rng, hours * 3600)).max(now + 3600);
        for step in 0..length {
            let span = ((now - START) / DAY * SPANS as u64 / DAYS).min(SPANS as u64 - 1) as usize;
            let item = choose(world, &popularity[span], user, mood, last, step > 0, &seen, rng);
            seen.insert(item);
            last = Some(item);
            let liked = 2.9 + 1.1 * world.affinity(user, item, mood) + 0.7 * normal(rng);
            out.push(Read {
                user: user as u64,
                item: item as u64,
                rating: libm::round(liked).clamp(1.0, 5.0) as u64,
                time: now,
                #[cfg(test)]
                first: step == 0,
            });
            now += 30 + below(rng, 900);
        }
    }
}

/// Chooses one story from a shelf filled by popularity, by chance and with sequels: the one with the highest logit
/// after Gumbel noise is added.
#[allow(clippy::too_many_arguments)]
fn choose(
    world: &World,
    popularity: &[f64],
    user: usize,
    mood: usize,
    last: Option<usize>,
    in_session: bool,
    seen: &HashSet<usize>,
    rng: &mut dyn Rng,
) -> usize {
    let segment = &SEGMENTS[world.users[user].segment];
    let n = world.items.len();
    let sequel = last.and_then(|last| world.items[last].next).map(|next| next as usize);
    let mut best: Option<(f64, usize)> = None;
    let mut offer = |item: usize, rng: &mut dyn Rng| {
        if seen.contains(&item) {
            return;
        }
        let mut logit = CHOICE * world.affinity(user, item, mood);
        if Some(item) == sequel {
            logit += segment.follow;
        }
        if in_session && last.is_some_and(|last| world.items[last].category == world.items[item].category) {
            logit += SAME_CATEGORY;
        }
        let noise = -libm::log(-libm::log(1.0 - unit(rng)));
        if best.is_none_or(|(most, _)| logit + noise > most) {
            best = Some((logit + noise, item));
        }
    };
    sequel.into_iter().for_each(|item| offer(item, rng));
    for _ in 0..SHELF {
        let item = if unit(rng) < segment.explore {
            index(rng, n)
        } else {
            let x = unit(rng) * popularity[n - 1];
            popularity.partition_point(|c| *c <= x).min(n - 1)
        };
        offer(item, rng);
    }
    // If the reader knows all stories of the shelf, take the next unknown one after a random place.
    best.map_or_else(
        || {
            let start = index(rng, n);
            (start..start + n).map(|i| i % n).find(|i| !seen.contains(i)).unwrap_or(start)
        },
        |(_, item)| item,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_shows_in_the_events() {
        let size = Size::default();
        let world = World::new(&size, 3);
        let mut events = generate(&world, &size, 3);
        assert_eq!(events.len(), 60_000);
        let pairs: HashSet<(u64, u64)> = events.iter().map(|e| (e.user, e.item)).collect();
        assert_eq!(pairs.len(), events.len(), "nobody reads a story twice");
        events.sort_by_key(|e| (e.user, e.time));
        let steps: Vec<(Read, Read)> = events.windows(2).map(|w| (w[0], w[1])).filter(|(a, b)| a.user == b.user).collect();
        assert!(steps.iter().all(|(a, b)| a.time < b.time));
        // Sequels are read directly after their predecessor far more often than any story would be by chance.
        let open: Vec<_> = steps.iter().filter(|(a, _)| world.items[a.item as usize].next.is_some()).collect();
        let taken = open.iter().filter(|(a, b)| world.items[a.item as usize].next == Some(b.item as u32)).count();
        let share = taken as f64 / open.len() as f64;
        assert!((0.15..0.7).contains(&share), "{share} of the sequels are taken at once");
        // Categories run within sessions.
        let same = |inside: bool| {
            let steps: Vec<_> = steps.iter().filter(|(_, b)| b.first != inside).collect();
            let category = |e: &Read| world.items[e.item as usize].category;
            steps.iter().filter(|(a, b)| category(a) == category(b)).count() as f64 / steps.len() as f64
        };
        assert!(same(true) > same(false) + 0.05, "{} within, {} between sessions", same(true), same(false));
        // Popularity alone explains little: readers read what they like.
        let mean = |f: &dyn Fn(usize) -> f64| (0..events.len()).step_by(7).map(f).sum::<f64>() / (events.len() / 7) as f64;
        let liking = |user: u64, item: u64| (0..3).map(|m| world.affinity(user as usize, item as usize, m)).sum::<f64>() / 3.0;
        let read = mean(&|i| liking(events[i].user, events[i].item));
        let others = mean(&|i| liking(events[(i + 30_000) % 60_000].user, events[i].item));
        assert!(read > others + 0.4, "{read} of the own, {others} of another's stories");
        // Ratings reflect how much a reader likes a story.
        let by_rating = |r: &[u64]| {
            let these: Vec<f64> = events.iter().filter(|e| r.contains(&e.rating)).map(|e| liking(e.user, e.item)).collect();
            assert!(these.len() > 3000, "{r:?}: {}", these.len());
            these.iter().sum::<f64>() / these.len() as f64
        };
        assert!(by_rating(&[4, 5]) > by_rating(&[1, 2]) + 0.4);
    }

    #[test]
    fn counts_are_exact_at_every_size() {
        for (users, items, events) in [(1, 2, 1), (10, 4, 20), (10, 40, 13), (300, 150, 9000), (3, 1000, 1400)] {
            let counts = counts(&Size { users, items, events }, 1);
            assert_eq!(counts.iter().sum::<usize>(), events as usize);
            assert!(counts.iter().all(|c| (1..=items as usize / 2).contains(c)), "{counts:?}");
        }
    }
}
