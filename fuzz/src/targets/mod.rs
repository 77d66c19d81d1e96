//! The targets, by name. A new one is a file here, an entry in this table, a file of three lines in
//! fuzz_targets and a `[[bin]]` in Cargo.toml; seeds.rs gives it its first inputs.

pub mod exercise;
pub mod in_use;
pub mod journal;
pub mod operations;
pub mod receipt;
pub mod region;
pub mod ring;
pub mod stream;
pub mod stream_region;

/// A target: takes any bytes, and panics if it finds something.
pub type Run = fn(&[u8]);

/// All of them, each with its name.
pub const TARGETS: [(&str, Run); 8] = [
    ("region", region::run),
    ("in_use", in_use::run),
    ("operations", operations::run),
    ("receipt", receipt::run),
    ("ring", ring::run),
    ("journal", journal::run),
    ("stream", stream::run),
    ("stream_region", stream_region::run),
];
