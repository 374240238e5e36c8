//! The feedback loop: visitors of known tastes are served, answer, and are learnt from, round after round.
//!
//! Each visitor has a device of its own, which is the [`Recommender`] that a page runs, with its profile, log and posterior. After each round the
//! towers are learnt on from all that was clicked. So a policy pays for what it explores and gains from what it learns. The truth is that of the
//! generated data (`data::synthetic`): taste acts through moods and turns round outside favourite categories, so no dot product has it; tastes
//! drift, items come out, and visitors click by position.

mod measure;
mod society;

pub use measure::Round;

use std::path::Path;

use anyhow::Result;
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};

use self::measure::Measure;
use self::society::Society;
use crate::evaluate::open_bundle;
use crate::export::{Planes, export};
use crate::protocols::{Protocol, Split, histories};
use crate::training::{Config, Run, TrainOptions, train_on};

/// Size of a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Visitors.
    pub users: u32,
    /// Items; half of them come out during the rounds.
    pub items: u32,
    /// Rounds of serving and learning.
    pub rounds: u32,
    /// Slates that a visitor sees in a round.
    pub slates: u32,
    /// How far tastes move in a round, in standard deviations of tastes.
    pub drift: f64,
}

impl Default for Setting {
    fn default() -> Self {
        Setting { users: 300, items: 1000, rounds: 20, slates: 2, drift: 0.1 }
    }
}

/// Most lines of a visitor's log that a device replays.
const KEPT: usize = 400;
/// Epochs of the first training, and of each that goes on from the last.
const EPOCHS: [u32; 2] = [30, 6];

/// What happens under a policy: a row a round. Equal seeds give equal visitors, items and first clicks, whatever the policy. `folder` takes the
/// runs and bundles.
///
/// # Errors
/// Those of training and of the policy.
pub fn simulate(setting: Setting, policy: &Request, seed: u64, folder: &Path) -> Result<Vec<Round>> {
    let mut society = Society::new(setting, seed);
    let mut logs: Vec<Vec<LogLine>> = vec![Vec::new(); setting.users as usize];
    for (user, log) in logs.iter_mut().enumerate() {
        log.extend(society.first_clicks(user).into_iter().map(LogLine::Event));
    }
    let (mut run, mut rounds): (Option<Run>, Vec<Round>) = (None, Vec::new());
    let config = Config {
        dim: 32,
        hidden: 64,
        history_len: 100,
        history_cap: KEPT,
        batch: 4,
        batch_events: 0,
        warm_up: 20,
        ..Config::default()
    };
    for round in 0..setting.rounds {
        society.begin(round);
        let data = society.dataset(&logs);
        let split = Split {
            protocol: Protocol::All,
            fold: None,
            train: histories(&data, |_| true),
            valid: vec![],
            refit: None,
            test: vec![],
        };
        let epochs = EPOCHS[usize::from(run.is_some())];
        let config = Config { max_epochs: epochs, ..config.clone() };
        let options = TrainOptions { quiet: true, ..TrainOptions::default() };
        let learnt = train_on(run.as_ref(), &data, &split, &config, seed, &folder.join("run"), options)?;
        export(&learnt, &folder.join("bundle"), Planes::Auto)?;
        run = Some(learnt);
        let mut recommender = open_bundle(&folder.join("bundle"))?;
        let mut measure = Measure::new(&society, &logs);
        for slate in 0..setting.slates {
            for (user, log) in logs.iter_mut().enumerate() {
                visit(&mut society, &mut recommender, &mut measure, policy, (seed, round, slate, user), log)?;
            }
        }
        rounds.push(measure.finish(&society, rounds.last()));
    }
    Ok(rounds)
}

/// One visitor sees one slate.
fn visit(
    society: &mut Society,
    recommender: &mut Recommender,
    measure: &mut Measure,
    policy: &Request,
    (seed, round, slate, user): (u64, u32, u32, usize),
    log: &mut Vec<LogLine>,
) -> Result<()> {
    recommender.clear();
    let old = log.len().saturating_sub(KEPT);
    log[old..].iter().try_for_each(|line| recommender.replay(line.clone()))?;
    let mut request = policy.clone();
    request.explore.seed = seed;
    request.explore.decision = Some(format!("{round}/{slate}/{user}"));
    let visit = society.visit(user, round, slate);
    (request.time, request.context) = (Some(visit.time), society.context(user));
    let shown = recommender.recommend(&request)?;
    let items: Vec<usize> = shown.items.iter().map(|item| society.item(&item.id)).collect();
    measure.shown(society, &visit, &items);
    for item in society.clicks(&visit, &items) {
        let (id, slate) = (Some(format!("{round}/{item}")), Some(shown.id.clone()));
        let (item, kind) = (society.id(item), "view".into());
        recommender.record(Event { id, item, kind, slate, time: Some(visit.time), ..Event::default() })?;
    }
    let before = log.len() - old;
    log.extend(recommender.log().lines().skip(before).cloned());
    society.seen(user, log);
    Ok(())
}
