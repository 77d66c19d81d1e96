//! Floor 3, under its siblings: waiting.
//!
//! What queues and streams share of it: how a thread waits at a region, and waiting for several of
//! them at once. Each says for itself what it waits for (`Waitable`).
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
mod any;
#[cfg(feature = "async")]
mod any_async;
#[cfg(feature = "std")]
mod thread;
mod waitable;

#[cfg(feature = "std")]
pub use any::wait_any;
#[cfg(feature = "async")]
pub use any_async::{WaitAnyFuture, wait_any_async};
#[cfg(feature = "std")]
pub(crate) use thread::{WAIT_MS_MAX, Waiting, check_wait};
pub use waitable::Waitable;
pub(crate) use waitable::sealed;
