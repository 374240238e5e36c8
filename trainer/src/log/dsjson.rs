//! Converts logs to dsjson, the form that Vowpal Wabbit reads:
//! <https://github.com/VowpalWabbit/vowpal_wabbit/wiki/DSJson-Format>

use serde_json::json;

use super::VisitorLog;
use super::rewards::plain_reward;

/// Writes one line for each slot: a decision of a contextual bandit with the item that was shown, its probability and
/// its cost, which is −reward.
pub fn dsjson(visitors: &[VisitorLog]) -> String {
    let mut out = String::new();
    for visitor in visitors {
        for shown in visitor.shown() {
            let impression = shown.impression;
            for (i, (slot, answers)) in impression.slots.iter().zip(&shown.answers).enumerate() {
                let reward = plain_reward(answers);
                let line = json!({
                    "_label_cost": -reward,
                    "_label_probability": slot.propensity,
                    "_label_Action": 1,
                    "_labelIndex": 0,
                    "o": [{ "EventId": format!("{}-{i}", impression.slate), "v": reward }],
                    "Timestamp": super::iso(impression.time),
                    "Version": "1",
                    "EventId": format!("{}-{i}", impression.slate),
                    "a": [1],
                    "c": {
                        "visitor": { "id": visitor.name },
                        "context": impression.request.context,
                        "place": { "slot": i },
                        "_multi": [{ "item": { "id": slot.item, "score": slot.score } }],
                    },
                    "p": [slot.propensity],
                    "VWState": { "m": impression.model },
                });
                out += &format!("{line}\n");
            }
        }
    }
    out
}
