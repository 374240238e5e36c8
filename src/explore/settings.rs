//! The knobs of exploration.

use serde::{Deserialize, Serialize};

use crate::bundle::range;
use crate::error::{ErrorKind, Result};
use crate::features::shortest;

/// Names of the policies.
pub const POLICIES: [&str; 5] = ["greedy", "epsilon-greedy", "softmax", "ucb", "thompson"];

/// How slots are filled. Unknown keys are refused; a knob that the policy does not have is not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Explore {
    /// One of [`POLICIES`].
    pub policy: String,
    /// Share of slots that are drawn uniformly from the whole allowed catalog, 0 to 1. Above 0 every allowed item has a propensity of at
    /// least ε / n: what another policy would have earned can be told from the log. 1 is uniform. Absent: .1 of `epsilon-greedy`, 0 of
    /// `greedy`, .02 of the others. Sutton and Barto, Reinforcement Learning, 2018, section 2.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Of `softmax`, in logits, above 0: see [`super::Softmax::new`].
    pub temperature: f64,
    /// Of `ucb`: standard deviations that are added to a score, 0 or more. 0 is greedy; many show what is least known.
    pub alpha: f64,
    /// Of `ucb` and `thompson`: see [`super::Posterior::new`].
    pub prior: f64,
    /// Of `ucb` and `thompson`: see [`super::Posterior::new`].
    pub cold: f64,
    /// Of `ucb` and `thompson`: an answer counts half after as many further ones, above 0. Small ones forget soon, as drifting tastes ask
    /// for; large ones learn for good.
    pub half_life: f64,
    /// Of `ucb` and `thompson`: what an item loses, in logits, that was shown and got no answer. 0 takes no notice of it.
    pub ignored: f64,
    /// Added to the score of an item that no training has seen, in logits; after n events it is divided by √(1 + n). 0 is none.
    pub boost: f64,
    /// With the decision id it fixes every draw.
    pub seed: u64,
    /// Id of the decision; absent: the number of slates so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

impl Default for Explore {
    fn default() -> Self {
        Explore {
            policy: "greedy".into(),
            epsilon: None,
            temperature: 0.5,
            alpha: 1.0,
            prior: 0.5,
            cold: 0.5,
            half_life: 20.0,
            ignored: 0.0,
            boost: 0.0,
            seed: 0,
            decision: None,
        }
    }
}

/// What a policy does with the best of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `greedy`, and with a share of uniform slots `epsilon-greedy`.
    Greedy,
    /// `softmax`.
    Softmax,
    /// `ucb`.
    Ucb,
    /// `thompson`.
    Thompson,
}

impl Explore {
    /// The kind of the policy and its ε, after a check of all knobs.
    ///
    /// # Errors
    /// `argument` for a policy that there is not, `range` for a knob outside its range.
    pub fn check(&self) -> Result<(Kind, f64)> {
        let (kind, epsilon) = match self.policy.as_str() {
            "greedy" => (Kind::Greedy, 0.0),
            "epsilon-greedy" => (Kind::Greedy, 0.1),
            "softmax" => (Kind::Softmax, 0.02),
            "ucb" => (Kind::Ucb, 0.02),
            "thompson" => (Kind::Thompson, 0.02),
            other => {
                let text = format!("no policy `{other}`; there are: {}", POLICIES.join(", "));
                return Err(ErrorKind::Argument(text).at("explore.policy"));
            }
        };
        let epsilon = self.epsilon.unwrap_or(epsilon);
        // A million logits is past every sense, and keeps f32 finite.
        const MOST: f64 = 1e6;
        let knobs = [
            ("epsilon", epsilon, 0.0, 1.0, "0 to 1"),
            ("temperature", self.temperature, 1e-6, MOST, "0.000001 to a million"),
            ("alpha", self.alpha, 0.0, MOST, "0 to a million"),
            ("prior", self.prior, 0.0, MOST, "0 to a million"),
            ("cold", self.cold, 0.0, MOST, "0 to a million"),
            ("half_life", self.half_life, 1e-3, MOST, "0.001 to a million"),
            ("ignored", self.ignored, 0.0, MOST, "0 to a million"),
            ("boost", self.boost, 0.0, MOST, "0 to a million"),
        ];
        for (name, value, least, most, text) in knobs {
            if !(least..=most).contains(&value) {
                let got = if value.is_finite() { shortest(value) } else { "no number".into() };
                return Err(range(text, got).at(format!("explore.{name}")));
            }
        }
        Ok((kind, epsilon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_out_of_range_are_refused() {
        for policy in POLICIES {
            assert!(Explore { policy: policy.into(), ..Explore::default() }.check().is_ok());
        }
        let refused = |explore: Explore| explore.check().unwrap_err().to_string();
        let epsilon = |epsilon: f64| refused(Explore { epsilon: Some(epsilon), ..Explore::default() });
        assert_eq!(epsilon(-0.5), "explore.epsilon: expected 0 to 1, got -0.5");
        assert_eq!(epsilon(f64::NAN), "explore.epsilon: expected 0 to 1, got no number");
        assert!(refused(Explore { temperature: 0.0, ..Explore::default() }).starts_with("explore.temperature"));
        assert!(refused(Explore { prior: f64::INFINITY, ..Explore::default() }).starts_with("explore.prior"));
        let unknown = refused(Explore { policy: "best".into(), ..Explore::default() });
        assert_eq!(unknown, "explore.policy: no policy `best`; there are: greedy, epsilon-greedy, softmax, ucb, thompson");
    }
}
