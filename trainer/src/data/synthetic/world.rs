//! The hidden truth: stories and readers, and how much a reader likes a story in a mood.

use foretaste::explore::{below, decision_rng, normal, unit};
use rand_chacha::rand_core::Rng;

use super::Size;

/// Hidden axes of a story and of a taste.
pub(crate) const AXES: usize = 6;
/// A mood of a session.
pub(crate) struct Mood {
    /// The axes that count in it.
    pub axes: [usize; 3],
    /// First hour of the day at which sessions have it.
    pub first_hour: u64,
    /// Number of hours from then on.
    pub hours: u64,
}

/// The moods.
pub(crate) const MOODS: [Mood; 3] = [
    Mood { axes: [0, 1, 2], first_hour: 7, hours: 8 },
    Mood { axes: [2, 3, 4], first_hour: 16, hours: 6 },
    Mood { axes: [4, 5, 0], first_hour: 21, hours: 3 },
];
/// Number of spans of time; popularity changes from span to span.
pub(crate) const SPANS: usize = 24;

/// Categories and the nouns of their titles.
pub(crate) const CATEGORIES: [(&str, [&str; 6]); 8] = [
    ("adventure", ["Expedition", "Compass", "Harbour", "Island", "Crossing", "Map"]),
    ("comedy", ["Wedding", "Landlord", "Holiday", "Parrot", "Neighbour", "Kitchen"]),
    ("crime", ["Witness", "Alibi", "Verdict", "Inspector", "Ransom", "Stranger"]),
    ("fantasy", ["Dragon", "Tower", "Witch", "Sword", "Raven", "Oracle"]),
    ("history", ["Empress", "Siege", "Letters", "Merchant", "Treaty", "Cathedral"]),
    ("nature", ["River", "Forest", "Glacier", "Heron", "Orchard", "Tide"]),
    ("romance", ["Dance", "Promise", "Violin", "Garden", "Summer", "Heart"]),
    ("science", ["Signal", "Orbit", "Machine", "Comet", "Formula", "Station"]),
];

/// The two ends of each axis: a tag and the adjectives of titles.
const ENDS: [[(&str, [&str; 3]); 2]; AXES] = [
    [("dark", ["Dark", "Black", "Shadowed"]), ("hopeful", ["Bright", "Golden", "Sunlit"])],
    [("slow", ["Quiet", "Still", "Patient"]), ("fast", ["Swift", "Restless", "Running"])],
    [("strange", ["Strange", "Hollow", "Mirrored"]), ("true", ["Honest", "Plain", "Simple"])],
    [("classic", ["Old", "Ancient", "Forgotten"]), ("modern", ["New", "Electric", "Young"])],
    [("tender", ["Gentle", "Warm", "Kind"]), ("tense", ["Cold", "Frozen", "Iron"])],
    [("epic", ["Great", "Endless", "Royal"]), ("short", ["Little", "Hidden", "Lost"])],
];
const PLACES: [&str; 12] = [
    "Aldmoor",
    "Bellhaven",
    "Corvo",
    "Dunmere",
    "Estrella",
    "Fenwick",
    "Glasshill",
    "Hollin",
    "Isola",
    "Juniper",
    "Kestrel",
    "Lorn",
];
const PARTS: [&str; 4] = ["", " II", " III", " IV"];

/// A kind of reader.
pub(crate) struct Segment {
    pub name: &'static str,
    /// How much more attractive the next part of a series is, in logits.
    pub follow: f64,
    /// Share of stories that the reader meets by chance rather than by popularity.
    pub explore: f64,
    /// Mean of the log budget, in log cents.
    budget: f64,
}

/// Kinds of reader.
pub(crate) const SEGMENTS: [Segment; 4] = [
    Segment { name: "collector", follow: 5.0, explore: 0.1, budget: 7.0 },
    Segment { name: "explorer", follow: 1.5, explore: 0.6, budget: 6.6 },
    Segment { name: "regular", follow: 3.0, explore: 0.2, budget: 6.4 },
    Segment { name: "student", follow: 2.5, explore: 0.3, budget: 5.7 },
];

/// A story.
#[derive(Clone)]
pub(crate) struct Item {
    pub title: String,
    pub category: usize,
    /// Position on each axis; the parts of a series share it.
    pub place: [f64; AXES],
    pub cents: u32,
    /// Row of the next part, if there is one.
    pub next: Option<u32>,
    /// When it is released, as a share of the world's length.
    release: f64,
    /// Zipf weight.
    weight: f64,
}

/// A reader.
#[derive(Clone)]
pub(crate) struct User {
    pub age: u32,
    pub segment: usize,
    /// How much the reader likes each axis.
    pub taste: [f64; AXES],
    /// Favourite categories.
    pub favourites: [usize; 2],
    budget: f64,
    /// Cumulative probabilities of the moods.
    pub moods: [f64; 3],
}

