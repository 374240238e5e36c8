//! Reads JSON (RFC 8259) straight into types with a derived `Deserialize`: the files of a bundle, and what a page
//! passes in.
//!
//! It is small on purpose: serde_json and its tables for numbers would take a quarter of the bytes that a page may
//! load.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::error::ErrorKind;

/// The most lists and objects inside each other.
const MAX_DEPTH: usize = 64;
/// What a member of a list or an object takes in memory at most, beside the letters of its texts, in bytes. `0,` is two
/// bytes of a text, and a value of twenty-four.
const MEMBER_BYTES: usize = 64;
/// The most memory for the content of a text, in bytes, unless the caller has another limit.
const MAX_MEMORY: usize = 256 << 20;

/// Reads a value.
///
/// # Errors
/// Same errors as [`from_json_within`], with a limit of 256 MiB.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ErrorKind> {
    from_json_within(bytes, &mut MAX_MEMORY.clone())
}

/// Reads a value whose members may take `memory` bytes: 64 each, and the letters of texts. What they take is taken off.
///
/// # Errors
/// `limit`, `unknown-key` and `malformed`. The message says so if the text is HTML, because many hosts answer a missing
/// file with a page.
pub(crate) fn from_json_within<T: DeserializeOwned>(bytes: &[u8], memory: &mut usize) -> Result<T, ErrorKind> {
    let text = std::str::from_utf8(bytes).map_err(|e| ErrorKind::Malformed(e.to_string()))?;
    let limit = *memory;
    let mut reader = Reader { text, at: 0, depth: 0, memory };
    let value = T::deserialize(&mut reader).and_then(|value| match reader.next() {
        None => Ok(value),
        Some(_) => Err(reader.fault("the end")),
    });
    value.map_err(|Fault(fault)| match fault {
        _ if *reader.memory == 0 => ErrorKind::Limit { limit: limit as u64, got: limit as u64 + 1 },
        _ if text.trim_ascii_start().starts_with('<') => {
            ErrorKind::Malformed("found HTML where JSON was expected: does the address lead to the bundle?".into())
        }
        text if text.starts_with("unknown field") => ErrorKind::UnknownKey(text),
        text => ErrorKind::Malformed(format!("{text}, at byte {} of {}", reader.at, bytes.len())),
    })
}

/// What is wrong with the text.
#[derive(Debug)]
struct Fault(String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: std::fmt::Display>(text: T) -> Fault {
        Fault(text.to_string())
    }

    // serde's defaults print the number they got; the code for that takes more bytes than this file.
    fn invalid_type(got: Unexpected, expected: &dyn Expected) -> Fault {
        Fault(format!("expected {expected}, got {}", named(got)))
    }

    fn invalid_value(got: Unexpected, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(got, expected)
    }
}

fn named(got: Unexpected) -> &'static str {
    match got {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) => "another whole number",
        Unexpected::Signed(_) => "a number below 0",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) => "a text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

type Read<T> = Result<T, Fault>;

/// Reads the text from a place on.
struct Reader<'a, 'm> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// How much memory is left for the content; 0 after the limit was passed.
    memory: &'m mut usize,
}

/// Reads a number, correctly rounded. The caller has checked its form.
pub(crate) fn number(text: &str) -> Option<f64> {
    // JavaScript's `Number` gives the same bits as Rust's `parse`.
    #[cfg(all(target_arch = "wasm32", feature = "wasm-core"))]
    return Some(js_sys::Number::from(wasm_bindgen::JsValue::from_str(text)).value_of()).filter(|x| !x.is_nan());
    #[cfg(not(all(target_arch = "wasm32", feature = "wasm-core")))]
    text.parse().ok()
}

