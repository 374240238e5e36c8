//! Raw values as they come from a table, a command line or a page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One raw value. A missing value is the absence of its key, or `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing known.
    Missing,
    /// A number; one that is not finite counts as missing.
    Number(f64),
    /// A text; a number in text form is read as a number by number columns, `a|b` as a set by set columns.
    Text(String),
    /// The members of a set.
    Set(Vec<String>),
    /// A dense vector.
    Vector(Vec<f64>),
}

/// Raw values by column name.
pub type Fields = BTreeMap<String, Value>;

impl Value {
    /// The value as a finite number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(x) => Some(*x).filter(|x| x.is_finite()),
            Value::Text(t) => t.trim().parse().ok().filter(|x: &f64| x.is_finite()),
            _ => None,
        }
    }

    /// The value as one text: numbers in their shortest form.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Text(t) if !t.is_empty() => Some(t.clone()),
            Value::Number(x) if x.is_finite() => Some(x.to_string()),
            _ => None,
        }
    }

    /// The value as the members of a set, empty ones dropped.
    pub fn set(&self) -> Vec<String> {
        match self {
            Value::Set(members) => members.iter().filter(|m| !m.is_empty()).cloned().collect(),
            other => {
                other.text().map(|t| t.split('|').filter(|m| !m.is_empty()).map(str::to_owned).collect()).unwrap_or_default()
            }
        }
    }
}
