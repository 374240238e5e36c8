//! A declared column, and how its raw value becomes a bag of rows of an embedding table.

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{Fields, Value, text};
use crate::error::{ErrorKind, Result, range};

/// The most members of a set and the most words of a text that are read, from the first on.
const MAX_MEMBERS: usize = 16;
/// A normalised number is clipped to plus or minus this, in standard deviations.
const MAX_DEVIATIONS: f64 = 4.0;
/// Milliseconds of an hour and of a day.
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// Rows of an embedding table, each with a weight. The embedding of a column is the weighted sum of its rows.
pub type Bag = Vec<(u32, f32)>;

/// A column with the constants of its encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnEncoding {
    /// Name, as in the data folder.
    pub name: String,
    /// Kind and constants.
    pub kind: ColumnKind,
}

/// Kinds of column. A missing value gives no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "Fields")]
pub enum ColumnKind {
    /// One value of a vocabulary; all other values share the last row. Width: values + 1.
    Category {
        /// Known values.
        vocabulary: Vec<String>,
    },
    /// A set of members of a vocabulary, each with weight 1/√n for the n that are read; unknown members share the last
    /// row. Width: members + 1.
    Set {
        /// Known members.
        vocabulary: Vec<String>,
    },
    /// A number x: the row of its bucket (the count of `edges` ≤ x) with weight 1, and the last row with weight (x −
    /// mean) / sd, clipped to ±4. Width: edges + 2.
    Number {
        /// Ascending bucket edges.
        edges: Vec<f64>,
        /// Mean over the training rows.
        mean: f64,
        /// Standard deviation over the training rows, above 0.
        sd: f64,
    },
    /// A text: each of its n words with weight 1/√n. Words outside the vocabulary are hashed. Width: words + buckets.
    Text {
        /// Known words.
        vocabulary: Vec<String>,
        /// Buckets for all other words; 0 drops those words.
        hash_buckets: usize,
    },
    /// A dense vector: its numbers are the weights of the rows. Width: dim.
    Vector {
        /// Dimensions.
        dim: usize,
    },
    /// Hour of the day of the request, in local time if the offset is known, else UTC. Context only. Width: 24.
    Hour,
    /// Day of the week of the request, 0 is Monday. Context only. Width: 7.
    Weekday,
    /// Calendar period of the request: ⌊(time − start) / days⌋. Outside the range it is missing. Context only. Width:
    /// count.
    Period {
        /// Start of period 0, milliseconds UTC.
        start_ms: i64,
        /// Days of a period, 1 or more.
        days: u32,
        /// Number of periods.
        count: usize,
    },
    /// ⌊1.4 log2 n⌋ for n kept events; missing for an empty history. Context only. Width: buckets.
    HistoryLength {
        /// Number of buckets; all longer histories share the last.
        buckets: usize,
    },
    /// Time of the request on a circle: the first slot has the weight sin, the second cos of 2π · local time / period.
    /// For the ranker only. Width: 2.
    Cyclic {
        /// Milliseconds until the circle closes, 1 or more: those of a day, a week or a year.
        period_ms: i64,
    },
    /// Pairs of a slot of one input and a slot of another, hashed: each with weight 1/√n for the n that are read. For
    /// the ranker only. Width: buckets.
    Cross {
        /// Names of the two inputs, which stand before this one.
        of: (String, String),
        /// Buckets for all pairs.
        buckets: usize,
    },
}

