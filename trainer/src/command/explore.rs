//! The options of a slate, which several verbs share.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use foretaste::explore::POLICIES;
use foretaste::{Explore, Request};

use super::usage;

/// How slots are filled. Options that the chosen policy does not use are ignored.
#[derive(Debug, Clone, Args)]
pub struct Exploring {
    /// How slots are filled [default: greedy, or epsilon-greedy if --epsilon is above 0]
    #[arg(long, value_parser = PossibleValuesParser::new(POLICIES))]
    policy: Option<String>,
    /// Share of slots that are drawn uniformly from the whole allowed catalog: 0 draws none, 1 draws all [default: .1
    /// for epsilon-greedy, 0 for greedy, .02 for the others]
    #[arg(long)]
    epsilon: Option<f64>,
    /// softmax: temperature in logits. Small values show the best items, large values show any item of the pool.
    #[arg(long, default_value_t = Explore::default().temperature)]
    temperature: f64,
    /// ucb: standard deviations that are added to each score. 0 is greedy, large values show the items with the most
    /// uncertain scores.
    #[arg(long, default_value_t = Explore::default().alpha)]
    alpha: f64,
    /// ucb and thompson: standard deviation, in logits, between the tower's score of an item and the visitor's true
    /// score. 0 trusts the tower whatever the visitor answers, large values learn mainly from the answers.
    #[arg(long, default_value_t = Explore::default().prior)]
    prior: f64,
    /// ucb and thompson: standard deviation, in logits, of the score of an item without training events. 0 trusts the
    /// item tower, large values show new items more often.
    #[arg(long, default_value_t = Explore::default().cold)]
    cold: f64,
    /// ucb and thompson: number of later answers after which an answer counts half. Small values forget soon, large
    /// values hardly forget.
    #[arg(long, default_value_t = Explore::default().half_life)]
    half_life: f64,
    /// ucb and thompson: logits that an item loses if it was shown and not answered. 0 draws no conclusion, large
    /// values hide items that were ignored once.
    #[arg(long, default_value_t = Explore::default().ignored)]
    ignored: f64,
    /// All policies: logits that are added to an item with n training events, divided by √(1 + n). 0 adds nothing,
    /// large values show the rarest items only.
    #[arg(long, default_value_t = Explore::default().boost)]
    boost: f64,
    /// How different the items of a slate are from each other: 0 ranks by score alone, 1 by difference alone.
    #[arg(long, default_value_t = 0.0)]
    diversity: f64,
    /// Largest number of items in a slate that share a value of a column: COLUMN=N,…
    #[arg(long)]
    caps: Option<String>,
    /// Seed of exploration. The same seed and --decision give the same visitor the same slate.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Id of the decision [default: the number of slates that the visitor has seen]
    #[arg(long)]
    decision: Option<String>,
}

impl Exploring {
    /// The seed of all draws.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The name of the chosen policy.
    pub fn policy(&self) -> &str {
        let by_itself = if self.epsilon.is_some_and(|epsilon| epsilon != 0.0) { "epsilon-greedy" } else { "greedy" };
        self.policy.as_deref().unwrap_or(by_itself)
    }

    /// The request for `k` slots.
    ///
    /// # Errors
    /// A part of `--caps` that is not COLUMN=N with a whole number N.
    pub fn request(&self, k: usize) -> Result<Request> {
        let explore = Explore {
            policy: self.policy().into(),
            epsilon: self.epsilon,
            temperature: self.temperature,
            alpha: self.alpha,
            prior: self.prior,
            cold: self.cold,
            half_life: self.half_life,
            ignored: self.ignored,
            boost: self.boost,
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