/// Stories and readers.
#[derive(Clone)]
pub(crate) struct World {
    pub items: Vec<Item>,
    pub users: Vec<User>,
    /// When each category is in fashion.
    phases: [f64; CATEGORIES.len()],
}

/// A random index below `n`.
pub(crate) fn index(rng: &mut dyn Rng, n: usize) -> usize {
    below(rng, n as u64) as usize
}

impl Item {
    /// The ends of the axes that the story is close to, closest first, at most three.
    fn ends(&self) -> Vec<(usize, usize)> {
        let mut axes: Vec<usize> = (0..AXES).collect();
        axes.sort_by(|a, b| self.place[*b].abs().total_cmp(&self.place[*a].abs()));
        let clear = axes.into_iter().take(3).enumerate().filter(|(i, a)| *i == 0 || self.place[*a].abs() > 0.8);
        clear.map(|(_, a)| (a, usize::from(self.place[a] < 0.0))).collect()
    }

    /// Its tags, joined by `|`.
    pub fn tags(&self) -> String {
        self.ends().iter().map(|(axis, end)| ENDS[*axis][*end].0).collect::<Vec<_>>().join("|")
    }
}

impl World {
    /// Generates the world of a seed.
    pub fn new(size: &Size, seed: u64) -> Self {
        let rng = &mut decision_rng(seed, "synthetic/items");
        let phases = std::array::from_fn(|_| unit(rng));
        let mut items = Vec::with_capacity(size.items as usize);
        while items.len() < size.items as usize {
            add_series(&mut items, size.items as usize, rng);
        }
        // Popularity ranks are drawn at random, so that they do not depend on ids.
        for i in (1..items.len()).rev() {
            let j = index(rng, i + 1);
            let (a, b) = (items[i].weight, items[j].weight);
            (items[i].weight, items[j].weight) = (b, a);
        }
        let rng = &mut decision_rng(seed, "synthetic/users");
        let users = (0..size.users).map(|_| user(rng)).collect();
        World { items, users, phases }
    }

    /// How much a reader likes a story in a mood, about -2 to 2.
    ///
    /// Only the axes of the mood count. In favourite categories they count as they are, in others reversed and weaker.
    /// So it is no dot product of fixed vectors of reader and story.
    pub fn affinity(&self, user: usize, item: usize, mood: usize) -> f64 {
        let (user, item) = (&self.users[user], &self.items[item]);
        let dot: f64 = MOODS[mood].axes.iter().map(|a| user.taste[*a] * item.place[*a]).sum();
        let favourite = user.favourites.contains(&item.category);
        let liking = if favourite { 0.6 + libm::tanh(dot) } else { -0.2 - 0.4 * libm::tanh(dot) };
        let price = libm::log(f64::from(item.cents)) - user.budget;
        liking - 0.3 * price.max(0.0)
    }

    /// Cumulative probabilities of meeting each story in a span of time: Zipf's law, 0 before the release and falling
    /// after it, times the fashion of the category.
    pub fn popularity(&self, span: usize) -> Vec<f64> {
        let time = (span as f64 + 0.5) / SPANS as f64;
        let mut sum = 0.0;
        let weight = |item: &Item| {
            let age = time - item.release;
            if age < 0.0 {
                return 0.0;
            }
            let fashion = libm::exp(0.6 * libm::sin(std::f64::consts::TAU * (time + self.phases[item.category])));
            item.weight * (0.4 + 1.6 * libm::exp(-age / 0.15)) * fashion
        };
        let cumulated = self.items.iter().map(|item| {
            sum += weight(item);
            sum
        });
        cumulated.collect()
    }
}

/// Adds the one to four parts of a series, as many as there is room for.
fn add_series(items: &mut Vec<Item>, room: usize, rng: &mut dyn Rng) {
    let parts = [1, 1, 1, 1, 1, 2, 2, 3, 3, 4][index(rng, 10)].min(room - items.len());
    let category = index(rng, CATEGORIES.len());
    let place: [f64; AXES] = std::array::from_fn(|_| normal(rng));
    let price = libm::exp(6.3 + 0.5 * normal(rng));
    let first = if unit(rng) < 0.5 { 0.0 } else { 0.8 * unit(rng) };
    let noun = CATEGORIES[category].1[index(rng, 6)];
    let mut item = Item { title: String::new(), category, place, cents: 0, next: None, release: first, weight: 0.0 };
    let (axis, end) = item.ends()[0];
    let adjective = ENDS[axis][end].1[index(rng, 3)];
    let title = match index(rng, 3) {
        0 => format!("The {adjective} {noun} of {}", PLACES[index(rng, PLACES.len())]),
        1 => format!("{adjective} {noun}"),
        _ => format!("The {adjective} {noun}"),
    };
    for (part, suffix) in PARTS.iter().enumerate().take(parts) {
        let row = items.len();
        item.title = format!("{title}{suffix}");
        item.cents = ((price * (0.9 + 0.2 * unit(rng))) as u32 / 50 * 50 + 49).clamp(99, 9999);
        item.release = first + 0.04 * part as f64;
        item.next = (part + 1 < parts).then_some(row as u32 + 1);
        item.weight = libm::exp(-0.9 * libm::log(row as f64 + 1.0));
        items.push(Item { title: item.title.clone(), ..item });
    }
}