impl TryFrom<Fields> for ColumnKind {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<ColumnKind, String> {
        let mut keys = Keys::new(fields);
        let name = keys.text("type").unwrap_or_default();
        let kind = match name.as_str() {
            "category" => keys.texts("vocabulary").map(|vocabulary| ColumnKind::Category { vocabulary }),
            "set" => keys.texts("vocabulary").map(|vocabulary| ColumnKind::Set { vocabulary }),
            "text" => keys
                .texts("vocabulary")
                .zip(keys.count("hash_buckets"))
                .map(|(vocabulary, hash_buckets)| ColumnKind::Text { vocabulary, hash_buckets }),
            "number" => match (keys.numbers("edges"), keys.number("mean"), keys.number("sd")) {
                (Some(edges), Some(mean), Some(sd)) => Some(ColumnKind::Number { edges, mean, sd }),
                _ => None,
            },
            "vector" => keys.count("dim").map(|dim| ColumnKind::Vector { dim }),
            "hour" => Some(ColumnKind::Hour),
            "weekday" => Some(ColumnKind::Weekday),
            "period" => match (keys.whole("start_ms"), keys.count("days"), keys.count("count")) {
                (Some(start_ms), Some(days), Some(count)) => {
                    u32::try_from(days).ok().map(|days| ColumnKind::Period { start_ms, days, count })
                }
                _ => None,
            },
            "history_length" => keys.count("buckets").map(|buckets| ColumnKind::HistoryLength { buckets }),
            "cyclic" => keys.whole("period_ms").map(|period_ms| ColumnKind::Cyclic { period_ms }),
            "cross" => match (keys.texts("of").as_deref(), keys.count("buckets")) {
                (Some([a, b]), Some(buckets)) => Some(ColumnKind::Cross { of: (a.clone(), b.clone()), buckets }),
                _ => None,
            },
            _ => return Err(format!("no kind of column `{name}`")),
        };
        keys.end(kind, "a column lacks constants of its kind")
    }
}