impl<'a> Reader<'a, '_> {
    /// Counts memory of the content.
    fn take_memory(&mut self, bytes: usize) -> Read<()> {
        *self.memory = self.memory.saturating_sub(bytes);
        if *self.memory == 0 { Err(self.fault("less content")) } else { Ok(()) }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The text from `start` on that has been read. Without a slice that could panic: its message, which prints what it
    /// cuts, would make the WASM module larger.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The text that has not been read.
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and gives the next byte, which stays unread.
    fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    #[cold]
    fn fault(&self, expected: &str) -> Fault {
        match self.rest().chars().next() {
            Some(got) => Fault(format!("expected {expected}, got `{got}`")),
            None => Fault(format!("expected {expected}, got the end")),
        }
    }

    fn take(&mut self, wanted: u8, name: &str) -> Read<()> {
        if self.next() != Some(wanted) {
            return Err(self.fault(name));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Read<()> {
        self.next();
        if !self.rest().starts_with(word) {
            return Err(self.fault(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// Opens a list or an object.
    fn open(&mut self, bracket: u8, name: &str) -> Read<()> {
        self.take(bracket, name)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.fault("fewer lists inside each other")) } else { Ok(()) }
    }

    /// Whether another member follows. If not, the closing bracket is read.
    fn another(&mut self, end: u8, first: &mut bool) -> Read<bool> {
        match self.next() {
            Some(byte) if byte == end => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if std::mem::replace(first, false) => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.next() {
                    Some(byte) if byte == end => Err(self.fault("a value")),
                    _ => Ok(true),
                }
            }
            _ => Err(self.fault("`,` or an end")),
        }
    }

    /// A text: as it stands where nothing in it is escaped, else in `scratch`.
    fn string<'b>(&mut self, scratch: &'b mut String) -> Read<Text<'a, 'b>> {
        self.take(b'"', "a text")?;
        let mut start = self.at;
        let begin = start;
        loop {
            match self.byte() {
                Some(b'"') => {
                    let rest = self.since(start);
                    self.take_memory(self.at - begin)?;
                    self.at += 1;
                    if scratch.is_empty() {
                        return Ok(Text::Whole(rest));
                    }
                    scratch.push_str(rest);
                    return Ok(Text::Unescaped(scratch));
                }
                Some(b'\\') => {
                    scratch.push_str(self.since(start));
                    self.at += 1;
                    let c = self.escaped()?;
                    scratch.push(c);
                    start = self.at;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(self.fault("the end of a text")),
            }
        }
    }

    fn escaped(&mut self) -> Read<char> {
        let byte = self.byte();
        self.at += usize::from(byte.is_some_and(|b| b.is_ascii()));
        Ok(match byte {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut code = self.hexadecimal()?;
                // A surrogate pair: two halves of one character above U+FFFF.
                if code >> 10 == 0xd800 >> 10 {
                    if !self.rest().starts_with("\\u") {
                        return Err(self.fault("the second half of a character"));
                    }
                    self.at += 2;
                    code = match self.hexadecimal()? {
                        low if low >> 10 == 0xdc00 >> 10 => 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff),
                        _ => 0xdc00,
                    };
                }
                char::from_u32(code).ok_or_else(|| self.fault("a character"))?
            }
            _ => return Err(self.fault("an escape")),
        })
    }

    fn hexadecimal(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or_else(|| self.fault("four hexadecimal digits"))?;
        self.at += 4;
        Ok(digits.iter().fold(0, |code, digit| code << 4 | (*digit as char).to_digit(16).unwrap_or(0)))
    }

    /// The digits of a number, and whether it is a whole number.
    fn number(&mut self) -> Read<(&'a str, bool)> {
        self.next();
        let start = self.at;
        self.skip(b"-");
        let zero = self.byte() == Some(b'0');
        let digits = self.digits()?;
        if zero && digits > 1 {
            return Err(self.fault("a number without a zero before it"));
        }
        let mut whole = true;
        if self.skip(b".") {
            self.digits()?;
            whole = false;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
            whole = false;
        }
        Ok((self.since(start), whole))
    }

    fn skip(&mut self, any: &[u8]) -> bool {
        let there = self.byte().is_some_and(|b| any.contains(&b));
        self.at += usize::from(there);
        there
    }

    fn digits(&mut self) -> Read<usize> {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a value")) } else { Ok(self.at - start) }
    }
}

/// A string that was read.
enum Text<'a, 'b> {
    Whole(&'a str),
    Unescaped(&'b str),
}

/// All number types are read in the same way.
macro_rules! numbers {
    ($($name:ident)*) => { $(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            self.deserialize_f64(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.next() {
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b'"') => self.deserialize_str(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'n') => self.deserialize_unit(visitor),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let (text, whole) = self.number()?;
        if whole && let Ok(x) = text.parse() {
            return visitor.visit_u64(x);
        }
        if whole
            && text != "-0"
            && let Ok(x) = text.parse()
        {
            return visitor.visit_i64(x);
        }
        match number(text).filter(|x| x.is_finite()) {
            Some(x) => visitor.visit_f64(x),
            None => Err(self.fault("a number that fits")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.string(&mut String::new())? {
            Text::Whole(text) => visitor.visit_borrowed_str(text),
            Text::Unescaped(text) => visitor.visit_str(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let yes = self.next() == Some(b't');
        self.word(if yes { "true" } else { "false" })?;
        visitor.visit_bool(yes)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.word("null")?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.next() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.open(b'[', "a list")?;
        let mut list = Members { reader: self, first: true };
        let value = visitor.visit_seq(&mut list)?;
        // A list of fixed length leaves the closing bracket unread.
        match list.reader.another(b']', &mut list.first)? {
            false => Ok(value),
            true => Err(list.reader.fault("the end of the list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.open(b'{', "an object")?;
        visitor.visit_map(Members { reader: self, first: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Read<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Read<V::Value> {
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_any(visitor)
    }

    numbers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 }
    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit_struct tuple_struct }
}

/// The members of a list or an object.
struct Members<'r, 'de, 'm> {
    reader: &'r mut Reader<'de, 'm>,
    first: bool,
}

impl<'de> SeqAccess<'de> for &mut Members<'_, 'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        // `deserialize_seq` reads the closing bracket.
        if self.reader.next() == Some(b']') {
            return Ok(None);
        }
        self.reader.another(b']', &mut self.first)?;
        self.reader.take_memory(MEMBER_BYTES)?;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if !self.reader.another(b'}', &mut self.first)? {
            return Ok(None);
        }
        self.reader.take_memory(MEMBER_BYTES)?;
        let key = match self.reader.string(&mut String::new())? {
            Text::Whole(text) => seed.deserialize(StrDeserializer::<Fault>::new(text)),
            Text::Unescaped(text) => seed.deserialize(StrDeserializer::<Fault>::new(text)),
        };
        self.reader.take(b':', "`:`")?;
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

/// A variant of an enum without content, by its name.
impl<'de> EnumAccess<'de> for &mut Reader<'de, '_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self)> {
        Ok((seed.deserialize(&mut *self)?, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Read<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Read<T::Value> {
        Err(self.fault("a name alone"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Read<V::Value> {
        Err(self.fault("a name alone"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Read<V::Value> {
        Err(self.fault("a name alone"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::kernels::tests::numbers;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Choice {
        This,
        ThatOne,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Every {
        whole: i64,
        small: u8,
        single: f32,
        text: String,
        choice: Choice,
        pair: (usize, usize),
        #[serde(default)]
        maybe: Option<Vec<f64>>,
        #[serde(default)]
        named: BTreeMap<String, bool>,
    }

    const EVERY: &str = r#" {"whole": -5, "small":255,"single":0.1, "text":"a\u00e9\n\ud83d\ude00\"z", "choice":"that-one", "pair":[3,4],
        "maybe":[1, 2.5, -1e-3], "named":{"x":true,"y" : false}} "#;

    #[test]
    fn the_content_is_counted_before_it_is_kept() {
        let zeros = format!("[{}0]", "0,".repeat(999));
        let read = |text: &str, mut memory: usize| {
            let result = from_json_within::<Value>(text.as_bytes(), &mut memory).map_err(|kind| kind.code());
            result.map(|_| memory)
        };
        assert_eq!(read(&zeros, 64_001), Ok(1));
        assert_eq!(read(&zeros, 64_000), Err("limit"));
        assert_eq!(read(r#"{"key":["four","a\n"]}"#, 1000), Ok(1000 - 3 * 64 - "key".len() - "four".len() - r"a\n".len()));
        assert_eq!(read(&format!("[\"{}\"]", "x".repeat(1000)), 1000), Err("limit"));
        assert_eq!(read("[1,", 1000), Err("malformed"));
    }

    #[test]
    fn every_kind_is_read() {
        let every: Every = from_json(EVERY.as_bytes()).unwrap();
        assert_eq!((every.whole, every.small, every.single, every.text.as_str()), (-5, 255, 0.1, "aé\n😀\"z"));
        assert_eq!((every.choice, every.pair, every.maybe), (Choice::ThatOne, (3, 4), Some(vec![1.0, 2.5, -1e-3])));
        assert_eq!(every.named, BTreeMap::from([("x".into(), true), ("y".into(), false)]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let code = |from: &str, to: &str| {
            assert!(EVERY.contains(from));
            from_json::<Every>(EVERY.replace(from, to).as_bytes()).unwrap_err().at("x").code()
        };
        assert_eq!(code("\"whole\"", "\"hole\""), "unknown-key");
        for (from, to) in [
            ("255", "256"),
            ("255", "-1"),
            ("255", "2.5"),
            ("-5", "9223372036854775808"),
            ("-5", "\"5\""),
            ("0.1", "1e999"),
            ("[3,4]", "[3]"),
            ("[3,4]", "[3,4,5]"),
            ("[3,4]", "{}"),
            ("that-one", "other"),
            ("true", "1"),
            ("\"small\":255", "\"small\":255,\"small\":255"),
            ("\"small\":255,", ""),
            ("\\ud83d\\ude00", "\\ud83d"),
            ("\\ud83d\\ude00", "\\ude00"),
            ("}} ", "}} x"),
        ] {
            assert_eq!(code(from, to), "malformed", "{to}");
        }
        let text = |bytes: &[u8]| from_json::<Value>(bytes).unwrap_err().at("x").to_string();
        assert!(text(b"<!doctype html>").contains("HTML"));
        assert!(text(b"[1, ?]").contains("expected a value, got `?`, at byte 4 of 6"), "{}", text(b"[1, ?]"));
        assert!(text(b"[\xff]").contains("utf-8"));
        let nested = |depth: usize| from_json::<Value>([vec![b'['; depth], vec![b']'; depth]].concat().as_slice());
        assert!(nested(MAX_DEPTH).is_ok() && nested(MAX_DEPTH + 1).is_err() && nested(1 << 20).is_err());
    }

    /// Texts near a right one are taken and refused, and read, as serde_json does.
    #[test]
    fn agrees_with_serde_json() {
        let seeds = [
            EVERY,
            r#"[0,-0,1.5e3,-2E-2,0.1,1e-7,123456789012345678901,null,true,false,"\\\/\b\f\r\t",{},[],[[]],{"a":{"b":[1]}}]"#,
        ];
        let alphabet = b"\"\\{}[]:,.-+eE019 \tntrufalsx\x1f\xc3\xa9";
        let mut next = numbers(5);
        let (mut taken, mut refused) = (0, 0);
        for round in 0..40_000 {
            let mut bytes = seeds[round % 2].as_bytes().to_vec();
            for _ in 0..next() % 4 {
                let at = next() as usize % bytes.len();
                let byte = alphabet[next() as usize % alphabet.len()];
                match next() % 3 {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => _ = bytes.remove(at),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            match (from_json::<Value>(&bytes), serde_json::from_slice::<Value>(&bytes)) {
                (Ok(ours), Ok(theirs)) => {
                    assert!(same(&ours, &theirs), "{text}: {ours} {theirs}");
                    taken += 1;
                }
                (Err(_), Err(_)) => refused += 1,
                (ours, theirs) => panic!("{text}: {ours:?} {theirs:?}"),
            }
        }
        assert!(taken > 5_000 && refused > 5_000, "{taken} {refused}");
    }

    /// Equal but for the last bit of a number: serde_json does not round correctly.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                a == b || (a - b).abs() <= a.abs() * 4e-16
            }
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
            }
            _ => a == b,
        }
    }
}
