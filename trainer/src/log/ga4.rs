//! Converts logs to the form in which Google Analytics 4 exports events to BigQuery:
//! <https://support.google.com/analytics/answer/7029846>

use serde_json::{Value, json};

use super::VisitorLog;
use foretaste::profile::LogLine;

/// Writes one line for each line of the logs. A slate becomes `view_item_list`, an assignment `experience_impression`,
/// an event of type `view` or `click` becomes `select_item`, and any other event keeps its own name.
pub fn ga4(visitors: &[VisitorLog]) -> String {
    let mut out = String::new();
    for visitor in visitors {
        for line in &visitor.lines {
            let (name, time, params, items) = match line {
                LogLine::Impression(impression) => {
                    let items = impression.slots.iter().enumerate().map(|(i, slot)| {
                        json!({
                            "item_id": slot.item,
                            "item_list_id": impression.slate,
                            "item_list_name": impression.policy,
                            "item_list_index": i.to_string(),
                            "item_params": [double("propensity", slot.propensity), double("score", f64::from(slot.score))],
                        })
                    });
                    ("view_item_list", impression.time, vec![string("model", &impression.model)], items.collect())
                }
                LogLine::Event(event) => {
                    let name = match event.kind.as_str() {
                        "view" | "click" => "select_item",
                        other => other,
                    };
                    let list = event.slate.iter().map(|slate| string("item_list_id", slate));
                    let value = event.value.iter().map(|value| double("value", *value));
                    (name, event.time, list.chain(value).collect(), vec![json!({ "item_id": event.item })])
                }
                LogLine::Assignment(given) => {
                    let params = vec![string("exp_variant_string", &format!("{}-{}", given.experiment, given.arm))];
                    ("experience_impression", given.time, params, vec![])
                }
            };
            let date = super::iso(time).get(..10).map(|day| day.replace('-', ""));
            let line = json!({
                "event_date": date,
                "event_timestamp": time.map(|ms| ms.saturating_mul(1000)),
                "event_name": name,
                "event_params": params,
                "user_pseudo_id": visitor.name,
                "items": items,
            });
            out += &format!("{line}\n");
        }
    }
    out
}

fn string(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "string_value": value } })
}

fn double(key: &str, value: f64) -> Value {
    json!({ "key": key, "value": { "double_value": value } })
}
