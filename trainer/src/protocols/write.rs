//! Split files: which event falls into which part, to be compared with other tools bit for bit.

use std::io::Write;

use anyhow::{Result, bail};

use super::{Protocol, p1, p3, p4};
use crate::data::{Dataset, DatasetEvent};

/// Writes the split file of a protocol: P1 and P3 `user,item,rating,timestamp,part`, P4
/// `user,item,rating,timestamp,fold,role`.
///
/// # Errors
/// A protocol without a split file; a write that fails.
pub fn write_split(data: &Dataset, protocol: Protocol, salt: u32, out: impl Write) -> Result<()> {
    let named = |part: p1::Part| match part {
        p1::Part::Train => "train",
        p1::Part::Valid => "valid",
        p1::Part::Test => "test",
    };
    let mut csv = csv::WriterBuilder::new().from_writer(out);
    let head = ["user", "item", "rating", "timestamp"];
    let parts: &[&str] = if protocol == Protocol::P4 { &["fold", "role"] } else { &["part"] };
    csv.write_record(head.iter().chain(parts))?;
    for user in 0..data.users.len() {
        let history = data.history(user);
        for (i, event) in history.iter().enumerate() {
            let parts: Vec<String> = match protocol {
                Protocol::P1 | Protocol::P2 => vec![named(p1::part(data, event, salt)).into()],
                Protocol::P3 => vec![named(leave_one_out(history.len(), i)).into()],
                Protocol::P4 => {
                    let role = if i < p4::query_len(history.len()) { "query" } else { "target" };
                    vec![p4::fold_of(data, user).to_string(), role.into()]
                }
                Protocol::P5 | Protocol::Cold | Protocol::All => bail!("the protocol {} has no split file", protocol.name()),
            };
            let fields = fields(data, event);
            csv.write_record(fields.iter().chain(&parts))?;
        }
    }
    csv.flush()?;
    Ok(())
}

fn leave_one_out(n: usize, i: usize) -> p1::Part {
    match n - i {
        1 if n >= p3::LEAST => p1::Part::Test,
        2 if n >= p3::LEAST => p1::Part::Valid,
        _ => p1::Part::Train,
    }
}

fn fields(data: &Dataset, event: &DatasetEvent) -> [String; 4] {
    let text = |x: Option<String>| x.unwrap_or_default();
    [
        data.users[event.user as usize].clone(),
        data.items[event.item as usize].clone(),
        text(event.rating.map(|r| r.to_string())),
        text(event.time.map(|t| t.to_string())),
    ]
}
