//! The core's reader of JSON.

use serde_json::Value;

use crate::json::from_json;

/// What the core's reader takes, serde_json takes as the same value. What it refuses, serde_json refuses too, except
/// for lists inside each other deeper than the core allows.
pub fn json(input: &[u8]) -> bool {
    let ours = from_json::<Value>(input);
    let theirs = serde_json::from_slice::<Value>(input);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert!(same(&ours, &theirs), "{ours} is not {theirs}");
            let again = from_json::<Value>(ours.to_string().as_bytes());
            assert!(again.is_ok_and(|again| same(&ours, &again)), "{ours} is not read again");
            true
        }
        (Err(kind), theirs) => {
            assert!(theirs.is_err() || nested(input) > 64, "refused by this reader alone: {kind}");
            one_line(&kind.at("json").to_string());
            false
        }
        (Ok(ours), Err(error)) => panic!("taken by this reader alone: {ours}: {error}"),
    }
}

/// Equal but for the last bit of a number: integers beyond 64 bits are rounded by each.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            a == b || (a - b).abs() <= a.abs() * 4e-16
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1)),
        _ => a == b,
    }
}

/// The most opening brackets before as many closing ones, texts included: at least the depth of the lists.
fn nested(input: &[u8]) -> usize {
    input.iter().filter(|byte| b"[{".contains(byte)).count()
}

/// A message is one line that a terminal shows as it is.
pub fn one_line(message: &str) {
    assert!(!message.is_empty(), "an error without a message");
}
