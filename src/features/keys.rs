//! An object whose keys depend on its kind, read key by key.
//!
//! One reader of objects serves all of them: a derived one for each kind would take several times the bytes in a page.

use super::{Fields, Value};

/// The keys of an object that were not read yet. A missing value is as good as a missing key.
pub(crate) struct Keys {
    fields: Fields,
    /// A key whose value is of another type than asked for.
    wrong: Option<&'static str>,
}

impl Keys {
    pub fn new(fields: Fields) -> Keys {
        Keys { fields, wrong: None }
    }

    fn take<T>(&mut self, key: &'static str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = std::mem::replace(self.fields.get_mut(key)?, Value::Missing);
        if value == Value::Missing {
            return None;
        }
        let read = read(value);
        if read.is_none() {
            self.wrong = Some(key);
        }
        read
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.take(key, |value| if let Value::Text(text) = value { Some(text) } else { None })
    }

    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        self.take(key, |value| if let Value::Number(x) = value { Some(x) } else { None })
    }

    /// A whole number within ±2⁵³.
    pub fn whole(&mut self, key: &'static str) -> Option<i64> {
        self.take(key, |value| whole_number(&value).filter(|x| x.abs() <= (1i64 << 53) as f64).map(|x| x as i64))
    }

    /// A whole number of 0 or more; one that does not fit is the largest that does.
    pub fn count(&mut self, key: &'static str) -> Option<usize> {
        self.take(key, |value| whole_number(&value).filter(|x| *x >= 0.0).map(|x| x as usize))
    }

    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.take(key, |value| if let Value::Set(texts) = value { Some(texts) } else { None })
    }

    pub fn numbers(&mut self, key: &'static str) -> Option<Vec<f64>> {
        self.take(key, |value| match value {
            Value::Vector(numbers) => Some(numbers),
            // An empty list is one of both.
            Value::Set(none) if none.is_empty() => Some(Vec::new()),
            _ => None,
        })
    }

    /// `read`, if every key was taken and had a value of its type; else what is wrong, with `expected` if nothing else
    /// is.
    pub fn end<T>(self, read: Option<T>, expected: &str) -> Result<T, String> {
        match (self.wrong, self.fields.iter().find(|(_, value)| **value != Value::Missing), read) {
            (Some(key), _, _) => Err(format!("another type of value than that of `{key}`")),
            (_, Some((key, _)), _) => Err(format!("unknown field `{key}`")),
            (_, _, read) => read.ok_or_else(|| expected.into()),
        }
    }
}

/// The number of a value without a fraction.
fn whole_number(value: &Value) -> Option<f64> {
    if let Value::Number(x) = value { Some(*x).filter(|x| libm::trunc(*x) == *x) } else { None }
}
