//! The ranker: what it reads of a candidate, what its outputs mean, and the values of items that travel with it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::rows::starts;
use super::safetensors::Header;
use crate::error::{ErrorKind, Result, range};
use crate::features::{ColumnEncoding, ColumnKind, Encoding, Fields, Keys, MAX_NAMES, Over, View, check_columns};

/// The most candidates that are ranked for a slate.
const MAX_CANDIDATES: usize = 1000;
/// The most slots that the inputs of one candidate may give.
const MAX_RANKER_SLOTS: usize = 4096;
/// The most outputs of a ranker.
const MAX_HEADS: usize = 64;
/// The most points of a calibration.
const MAX_POINTS: usize = 1000;
/// The largest weight of a head and factor of a calibration.
const MOST: f64 = 1e6;
/// The largest score.
const MOST_SCORE: f64 = 1e9;

/// What a ranker reads and what its outputs mean: `ranker` of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerSpec {
    /// How many of the best retrieved items are ranked, 1 to 1,000.
    pub candidates: usize,
    /// Numbers counted from events.
    pub views: Vec<View>,
    /// Columns of a candidate. Each takes the next rows of the embedding table. [`RankerSpec::source`] says where its
    /// value comes from.
    pub inputs: Vec<ColumnEncoding>,
    /// The outputs of the graph, in order.
    pub heads: Vec<Head>,
}

/// An output of the ranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Flat")]
pub struct Head {
    /// Its name, such as that of an event type.
    pub name: String,
    /// Its weight in the score.
    pub weight: f64,
    /// How its output becomes a logit that can be trusted.
    pub calibration: Calibration,
}

/// A function from the output of a head to a calibrated logit. It rises strictly, so a head alone keeps its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// (a, b): a · z + b, a above 0. Platt, Probabilistic outputs for support vector machines, 1999.
    Platt(f64, f64),
    /// (x, y): the line through the points (x_i, y_i), both ascending; beyond its ends it goes on with slope 1. The y
    /// are logits too. The points are the ends of the blocks of an isotonic regression: Zadrozny and Elkan,
    /// Transforming classifier scores into accurate multiclass probability estimates, 2002.
    Isotonic(Vec<f64>, Vec<f64>),
}

/// A head as JSON has it: with `platt`, or with `isotonic_x` and `isotonic_y`.
#[derive(Serialize)]
struct Flat {
    name: String,
    weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platt: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isotonic_x: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isotonic_y: Option<Vec<f64>>,
}

impl TryFrom<Fields> for Head {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<Head, String> {
        let mut keys = Keys::new(fields);
        let calibration = match (keys.numbers("platt").as_deref(), keys.numbers("isotonic_x"), keys.numbers("isotonic_y")) {
            (Some([a, b]), None, None) => Some(Calibration::Platt(*a, *b)),
            (None, Some(x), Some(y)) => Some(Calibration::Isotonic(x, y)),
            _ => None,
        };
        let (name, weight) = (keys.text("name").unwrap_or_default(), keys.number("weight"));
        let head = weight.zip(calibration).map(|(weight, calibration)| Head { name, weight, calibration });
        keys.end(head, "a head without a weight, or without one calibration")
    }
}

impl From<Head> for Flat {
    fn from(Head { name, weight, calibration }: Head) -> Flat {
        let (platt, isotonic_x, isotonic_y) = match calibration {
            Calibration::Platt(a, b) => (Some((a, b)), None, None),
            Calibration::Isotonic(x, y) => (None, Some(x), Some(y)),
        };
        Flat { name, weight, platt, isotonic_x, isotonic_y }
    }
}

impl Calibration {
    /// The calibrated logit for the output z of a head.
    pub fn logit(&self, z: f64) -> f64 {
        match self {
            Calibration::Platt(a, b) => a * z + b,
            Calibration::Isotonic(x, y) => match x.partition_point(|x| *x <= z) {
                0 => y[0] + (z - x[0]),
                n if n == x.len() => y[n - 1] + (z - x[n - 1]),
                n => y[n - 1] + (y[n] - y[n - 1]) * ((z - x[n - 1]) / (x[n] - x[n - 1])),
            },
        }
    }

