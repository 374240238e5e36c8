//! A site: its visitors, each with a device of its own, and their logs.

use anyhow::Result;
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};

use super::Setting;
use super::measure::{Measure, Round};
use super::society::Society;
use crate::data::Dataset;
use crate::log::VisitorLog;

/// Log lines that a device replays at most, the newest ones.
pub(super) const KEPT: usize = 400;

/// Visitors, their tastes, and their logs.
#[derive(Clone)]
pub struct Site {
    setting: Setting,
    seed: u64,
    round: u32,
    society: Society,
    logs: Vec<Vec<LogLine>>,
}

impl Site {
    /// Creates the visitors of round 0 with their first clicks.
    pub fn new(setting: Setting, seed: u64) -> Site {
        let mut society = Society::new(setting, seed);
        let mut logs = vec![Vec::new(); society.users()];
        for user in society.visitors(0) {
            logs[user] = society.first_clicks(user).into_iter().map(LogLine::Event).collect();
        }
        Site { setting, seed, round: 0, society, logs }
    }

    /// Begins a round: items are released and tastes drift.
    pub fn begin(&mut self, round: u32) {
        self.round = round;
        self.society.begin(round);
    }

    /// The data a server would have: the clicks of all visitors so far, the released items, and their columns.
    pub fn data(&self) -> Dataset {
        self.society.dataset(&self.logs[..self.society.visitors(self.round).end])
    }

    /// The logs that the visitors' pages would export.
    pub fn logs(&self) -> Vec<VisitorLog> {
        let visitor = |(user, lines): (usize, &Vec<LogLine>)| VisitorLog::new(format!("visitor-{user}"), lines.clone());
        self.logs[..self.society.visitors(self.round).end].iter().enumerate().map(visitor).collect()
    }

    /// Shows every visitor the slates of a round and logs the clicks.
    ///
    /// `before` is the round before, whose cumulative regret is continued.
    ///
    /// # Errors
    /// Errors of the policy.
    pub fn serve(&mut self, recommender: &mut Recommender, policy: &Request, before: Option<&Round>) -> Result<Round> {
        let mut measure = Measure::new(&self.society, &self.logs);
        let visitors = self.society.visitors(self.round);
        for slate in 0..self.setting.slates {
            for user in visitors.clone() {
                self.visit(recommender, &mut measure, policy, slate, user)?;
            }
        }
        Ok(measure.finish(&self.society, before))
    }

    /// Shows one slate to one visitor.
    fn visit(
        &mut self,
        recommender: &mut Recommender,
        measure: &mut Measure,
        policy: &Request,
        slate: u32,
        user: usize,
    ) -> Result<()> {
        let Site { society, round, seed, .. } = self;
        let log = &mut self.logs[user];
        recommender.clear();
        let old = log.len().saturating_sub(KEPT);
        log[old..].iter().try_for_each(|line| recommender.replay(line.clone()))?;
        let mut request = policy.clone();
        request.explore.seed = *seed;
        request.explore.decision = Some(format!("{round}/{slate}/{user}"));
        let visit = society.visit(user, *round, slate);
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
}
