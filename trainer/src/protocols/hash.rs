//! The hash that assigns events and users to parts: `fmix64(fnv1a64(text))`, the same in any language.

/// The hash of the UTF-8 bytes of a text.
pub fn hash(text: &str) -> u64 {
    let mut h = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn check_values() {
        assert_eq!(hash(""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash("p1/0:196,242"), 0x5b70_776a_9573_7325);
        assert_eq!(hash("p4/0:1"), 0xacb8_923a_fd00_0dde);
    }
}