impl ColumnEncoding {
    /// Rows of the embedding table that the column takes.
    pub fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Category { vocabulary } | ColumnKind::Set { vocabulary } => vocabulary.len() + 1,
            ColumnKind::Number { edges, .. } => edges.len() + 2,
            ColumnKind::Text { vocabulary, hash_buckets } => vocabulary.len().saturating_add(*hash_buckets),
            ColumnKind::Vector { dim } => *dim,
            ColumnKind::Hour => 24,
            ColumnKind::Weekday => 7,
            ColumnKind::Period { count, .. } => *count,
            ColumnKind::HistoryLength { buckets } | ColumnKind::Cross { buckets, .. } => *buckets,
            ColumnKind::Cyclic { .. } => 2,
        }
    }

    /// The most rows that one value gives.
    pub fn max_slots(&self) -> usize {
        match &self.kind {
            ColumnKind::Set { .. } | ColumnKind::Text { .. } | ColumnKind::Cross { .. } => MAX_MEMBERS,
            ColumnKind::Number { .. } | ColumnKind::Cyclic { .. } => 2,
            ColumnKind::Vector { dim } => *dim,
            _ => 1,
        }
    }

    /// Whether the value follows from the time or the history of the request, and not from a table.
    pub fn is_derived(&self) -> bool {
        use ColumnKind::{Cyclic, HistoryLength, Hour, Period, Weekday};
        matches!(self.kind, Hour | Weekday | Period { .. } | HistoryLength { .. } | Cyclic { .. })
    }

    /// Whether only the ranker reads columns of this kind.
    pub(super) fn is_of_ranker(&self) -> bool {
        matches!(self.kind, ColumnKind::Cyclic { .. } | ColumnKind::Cross { .. })
    }

    /// Appends the rows of one raw value to `bag`; `offset` is the first row of the column.
    ///
    /// For a derived column the number is the bucket itself (`hour=13`), for a cyclic one the share of the period. A
    /// vector of another dimension counts as missing. A cross has no value of its own.
    pub fn encode(&self, value: &Value, offset: u32, bag: &mut Bag) {
        match &self.kind {
            ColumnKind::Category { vocabulary } => {
                if let Some(text) = value.text() {
                    bag.push((offset + position(vocabulary, &text).unwrap_or(vocabulary.len()) as u32, 1.0));
                }
            }
            ColumnKind::Set { vocabulary } => {
                let members = value.set().into_iter().map(|m| position(vocabulary, &m).unwrap_or(vocabulary.len()));
                push_members(members, offset, bag);
            }
            ColumnKind::Number { edges, mean, sd } => {
                if let Some(x) = value.number() {
                    let bucket = edges.partition_point(|edge| *edge <= x);
                    #[allow(clippy::manual_clamp)] // std's `clamp` would bring the printing of floats into the WASM module.
                    let deviations = ((x - mean) / sd).max(-MAX_DEVIATIONS).min(MAX_DEVIATIONS);
                    bag.push((offset + bucket as u32, 1.0));
                    bag.push((offset + edges.len() as u32 + 1, deviations as f32));
                }
            }
            ColumnKind::Text { vocabulary, hash_buckets } => {
                let known = |word: String| match position(vocabulary, &word) {
                    None if *hash_buckets == 0 => None,
                    None => Some(vocabulary.len() + text::bucket(word.as_bytes(), *hash_buckets)),
                    found => found,
                };
                push_members(text::words(&value.text().unwrap_or_default()).filter_map(known), offset, bag);
            }
            ColumnKind::Vector { dim } => {
                if let Value::Vector(xs) = value
                    && xs.len() == *dim
                    && xs.iter().all(|x| (*x as f32).is_finite())
                {
                    bag.extend(xs.iter().enumerate().map(|(i, x)| (offset + i as u32, *x as f32)));
                }
            }
            ColumnKind::Hour | ColumnKind::Weekday | ColumnKind::Period { .. } | ColumnKind::HistoryLength { .. } => {
                if let Some(x) = value.number().filter(|x| *x >= 0.0 && *x < self.width() as f64) {
                    bag.push((offset + x as u32, 1.0));
                }
            }
            ColumnKind::Cyclic { .. } => {
                if let Some(share) = value.number() {
                    bag.extend([(offset, circle(share) as f32), (offset + 1, circle(share + 0.25) as f32)]);
                }
            }
            ColumnKind::Cross { .. } => {}
        }
    }

    /// Appends the rows of a cross to `bag`; `a` and `b` are the slots of the two inputs, each counted from the first
    /// of its input.
    pub(crate) fn cross(&self, a: &[u32], b: &[u32], offset: u32, bag: &mut Bag) {
        if let ColumnKind::Cross { buckets, .. } = self.kind {
            let pairs = a.iter().flat_map(|a| b.iter().map(move |b| u64::from(*a) << 32 | u64::from(*b)));
            push_members(pairs.map(|pair| text::bucket(&pair.to_le_bytes(), buckets)), offset, bag);
        }
    }

    /// How many slots of the column stand for a value alone, so that a cross can pair them: those of its buckets, words
    /// and members, from the first on.
    pub(crate) fn plain_slots(&self) -> usize {
        match &self.kind {
            ColumnKind::Number { edges, .. } => edges.len() + 1,
            ColumnKind::Vector { .. } | ColumnKind::Cyclic { .. } | ColumnKind::Cross { .. } => 0,
            _ => self.width(),
        }
    }

    /// The bucket of a derived column, or the share of the period of a cyclic one. `utc_ms` is the time of the request,
    /// `tz_offset_min` the minutes to local time, `events` the number of kept events.
    pub fn derive(&self, utc_ms: Option<i64>, tz_offset_min: i32, events: usize) -> Value {
        let local = utc_ms.map(|t| t.saturating_add(i64::from(tz_offset_min) * 60_000));
        if let ColumnKind::Cyclic { period_ms } = self.kind {
            let share = |t: i64| Value::Number(t.rem_euclid(period_ms) as f64 / period_ms as f64);
            return local.map_or(Value::Missing, share);
        }
        let bucket = match &self.kind {
            ColumnKind::Hour => local.map(|t| t.rem_euclid(DAY_MS) / HOUR_MS),
            // 1970-01-01 was a Thursday.
            ColumnKind::Weekday => local.map(|t| (t.div_euclid(DAY_MS) + 3).rem_euclid(7)),
            ColumnKind::Period { start_ms, days, .. } => {
                utc_ms.map(|t| t.saturating_sub(*start_ms).div_euclid(i64::from(*days) * DAY_MS))
            }
            ColumnKind::HistoryLength { buckets } if events > 0 => {
                Some((libm::floor(1.4 * libm::log2(events as f64)) as i64).min(*buckets as i64 - 1))
            }
            _ => None,
        };
        bucket.map_or(Value::Missing, |b| Value::Number(b as f64))
    }

    pub(super) fn check(&self) -> Result<()> {
        let fault = |kind: ErrorKind| Err(kind.at(self.name.clone()));
        match &self.kind {
            ColumnKind::Category { vocabulary } | ColumnKind::Set { vocabulary } | ColumnKind::Text { vocabulary, .. }
                if vocabulary.windows(2).any(|w| w[0] >= w[1]) =>
            {
                return fault(ErrorKind::Malformed("the vocabulary is not in ascending order of bytes".into()));
            }
            ColumnKind::Number { edges, mean, sd } => {
                let finite = mean.is_finite() && edges.iter().all(|e| e.is_finite());
                let ascending = edges.windows(2).all(|w| w[0] < w[1]);
                if !(finite && *sd > 0.0 && sd.is_finite() && ascending) {
                    return fault(ErrorKind::Malformed("edges must ascend, mean be finite and sd be above 0".into()));
                }
            }
            ColumnKind::Period { days: 0, .. } => return fault(range("1 day or more", 0)),
            ColumnKind::Cyclic { period_ms: ..=0 } => return fault(range("1 millisecond or more", "less")),
            _ => {}
        }
        if self.width() == 0 || self.width() > 1 << 22 {
            return fault(range("a width of 1 to 4194304", self.width()));
        }
        Ok(())
    }
}

