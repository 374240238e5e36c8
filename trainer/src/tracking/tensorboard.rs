//! TensorBoard's event file: records of the protobuf message `Event`. Each record is: length (u64), masked CRC-32C of
//! the length, message, masked CRC-32C of the message.
//! <https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto>

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file that figures are appended to.
pub(super) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Creates the event file in `folder`. Earlier event files there are removed, because a resumed training writes its
    /// whole curve again. `now` is in Unix milliseconds.
    pub fn create(folder: &Path, now: u64) -> Result<Events> {
        let named = || format!("{}: cannot be written", folder.display());
        std::fs::create_dir_all(folder).with_context(named)?;
        for entry in std::fs::read_dir(folder).with_context(named)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("events.out.tfevents.") {
                std::fs::remove_file(entry.path()).with_context(named)?;
            }
        }
        let path = folder.join(format!("events.out.tfevents.{}.foretaste", now / 1000));
        let file = File::create(&path).with_context(named)?;
        let mut events = Events { path, file };
        events.write(&Event { wall_time: seconds(now), file_version: Some("brain.Event:2".into()), ..Event::default() })?;
        Ok(events)
    }

    pub fn add(&mut self, now: u64, step: u64, figures: &[(String, f64)]) -> Result<()> {
        let value = figures.iter().map(|(tag, x)| Scalar { tag: tag.clone(), simple_value: *x as f32 }).collect();
        self.write(&Event { wall_time: seconds(now), step: step as i64, summary: Some(Summary { value }), ..Event::default() })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        self.file
            .write_all(&record(&event.encode_to_vec()))
            .with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Frames one message, see the module.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), data, &masked_crc(data)].concat()
}

/// CRC-32C, rotated and shifted as TensorFlow's record format asks, little-endian.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_two_checksums() {
        // The first record of any event file, as TensorFlow writes it at wall time 0: length 15, checksum, message,
        // checksum.
        let event = Event { file_version: Some("brain.Event:2".into()), ..Event::default() };
        let bytes = record(&event.encode_to_vec());
        assert_eq!(bytes[..8], 15u64.to_le_bytes());
        assert_eq!(&bytes[12..27], b"\x1a\x0dbrain.Event:2");
        // CRC-32C of "123456789" is e3069283.
        assert_eq!(masked_crc(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes());
        assert_eq!(bytes.len(), 8 + 4 + 15 + 4);
    }
}
