//! Changes of an input: of bytes, and of text by tokens.

use crate::random::Random;

/// The most bytes of a mutated input.
pub const MAX_BYTES: usize = 1 << 16;

/// How a target's inputs are changed: the input, another input of the target, random numbers.
pub type Mutate = fn(&mut Vec<u8>, &[u8], &mut Random);

/// Numbers and texts at which parsers fail.
const TOKENS: [&str; 40] = [
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e309",
    "1e-320",
    "-1e30",
    "0.1",
    "1.5",
    "NaN",
    "inf",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"a\"",
    "[1,2]",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "é",
    "\u{1b}[2J",
    "__proto__",
    "\n",
    "\r\n",
    "\"",
];

/// How many of the tokens are numbers.
const NUMBERS: usize = 24;

/// Changes bytes, without regard to what they mean.
pub fn bytes(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff, b' ']),
            2 => _ = input.drain(at..(at + 1 + random.below(16)).min(input.len())),
            3 => _ = input.splice(at..at, vec![random.bits() as u8; 1 + random.below(8)]),
            4 => splice(input, at, other, random),
            5 => number(input, at, random),
            _ => repeat(input, at, random),
        }
    }
    input.truncate(MAX_BYTES);
}

/// Changes text: tokens are replaced, removed, repeated and exchanged. One change in eight is of bytes.
pub fn text(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if random.below(8) == 0 {
        return bytes(input, other, random);
    }
    for _ in 0..=random.below(4) {
        let (mut from, mut to) = token(input, random);
        match random.below(8) {
            6 | 7 => {
                // Few tokens of a text are numbers, and most faults need one.
                for _ in 0..20 {
                    if input[from..to].first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') {
                        break;
                    }
                    (from, to) = token(input, random);
                }
                _ = input.splice(from..to, random.pick(&TOKENS[..NUMBERS]).bytes());
            }
            0 => _ = input.splice(from..to, random.pick(&TOKENS).bytes()),
            1 => _ = input.splice(from..from, random.pick(&TOKENS).bytes()),
            2 => _ = input.drain(from..to),
            3 => {
                let (a, b) = token(other, random);
                _ = input.splice(from..to, other[a..b].to_vec());
            }
            4 => {
                let (a, b) = token(input, random);
                let copy = input[a..b].to_vec();
                _ = input.splice(from..to, copy);
            }
            _ => line(input, from, other, random),
        }
    }
    input.truncate(MAX_BYTES);
}

/// The place of a token: letters and digits together, any other byte alone. An empty place in an empty input.
fn token(input: &[u8], random: &mut Random) -> (usize, usize) {
    let word = |b: &u8| b.is_ascii_alphanumeric() || b"_-.+".contains(b) || *b >= 0x80;
    let at = random.below(input.len());
    match input.get(at) {
        None => (0, 0),
        Some(byte) if !word(byte) => (at, at + 1),
        Some(_) => {
            let from = input[..at].iter().rposition(|b| !word(b)).map_or(0, |before| before + 1);
            let to = input[at..].iter().position(|b| !word(b)).map_or(input.len(), |after| at + after);
            (from, to)
        }
    }
}

/// Removes, repeats or inserts a whole line.
fn line(input: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let place = |text: &[u8], at: usize| {
        let from = text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |before| before + 1);
        (from, text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |after| at + after + 1))
    };
    let (from, to) = place(input, at.min(input.len()));
    match random.below(3) {
        0 => _ = input.drain(from..to),
        1 => {
            let copy = input[from..to].repeat(1 + random.below(20));
            _ = input.splice(from..from, copy);
        }
        _ => {
            let (a, b) = place(other, random.below(other.len()));
            _ = input.splice(from..from, other[a..b].to_vec());
        }
    }
}

/// Puts a part of another input in.
fn splice(input: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.below(other.len());
    let to = (from + 1 + random.below(64)).min(other.len());
    let end = (at + random.below(64)).min(input.len());
    _ = input.splice(at..end, other[from.min(to)..to].to_vec());
}

/// Overwrites a little-endian number.
fn number(input: &mut [u8], at: usize, random: &mut Random) {
    let near = random.below(9) as i64 - 4;
    let value = *random.pick(&[0, 1 << 7, 1 << 8, 1 << 16, 1 << 31, 1 << 32, i64::MAX, i64::from(f32::NAN.to_bits())]);
    let bytes = value.wrapping_add(near).to_le_bytes();
    let length = *random.pick(&[1, 2, 4, 8]);
    input.iter_mut().skip(at).zip(&bytes[..length]).for_each(|(to, from)| *to = *from);
}

/// Repeats a part many times.
fn repeat(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let to = (at + 1 + random.below(32)).min(input.len());
    let copy = input[at..to].repeat(1 << random.below(10));
    if input.len() + copy.len() <= MAX_BYTES {
        _ = input.splice(at..at, copy);
    }
}
