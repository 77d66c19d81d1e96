//! Floor 6: what stands on queues and on files together.
#![forbid(unsafe_code)]

mod large;

pub use large::{Collected, LargeBatch, LargeOptions, LargeQueue, LargeReader, LargeReceived};
