//! Streams, in each home: `cargo test --test stream`.
#![cfg(all(feature = "stream", feature = "mapped"))]

mod basics;
