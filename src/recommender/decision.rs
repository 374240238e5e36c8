//! What a policy does for one slate: which rows it looks at, and how the slots are filled from them.

use crate::bundle::{Bundle, Catalog, Lift, Rows};
use crate::explore::{
    Base, Candidates, Explore, Feedback, Greedy, Policy, PolicyChoice, PolicyKind, Posterior, ScoresOf, Softmax, Thompson, stream,
};
use crate::features::RowEvent;
use crate::profile::{EventLog, KnownSlates, answers, ignored};
use crate::request::Request;
use crate::retrieve::{Bitmap, Effort, Scorer, Sums, TopK, search};
use crate::slate::{Caps, Constraint, Diversity, SlotLoop};

/// The least number of rows that a policy looks at. A softmax has a long tail; the best upper bound is among fewer
/// rows.
const POOL: usize = 192;
/// The same for policies that learn from answers: each row costs them more time.
const LEARNING_POOL: usize = 96;
/// The most items without an answer that count as answers.
const MOST_IGNORED: usize = 16;

/// What a policy believes about a visitor, and which rows it looks at.
pub(super) struct Decision {
    kind: PolicyKind,
    epsilon: f64,
    /// Only for policies that learn from answers.
    posterior: Option<Posterior>,
    /// How many rows to search for.
    pub pool: usize,
    /// How thorough the search is.
    pub effort: Effort,
    /// What the search adds to scores.
    pub lift: Lift,
    /// Whether a ranker scores what the search finds.
    is_ranked: bool,
}

/// What the slots of a slate are filled from.
pub(super) struct SlateParts<'a> {
    /// Vectors of the items.
    pub rows: &'a Rows,
    /// Columns of the items, for caps.
    pub catalog: &'a Catalog,
    /// The request, with all knobs.
    pub request: &'a Request,
    /// Id of the decision.
    pub decision: &'a str,
    /// [`Decision::vector`], `[d]`.
    pub vector: &'a [f32],
    /// The ranker's scores, which take the place of those of the search.
    pub ranking: Option<&'a ScoresOf<'a>>,
    /// What neighbours add to scores.
    pub sums: &'a Sums,
    /// Rows that may be shown.
    pub allowed: &'a Bitmap,
    /// The best allowed rows that the search found, with its scores, best first, ties by row.
    pub found: Vec<(f32, u32)>,
}

impl Decision {
    /// For the output `[d]` of the user tower. `candidates` is how many items a ranker looks at: then these are the
    /// same for every policy, and no lift is needed. `feedback` is called if the policy learns from answers.
    pub fn new(
        rows: &Rows,
        request: &Request,
        PolicyChoice { kind, epsilon }: PolicyChoice,
        user: &[f32],
        candidates: Option<usize>,
        feedback: &mut dyn FnMut() -> Vec<Feedback>,
    ) -> Decision {
        let explore = &request.explore;
        let learns = matches!(kind, PolicyKind::Ucb | PolicyKind::Thompson);
        let posterior = learns.then(|| Posterior::new(rows, user, &feedback(), explore.prior, explore.cold));
        // The lift makes each score an upper bound of what the policy compares: alpha deviations for UCB, one for
        // Thompson sampling.
        if let Some(pool) = candidates {
            let lift = Lift::default();
            return Decision { kind, epsilon, posterior, pool, effort: request.effort, lift, is_ranked: true };
        }
        let deviations = if kind == PolicyKind::Ucb { explore.alpha } else { 1.0 };
        let [length, rarity] = posterior.as_ref().map_or([0.0; 2], |p| p.bounds().map(|bound| deviations * bound));
        let lift = Lift { length: length as f32, rarity: (rarity + explore.boost) as f32 };
        let straight = kind == PolicyKind::Greedy && lift.is_none() && request.diversity == 0.0 && request.caps.is_empty();
        let pool = if straight { request.k } else { request.k.saturating_mul(4).max(if learns { LEARNING_POOL } else { POOL }) };
        let effort = if straight { request.effort } else { Effort::Pool };
        Decision { kind, epsilon, posterior, pool, effort, lift, is_ranked: false }
    }

