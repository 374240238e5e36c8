//! The hash of a data set. It is computed from the data as read, so all forms of a folder have the same hash.

use foretaste::features::Value;
use sha2::{Digest, Sha256};

use super::{Dataset, Table};

/// Hashes values. The length of a text or list comes first, so that two different contents never give the same bytes.
struct Sink(Sha256);

impl Sink {
    fn count(&mut self, n: usize) {
        self.0.update((n as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, x: f64) {
        self.0.update(x.to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Missing => self.0.update([0]),
            Value::Number(x) => {
                self.0.update([1]);
                self.number(*x);
            }
            Value::Text(text) => {
                self.0.update([2]);
                self.text(text);
            }
            Value::Set(members) => {
                self.0.update([3]);
                self.count(members.len());
                members.iter().for_each(|m| self.text(m));
            }
            Value::Vector(xs) => {
                self.0.update([4]);
                self.count(xs.len());
                xs.iter().for_each(|x| self.number(*x));
            }
        }
    }

    fn table(&mut self, table: &Table) {
        self.count(table.columns.len());
        for column in &table.columns {
            self.text(&column.name);
            self.text(column.kind);
            column.values.iter().for_each(|v| self.value(v));
        }
    }
}

/// SHA-256 of everything but the name, the licence and the hash itself, as lower-case hexadecimal.
pub(crate) fn of(data: &Dataset) -> String {
    let mut sink = Sink(Sha256::new());
    for ids in [&data.users, &data.items] {
        sink.count(ids.len());
        ids.iter().for_each(|id| sink.text(id));
    }
    data.titles.iter().for_each(|title| sink.text(title.as_deref().unwrap_or("")));
    [&data.item_table, &data.user_table, &data.context_table].into_iter().for_each(|table| sink.table(table));
    sink.count(data.types.len());
    for t in &data.types {
        sink.text(&t.name);
        sink.0.update([t.positive, t.seen, t.hide, t.trained].map(u8::from));
        sink.number(t.weight.into());
    }
    sink.count(data.events.len());
    for e in &data.events {
        sink.0.update(e.user.to_le_bytes());
        sink.0.update(e.item.to_le_bytes());
        sink.0.update(e.kind.to_le_bytes());
        sink.0.update([u8::from(e.rating.is_some()), u8::from(e.time.is_some())]);
        sink.number(e.rating.unwrap_or(0.0));
        sink.0.update(e.time.unwrap_or(0).to_le_bytes());
    }
    hex(&sink.0.finalize())
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
