//! The simulated visitors and items, and how visitors behave.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use foretaste::explore::{decision_rng, normal, unit};
use foretaste::features::{EventType, Fields, Value};
use foretaste::profile::{Event, LogLine};

use super::Setting;
use crate::data::synthetic::{CATEGORIES, MOODS, Mood, SEGMENTS, Size, World};
use crate::data::{Column, Dataset, DatasetEvent, Table};

/// Start of round 0, 2024-01-01 in Unix milliseconds, and the length of a round.
const START_MS: i64 = 1_704_067_200_000;
const ROUND_MS: i64 = 7 * 86_400_000;
/// The logit of a click is `SLOPE` · affinity + `BASE`.
const SLOPE: f64 = 2.2;
const BASE: f64 = -2.0;

/// A visitor about to see one slate.
pub(super) struct Visit {
    pub user: usize,
    mood: usize,
    /// Time of the visit, milliseconds UTC.
    pub time: i64,
    /// Name of the visit's draws.
    draw: String,
}

/// The visitors and items in one round.
#[derive(Clone)]
pub(super) struct Society {
    setting: Setting,
    seed: u64,
    world: World,
    /// Rows of the released items, ascending.
    pub out: Vec<usize>,
    /// The round in which each item is released.
    released: Vec<u32>,
    rows: BTreeMap<String, usize>,
    /// Items that each visitor has clicked; they are not shown to the visitor again.
    clicked: Vec<BTreeSet<usize>>,
}

impl Society {
    pub fn new(setting: Setting, seed: u64) -> Society {
        let users = setting.users + setting.come() * (setting.rounds - 1);
        let world = World::new(&Size { users, items: setting.items, events: users }, seed);
        // Half of the items are released at the start, the others evenly over the rounds.
        let rng = &mut decision_rng(seed, "simulate/releases");
        let rounds = f64::from(setting.rounds);
        let released = world.items.iter().map(|_| ((2.0 * unit(rng) - 1.0).max(0.0) * rounds) as u32).collect();
        let rows = (0..world.items.len()).map(|row| ((row + 1).to_string(), row)).collect();
        let clicked = vec![BTreeSet::new(); world.users.len()];
        let mut society = Society { setting, seed, world, out: Vec::new(), released, rows, clicked };
        society.out = society.out_in(0);
        society
    }

    fn out_in(&self, round: u32) -> Vec<usize> {
        (0..self.released.len()).filter(|row| self.released[*row] <= round).collect()
    }

    /// Begins a round: releases items and lets tastes drift.
    pub fn begin(&mut self, round: u32) {
        self.out = self.out_in(round);
        let rng = &mut decision_rng(self.seed, &format!("simulate/drift {round}"));
        let (keep, move_by) = ((1.0 - self.setting.drift * self.setting.drift).max(0.0).sqrt(), self.setting.drift);
        for user in &mut self.world.users {
            user.taste.iter_mut().for_each(|taste| *taste = keep * *taste + move_by * normal(rng));
        }
    }

    /// Whether an item is released after the start.
    pub fn is_new(&self, item: usize) -> bool {
        self.released[item] > 0
    }

    /// Number of items, released or not.
    pub fn count(&self) -> usize {
        self.world.items.len()
    }

    /// Number of visitors in all rounds together.
    pub fn users(&self) -> usize {
        self.world.users.len()
    }

    /// Visitors of a round. The visitors who have stayed longest leave for the newcomers.
    pub fn visitors(&self, round: u32) -> Range<usize> {
        let first = (self.setting.come() * round) as usize;
        first..first + self.setting.users as usize
    }

    pub fn id(&self, item: usize) -> String {
        (item + 1).to_string()
    }

    pub fn item(&self, id: &str) -> usize {
        self.rows[id]
    }

    pub fn context(&self, user: usize) -> Fields {
        let user = &self.world.users[user];
        Fields::from([
            ("age".into(), Value::Number(f64::from(user.age))),
            ("segment".into(), Value::Text(SEGMENTS[user.segment].name.into())),
        ])
    }

    /// P(click | the slot is looked at) in a mood.
    pub fn chance(&self, user: usize, mood: usize, item: usize) -> f64 {
        1.0 / (1.0 + libm::exp(-(SLOPE * self.world.affinity(user, item, mood) + BASE)))
    }

    /// P(click | the slot is looked at), averaged over the visitor's moods.
    pub fn liking(&self, user: usize, item: usize) -> f64 {
        let moods = self.world.users[user].moods;
        let share = |mood: usize| moods[mood] - if mood > 0 { moods[mood - 1] } else { 0.0 };
        (0..moods.len()).map(|mood| share(mood) * self.chance(user, mood, item)).sum()
    }

    /// P(the slot is looked at): visitors read from the top.
    pub fn looked_at(slot: usize) -> f64 {
        1.0 / (1.0 + 0.15 * slot as f64)
    }

    /// Clicks before the first round, on items that the visitor met by chance.
    pub fn first_clicks(&mut self, user: usize) -> Vec<Event> {
        let rng = &mut decision_rng(self.seed, &format!("simulate/first {user}"));
        let mut events = Vec::new();
        for i in 0..self.setting.met {
            let item = self.out[(unit(rng) * self.out.len() as f64) as usize];
            let clicks = unit(rng) < 0.5 * self.liking(user, item);
            if clicks && self.clicked[user].insert(item) {
                let time = Some(START_MS - ROUND_MS + i as i64 * 3_600_000);
                let id = Some(format!("before/{item}"));
                events.push(Event { id, item: self.id(item), kind: "view".into(), time, ..Event::default() });
            }
        }
        events
    }

