//! The knobs of exploration.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, range};
use crate::features::{Fields, Value, shortest};

/// Names of the policies.
pub const POLICIES: [&str; 5] = ["greedy", "epsilon-greedy", "softmax", "ucb", "thompson"];

/// How slots are filled. Unknown keys are refused; knobs that the policy does not have are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Explore {
    /// One of [`POLICIES`].
    pub policy: String,
    /// Share of slots that are drawn uniformly from all n allowed items, 0 to 1. At 1 every slot is uniform; above 0
    /// every allowed item has a propensity of at least ε / n, so that a log can evaluate any other policy. Absent: .1
    /// for `epsilon-greedy`, 0 for `greedy`, .02 for the others. Sutton and Barto, Reinforcement Learning, 2018,
    /// section 2.2.
    pub epsilon: Option<f64>,
    /// For `softmax`, in logits, above 0: see [`super::Softmax::new`].
    pub temperature: f64,
    /// For `ucb`: how many standard deviations are added to a score, 0 or more. 0 is greedy; a large number shows the
    /// least known items.
    pub alpha: f64,
    /// For `ucb` and `thompson`: see [`super::Posterior::new`].
    pub prior: f64,
    /// For `ucb` and `thompson`: see [`super::Posterior::new`].
    pub cold: f64,
    /// For `ucb` and `thompson`, above 0: after this many further answers an answer counts half. A small number forgets
    /// soon, which suits drifting tastes; a large one never forgets.
    pub half_life: f64,
    /// For `ucb` and `thompson`: what an item loses, in logits, if it was shown and got no answer. At 0 such items
    /// count for nothing.
    pub ignored: f64,
    /// For every policy: added to the score of an item that no training has seen, in logits; after n training events
    /// divided by √(1 + n). 0 adds nothing; a large number shows only the rarest items.
    pub boost: f64,
    /// Fixes every draw, together with the decision id. Below 2⁵³, so that every JSON reader keeps all digits.
    pub seed: u64,
    /// Id of the decision; absent: the number of slates before this one.
    pub decision: Option<String>,
}

impl Default for Explore {
    fn default() -> Self {
        Explore {
            policy: "greedy".into(),
            epsilon: None,
            temperature: 1.0,
            alpha: 1.0,
            prior: 1.0,
            cold: 1.0,
            half_life: 20.0,
            ignored: 0.5,
            boost: 0.0,
            seed: 0,
            decision: None,
        }
    }
}

// As names with values: derived code for each field would add bytes to the module that a page loads.
impl TryFrom<Fields> for Explore {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<Explore, String> {
        let mut explore = Explore::default();
        for (name, value) in fields {
            let knob = explore.knobs_mut().into_iter().find(|(knob, _)| *knob == name).map(|(_, x)| x);
            match (name.as_str(), value) {
                (_, Value::Missing) => {}
                ("policy", Value::Text(policy)) => explore.policy = policy,
                ("decision", Value::Text(decision)) => explore.decision = Some(decision),
                ("epsilon", Value::Number(x)) => explore.epsilon = Some(x),
                // A number too large becomes u64::MAX, which `check` refuses.
                ("seed", Value::Number(x)) if x >= 0.0 && x == libm::floor(x) => explore.seed = x as u64,
                (_, Value::Number(x)) if knob.is_some() => knob.into_iter().for_each(|knob| *knob = x),
                _ => return Err(format!("`{name}` is no knob, or not of its kind")),
            }
        }
        Ok(explore)
    }
}

impl From<Explore> for Fields {
    fn from(mut explore: Explore) -> Fields {
        let numbers = explore.knobs_mut().map(|(name, x)| (name, *x));
        let mut fields: Fields = numbers.into_iter().map(|(name, x)| (name.into(), Value::Number(x))).collect();
        fields.insert("seed".into(), Value::Number(explore.seed as f64));
        fields.insert("policy".into(), Value::Text(explore.policy));
        explore.epsilon.and_then(|epsilon| fields.insert("epsilon".into(), Value::Number(epsilon)));
        explore.decision.and_then(|decision| fields.insert("decision".into(), Value::Text(decision)));
        fields
    }
}