    /// The vector `[d]` that the search scores with: the mean of the posterior, if there is one and no ranker.
    pub fn vector<'a>(&'a self, user: &'a [f32]) -> &'a [f32] {
        self.posterior.as_ref().filter(|_| !self.is_ranked).map_or(user, |posterior| posterior.mean())
    }

    /// The same candidates, filled by score and constraints alone.
    pub fn greedy(&self) -> Decision {
        let Decision { pool, effort, lift, is_ranked, .. } = *self;
        Decision { kind: PolicyKind::Greedy, epsilon: 0.0, posterior: None, pool, effort, lift, is_ranked }
    }

    /// The found rows with the scores that the policy compares, best first: the lift is taken off, and what the policy
    /// itself adds is put on.
    fn scored(&self, rows: &Rows, explore: &Explore, found: Vec<(f32, u32)>) -> Vec<(f32, u32)> {
        if self.lift.is_none() && !self.is_ranked {
            return found;
        }
        let deviations = match &self.posterior {
            Some(posterior) if self.kind == PolicyKind::Ucb => {
                posterior.deviations(rows, &found.iter().map(|(_, row)| *row).collect::<Vec<u32>>())
            }
            _ => vec![0.0; found.len()],
        };
        let mut best = TopK::new(found.len());
        for ((score, row), deviation) in found.into_iter().zip(deviations) {
            let (length, rarity) = (rows.lengths()[row as usize], rows.rarities()[row as usize]);
            let more = (explore.boost as f32 - self.lift.rarity) * rarity - self.lift.length * length;
            best.offer(score + more + explore.alpha as f32 * deviation, row);
        }
        best.into_ranked()
    }

    /// Sets up the slot loop and calls `then` with it, once.
    pub fn fill(&self, parts: SlateParts, then: &mut dyn FnMut(&mut SlotLoop)) {
        let SlateParts { rows, catalog, request, decision, vector, ranking, sums, allowed, found } = parts;
        let explore = &request.explore;
        let scored = |found: Vec<(f32, u32)>| match ranking {
            Some(ranking) => {
                let found: Vec<u32> = found.into_iter().map(|(_, row)| row).collect();
                self.scored(rows, explore, ranking(&found).into_iter().zip(found).collect())
            }
            None => self.scored(rows, explore, found),
        };
        let next = |allowed: &Bitmap| {
            let lifted = Scorer::lifted(rows, vector, self.lift).with(sums);
            scored(search(&lifted, allowed, self.pool, self.effort))
        };
        let first = scored(found);
        let range = first.first().zip(first.last()).map_or(0.0, |((best, _), (worst, _))| best - worst);
        let mut constraints: Vec<Box<dyn Constraint>> = Vec::new();
        if !request.caps.is_empty() {
            constraints.push(Box::new(Caps::new(catalog, &request.caps)));
        }
        if request.diversity > 0.0 {
            constraints.push(Box::new(Diversity::new(rows, request.diversity, range)));
        }
        let policy: Box<dyn Policy> = match (self.kind, &self.posterior) {
            (PolicyKind::Softmax, _) => Box::new(Softmax::new(explore.temperature)),
            (PolicyKind::Thompson, Some(posterior)) => {
                let rng = stream("samples", explore.seed, decision);
                let biases = |pool: &[u32]| pool.iter().map(|row| rows.bias(*row) + sums.get(*row)).collect();
                let base = ranking.map_or(Base::Biases(Box::new(biases)), Base::Scores);
                Box::new(Thompson::new(rows, posterior, base, explore.boost as f32, rng))
            }
            _ => Box::new(Greedy),
        };
        let candidates = Candidates::new(first, allowed.clone());
        then(&mut SlotLoop { candidates, pool: &next, policy, epsilon: self.epsilon, constraints })
    }
}

