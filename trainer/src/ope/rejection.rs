//! Replay by rejection sampling: what a policy would have earned over whole stays, its own history and all.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use foretaste::explore::{decision_rng, unit};
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};
use serde::Serialize;

use super::replay::{asked, worth};
use crate::log::{Rewards, Shown, Visitor};

/// What the accepted decisions have earned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rejection {
    /// Decisions of the log: the first slots of its slates.
    pub decisions: usize,
    /// Those that the policy in question would have made too.
    pub accepted: usize,
    /// Mean reward of an accepted decision; absent where there is none.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Mean reward of a visitor's first, second, … accepted decision: how the policy learns.
    pub by_place: Vec<f64>,
}

/// Runs a policy through logged stays. Of each slate the first slot is a decision. It is accepted with the probability π / (M p), p its propensity, π that under
/// the policy in question, which knows what it has accepted before and nothing else, and M the same for all, so that the chance is at most 1. Accepted
/// decisions with their answers are then as many draws of the policy's own stays. Li, Chu, Langford and Wang, Unbiased offline evaluation of
/// contextual-bandit-based news article recommendation algorithms, 2011, for logs of any propensities. Few are accepted where the log prefers some items,
/// or the catalog is large: of uniform logs over n items one in n. Do not trust it where what visitors do hangs on what they were shown before, or where the
/// log could not show what the policy would.
///
/// # Errors
/// No slates, a propensity that is none, what recommender or policy refuse.
pub fn rejection(
    recommender: &mut Recommender,
    log: &[Visitor],
    policy: &Request,
    rewards: &Rewards,
    seed: u64,
) -> Result<Rejection> {
    let stays: Vec<Vec<Shown>> = log.iter().map(Visitor::shown).collect();
    let first = |shown: &Shown| shown.impression.slots.first().map_or(1.0, |slot| slot.propensity);
    let least = stays.iter().flatten().map(first).fold(f64::MAX, f64::min);
    ensure!(
        least > 0.0 && least <= 1.0,
        "{}",
        if least > 1.0 { "the log shows no slates" } else { "a slot has a propensity that is none" }
    );
    let mut earned: Vec<(usize, f64)> = Vec::new();
    for (visitor, stay) in log.iter().zip(&stays) {
        recommender.clear();
        // Answers are of a decision; what is said of nothing shown is known to any policy.
        let answers: BTreeSet<*const Event> =
            stay.iter().flat_map(|s| s.answers.iter().flatten().map(|e| std::ptr::from_ref(*e))).collect();
        let (mut shown, mut kept, mut place) = (stay.iter(), BTreeSet::new(), 0);
        let mut rng = decision_rng(seed, &format!("rejection {}", visitor.name));
        for line in &visitor.lines {
            match line {
                LogLine::Impression(impression) => {
                    let (Some(shown), Some(slot)) = (shown.next(), impression.slots.first()) else { continue };
                    let luck = unit(&mut rng);
                    let known = recommender.bundle().catalog.row(&slot.item).is_some();
                    let item = std::slice::from_ref(&slot.item);
                    let request = asked(policy, &Request { k: 1, ..impression.request.clone() });
                    let target =
                        if known { recommender.appraise(&request, item)?.first().map_or(0.0, |a| a.propensity) } else { 0.0 };
                    if luck < target * least / slot.propensity {
                        let mut cut = impression.clone();
                        cut.slots.truncate(1);
                        recommender.replay(LogLine::Impression(cut))?;
                        kept.extend(shown.answers[0].iter().map(|event| std::ptr::from_ref(*event)));
                        earned.push((place, shown.answers[0].iter().map(|event| worth(recommender, rewards, event)).sum()));
                        place += 1;
                    }
                }
                LogLine::Event(event)
                    if answers.contains(&std::ptr::from_ref(event)) && !kept.contains(&std::ptr::from_ref(event)) => {}
                _ => recommender.replay(line.clone())?,
            }
        }
    }
    let values: Vec<f64> = earned.iter().map(|(_, reward)| *reward).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let value = (!values.is_empty()).then(|| mean(&values));
    let interval = |value: f64| {
        let variance = values.iter().map(|x| (x - value) * (x - value)).sum::<f64>() / (values.len() as f64 - 1.0);
        let half = 1.96 * (variance / values.len() as f64).sqrt();
        [value - half, value + half]
    };
    let at = |place: usize| mean(&earned.iter().filter(|(p, _)| *p == place).map(|(_, reward)| *reward).collect::<Vec<f64>>());
    let places = earned.iter().map(|(place, _)| place + 1).max().unwrap_or(0);
    Ok(Rejection {
        decisions: stays.iter().map(Vec::len).sum(),
        accepted: values.len(),
        value,
        ci95: value.filter(|_| values.len() > 1).map(interval),
        by_place: (0..places).map(at).collect(),
    })
}