    fn is_right(&self) -> bool {
        let ascends = |x: &[f64]| x.windows(2).all(|pair| pair[0] < pair[1]) && x.iter().all(|x| x.abs() <= MOST);
        match self {
            Calibration::Platt(a, b) => *a > 0.0 && *a <= MOST && b.abs() <= MOST,
            Calibration::Isotonic(x, y) => (1..=MAX_POINTS).contains(&x.len()) && x.len() == y.len() && ascends(x) && ascends(y),
        }
    }
}

/// Where the value of an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `score`: the score that retrieval gives the candidate, in logits, sums over neighbours included.
    Score,
    /// `neighbours`: the sum over neighbours, in logits; 0 for an item that is no neighbour.
    Neighbours,
    /// `place`: ln(1 + p), p the candidate's place in retrieval, 1 for the best. An item that is not among the
    /// candidates has the place after the last one that the ranker looks at.
    Place,
    /// `source`: the text `neighbours` for an item with a sum over neighbours, else `towers`.
    Kind,
    /// A view, by its number.
    View(usize),
    /// The item's column of this name.
    Item,
    /// The context column of this name, by its number.
    Context(usize),
    /// The time of the request or the length of its history, by the kind of the input.
    Derived,
    /// Two inputs before this one.
    Cross(usize, usize),
}

impl RankerSpec {
    /// Where the value of an input comes from, by its kind if it is a cross, else by its name: one of `score`,
    /// `neighbours`, `place` and `source`; a view; a column of items; a context column; else by the kind of a derived
    /// column. `None` if there is no such value.
    pub fn source(&self, input: usize, encoding: &Encoding) -> Option<Source> {
        let column = &self.inputs[input];
        let place = |columns: &[ColumnEncoding], name: &str| columns.iter().position(|c| c.name == name);
        if let ColumnKind::Cross { of: (a, b), .. } = &column.kind {
            let [a, b] = [a, b].map(|name| place(&self.inputs[..input], name));
            let (a, b) = a.zip(b)?;
            return (self.inputs[a].plain_slots() > 0 && self.inputs[b].plain_slots() > 0).then_some(Source::Cross(a, b));
        }
        let name = column.name.as_str();
        if let Some(own) = own_source(name) {
            return Some(own);
        }
        let view = self.views.iter().position(|view| view.name == name).map(Source::View);
        view.or_else(|| place(&encoding.items, name).map(|_| Source::Item))
            .or_else(|| place(&encoding.context, name).map(Source::Context))
            .or_else(|| column.is_derived().then_some(Source::Derived))
    }

    /// R: the most slots of one candidate, at least 1.
    pub fn slots(&self) -> usize {
        self.inputs.iter().map(ColumnEncoding::max_slots).sum::<usize>().max(1)
    }

    /// The score of a candidate from the outputs of its heads: the sum of their calibrated logits, each times its
    /// weight, cut to ±10⁹.
    pub fn score(&self, outputs: &[f32]) -> f32 {
        let terms = self.heads.iter().zip(outputs).map(|(head, z)| head.weight * head.calibration.logit(f64::from(*z)));
        #[allow(clippy::manual_clamp)] // std's `clamp` would bring the printing of floats into the WASM module.
        let score = terms.sum::<f64>().max(-MOST_SCORE).min(MOST_SCORE);
        score as f32
    }

    /// How many values a row has in the file of a view; `None` for a view of the visitor's events.
    pub fn values(view: &View, encoding: &Encoding) -> Option<usize> {
        match &view.of {
            Over::User | Over::UserColumn(_) => None,
            Over::Item => Some(1),
            Over::ItemContext(name) => encoding.context.iter().find(|column| column.name == *name).map(ColumnEncoding::width),
        }
    }

    /// Whether any value of items travels in the bundle.
    pub fn has_tables(&self) -> bool {
        self.views.iter().any(|view| !view.is_of_user())
    }

