//! Floor 3: standard and FIFO queues.
//!
//! What a queue does is policy over the arena of floor 2: where the next message goes
//! ([`place`]), which comes next ([`sweep`]), how long it stays invisible, what a receipt may do,
//! and who is woken.
#![forbid(unsafe_code)]

pub mod place;
pub mod sweep;

#[cfg(all(feature = "async", not(ringmain_loom)))]
mod asynchronous;
#[cfg(not(ringmain_loom))]
mod batch;
#[cfg(not(ringmain_loom))]
mod dead;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod durability;
#[cfg(not(ringmain_loom))]
mod envelope;
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
mod fifo;
#[cfg(not(ringmain_loom))]
mod in_flight;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod large;
#[cfg(all(feature = "std", not(ringmain_loom)))]
mod latency;
#[cfg(not(ringmain_loom))]
mod options;
#[cfg(not(ringmain_loom))]
mod peek;
#[cfg(not(ringmain_loom))]
mod purge;
#[cfg(all(feature = "std", not(ringmain_loom)))]
mod rates;
#[cfg(not(ringmain_loom))]
mod receipt;
#[cfg(not(ringmain_loom))]
mod receive;
#[cfg(not(ringmain_loom))]
mod received;
#[cfg(not(ringmain_loom))]
mod redrive;
#[cfg(not(ringmain_loom))]
mod send;
#[cfg(not(ringmain_loom))]
mod settle;
#[cfg(not(ringmain_loom))]
mod standard;
#[cfg(not(ringmain_loom))]
mod stat;
#[cfg(all(test, feature = "std", not(ringmain_loom)))]
mod stray;
#[cfg(all(feature = "std", not(ringmain_loom)))]
mod wait;
#[cfg(all(any(feature = "std", feature = "async"), not(ringmain_loom)))]
mod waitable;

#[cfg(all(feature = "async", not(ringmain_loom)))]
pub use asynchronous::{ReceiveBatchFuture, ReceiveFuture};
#[cfg(not(ringmain_loom))]
pub use batch::{Batch, Outcomes};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) use dead::Moved;
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub use fifo::{
    DedupScope, FifoEntry, FifoOptions, FifoQueue, FifoSent, FifoStats, SequenceNumber,
};
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub(crate) use large::KEPT_MS_MAX;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use latency::{LatencyBucket, LatencyHistogram};
#[cfg(not(ringmain_loom))]
pub use options::QueueOptions;
#[cfg(not(ringmain_loom))]
pub use peek::{MessageState, Peek, PeekCursor, Peeked, Peeks};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use rates::QueueRates;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) use rates::increase;
#[cfg(not(ringmain_loom))]
pub use receipt::{MessageId, Receipt};
#[cfg(not(ringmain_loom))]
pub use received::{Copied, Received};
#[cfg(not(ringmain_loom))]
pub use send::Claim;
#[cfg(not(ringmain_loom))]
pub use standard::Queue;
#[cfg(not(ringmain_loom))]
pub use stat::QueueStats;
