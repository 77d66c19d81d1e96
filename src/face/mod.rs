//! Floor 7: what people and other programs touch. Knows everything below, is known by none.
#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "metrics")]
pub mod metrics;