fn user(rng: &mut dyn Rng) -> User {
    let segment = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3][index(rng, 10)];
    let young = SEGMENTS[segment].name == "student";
    let age = if young { 18 + below(rng, 10) as u32 } else { (42.0 + 14.0 * normal(rng)).clamp(18.0, 85.0) as u32 };
    let mut taste: [f64; AXES] = std::array::from_fn(|_| normal(rng));
    // Axis 3: older readers like classics, younger ones modern stories.
    taste[3] = 0.5 * taste[3] + (f64::from(age) - 42.0) / 12.0;
    // Half of the first favourites follow from segment and age.
    let told = (segment * 2 + usize::from(age > 45)) % CATEGORIES.len();
    let first = if unit(rng) < 0.5 { told } else { index(rng, CATEGORIES.len()) };
    let second = (first + 1 + index(rng, CATEGORIES.len() - 1)) % CATEGORIES.len();
    let budget = SEGMENTS[segment].budget + 0.3 * normal(rng);
    let chances: [f64; 3] = std::array::from_fn(|_| 0.2 + unit(rng));
    let sum: f64 = chances.iter().sum();
    let moods = [chances[0] / sum, (chances[0] + chances[1]) / sum, 1.0];
    User { age, segment, taste, favourites: [first, second], budget, moods }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::new(&Size::default(), 5)
    }

    /// Pearson's correlation.
    fn correlation(pairs: &[(f64, f64)]) -> f64 {
        let n = pairs.len() as f64;
        let (ma, mb) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
        sum(&|a, b| a * b) / libm::sqrt(sum(&|a, _| a * a) * sum(&|_, b| b * b))
    }

    #[test]
    fn taste_acts_through_mood_and_category() {
        let world = world();
        let likes = |mood| (0..200).flat_map(move |u| (0..200).map(move |i| (u, i, mood)));
        let of = |(u, i, mood): (usize, usize, usize)| world.affinity(u, i, mood);
        let moods: Vec<(f64, f64)> = likes(0).map(of).zip(likes(1).map(of)).collect();
        let r = correlation(&moods);
        assert!((0.2..0.8).contains(&r), "the same taste in two moods correlates by {r}");
        // The effect of a taste changes its sign with the category.
        let effect = |favourite: bool| {
            let pairs = likes(0).filter(|(u, i, _)| world.users[*u].favourites.contains(&world.items[*i].category) == favourite);
            let dot =
                |u: usize, i: usize| MOODS[0].axes.iter().map(|a| world.users[u].taste[*a] * world.items[i].place[*a]).sum();
            correlation(&pairs.map(|(u, i, m)| (dot(u, i), world.affinity(u, i, m))).collect::<Vec<_>>())
        };
        assert!(effect(true) > 0.5 && effect(false) < -0.5, "{} {}", effect(true), effect(false));
    }

    #[test]
    fn popularity_is_skewed_and_drifts() {
        let world = world();
        let shares = |span| {
            let cumulated = world.popularity(span);
            let sum = cumulated[cumulated.len() - 1];
            let mut last = 0.0;
            cumulated.iter().map(|c| (c - std::mem::replace(&mut last, *c)) / sum).collect::<Vec<f64>>()
        };
        let (early, late) = (shares(0), shares(SPANS - 1));
        let mut sorted = late.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let head: f64 = sorted[..60].iter().sum();
        assert!((0.4..0.8).contains(&head), "the most popular tenth has {head}");
        let moved: f64 = early.iter().zip(&late).map(|(a, b)| (a - b).abs() / 2.0).sum();
        assert!(moved > 0.2, "{moved} of the popularity moves");
    }

    #[test]
    fn columns_speak_of_the_axes() {
        let world = world();
        let dark: Vec<(f64, f64)> =
            world.items.iter().map(|i| (i.place[0], f64::from(u8::from(i.tags().contains("dark"))))).collect();
        assert!(correlation(&dark) > 0.5);
        let age: Vec<(f64, f64)> = world.users.iter().map(|u| (f64::from(u.age), u.taste[3])).collect();
        assert!(correlation(&age) > 0.5);
        let series = world.items.iter().filter_map(|i| Some((i, &world.items[i.next? as usize])));
        assert!(series.clone().count() > 100);
        assert!(series.into_iter().all(|(a, b)| a.category == b.category && b.title.starts_with(a.title.trim_end_matches('I'))));
    }
}
