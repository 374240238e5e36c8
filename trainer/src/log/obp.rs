//! Converts logs to the table of the Open Bandit Dataset, which Open Bandit Pipeline reads.

use std::fmt::Write;

use super::VisitorLog;
use super::rewards::plain_reward;
use crate::data::csv_line;

/// Writes CSV with one line for each slot: `timestamp` (ISO 8601), `item_id`, `position` (from 1), `click` (0 or 1),
/// `propensity_score`, `slate`, `visitor`.
pub fn obp(visitors: &[VisitorLog]) -> String {
    let mut out = "timestamp,item_id,position,click,propensity_score,slate,visitor\n".to_owned();
    for visitor in visitors {
        for shown in visitor.shown() {
            let time = super::iso(shown.impression.time);
            for (i, (slot, answers)) in shown.impression.slots.iter().zip(&shown.answers).enumerate() {
                let mut numbers = String::new();
                _ = write!(numbers, "{}", slot.propensity);
                let (position, click) = ((i + 1).to_string(), plain_reward(answers).to_string());
                csv_line(
                    &mut out,
                    &[time.as_str(), &slot.item, &position, &click, &numbers, &shown.impression.slate, &visitor.name],
                );
            }
        }
    }
    out
}