/// The visitor's answers, oldest first; before them come the items that were shown and got none. `events` are the kept
/// ones; of the log those slates count that `knows` takes.
pub(super) fn feedback(
    bundle: &Bundle,
    events: &[RowEvent],
    (log, knows): (&EventLog, KnownSlates),
    explore: &Explore,
) -> Vec<Feedback> {
    let fade = |age: usize| libm::exp(-core::f64::consts::LN_2 * age as f64 / explore.half_life).max(1e-9);
    let manifest = &bundle.manifest;
    let said = answers(events, &manifest.encoding.history, manifest.ratings);
    let said = &said[said.len().saturating_sub(Posterior::MOST)..];
    let n = said.len();
    let room = if explore.ignored > 0.0 { MOST_IGNORED.min(Posterior::MOST - n) } else { 0 };
    let shown = ignored(log, knows, room).into_iter().map(|(item, slates)| (bundle.catalog.row(item), -explore.ignored, slates));
    let said = said.iter().enumerate().map(|(i, (row, reward))| (*row, *reward, n - 1 - i));
    shown.chain(said).filter_map(|(row, reward, age)| Some(Feedback { row: row?, reward, weight: fade(age) })).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::collections::BTreeMap;

    use super::*;
    use crate::bundle::testing::rows_with_counts;
    use crate::explore::{POLICIES, decision_rng, normal};
    use crate::features::Value;
    use crate::recommender::testing::check_slates;

    const DIM: usize = 6;

    /// Twelve items of three kinds. Some are rare, and rows 4 and 5 are equal. Rows 3, 7 and 11 are not allowed.
    struct Shop {
        rows: Rows,
        catalog: Catalog,
        user: Vec<f32>,
        allowed: Bitmap,
        feedback: Vec<Feedback>,
        sums: Sums,
    }

    impl Shop {
        fn new() -> Shop {
            let n = 12;
            let mut rng = decision_rng(7, "shop");
            let mut vectors: Vec<f32> = (0..n * DIM).map(|_| normal(&mut rng) as f32).collect();
            vectors.copy_within(4 * DIM..5 * DIM, 5 * DIM);
            let biases: Vec<f32> = (0..n).map(|i| [0.3, -0.2, 0.1, 2.0, 0.0, 0.0][i % 6]).collect();
            let counts: Vec<f32> = (0..n).map(|i| [0.0, 3.0, 50.0][i % 3]).collect();
            let kinds = (0..n).map(|i| Value::Set(vec![["a", "b", "c"][i * i % 3].into(), ["x", "y"][i % 2].into()])).collect();
            let catalog = Catalog::of_columns(&["t"; 12], BTreeMap::from([("kind".to_string(), kinds)]));
            let feedback = [(1, 1.0, 0.5), (4, -1.0, 1.0)].map(|(row, reward, weight)| Feedback { row, reward, weight }).to_vec();
            let user = (0..DIM).map(|_| 0.4 * normal(&mut rng) as f32).collect();
            let rows = rows_with_counts(DIM, &vectors, &biases, &counts);
            // A row that is not allowed has a sum too.
            let sums = Sums::of_rows(&[(1, 0.8), (3, 2.0), (6, -0.5), (10, 1.2)]);
            Shop { rows, catalog, user, allowed: Bitmap::without(n, &[3, 7, 11]), feedback, sums }
        }

        /// Behind a ranker that looks at six candidates if the request says so.
        fn with<T>(&self, request: &Request, decision: &str, mut then: impl FnMut(&mut SlotLoop) -> T) -> T {
            let policy = request.check(&self.catalog).unwrap();
            let is_ranked = request.rank.is_some();
            let made =
                Decision::new(&self.rows, request, policy, &self.user, is_ranked.then_some(6), &mut || self.feedback.clone());
            let ranking = is_ranked.then_some(&ranked as &ScoresOf);
            let (rows, catalog, allowed, vector) = (&self.rows, &self.catalog, &self.allowed, made.vector(&self.user));
            let sums = &self.sums;
            let found = search(&Scorer::lifted(rows, vector, made.lift).with(sums), allowed, made.pool, made.effort);
            let (parts, mut got) = (SlateParts { rows, catalog, request, decision, vector, ranking, sums, allowed, found }, None);
            made.fill(parts, &mut |slots| got = Some(then(slots)));
            got.unwrap()
        }
    }

    /// Scores of a ranker: unlike those of the search, and rows 4 and 5 are equal.
    fn ranked(rows: &[u32]) -> Vec<f32> {
        rows.iter().map(|row| [0.4, -0.3, 1.1, 9.0, 0.2, 0.2, -0.8, 9.0, 0.7, 0.1, -0.1, 9.0][*row as usize]).collect()
    }

    /// A request for every policy, with ε, caps and diversity: without a ranker and behind one.
    fn requests() -> Vec<Request> {
        let request = |(policy, rank): (&&str, Option<bool>)| Request {
            k: 3,
            rank,
            diversity: 0.4,
            caps: BTreeMap::from([("kind".to_string(), 2)]),
            explore: Explore {
                policy: (*policy).into(),
                epsilon: Some(0.2),
                temperature: 0.7,
                prior: 1.5,
                cold: 0.8,
                boost: 0.3,
                ..Explore::default()
            },
            ..Request::default()
        };
        POLICIES.iter().flat_map(|policy| [None, Some(true)].map(|rank| request((policy, rank)))).collect()
    }

    /// Whole slates of three slots, without a ranker and behind one.
    #[test]
    fn frequencies_fit_the_propensities() {
        let shop = Shop::new();
        for request in requests() {
            check_slates(&request, 12, [20, 1_000], &mut |decision, then| shop.with(&request, decision, then));
        }
    }

    #[test]
    fn filters_and_caps_hold_and_every_other_row_has_a_chance() {
        let shop = Shop::new();
        for request in requests() {
            shop.with(&request, "d", |slots| {
                let least = 0.2 / 9.0;
                for row in 0..12 {
                    let p = slots.propensities(&[row])[0].probability;
                    assert_eq!(p >= least, shop.allowed.contains(row), "{}: {row} has {p}", request.explore.policy);
                    assert!(p >= least || p == 0.0);
                }
                for draw in 0..200 {
                    let slate = slots.draw(9, &mut decision_rng(draw, ""));
                    for kind in ["a", "b", "c", "x", "y"] {
                        let has = |row: &&u32| match shop.catalog.value("kind", **row) {
                            Some(Value::Set(members)) => members.iter().any(|member| member == kind),
                            _ => false,
                        };
                        assert!(slate.iter().filter(has).count() <= 2, "{slate:?}");
                    }
                    assert_eq!(slots.propensities(&slate).len(), slate.len());
                    // At most two of x and two of y.
                    assert!((2..=4).contains(&slate.len()), "{slate:?}");
                }
            });
        }
    }

    #[test]
    fn the_ends_of_the_knobs() {
        let shop = Shop::new();
        let of = |explore: Explore| {
            let request = Request { k: 9, explore: Explore { epsilon: Some(0.0), ..explore }, ..Request::default() };
            shop.with(&request, "d", |slots| {
                let slate = slots.draw(9, &mut decision_rng(1, "d"));
                (slots.propensities(&slate), slate)
            })
        };
        let policy = |policy: &str| Explore { policy: policy.into(), ..Explore::default() };
        let greedy = of(policy("greedy"));
        assert!(greedy.0.iter().all(|p| p.probability == 1.0));
        // Rows 4 and 5 have equal scores, so only a draw can tell them apart.
        let alike = |slate: Vec<u32>| slate.into_iter().map(|row| if row == 5 { 4 } else { row }).collect::<Vec<u32>>();
        assert_eq!(alike(of(Explore { temperature: 1e-6, ..policy("softmax") }).1), alike(greedy.1.clone()));
        // If nothing is unknown, both learn nothing and are greedy.
        for name in ["ucb", "thompson"] {
            let none = of(Explore { prior: 0.0, cold: 0.0, ..policy(name) });
            assert_eq!(none.1, greedy.1, "{name}");
            assert!(none.0.iter().all(|p| p.probability == 1.0));
        }
        // A hot softmax is uniform.
        let hot = of(Explore { temperature: 1e6, ..policy("softmax") });
        assert!(hot.0.iter().zip((1..=9).rev()).all(|(p, n)| (p.probability - 1.0 / f64::from(n)).abs() < 1e-5), "{hot:?}");
        // A large boost shows the rarest items first; many deviations show the least known.
        let rarity = |row: &u32| shop.rows.rarities()[*row as usize];
        for explore in [Explore { boost: 1e6, ..policy("greedy") }, Explore { alpha: 1e6, prior: 0.0, ..policy("ucb") }] {
            assert!(of(explore.clone()).1.is_sorted_by(|a, b| rarity(a) >= rarity(b)), "{explore:?}");
        }
    }

    /// A pool that caps empty is filled again with the same sums: the slate is that of a pool of all rows.
    #[test]
    fn refills_add_the_same_sums() {
        let shop = Shop::new();
        for most in [1, 2] {
            let request = Request { k: 9, caps: BTreeMap::from([("kind".into(), most)]), ..Request::default() };
            let slate = |pool: usize| {
                let policy = request.check(&shop.catalog).unwrap();
                let mut made = Decision::new(&shop.rows, &request, policy, &shop.user, None, &mut Vec::new);
                made.pool = pool;
                let (rows, catalog, allowed, sums) = (&shop.rows, &shop.catalog, &shop.allowed, &shop.sums);
                let (request, vector) = (&request, made.vector(&shop.user));
                let found = search(&Scorer::new(rows, vector).with(sums), allowed, pool, made.effort);
                let ranking = None;
                let parts = SlateParts { rows, catalog, request, decision: "d", vector, ranking, sums, allowed, found };
                let mut slate = Vec::new();
                made.fill(parts, &mut |slots| slate = slots.draw(9, &mut decision_rng(0, "")));
                slate
            };
            let all = slate(12);
            assert!(all.len() > 1 && [1, 2, 3].into_iter().all(|pool| slate(pool) == all), "{all:?}");
            // The sums reach the slate: row 10 or row 1 gains the most.
            assert!(all[..2].iter().any(|row| [1, 10].contains(row)), "{all:?}");
        }
    }

    #[test]
    fn equal_items_have_equal_chances() {
        let shop = Shop::new();
        let request = Request {
            explore: Explore { policy: "softmax".into(), epsilon: Some(0.0), ..Explore::default() },
            ..Request::default()
        };
        let [a, b] = shop.with(&request, "d", |slots| [4, 5].map(|row| slots.propensities(&[row])[0].probability));
        assert!(a > 0.0 && a == b, "{a} {b}");
    }

    #[test]
    fn unlikeness_alone_shows_unlike_items() {
        let shop = Shop::new();
        let slate = |diversity: f64| {
            let request = Request { k: 9, diversity, ..Request::default() };
            shop.with(&request, "d", |slots| slots.draw(9, &mut decision_rng(0, "")))
        };
        let place = |slate: &[u32], row: u32| slate.iter().position(|other| *other == row).unwrap();
        let (plain, unlike) = (slate(0.0), slate(1.0));
        assert_eq!(plain[0], unlike[0]);
        // Rows 4 and 5 are equal: side by side, and as far apart as can be.
        assert_eq!(place(&plain, 4) + 1, place(&plain, 5));
        assert!(place(&unlike, 5).max(place(&unlike, 4)) >= 7, "{unlike:?}");
    }
}
