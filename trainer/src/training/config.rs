//! Settings of a training: the TOML of `--config`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::bundle::MAX_DIM;
use serde::{Deserialize, Serialize};

use super::{LossChoice, NeighbourChoice, RankerChoice};
use crate::factors::Factors;
use crate::losses::Loss;
use crate::ops::decay_pool::RATES;
use crate::protocols::Protocol;
use crate::towers::{Encoder, HEADS};

/// A kind of input that the towers read beside items and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Declared columns of items, users and requests.
    Columns,
    /// Gaps, runs, hour and weekday.
    Times,
    /// The values of events: ratings.
    Values,
}

/// Lists of inputs by name, for the key `preset`.
const PRESETS: [(&str, &[InputKind]); 2] =
    [("two-feature", &[]), ("full", &[InputKind::Columns, InputKind::Times, InputKind::Values])];

/// Settings of a training. Unknown keys are refused.
///
/// In a file the key `preset` names a list of `inputs`: `two-feature` is ids alone, `full` is all that the data has. If
/// a file has both keys, `inputs` wins. What was tried for the defaults is in `src/docs/training.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Dimensions of a vector, 1 to 512. More tell more items apart, and cost bytes and time in the page.
    pub dim: usize,
    /// Width of the user tower's perceptron, 1 or more. A wide one can combine more and makes the tower's file larger.
    pub hidden: usize,
    /// What reads the history: `pools`, `mean`, `sum`, `gru` or `transformer`. `mean` and `sum` ignore the order.
    /// Absent: pools or a sum, whichever is better on validation, with the settings that fit it.
    pub encoder: Option<Encoder>,
    /// A factorisation from whose item vectors the items' own start: `svd`, `ials` or `ease`. Absent: random ones.
    pub start: Option<Factors>,
    /// Whether the items' own vectors stay as they start. What their columns add is learnt all the same.
    pub frozen: bool,
    /// Whether the history reads items by vectors of their own: an autoencoder, at twice the bytes of a row.
    pub untied: bool,
    /// Which neighbours stand beside the towers: `auto` (what validation finds best, none among it), `none`, `graph`
    /// (what follows what) or `ease` (a linear model, at most 20,000 items: Steck, 2019). Their settings and their
    /// share of the scores are chosen on validation.
    #[serde(default)]
    pub neighbours: NeighbourChoice,
    /// Which network orders the best candidates by declared features: `none`, `dcn` (DCN-v2), `wide_deep`, or `auto`
    /// (what validation finds best, none among it). Any but `none` trains the towers once more.
    #[serde(default)]
    pub ranker: RankerChoice,
    /// What the ranker minimises: `pointwise`, `pairwise`, `listwise`, or `auto` (the better of `pointwise` and
    /// `listwise` on validation).
    #[serde(default)]
    pub ranker_loss: LossChoice,
    /// What the towers read beside items and their order: any of `columns`, `times`, `values`. Empty: ids alone.
    pub inputs: Vec<InputKind>,
    /// L: the newest events of the history, which the tower reads, 1 or more. 1 reads the last event alone; many cost
    /// time in the page.
    pub history_len: usize,
    /// Events that a visitor's profile keeps, L to 65,536.
    pub history_cap: usize,
    /// Decay an event of the four pools when training starts, above 0; training moves it. Near 0 a pool is the mean of
    /// the whole history, at large rates it is the last event.
    pub pool_rates: [f64; RATES],
    /// Most events of a training window, 2 or more. Short windows show the tower short histories alone; long ones make
    /// a step slower.
    pub window: usize,
    /// Windows of a step, 1 or more. Few make many noisy steps, many make few smooth ones.
    pub batch: usize,
    /// Least events of a step. Steps of short histories take more windows to reach it, but an epoch keeps 128 steps.
    /// 0: `batch` alone decides.
    pub batch_events: usize,
    /// Step size of AdamW after the warm-up, above 0. Small learns slowly; large diverges (Kingma and Ba, 2015).
    pub learning_rate: f64,
    /// Steps over which the step size rises from 0. 0 and 1: full steps from the start.
    pub warm_up: u64,
    /// Decoupled decay of matrices, 0 or more: a step of size η keeps 1 − η · decay of each number. 0 lets numbers
    /// grow; large values pull them to 0 (AdamW: Loshchilov and Hutter, 2019).
    pub weight_decay: f64,
    /// Bound of the gradient's norm, above 0. Small makes every step short; large never cuts (Pascanu et al., 2013).
    pub clip: f64,
    /// Share of the perceptron's inputs and hidden numbers that a training step drops, 0 to below 1. 0 fits the
    /// training events closest; near 1 hardly anything is learnt (Srivastava et al., 2014).
    pub dropout: f64,
    /// Share of items whose id a step hides, 0 to below 1. 0: columns never have to stand alone, so new items have poor
    /// vectors; near 1: ids are hardly learnt (DropoutNet: Volkovs et al., 2017).
    pub id_dropout: f64,
    /// Share of windows that lack a context column, ratings or times, each drawn apart, 0 to below 1. 0: the tower
    /// expects all of them; near 1: it learns to do without.
    pub missing: f64,
    /// Share of a window's events that are hidden and have to be found from the others, 0 to below 1: for histories
    /// whose order tells little. 0: the next events have to be found from those before them.
    pub held_out: f64,
    /// What is minimised: `softmax` (listwise: Cao et al., 2007), `bpr` (pairwise: Rendle et al., 2009), `bce`, or
    /// `gbce` (pointwise: Petrov and Macdonald, 2023).
    pub loss: Loss,
    /// Negatives of a request, 1 or more, for the losses that compare a few items. Few are fast and noisy.
    pub negatives: usize,
    /// Items drawn for each negative that is kept, the highest scored: 1 keeps them as they come, more make harder
    /// negatives, and more of them are items that the visitor would have liked (Zhang et al., 2013).
    pub hardness: usize,
    /// Weight of the next item in the target, 0 to 1; the rest lies on the items of the horizon. 1 learns the next item
    /// alone, 0 the lasting taste.
    pub next_weight: f64,
    /// Events ahead that count as targets, 1 or more. 1: the next event alone.
    pub horizon: usize,
    /// Factor of a target's weight from one event of the horizon to the next, 0 to 1. 1 weighs all alike; 0 keeps the
    /// first alone.
    pub horizon_decay: f64,
    /// Weight of the squared error of ratings, in variances of the ratings, beside that of the loss, 0 or more. 0: no
    /// ratings are predicted.
    pub rating_weight: f64,
    /// Decay of the running average of the weights, which is the model, 0 to below 1. 0 takes the last weights; near 1
    /// the average is smooth and lags behind (Polyak and Juditsky, 1992).
    pub average: f64,
    /// Most epochs, 1 or more.
    pub max_epochs: u32,
    /// Epochs without a better figure on validation before training ends, 1 or more. Few may end in a dip; many cost
    /// time.
    pub patience: u32,
    /// Items above which the softmax runs over a sample. 0: always over a sample; at or above the size of the catalog:
    /// never.
    pub full_softmax_items: usize,
    /// Items of that sample beside those of the batch, 0 to 2²⁴. 0: those of the batch alone. Large samples come close
    /// to the full softmax and cost time (Bengio and Senécal, 2008).
    pub samples: usize,
    /// Days of a calendar period in the context, 1 or more: for data whose items come and go. Absent: none.
    pub period_days: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dim: 64,
            hidden: 256,
            encoder: Some(Encoder::Pools),
            start: None,
            frozen: false,
            untied: false,
            neighbours: NeighbourChoice::Auto,
            ranker: RankerChoice::None,
            ranker_loss: LossChoice::Auto,
            inputs: PRESETS[1].1.to_vec(),
            history_len: 400,
            history_cap: 2000,
            pool_rates: [0.02, 0.08, 0.3, 1.0],
            window: 200,
            batch: 16,
            batch_events: 1024,
            learning_rate: 2e-3,
            warm_up: 50,
            weight_decay: 0.0,
            clip: 5.0,
            dropout: 0.3,
            id_dropout: 0.05,
            missing: 0.1,
            held_out: 0.0,
            loss: Loss::Softmax,
            negatives: 64,
            hardness: 1,
            next_weight: 0.5,
            horizon: 20,
            horizon_decay: 0.95,
            rating_weight: 0.0,
            average: 0.98,
            max_epochs: 30,
            patience: 3,
            full_softmax_items: 50_000,
            samples: 8192,
            period_days: None,
        }
    }
}

