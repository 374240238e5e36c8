//! SHA-256 digests: of the files of a bundle, and in names of models and slates.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// SHA-256 of any bytes, 32 bytes long.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// SHA-256 in lower-case hexadecimal, 64 digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The first 16 hexadecimal digits of the SHA-256 of a text: long enough to name a slate.
pub(crate) fn short_hash(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes())[..8])
}

/// Bytes in lower-case hexadecimal, two digits each.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