/// How a policy chooses among the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// `greedy`, and with a share of uniform slots `epsilon-greedy`.
    Greedy,
    /// `softmax`.
    Softmax,
    /// `ucb`.
    Ucb,
    /// `thompson`.
    Thompson,
}

/// A checked choice of policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyChoice {
    /// How it chooses among the pool.
    pub kind: PolicyKind,
    /// Share of slots that are drawn uniformly from all allowed items, 0 to 1.
    pub epsilon: f64,
}

impl Explore {
    fn knobs_mut(&mut self) -> [(&'static str, &mut f64); 7] {
        [
            ("temperature", &mut self.temperature),
            ("alpha", &mut self.alpha),
            ("prior", &mut self.prior),
            ("cold", &mut self.cold),
            ("half_life", &mut self.half_life),
            ("ignored", &mut self.ignored),
            ("boost", &mut self.boost),
        ]
    }

    /// Checks all knobs and gives the policy that they choose.
    ///
    /// # Errors
    /// `argument` for an unknown policy, `range` for a knob outside its range.
    pub fn check(&self) -> Result<PolicyChoice> {
        let (kind, epsilon) = match self.policy.as_str() {
            "greedy" => (PolicyKind::Greedy, 0.0),
            "epsilon-greedy" => (PolicyKind::Greedy, 0.1),
            "softmax" => (PolicyKind::Softmax, 0.02),
            "ucb" => (PolicyKind::Ucb, 0.02),
            "thompson" => (PolicyKind::Thompson, 0.02),
            other => {
                let text = format!("no policy `{other}`; there are: {}", POLICIES.join(", "));
                return Err(ErrorKind::Argument(text).at("explore.policy"));
            }
        };
        let epsilon = self.epsilon.unwrap_or(epsilon);
        let refused = |name: &str, text: &str, value: f64| {
            let got = if value.is_finite() { shortest(value) } else { "no number".into() };
            Err(range(text, got).at(format!("explore.{name}")))
        };
        if !(0.0..=1.0).contains(&epsilon) {
            return refused("epsilon", "0 to 1", epsilon);
        }
        if self.seed >= 1 << 53 {
            return refused("seed", "a whole number below 2^53", self.seed as f64);
        }
        for (name, value) in self.clone().knobs_mut() {
            // A million logits is more than anyone wants, and keeps f32 finite.
            let (least, text) = match name {
                "temperature" | "half_life" => (1e-6, "0.000001 to a million"),
                _ => (0.0, "0 to a million"),
            };
            if !(least..=1e6).contains(value) {
                return refused(name, text, *value);
            }
        }
        Ok(PolicyChoice { kind, epsilon })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_json;

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
        assert!(refused(Explore { seed: 1 << 53, ..Explore::default() }).starts_with("explore.seed"));
        assert_eq!(unknown, "explore.policy: no policy `best`; there are: greedy, epsilon-greedy, softmax, ucb, thompson");
    }

    #[test]
    fn crosses_as_json_and_back() {
        let full = r#"{"alpha":2,"boost":0,"cold":1,"decision":"d","epsilon":0.25,"half_life":20,"ignored":0.5,"policy":"ucb","prior":1,"seed":7,"temperature":1}"#;
        let explore: Explore = from_json(full.as_bytes()).unwrap();
        assert_eq!(
            explore,
            Explore {
                policy: "ucb".into(),
                alpha: 2.0,
                epsilon: Some(0.25),
                seed: 7,
                decision: Some("d".into()),
                ..Explore::default()
            }
        );
        let fields = Fields::from(explore.clone());
        assert_eq!((fields.len(), Explore::try_from(fields)), (11, Ok(explore)));
        for wrong in [r#"{"alpah":1}"#, r#"{"alpha":"1"}"#, r#"{"seed":1.5}"#, r#"{"seed":-1}"#, r#"{"policy":3}"#] {
            assert!(from_json::<Explore>(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(from_json::<Explore>(b"{}").unwrap(), Explore::default());
    }
}
