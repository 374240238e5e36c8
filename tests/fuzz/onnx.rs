//! Changes of an ONNX file that keep it a protobuf message: the lengths of the messages around a change are put right.

use crate::mutate;
use crate::random::Random;

/// The messages of onnx.proto that are taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
}

impl Kind {
    /// The kind of the message in a field.
    fn of_field(self, number: u64) -> Option<Kind> {
        match (self, number) {
            (Kind::Model, 7) | (Kind::Attribute, 6) => Some(Kind::Graph),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Graph, 5) | (Kind::Attribute, 5) => Some(Kind::Tensor),
            (Kind::Graph, 11..=13) => Some(Kind::ValueInfo),
            (Kind::Node, 5) => Some(Kind::Attribute),
            _ => None,
        }
    }
}

/// The content of a field.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    Varint(u64),
    /// Four or eight bytes.
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
    Message(Kind, Vec<Field>),
}

/// A field: its number and content.
type Field = (u64, Content);

/// Operators that a tower may have, and one that it may not.
const OPERATORS: [&str; 26] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Erf",
    "Exp",
    "Sqrt",
    "Tanh",
    "Sigmoid",
    "Relu",
    "Identity",
    "MatMul",
    "Einsum",
    "Gemm",
    "Gather",
    "Concat",
    "Softmax",
    "Reshape",
    "Transpose",
    "Unsqueeze",
    "Squeeze",
    "ReduceSum",
    "ReduceMean",
    "GRU",
    "Loop",
];
const VALUES: [u64; 12] = [0, 1, 2, 3, 7, 16, 64, 1 << 16, 1 << 32, 1 << 62, u64::MAX, u64::MAX - 1];

/// Changes fields of the messages; one change in eight is of bytes.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let Some(mut fields) = read(input, Kind::Model).filter(|_| random.below(8) > 0) else {
        return mutate::bytes(input, other, random);
    };
    for _ in 0..=random.below(4) {
        let mut paths = Vec::new();
        messages(&fields, &mut Vec::new(), &mut paths);
        let (from, to) = (random.pick(&paths).clone(), random.pick(&paths).clone());
        let donor = at(&mut fields, &from).clone();
        let names = names(&fields);
        change(at(&mut fields, &to), &donor, &names, random);
    }
    let mut bytes = Vec::new();
    write(&fields, &mut bytes);
    if bytes.len() <= mutate::MAX_BYTES {
        *input = bytes;
    }
}

/// Changes one field of a message.
fn change(fields: &mut Vec<Field>, donor: &[Field], names: &[Vec<u8>], random: &mut Random) {
    if fields.is_empty() || random.below(8) == 0 {
        if !donor.is_empty() {
            fields.insert(random.below(fields.len() + 1), random.pick(donor).clone());
        }
        return;
    }
    let place = random.below(fields.len());
    match random.below(8) {
        0 => _ = fields.remove(place),
        1 => {
            let copy = fields[place].clone();
            fields.insert(place, copy);
        }
        2 => {
            let with = random.below(fields.len());
            fields.swap(place, with);
        }
        3 => match donor.iter().find(|(number, _)| *number == fields[place].0) {
            Some(field) => fields[place] = field.clone(),
            None => _ = fields.remove(place),
        },
        _ => match &mut fields[place].1 {
            Content::Varint(value) => *value = *random.pick(&VALUES),
            Content::Fixed(bytes) => mutate::bytes(bytes, &[0; 8], random),
            Content::Bytes(bytes) if bytes.len() > 40 => mutate::bytes(bytes, &[0x7f; 64], random),
            Content::Bytes(bytes) => match random.below(4) {
                0 => *bytes = random.pick(&OPERATORS).bytes().collect(),
                1 if !bytes.is_empty() => bytes[0] = bytes[0].wrapping_add(random.bits() as u8),
                2 => bytes.extend(random.pick(&VALUES).to_le_bytes()),
                _ => *bytes = random.pick(names).clone(),
            },
            Content::Message(_, inner) => {
                if !donor.is_empty() {
                    inner.push(random.pick(donor).clone());
                }
            }
        },
    }
}

/// The paths of all messages: the place of the field at each level.
fn messages(fields: &[Field], path: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
    out.push(path.clone());
    for (place, (_, content)) in fields.iter().enumerate() {
        if let Content::Message(_, inner) = content {
            path.push(place);
            messages(inner, path, out);
            path.pop();
        }
    }
}

/// The fields of the message at a path.
fn at<'a>(mut fields: &'a mut Vec<Field>, path: &[usize]) -> &'a mut Vec<Field> {
    for place in path {
        match &mut fields[*place].1 {
            Content::Message(_, inner) => fields = inner,
            _ => unreachable!("a path leads through messages"),
        }
    }
    fields
}

/// All short texts: names of values, nodes and operators. Never empty.
fn names(fields: &[Field]) -> Vec<Vec<u8>> {
    let mut out = vec![Vec::new()];
    for (_, content) in fields {
        match content {
            Content::Bytes(bytes) if bytes.len() <= 40 => out.push(bytes.clone()),
            Content::Message(_, inner) => out.extend(names(inner)),
            _ => {}
        }
    }
    out
}

/// Takes a message apart; `None` if it is none.
fn read(mut bytes: &[u8], kind: Kind) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let content = match key & 7 {
            0 => Content::Varint(varint(&mut bytes)?),
            1 => Content::Fixed(bytes.split_off(..8)?.to_vec()),
            5 => Content::Fixed(bytes.split_off(..4)?.to_vec()),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let content = bytes.split_off(..length)?;
                let message = kind.of_field(key >> 3).and_then(|kind| Some(Content::Message(kind, read(content, kind)?)));
                message.unwrap_or_else(|| Content::Bytes(content.to_vec()))
            }
            _ => return None,
        };
        fields.push((key >> 3, content));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write(fields: &[Field], out: &mut Vec<u8>) {
    for (number, content) in fields {
        let bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            write_varint(number << 3 | 2, out);
            write_varint(bytes.len() as u64, out);
            out.extend(bytes);
        };
        match content {
            Content::Varint(value) => {
                write_varint(number << 3, out);
                write_varint(*value, out);
            }
            // A mutation may have given it another length; then it is written as bytes.
            Content::Fixed(fixed) if fixed.len() == 4 || fixed.len() == 8 => {
                write_varint(number << 3 | if fixed.len() == 4 { 5 } else { 1 }, out);
                out.extend(fixed);
            }
            Content::Fixed(content) | Content::Bytes(content) => bytes(out, content),
            Content::Message(_, inner) => {
                let mut content = Vec::new();
                write(inner, &mut content);
                bytes(out, &content);
            }
        }
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