    pub fn visit(&self, user: usize, round: u32, slate: u32) -> Visit {
        let draw = format!("simulate/visit {round}/{slate}/{user}");
        let rng = &mut decision_rng(self.seed, &draw);
        let (mood, hour) = (unit(rng), unit(rng));
        let mood = self.world.users[user].moods.iter().position(|share| mood < *share).unwrap_or(MOODS.len() - 1);
        let Mood { first_hour: first, hours, .. } = MOODS[mood];
        let day = i64::from(round) * 7 + i64::from(slate) * 7 / i64::from(self.setting.slates);
        let time = START_MS + day * 86_400_000 + ((first as f64 + hour * hours as f64) * 3.6e6) as i64;
        Visit { user, mood, time, draw }
    }

    /// Expected clicks on a list of items.
    pub fn worth(&self, visit: &Visit, items: &[usize]) -> f64 {
        let chance = |(slot, item): (usize, &usize)| Self::looked_at(slot) * self.chance(visit.user, visit.mood, *item);
        items.iter().enumerate().map(chance).sum()
    }

    /// Expected clicks on the best list of `slots` released items that the visitor has not clicked yet.
    pub fn best_worth(&self, visit: &Visit, slots: usize) -> f64 {
        let left = self.out.iter().filter(|item| !self.clicked[visit.user].contains(item));
        let mut chances: Vec<f64> = left.map(|item| self.chance(visit.user, visit.mood, *item)).collect();
        chances.sort_by(|a, b| b.total_cmp(a));
        chances.iter().take(slots).enumerate().map(|(slot, chance)| Self::looked_at(slot) * chance).sum()
    }

    /// The items of a list that the visitor clicks. A visitor's luck with an item in a slot is the same under every
    /// policy.
    pub fn clicks(&self, visit: &Visit, items: &[usize]) -> Vec<usize> {
        let clicked = |(slot, item): &(usize, &usize)| {
            let luck = unit(&mut decision_rng(self.seed, &format!("{} {item} {slot}", visit.draw)));
            luck < Self::looked_at(*slot) * self.chance(visit.user, visit.mood, **item)
        };
        items.iter().enumerate().filter(clicked).map(|(_, item)| *item).collect()
    }

    /// Updates the items that the visitor has clicked from the log.
    pub fn seen(&mut self, user: usize, log: &[LogLine]) {
        let events = log.iter().filter_map(|line| if let LogLine::Event(event) = line { Some(event) } else { None });
        self.clicked[user] = events.map(|event| self.rows[&event.item]).collect();
    }

    /// The data a server would have: the clicks of `logs`, one log per visitor, the released items, and their columns.
    pub fn dataset(&self, logs: &[Vec<LogLine>]) -> Dataset {
        let place: BTreeMap<usize, u32> = self.out.iter().zip(0..).map(|(item, row)| (*item, row)).collect();
        let (mut events, mut offsets, mut in_events) = (Vec::new(), vec![0], vec![false; self.out.len()]);
        for (user, log) in logs.iter().enumerate() {
            for line in log {
                if let LogLine::Event(event) = line {
                    let item = place[&self.rows[&event.item]];
                    in_events[item as usize] = true;
                    events.push(DatasetEvent {
                        user: user as u32,
                        item,
                        kind: 2,
                        rating: None,
                        time: event.time.map(|ms| ms / 1000),
                        weight: 1.0,
                    });
                }
            }
            offsets.push(events.len());
        }
        let kind = |name: &str, positive, hide| EventType {
            name: name.into(),
            positive,
            seen: true,
            hide,
            weight: 1.0,
            trained: name == "view",
        };
        let items = || self.out.iter().map(|item| &self.world.items[*item]);
        let column = |name: &str, kind, values| Column { name: name.into(), kind, values };
        let users = &self.world.users[..logs.len()];
        Dataset {
            name: "simulated".into(),
            licence: None,
            sha256: String::new(),
            users: (1..=users.len()).map(|user| user.to_string()).collect(),
            items: self.out.iter().map(|item| self.id(*item)).collect(),
            in_events,
            titles: items().map(|item| Some(item.title.clone())).collect(),
            item_table: Table {
                columns: vec![
                    column("category", "category", items().map(|i| Value::Text(CATEGORIES[i.category].0.into())).collect()),
                    column("price", "number", items().map(|i| Value::Number(f64::from(i.cents) / 100.0)).collect()),
                    column(
                        "tags",
                        "set",
                        items().map(|i| Value::Set(i.tags().split('|').map(str::to_owned).collect())).collect(),
                    ),
                    column("title", "text", items().map(|i| Value::Text(i.title.clone())).collect()),
                ],
            },
            user_table: Table {
                columns: vec![
                    column("age", "number", users.iter().map(|u| Value::Number(f64::from(u.age))).collect()),
                    column("segment", "category", users.iter().map(|u| Value::Text(SEGMENTS[u.segment].name.into())).collect()),
                ],
            },
            context_table: Table::default(),
            views: vec![],
            inputs: vec![],
            ttl: Default::default(),
            utility: None,
            types: vec![kind("hide", false, true), kind("like", true, false), kind("view", true, false)],
            events: events.into(),
            offsets,
        }
    }
}