/// sin 2πx, within 10⁻⁸, by its Taylor series up to a quarter of the circle: the tables of `libm::sin` for large
/// numbers would take more bytes than all of the columns.
fn circle(x: f64) -> f64 {
    // The same sine between −1/4 and 1/4.
    let x = x - libm::floor(x + 0.25);
    let x = 2.0 * core::f64::consts::PI * if x > 0.25 { 0.5 - x } else { x };
    let term = |(sum, power): (f64, f64), n: i32| (sum + power, -power * x * x / f64::from(2 * n * (2 * n + 1)));
    (1..9).fold((0.0, x), term).0
}

/// Position of a value in a vocabulary, which ascends.
fn position(vocabulary: &[String], value: &str) -> Option<usize> {
    vocabulary.binary_search_by(|word| word.as_str().cmp(value)).ok()
}

/// Appends the distinct members in order of appearance, at most [`MAX_MEMBERS`], each with weight 1/√n.
fn push_members(members: impl Iterator<Item = usize>, offset: u32, bag: &mut Bag) {
    let start = bag.len();
    for member in members {
        let slot = offset + member as u32;
        if bag.len() - start < MAX_MEMBERS && !bag[start..].iter().any(|(s, _)| *s == slot) {
            bag.push((slot, 0.0));
        }
    }
    let weight = 1.0 / libm::sqrtf((bag.len() - start) as f32);
    bag[start..].iter_mut().for_each(|(_, w)| *w = weight);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(kind: ColumnKind, value: Value) -> Bag {
        let mut bag = Bag::new();
        ColumnEncoding { name: "c".into(), kind }.encode(&value, 10, &mut bag);
        bag
    }

    fn text(t: &str) -> Value {
        Value::Text(t.into())
    }

    fn vocabulary(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| w.to_string()).collect()
    }

    #[test]
    fn category_knows_missing_and_unknown() {
        let kind = || ColumnKind::Category { vocabulary: vocabulary(&["F", "M"]) };
        assert_eq!(encode(kind(), text("M")), [(11, 1.0)]);
        assert_eq!(encode(kind(), text("x")), [(12, 1.0)]);
        assert_eq!(encode(kind(), text("")), []);
        assert_eq!(encode(kind(), Value::Missing), []);
    }

    #[test]
    fn set_weighs_by_root_of_count() {
        let kind = ColumnKind::Set { vocabulary: vocabulary(&["a", "b", "c"]) };
        let half = 1.0 / libm::sqrtf(2.0);
        assert_eq!(encode(kind.clone(), text("c||a|c")), [(12, half), (10, half)]);
        assert_eq!(encode(kind.clone(), text("x|y")), [(13, 1.0)]);
        assert_eq!(encode(kind, Value::Set(vec![])), []);
    }

    #[test]
    fn number_has_bucket_and_deviation() {
        let kind = || ColumnKind::Number { edges: vec![0.0, 10.0], mean: 5.0, sd: 5.0 };
        assert_eq!(encode(kind(), Value::Number(10.0)), [(12, 1.0), (13, 1.0)]);
        assert_eq!(encode(kind(), text("-1e30")), [(10, 1.0), (13, -4.0)]);
        assert_eq!(encode(kind(), Value::Number(f64::NAN)), []);
        assert_eq!(encode(kind(), text("ten")), []);
    }

    #[test]
    fn text_hashes_words_outside_the_vocabulary() {
        let bag = encode(ColumnKind::Text { vocabulary: vocabulary(&["star", "wars"]), hash_buckets: 4 }, text("Star Trek"));
        assert_eq!(bag.len(), 2);
        assert_eq!(bag[0].0, 10);
        assert!((12..16).contains(&bag[1].0));
        assert_eq!(
            encode(ColumnKind::Text { vocabulary: vocabulary(&["star"]), hash_buckets: 0 }, text("Star Trek")),
            [(10, 1.0)]
        );
    }

    #[test]
    fn derived_values_follow_the_calendar() {
        let at = |kind: ColumnKind, t, tz| ColumnEncoding { name: "c".into(), kind }.derive(Some(t), tz, 0);
        assert_eq!(at(ColumnKind::Hour, -1, 0), Value::Number(23.0));
        assert_eq!(at(ColumnKind::Hour, 0, 90), Value::Number(1.0));
        assert_eq!(at(ColumnKind::Weekday, 0, 0), Value::Number(3.0));
        assert_eq!(at(ColumnKind::Weekday, -1, 0), Value::Number(2.0));
        let length = ColumnEncoding { name: "n".into(), kind: ColumnKind::HistoryLength { buckets: 8 } };
        assert_eq!(length.derive(None, 0, 0), Value::Missing);
        assert_eq!(length.derive(None, 0, 1), Value::Number(0.0));
        assert_eq!(length.derive(None, 0, 8), Value::Number(4.0));
        assert_eq!(length.derive(None, 0, 1 << 20), Value::Number(7.0));
    }

    /// Six hours later the day is a quarter further; in summer local time is an hour ahead. Before 1970 the circle goes
    /// on.
    #[test]
    fn cyclic_time_goes_round() {
        let day = ColumnEncoding { name: "d".into(), kind: ColumnKind::Cyclic { period_ms: DAY_MS } };
        let share = |t, tz| day.derive(Some(t), tz, 0).number().unwrap();
        assert_eq!([share(6 * HOUR_MS, 0), share(6 * HOUR_MS, 60), share(6 * HOUR_MS, 120)], [0.25, 7.0 / 24.0, 8.0 / 24.0]);
        assert_eq!([share(-HOUR_MS, 0), share(-HOUR_MS, 60), share(23 * HOUR_MS, 90)], [23.0 / 24.0, 0.0, 0.5 / 24.0]);
        assert_eq!(day.derive(None, 0, 0), Value::Missing);
        let bag = |share| encode(ColumnKind::Cyclic { period_ms: DAY_MS }, Value::Number(share));
        for (share, sin, cos) in [(0.0, 0.0, 1.0), (0.25, 1.0, 0.0), (0.5, 0.0, -1.0), (0.75, -1.0, 0.0)] {
            let [(10, s), (11, c)] = bag(share)[..] else { panic!("two slots") };
            assert!((s - sin).abs() < 1e-6 && (c - cos).abs() < 1e-6);
        }
        for i in -2000..2000 {
            let x = f64::from(i) / 1000.0;
            assert!((circle(x) - libm::sin(2.0 * core::f64::consts::PI * x)).abs() < 1e-8, "{x}");
        }
        assert_eq!(encode(ColumnKind::Cyclic { period_ms: 1 }, Value::Missing), []);
    }

    #[test]
    fn a_cross_hashes_each_pair() {
        let cross = |a: &[u32], b: &[u32], buckets| {
            let (of, mut bag) = (("a".into(), "b".into()), Bag::new());
            ColumnEncoding { name: "c".into(), kind: ColumnKind::Cross { of, buckets } }.cross(a, b, 10, &mut bag);
            bag
        };
        let four = cross(&[1, 2], &[3, 4], 1 << 20);
        assert!(four.len() == 4 && four.iter().all(|(slot, weight)| (10..10 + (1 << 20)).contains(slot) && *weight == 0.5));
        assert_eq!(four[3], (cross(&[2], &[4], 1 << 20)[0].0, 0.5));
        assert_ne!(cross(&[1], &[2], 1 << 20), cross(&[2], &[1], 1 << 20));
        assert_eq!((cross(&[1], &[], 9), cross(&[1, 2, 3], &[4, 5, 6], 1)), (vec![], vec![(10, 1.0)]));
        assert_eq!(cross(&(0..9).collect::<Vec<_>>(), &(0..9).collect::<Vec<_>>(), 1 << 20).len(), MAX_MEMBERS);
    }
}
