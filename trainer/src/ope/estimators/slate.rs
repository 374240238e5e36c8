//! Estimators of the reward of a whole slate.

use super::Estimator;
use crate::ope::Logged;

/// Which slots the reward of a slot depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    /// On all slots: w is the product over the slate. Unbiased, but a few slots are enough to make its variance
    /// useless.
    Standard,
    /// On its own item: w is that of the slot. Exact if propensities do not depend on the slots before, otherwise an
    /// approximation. Li, Abbasi-Yadkori, Kveton et al., Offline evaluation of ranking policies with click models,
    /// 2018.
    Independent,
    /// On itself and the slots above it, as for a visitor who reads from the top: w is the product down to the slot.
    /// Unbiased under that assumption. McInerney, Brost, Chandar et al., Counterfactual evaluation of slate
    /// recommendations with sequential reward interactions, 2020.
    Cascade,
}

/// V = mean over slates of Σ_slots w r. Self-normalised: Σ_slots (Σ w r / Σ w), with the inner sums over slates for
/// each slot; for `Standard`, (Σ w r / Σ w) over whole slates.
pub struct Slate {
    /// Which slots the weight w is taken over.
    pub interaction: Interaction,
    /// Whether to divide by the sum of weights in place of the number of slates.
    pub normalised: bool,
}

impl Estimator for Slate {
    fn name(&self) -> &'static str {
        match (self.interaction, self.normalised) {
            (Interaction::Standard, false) => "slate-standard",
            (Interaction::Independent, false) => "slate-independent",
            (Interaction::Cascade, false) => "slate-reward-interaction",
            (Interaction::Standard, true) => "sn-slate-standard",
            (Interaction::Independent, true) => "sn-slate-independent",
            (Interaction::Cascade, true) => "sn-slate-reward-interaction",
        }
    }

    fn of_slates(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        let whole: f64 = slate.iter().map(Logged::weight).product();
        let mut down = 1.0;
        let weights = slate.iter().map(|row| {
            down *= row.weight();
            match self.interaction {
                Interaction::Standard => whole,
                Interaction::Independent => row.weight(),
                Interaction::Cascade => down,
            }
        });
        let slots: Vec<[f64; 2]> = weights.zip(slate).map(|(w, row)| [w * row.reward, w]).collect();
        let reward = slots.iter().map(|[reward, _]| reward).sum();
        match (self.normalised, self.interaction) {
            (false, _) => vec![[reward, 1.0]],
            (true, Interaction::Standard) => vec![[reward, whole]],
            (true, _) => {
                let mut terms = vec![[0.0; 2]; slate.last().map_or(0, |row| row.slot + 1)];
                slate.iter().zip(slots).for_each(|(row, term)| terms[row.slot] = term);
                terms
            }
        }
    }
}
