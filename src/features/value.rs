//! Raw values, from a table, a command line or a page.

use std::collections::BTreeMap;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::text::fnv;
use crate::json::number;

/// A raw value. A value is missing if its key is absent or its value is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// No value.
    Missing,
    /// A number. If it is not finite, it counts as missing.
    Number(f64),
    /// A text. A number column reads the number in it, a set column reads `a|b` as a set.
    Text(String),
    /// The members of a set.
    Set(Vec<String>),
    /// A dense vector.
    Vector(Vec<f64>),
}

/// Raw values by column name.
pub type Fields = BTreeMap<String, Value>;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("null, a number, a text, a list of texts or a list of numbers")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Missing)
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<Value, E> {
        Ok(Value::Number(x))
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<Value, E> {
        Ok(Value::Number(x as f64))
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<Value, E> {
        Ok(Value::Number(x as f64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let (mut members, mut numbers) = (Vec::new(), Vec::new());
        while let Some(value) = list.next_element()? {
            match value {
                Value::Text(member) => members.push(member),
                Value::Number(x) => numbers.push(x),
                _ => return Err(A::Error::custom("a list holds texts or numbers alone")),
            }
        }
        // There may be a list in each row of a catalog.
        members.shrink_to_fit();
        numbers.shrink_to_fit();
        match (members.is_empty(), numbers.is_empty()) {
            (_, true) => Ok(Value::Set(members)),
            (true, false) => Ok(Value::Vector(numbers)),
            _ => Err(A::Error::custom("a list holds texts or numbers, not both")),
        }
    }
}

/// Reads a decimal number, correctly rounded: digits, with an optional sign, point and exponent.
fn parse(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) && text.bytes().any(|b| b.is_ascii_digit());
    if !plain {
        return None;
    }
    number(text)
}

/// A finite number in its shortest form, as JavaScript writes it (ECMA-262, Number::toString): `7`, `2.5`, `1e+21`.
pub(crate) fn shortest(x: f64) -> String {
    const WHOLE: f64 = (1i64 << 53) as f64;
    if libm::trunc(x) == x && x.abs() < WHOLE {
        return (x as i64).to_string();
    }
    #[cfg(all(target_arch = "wasm32", feature = "wasm-core"))]
    return js_sys::Number::from(x).to_string_with_radix(10).map(String::from).unwrap_or_default();
    #[cfg(not(all(target_arch = "wasm32", feature = "wasm-core")))]
    {
        let scientific = format!("{x:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse::<i32>() {
            Ok(-6..=20) => x.to_string(),
            Ok(positive @ 1..) => format!("{digits}e+{positive}"),
            _ => scientific,
        }
    }
}

/// A value that items can share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shared<'a> {
    Text(&'a str),
    /// The bits of a finite number.
    Number(u64),
}

impl Shared<'_> {
    /// 64 bits that tell values apart.
    pub fn hash(&self) -> u64 {
        match self {
            Shared::Text(text) => fnv(text.as_bytes()),
            Shared::Number(bits) => fnv(&bits.to_le_bytes()) ^ 1,
        }
    }
}

impl Value {
    /// The values in a cell that items can share: a text, a number, or each member of a set. A dense vector has none.
    pub(crate) fn shared(&self) -> impl Iterator<Item = Shared<'_>> {
        let (one, many) = match self {
            Value::Text(text) => (Some(Shared::Text(text)), &[][..]),
            // 0 and −0 are equal.
            Value::Number(x) if x.is_finite() => (Some(Shared::Number((x + 0.0).to_bits())), &[][..]),
            Value::Set(members) => (None, members.as_slice()),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(many.iter().map(|member| Shared::Text(member))).filter(|shared| *shared != Shared::Text(""))
    }

    /// The value as a finite number; `None` if it is not one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(x) => Some(*x).filter(|x| x.is_finite()),
            Value::Text(t) => parse(t.trim()).filter(|x| x.is_finite()),
            _ => None,
        }
    }

    /// The value as a text; a number in its shortest form. `None` for an empty text, a set or a vector.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Text(t) if !t.is_empty() => Some(t.clone()),
            Value::Number(x) if x.is_finite() => Some(shortest(*x)),
            _ => None,
        }
    }

    /// The value as the members of a set, without empty ones.
    pub fn set(&self) -> Vec<String> {
        match self {
            Value::Set(members) => members.iter().filter(|m| !m.is_empty()).cloned().collect(),
            other => {
                other.text().map(|t| t.split('|').filter(|m| !m.is_empty()).map(str::to_owned).collect()).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_kind_is_read_and_written() {
        let text = r#"[null,2.5,-3.0,7.0,"a|b",["x","y"],[1.0,2.5],[]]"#;
        let values: Vec<Value> = serde_json::from_str(text).unwrap();
        let set = |members: &[&str]| Value::Set(members.iter().map(|m| m.to_string()).collect());
        let (texts, numbers) = (set(&["x", "y"]), Value::Vector(vec![1.0, 2.5]));
        let number = Value::Number;
        assert_eq!(
            values,
            [Value::Missing, number(2.5), number(-3.0), number(7.0), Value::Text("a|b".into()), texts, numbers, set(&[])]
        );
        assert_eq!(serde_json::to_string(&values).unwrap(), text);
        assert_eq!(serde_json::from_str::<Value>("7").unwrap(), number(7.0));
        for (x, form) in [
            (7.0, "7"),
            (-0.0, "0"),
            (2.5, "2.5"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (-1e-7, "-1e-7"),
            (1.25e-6, "0.00000125"),
            (1.25e-7, "1.25e-7"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (9_007_199_254_740_994.0, "9007199254740994"),
        ] {
            assert_eq!(number(x).text().unwrap(), form);
        }
        for (form, x) in
            [(" 1.50 ", 1.5), ("+007", 7.0), (".5", 0.5), ("5.", 5.0), ("1E-3", 1e-3), ("0.1", 0.1), ("-2.5e10", -2.5e10)]
        {
            assert_eq!(Value::Text(form.into()).number(), Some(x), "{form}");
        }
        assert_eq!(Value::Text("2.2250738585072011e-308".into()).number().unwrap().to_bits(), 0x000f_ffff_ffff_ffff);
        for no_number in ["", "-", ".", "e5", "1e", "1-2", "0x10", "inf", "NaN", "1e999", "1 2", "١"] {
            assert_eq!(Value::Text(no_number.into()).number(), None, "{no_number}");
        }
        for bad in [r#"["x",1]"#, "[null]", "[[1]]", "{}", "true"] {
            assert!(serde_json::from_str::<Value>(bad).is_err(), "{bad}");
        }
    }
}
