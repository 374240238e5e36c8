//! The words of a text.

/// The words of a text in order: runs of letters and digits, in lower case.
///
/// `words("Star Wars (1977)")` is `star`, `wars`, `1977`.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(lowercase)
}

/// A text in lower case, each character on its own: a Greek sigma is σ at the end of a word too. `str::to_lowercase`,
/// which knows that end, would make the WASM module larger.
pub(crate) fn lowercase(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The bucket of the UTF-8 bytes of a word outside the vocabulary, or of a pair of slots: their 64-bit FNV-1a, modulo
/// `buckets`.
pub(super) fn bucket(bytes: &[u8], buckets: usize) -> usize {
    (fnv(bytes) % buckets as u64) as usize
}

/// 64-bit FNV-1a.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_lowers() {
        assert_eq!(words("Dr. Strangelove, ÉTÉ-2").collect::<Vec<_>>(), ["dr", "strangelove", "été", "2"]);
        assert_eq!(words(" -- ").count(), 0);
        assert_eq!(lowercase("ΟΔΟΣ İ"), "οδοσ i\u{307}");
    }

    #[test]
    fn bucket_is_fnv1a() {
        assert_eq!(bucket(b"", 1 << 20), (0xcbf2_9ce4_8422_2325_u64 % (1 << 20)) as usize);
        assert_eq!(bucket(b"a", usize::MAX >> 1), (0xaf63_dc4c_8601_ec8c_u64 % (u64::MAX >> 1)) as usize);
    }
}
