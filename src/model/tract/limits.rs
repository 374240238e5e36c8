//! How large a graph may be and how much a run of it may take. `bundle_format.md` has the same table; a test compares
//! them.

/// Bytes of an ONNX file.
pub const FILE_BYTES: u64 = 512 << 20;
/// Bytes of an ONNX file beside the raw data of its initializers. An empty message of two bytes takes several hundred
/// when it is decoded.
pub const STRUCTURE_BYTES: u64 = 512 << 10;
/// Nodes of a graph.
pub const NODES: u64 = 1024;
/// Bytes of all values that are there at one moment of a run: inputs and what nodes give, without the constants of the
/// file.
pub const VALUE_BYTES: u64 = 256 << 20;
/// Steps of a run: a multiply-add of a matrix product is one.
pub const STEPS: u64 = 1 << 33;
/// Steps for each number that a node gives, and for each that a product or a sum reads.
pub const STEPS_A_NUMBER: u64 = 64;
/// Steps for each pair of matrices that a product multiplies, and for each matrix of it, beside its multiply-adds.
pub const STEPS_A_MATRIX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_format_has_the_same_limits() {
        let page = include_str!("../../docs/bundle_format.md");
        let section = page.split("Limits of a graph").nth(1).and_then(|rest| rest.split("\n\n").nth(1)).unwrap();
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        for (limit, name) in [
            (mib(FILE_BYTES), "a file"),
            (format!("{} KiB", STRUCTURE_BYTES >> 10), "a file without the raw data of its initializers"),
            (format!("{},024", NODES / 1000), "nodes"),
            (mib(VALUE_BYTES), "all values that are there at one moment of a run"),
            (format!("2{}", ["³¹", "³²", "³³", "³⁴"][STEPS.ilog2() as usize - 31]), "steps of a run"),
            (format!("{STEPS_A_NUMBER}"), "steps for a number"),
            (format!("{},096", STEPS_A_MATRIX / 1000), "steps for a matrix"),
        ] {
            assert!(section.lines().any(|row| row.contains(&limit) && row.contains(name)), "{name}: {limit} in {section}");
        }
    }
}