    /// Checks all numbers and names.
    ///
    /// # Errors
    /// `range`, `malformed`, `limit`.
    pub fn check(&self, encoding: &Encoding) -> Result<()> {
        let malformed = |part: &str, text: String| Err(ErrorKind::Malformed(text).at(part));
        if self.candidates == 0 || self.candidates > MAX_CANDIDATES {
            return Err(range("1 to 1000 candidates", self.candidates).at("candidates"));
        }
        if self.views.len() > MAX_NAMES {
            return Err(range("at most 1024 views", self.views.len()).at("views"));
        }
        let has = |columns: &[ColumnEncoding], name: &str| columns.iter().any(|column| column.name == name);
        for (i, view) in self.views.iter().enumerate() {
            view.check(&encoding.history).map_err(|e| e.within("views"))?;
            let name = view.name.as_str();
            let twice = self.views[..i].iter().any(|other| other.name == name);
            if twice || own_source(name).is_some() || has(&encoding.items, name) || has(&encoding.context, name) {
                return malformed("views", format!("the name `{name}` is taken"));
            }
            let fits = match &view.of {
                Over::UserColumn(column) => has(&encoding.items, column),
                // The value of the context chooses one number of the row.
                Over::ItemContext(name) => encoding.context.iter().any(|c| c.name == *name && c.max_slots() == 1),
                _ => true,
            };
            if !fits {
                return malformed("views", format!("`{name}` is counted by a column that cannot be used for it"));
            }
        }
        check_columns(&self.inputs, MAX_RANKER_SLOTS).map_err(|e| e.within("inputs"))?;
        if let Some(i) = (0..self.inputs.len()).find(|i| self.source(*i, encoding).is_none()) {
            return malformed("inputs", format!("there is no value for `{}`", self.inputs[i].name));
        }
        if self.heads.is_empty() || self.heads.len() > MAX_HEADS {
            return Err(range("1 to 64 heads", self.heads.len()).at("heads"));
        }
        for (i, head) in self.heads.iter().enumerate() {
            let twice = self.heads[..i].iter().any(|other| other.name == head.name);
            if twice || head.weight.is_nan() || head.weight.abs() > MOST || !head.calibration.is_right() {
                return malformed("heads", format!("`{}` twice, or its weight or its calibration is wrong", head.name));
            }
        }
        Ok(())
    }
}

/// The value of this name that the request itself gives.
fn own_source(name: &str) -> Option<Source> {
    match name {
        "score" => Some(Source::Score),
        "neighbours" => Some(Source::Neighbours),
        "place" => Some(Source::Place),
        "source" => Some(Source::Kind),
        _ => None,
    }
}

/// One file of values of items, kept as the bytes that arrived.
pub struct FeatureFile {
    bytes: Vec<u8>,
    len: usize,
    /// For each view where its tensor lies, and how many values a row has.
    views: Vec<(Range<usize>, usize)>,
}

impl FeatureFile {
    /// Finds and checks the tensors of `len` rows.
    ///
    /// # Errors
    /// `malformed` if the bytes are not a safetensors file, `missing` for a tensor, `range` for a shape, a type or a
    /// number that is infinite.
    pub(super) fn new(bytes: Vec<u8>, len: usize, spec: &RankerSpec, encoding: &Encoding) -> Result<FeatureFile> {
        let header = Header::read(&bytes)?;
        let mut views = Vec::with_capacity(spec.views.len());
        for view in &spec.views {
            let place = match RankerSpec::values(view, encoding) {
                None => (0..0, 0),
                Some(1) if view.of == Over::Item => (header.place(&view.name, "F32", &[len])?, 1),
                Some(values) => (header.place(&view.name, "F32", &[len, values])?, values),
            };
            if let Some(at) = bytes[place.0.clone()].as_chunks::<4>().0.iter().position(|b| f32::from_le_bytes(*b).is_infinite())
            {
                return Err(range("a number that is not infinite", "another").at(format!("{}/{at}", view.name)));
            }
            views.push(place);
        }
        Ok(FeatureFile { bytes, len, views })
    }
}

/// The values of all items.
pub struct FeatureTables {
    files: Vec<FeatureFile>,
    /// First row of each file, and the number of all rows.
    starts: Vec<u32>,
}

impl FeatureTables {
    /// Files in row order.
    pub(super) fn new(files: Vec<FeatureFile>) -> FeatureTables {
        let starts = starts(files.iter().map(|file| file.len));
        FeatureTables { files, starts }
    }

