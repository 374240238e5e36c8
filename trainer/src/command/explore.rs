//! The knobs of a slate, as several verbs take them.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use foretaste::explore::POLICIES;
use foretaste::{Explore, Request};

use super::usage;

/// How slots are filled. A knob that the policy does not have is not looked at.
#[derive(Debug, Clone, Args)]
pub struct Exploring {
    /// How slots are filled; by itself greedy, and epsilon-greedy with --epsilon.
    #[arg(long, value_parser = PossibleValuesParser::new(POLICIES))]
    policy: Option<String>,
    /// Share of slots that are drawn from the whole allowed catalog: 0 none, 1 all.
    #[arg(long)]
    epsilon: Option<f64>,
    /// Of softmax, in logits: small ones show the best, large ones anything of the pool.
    #[arg(long)]
    temperature: Option<f64>,
    /// Of ucb: standard deviations added to a score; 0 is greedy.
    #[arg(long)]
    alpha: Option<f64>,
    /// Of ucb and thompson: logits by which the visitor's true score of an item may differ from the tower's; 0 believes the tower.
    #[arg(long)]
    prior: Option<f64>,
    /// Of ucb and thompson: the same of an item that no training has seen, whatever the visitor.
    #[arg(long)]
    cold: Option<f64>,
    /// Of ucb and thompson: answers after which one counts half.
    #[arg(long)]
    half_life: Option<f64>,
    /// Of ucb and thompson: logits that an item loses that was shown and got no answer.
    #[arg(long)]
    ignored: Option<f64>,
    /// Logits for an item that no training has seen; after n events divided by √(1 + n): gives rare items exposure.
    #[arg(long)]
    boost: Option<f64>,
    /// How unlike each other the items are to be: 0 looks at scores alone, 1 at likeness alone.
    #[arg(long, default_value_t = 0.0)]
    diversity: f64,
    /// Most items of a slate that share a value of a column: COLUMN=N,…
    #[arg(long)]
    caps: Option<String>,
    /// With the decision fixes what exploration draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Id of the decision; by itself the number of slates before.
    #[arg(long)]
    decision: Option<String>,
}

impl Exploring {
    /// What fixes all draws.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The name of the policy.
    pub fn policy(&self) -> &str {
        let by_itself = if self.epsilon.is_some_and(|epsilon| epsilon != 0.0) { "epsilon-greedy" } else { "greedy" };
        self.policy.as_deref().unwrap_or(by_itself)
    }

    /// The request for `k` slots.
    ///
    /// # Errors
    /// Caps that are no whole numbers.
    pub fn request(&self, k: usize) -> Result<Request> {
        let plain = Explore::default();
        let explore = Explore {
            policy: self.policy().into(),
            epsilon: self.epsilon,
            temperature: self.temperature.unwrap_or(plain.temperature),
            alpha: self.alpha.unwrap_or(plain.alpha),
            prior: self.prior.unwrap_or(plain.prior),
            cold: self.cold.unwrap_or(plain.cold),
            half_life: self.half_life.unwrap_or(plain.half_life),
            ignored: self.ignored.unwrap_or(plain.ignored),
            boost: self.boost.unwrap_or(plain.boost),
            seed: self.seed,
            decision: self.decision.clone(),
        };
        let mut caps = BTreeMap::new();
        for part in self.caps.iter().flat_map(|caps| caps.split(',')) {
            let (column, most) = part.split_once('=').ok_or_else(|| usage("--caps takes COLUMN=N,…"))?;
            let most = most.parse().map_err(|_| usage(format!("--caps {part}: expected a whole number")))?;
            caps.insert(column.to_owned(), most);
        }
        Ok(Request { k, explore, caps, diversity: self.diversity, ..Request::default() })
    }
}
