//! The foretaste command.
fn main() {}