impl Config {
    /// The settings of a protocol, chosen on validation of MovieLens 100K (`src/docs/training.md`). None of them
    /// names an encoder.
    ///
    /// P3 and P5 ask for the next item alone, so more of the target lies on it. P1 and P2 split at random, so order
    /// tells little.
    pub fn of(protocol: Protocol) -> Config {
        let usual = Config { encoder: None, ..Config::default() };
        match protocol {
            Protocol::P3 => Config { hidden: 512, window: 400, horizon: 10, ..Config::of(Protocol::P5) },
            Protocol::P5 => Config { next_weight: 0.6, average: 0.99, ..usual },
            Protocol::P1 => Config { untied: true, ..usual.without_order() },
            Protocol::P2 => Config { rating_weight: 10.0, ..usual.without_order() },
            _ => usual,
        }
    }

    /// For histories whose order tells little: the tower reads a sum over long ones, hidden events have to be found,
    /// and the regularisation is strong.
    fn without_order(self) -> Config {
        Config {
            held_out: 0.3,
            window: 1000,
            history_len: 1000,
            dropout: 0.5,
            weight_decay: 2.0,
            average: 0.998,
            max_epochs: 300,
            patience: 20,
            ..self
        }
    }

    /// The settings to train with, each with an encoder. If these name none, there are two, the ones that fit the
    /// protocol first: pools, which know the order, and a sum, which does not. Each has the settings that fit it; those
    /// that differ from the protocol's stay as they are.
    pub fn arms(&self, protocol: Protocol) -> (Config, Option<Config>) {
        if self.encoder.is_some() {
            return (self.clone(), None);
        }
        let usual = Config::of(protocol);
        let has_order = usual.held_out == 0.0;
        let encoders = if has_order { [Encoder::Pools, Encoder::Sum] } else { [Encoder::Sum, Encoder::Pools] };
        let other = match has_order {
            true => usual.clone().without_order(),
            false => Config { rating_weight: usual.rating_weight, ..Config::default() },
        };
        let [first, second] = encoders.map(Some);
        (Config { encoder: first, ..self.clone() }, self.moved(&usual, &Config { encoder: second, ..other }))
    }