    /// The value of a view for an item; `slot` is that of the context column that it is counted by, 0 if there is none.
    /// `None` if it is missing.
    ///
    /// # Panics
    /// If the row or the view is past the end.
    pub fn value(&self, view: usize, row: u32, slot: usize) -> Option<f64> {
        let file = self.starts.partition_point(|start| *start <= row) - 1;
        let (file, at) = (&self.files[file], (row - self.starts[file]) as usize);
        let (place, values) = &file.views[view];
        let bytes = (slot < *values).then(|| &file.bytes[place.start + 4 * (at * values + slot)..])?;
        let value = f32::from_le_bytes(*bytes.first_chunk()?);
        Some(f64::from(value)).filter(|value| !value.is_nan())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::testing::{RANKER, f32_file, ranked_bundle};
    use crate::json::from_json;

    #[test]
    fn calibrations_rise_strictly() {
        let platt = Calibration::Platt(2.0, -1.0);
        assert_eq!([-1.0, 0.0, 3.0].map(|z| platt.logit(z)), [-3.0, -1.0, 5.0]);
        let isotonic = Calibration::Isotonic(vec![-1.0, 0.0, 2.0], vec![-3.0, 0.0, 1.0]);
        assert_eq!([-3.0, -1.0, -0.5, 0.0, 1.0, 2.0, 4.0].map(|z| isotonic.logit(z)), [-5.0, -3.0, -1.5, 0.0, 0.5, 1.0, 3.0]);
        assert_eq!(Calibration::Isotonic(vec![1.0], vec![5.0]).logit(0.0), 4.0);
        for calibration in [platt, isotonic] {
            let values: Vec<f64> = (-400..400).map(|z| calibration.logit(f64::from(z) / 100.0)).collect();
            assert!(values.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn a_ranker_is_written_as_it_is_read() {
        let spec: RankerSpec = from_json(RANKER.as_bytes()).unwrap();
        assert_eq!(from_json::<RankerSpec>(&serde_json::to_vec(&spec).unwrap()).unwrap(), spec);
        assert_eq!((spec.slots(), spec.has_tables()), (2 * 7 + 1 + 16 + 16 + 1 + 2 + 16, true));
        // 2 · 0.5 − 1, and 0.25 · 0.5.
        assert_eq!(spec.score(&[0.5, 1.0]), 0.125);
        assert_eq!([1e30, -1e30].map(|z| spec.score(&[z, 0.0])), [1e9, -1e9]);
    }

    #[test]
    fn hostile_rankers_are_refused() {
        let encoding = &ranked_bundle().manifest.encoding;
        let code = |from: &str, to: &str| {
            assert!(RANKER.contains(from), "{from}");
            let spec = from_json::<RankerSpec>(RANKER.replacen(from, to, 1).as_bytes()).map_err(|kind| kind.at("ranker"));
            let error = spec.and_then(|spec| spec.check(encoding)).err();
            error.map_or("accepted".into(), |error| format!("{} {}", error.code(), error.part))
        };
        assert_eq!(code("heads", "heads"), "accepted");
        for (from, to, expected) in [
            ("\"heads\"", "\"head\"", "unknown-key ranker"),
            (":20,", ":0,", "range candidates"),
            (":20,", ":1001,", "range candidates"),
            ("\"likes\",\"of\"", "\"alike\",\"of\"", "malformed views"),
            ("\"likes\",\"of\"", "\"tags\",\"of\"", "malformed views"),
            ("\"likes\",\"of\"", "\"age\",\"of\"", "malformed views"),
            ("\"likes\",\"of\"", "\"place\",\"of\"", "malformed views"),
            ("\"user\",\"column\":\"tags\"", "\"user\",\"column\":\"age\"", "malformed views"),
            ("\"item\",\"column\":\"hour\"", "\"item\",\"column\":\"age\"", "malformed views"),
            ("\"item\",\"column\":\"hour\"", "\"item\",\"column\":\"tags\"", "malformed views"),
            ("86400000}", "0}", "range views/alike"),
            ("\"score\"", "\"scores\"", "malformed inputs"),
            ("\"score\"", "\"place\"", "malformed inputs/columns"),
            ("[-1,0,1]", "[1,0]", "malformed inputs/score"),
            ("\"period_ms\":86400000", "\"period_ms\":0", "range inputs/day"),
            ("\"likes\",\"segment\"", "\"likes\",\"other\"", "malformed inputs"),
            ("\"likes\",\"segment\"", "\"likes\",\"day\"", "malformed inputs"),
            ("\"likes\",\"segment\"", "\"likes\",\"likes_segment\"", "malformed inputs"),
            ("\"buckets\":8", "\"buckets\":0", "range inputs/likes_segment"),
            ("\"platt\":[2,", "\"platt\":[0,", "malformed heads"),
            ("\"platt\":[2,", "\"platt\":[1e7,", "malformed heads"),
            ("\"platt\":[2,-1]", "\"platt\":[2,-1],\"isotonic_x\":[0]", "malformed ranker"),
            ("[-1,0,2]", "[-1,0]", "malformed heads"),
            ("[-1,0,2]", "[-1,-1,2]", "malformed heads"),
            ("[-3,0,1]", "[-3,1,0]", "malformed heads"),
            ("[-1,0,2],\"isotonic_y\":[-3,0,1]", "[],\"isotonic_y\":[]", "malformed heads"),
            ("\"platt\":[2,-1]", "\"platt\":[2]", "malformed ranker"),
            ("\"platt\":[2,-1]", "\"plato\":[2,-1]", "unknown-key ranker"),
            ("\"weight\":1,", "\"weight\":\"1\",", "malformed ranker"),
            ("\"weight\":1,", "\"weight\":1e7,", "malformed heads"),
            ("\"name\":\"rating\"", "\"name\":\"like\"", "malformed heads"),
        ] {
            assert_eq!(code(from, to), expected, "{to}");
        }
        let wide = r#""kind":{"type":"vector","dim":4097}}"#;
        assert_eq!(code(r#""kind":{"type":"set","vocabulary":["classic","tense"]}}"#, wide), "limit inputs/columns");
        let mut bare: RankerSpec = from_json(RANKER.as_bytes()).unwrap();
        bare.heads.clear();
        assert_eq!(bare.check(encoding).unwrap_err().code(), "range");
    }

    #[test]
    fn values_of_items_are_read_over_files() {
        let bundle = ranked_bundle();
        let tables = bundle.features.as_ref().unwrap();
        for row in 0..60 {
            assert_eq!(tables.value(2, row, 0), Some(f64::from(row)).filter(|_| row % 7 > 0));
            for slot in 0..24 {
                let i = 24 * row + slot;
                let value = f64::from((i % 24) as f32 / 24.0);
                assert_eq!(tables.value(3, row, slot as usize), Some(value).filter(|_| i % 5 > 0));
            }
            assert_eq!([tables.value(2, row, 1), tables.value(3, row, 24), tables.value(0, row, 0)], [None; 3]);
        }
    }

    #[test]
    fn hostile_files_are_refused() {
        let (bundle, spec) = (ranked_bundle(), from_json::<RankerSpec>(RANKER.as_bytes()).unwrap());
        let code = |tensors: &[(&str, &[usize], &[f32])]| {
            let file = FeatureFile::new(f32_file(tensors), 2, &spec, &bundle.manifest.encoding);
            file.err().map_or("accepted".into(), |error| format!("{} {}", error.code(), error.part))
        };
        let hourly: (&str, &[usize], &[f32]) = ("hourly", &[2, 24], &[0.5; 48]);
        assert_eq!(code(&[("shown", &[2], &[1.0, f32::NAN]), hourly]), "accepted");
        assert_eq!(code(&[hourly]), "missing shown");
        assert_eq!(code(&[("shown", &[2], &[1.0, 2.0])]), "missing hourly");
        assert_eq!(code(&[("shown", &[2, 1], &[1.0, 2.0]), hourly]), "range shown");
        assert_eq!(code(&[("shown", &[3], &[1.0, 2.0, 3.0]), hourly]), "range shown");
        assert_eq!(code(&[("shown", &[2], &[1.0]), hourly]), "length shown");
        assert_eq!(code(&[("shown", &[2], &[1.0, f32::NEG_INFINITY]), hourly]), "range shown/1");
        assert_eq!(code(&[("shown", &[2], &[1.0, 2.0]), ("hourly", &[2, 23], &[0.5; 46])]), "range hourly");
    }
}