    /// These settings, where they are those of `from` replaced by those of `to`; `None` if they do not fit together.
    fn moved(&self, from: &Config, to: &Config) -> Option<Config> {
        let table = |config: &Config| toml::Table::try_from(config).ok();
        let (own, from, to) = (table(self)?, table(from)?, table(to)?);
        let changed = to.into_iter().filter(|(name, value)| from.get(name) != Some(value) && from.get(name) == own.get(name));
        self.with(&changed.collect()).ok()
    }

    /// The settings of a protocol, replaced by those that a TOML file has.
    ///
    /// # Errors
    /// If the file cannot be read, has an unknown key, or a value is out of its range.
    pub fn read(file: Option<&Path>, protocol: Protocol) -> Result<Config> {
        let Some(file) = file else { return Ok(Config::of(protocol)) };
        let named = || format!("{}", file.display());
        let text = std::fs::read_to_string(file).with_context(named)?;
        let mut settings = toml::from_str::<toml::Table>(&text).with_context(named)?;
        // The ranges of `--search` are read elsewhere.
        settings.remove("search");
        Config::of(protocol).with(&settings).with_context(named)
    }

    /// These settings, replaced by those of the table.
    ///
    /// # Errors
    /// If a key or preset is unknown, or a value is out of its range.
    pub fn with(&self, settings: &toml::Table) -> Result<Config> {
        let mut settings = settings.clone();
        if let Some(preset) = settings.remove("preset") {
            let inputs = PRESETS.iter().find(|(name, _)| preset.as_str() == Some(name)).map(|(_, inputs)| *inputs);
            let names = PRESETS.map(|(name, _)| format!("`{name}`")).join(" or ");
            let inputs = inputs.with_context(|| format!("preset: expected {names}, got {}", super::search::shown(&preset)))?;
            settings.entry("inputs").or_insert(toml::Value::try_from(inputs)?);
        }
        let mut all = toml::Table::try_from(self)?;
        all.extend(settings);
        let config: Config = all.try_into()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!((1..=MAX_DIM).contains(&self.dim), "dim: expected 1 to {MAX_DIM}, got {}", self.dim);
        let divides = self.encoder != Some(Encoder::Transformer) || self.dim.is_multiple_of(HEADS);
        ensure!(divides, "dim: expected a multiple of the transformer's {HEADS} heads, got {}", self.dim);
        let counts = [
            ("hidden", self.hidden),
            ("history_len", self.history_len),
            ("batch", self.batch),
            ("horizon", self.horizon),
            ("negatives", self.negatives),
            ("hardness", self.hardness),
            ("max_epochs", self.max_epochs as usize),
            ("patience", self.patience as usize),
            ("period_days", self.period_days.unwrap_or(1) as usize),
        ];
        for (name, count) in counts {
            ensure!((1..=1 << 24).contains(&count), "{name}: expected 1 to {}, got {count}", 1 << 24);
        }
        ensure!(self.samples <= 1 << 24, "samples: expected 0 to {}, got {}", 1 << 24, self.samples);
        ensure!(self.window >= 2, "window: expected 2 or more, got {}", self.window);
        let cap = self.history_cap;
        ensure!((self.history_len..=65_536).contains(&cap), "history_cap: expected history_len to 65536, got {cap}");
        let shares = [
            ("dropout", self.dropout),
            ("id_dropout", self.id_dropout),
            ("missing", self.missing),
            ("average", self.average),
            ("held_out", self.held_out),
        ];
        for (name, share) in shares {
            ensure!((0.0..1.0).contains(&share), "{name}: expected 0 to below 1, got {share}");
        }
        for (name, share) in [("next_weight", self.next_weight), ("horizon_decay", self.horizon_decay)] {
            ensure!((0.0..=1.0).contains(&share), "{name}: expected 0 to 1, got {share}");
        }
        let decays = ("weight_decay", self.weight_decay);
        for (name, x) in [("rating_weight", self.rating_weight), decays] {
            ensure!(x >= 0.0 && x.is_finite(), "{name}: expected 0 or more, got {x}");
        }
        let rates = self.pool_rates.map(|rate| ("pool_rates", rate));
        for (name, x) in rates {
            ensure!(x > 0.0 && x.is_finite(), "{name}: expected numbers above 0, got {x}");
        }
        for (name, x) in [("learning_rate", self.learning_rate), ("clip", self.clip)] {
            ensure!(x > 0.0 && x.is_finite(), "{name}: expected a number above 0, got {x}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(Some(file.path()), Protocol::P3)
    }

    #[test]
    fn presets_stand_for_inputs_and_other_keys_win() {
        assert_eq!(read("preset = 'two-feature'").unwrap(), Config { inputs: vec![], ..Config::of(Protocol::P3) });
        assert_eq!(read("preset = 'full'").unwrap(), Config::of(Protocol::P3));
        let all = vec![InputKind::Columns, InputKind::Times, InputKind::Values];
        assert_eq!(read("").unwrap().inputs, all, "full is the default");
        let own = read("inputs = ['times']\npreset = 'two-feature'\nbatch = 8").unwrap();
        assert_eq!(own, Config { inputs: vec![InputKind::Times], batch: 8, ..Config::of(Protocol::P3) });
        // A preset replaces inputs that are already set: `--search` draws presets this way.
        let drawn = own.with(&toml::from_str("preset = 'full'").unwrap()).unwrap();
        assert_eq!(drawn, Config { inputs: all, ..own });
        for text in ["preset = 'best'", "preset = 2"] {
            let error = format!("{:#}", read(text).unwrap_err());
            let got = text.rsplit(' ').next().unwrap().replace('\'', "\"");
            assert!(error.ends_with(&format!("preset: expected `two-feature` or `full`, got {got}")), "{error}");
        }
    }

    #[test]
    fn without_an_encoder_two_are_compared_and_own_settings_stay() {
        let (pools, sum) = read("dropout = 0.1\nbatch = 8").unwrap().arms(Protocol::P3);
        let own = Config { dropout: 0.1, batch: 8, ..Config::of(Protocol::P3) };
        assert_eq!(pools, Config { encoder: Some(Encoder::Pools), ..own.clone() });
        let sum = sum.unwrap();
        assert_eq!(sum, Config { encoder: Some(Encoder::Sum), dropout: 0.1, ..own.clone().without_order() });
        assert_eq!((sum.hidden, sum.held_out, sum.window), (512, 0.3, 1000));
        // Protocols without an order have the sum first, and their own settings stay too.
        let (sum, pools) = Config::of(Protocol::P2).arms(Protocol::P2);
        assert_eq!((sum.encoder, sum.held_out, sum.rating_weight), (Some(Encoder::Sum), 0.3, 10.0));
        assert_eq!(pools, Some(Config { rating_weight: 10.0, ..Config::default() }));
        let (sum, pools) = Config::of(Protocol::P1).arms(Protocol::P1);
        assert_eq!((sum.untied, pools), (true, Some(Config::default())));
        // Nothing is compared if an encoder is named, or if the other's settings do not fit.
        for text in ["encoder = 'gru'", "history_cap = 500"] {
            assert_eq!(read(text).unwrap().arms(Protocol::P3).1, None, "{text}");
        }
    }

    #[test]
    fn absent_keys_are_those_of_the_protocol_and_faults_are_named() {
        assert_eq!(read("batch = 8").unwrap(), Config { batch: 8, ..Config::of(Protocol::P3) });
        assert_eq!(read("period_days = 7").unwrap().period_days, Some(7));
        assert_eq!(read("start = 'ials'").unwrap().start, Some(Factors::Ials));
        for (text, named) in [("bach = 8", "bach"), ("dim = 0", "dim"), ("dropout = 1.0", "dropout"), ("clip = nan", "clip")] {
            assert!(format!("{:#}", read(text).unwrap_err()).contains(named), "{text}");
        }
    }
}
