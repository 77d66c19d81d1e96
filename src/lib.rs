#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(all(feature = "std", not(ringmain_loom)))]
mod engine;
mod error;
#[cfg(all(any(feature = "cli", feature = "metrics"), not(ringmain_loom)))]
#[doc(hidden)]
pub mod face;
mod hash;
#[cfg(not(ringmain_loom))]
mod message;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod pod;
mod queue;
mod region;
pub mod ring;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
mod stream;
#[cfg(ringmain_loom)]
pub mod sync;
#[cfg(not(ringmain_loom))]
mod sync;
mod time;
#[cfg(not(ringmain_loom))]
mod trace;
#[cfg(all(any(feature = "std", feature = "async"), not(ringmain_loom)))]
mod wait;

#[cfg(all(feature = "std", feature = "fifo", not(ringmain_loom)))]
pub use engine::EngineFifoQueue;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use engine::{
    Alarm, AlarmOptions, AlarmState, Comparison, DeadLetterPolicy, DefaultHome, Engine,
    EngineQueue, Finding, Metric, MissingData, Monitor, Problem, QueueDescription, QueueSpec,
    RedriveOptions, RedriveState, RedriveStatus, Report, Statistic, Transition,
};
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use engine::{Collected, LargeBatch, LargeOptions, LargeQueue, LargeReader, LargeReceived};
#[cfg(all(feature = "std", feature = "stream", not(ringmain_loom)))]
pub use engine::{EngineStream, StreamDescription, StreamSpec};
pub use error::Error;
#[cfg(all(feature = "metrics", not(ringmain_loom)))]
#[doc(inline)]
pub use face::metrics;
#[cfg(not(ringmain_loom))]
pub use message::{Attributes, AttributesIter, Message, Value};
#[cfg(not(ringmain_loom))]
pub use queue::{Batch, Claim, Copied, MessageId, Outcomes, Queue, QueueOptions, QueueStats};
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub use queue::{
    DedupScope, FifoEntry, FifoOptions, FifoQueue, FifoSent, FifoStats, SequenceNumber,
};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use queue::{LatencyBucket, LatencyHistogram, QueueRates};
#[cfg(not(ringmain_loom))]
pub use queue::{MessageState, Peek, PeekCursor, Peeked, Peeks};
#[cfg(not(ringmain_loom))]
pub use queue::{Receipt, Received};
#[cfg(all(feature = "async", not(ringmain_loom)))]
pub use queue::{ReceiveBatchFuture, ReceiveFuture};
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub use region::FixedFifo;
#[cfg(all(feature = "alloc", not(ringmain_loom)))]
pub use region::Heap;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use region::Mapped;
#[cfg(all(feature = "std", feature = "stream", not(ringmain_loom)))]
pub use region::NamedStream;
#[cfg(not(ringmain_loom))]
pub use region::{Borrowed, Fixed, Linked, Region, Tended};
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use region::{Durability, Position};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use region::{Home, Named};
#[cfg(all(feature = "stream", feature = "async", not(ringmain_loom)))]
pub use stream::ReadFuture;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
pub use stream::{
    Capacity, ConsumerInfo, ConsumerName, ConsumerStats, Cursor, Demand, Fate, FullPolicy, Lag,
    Part, Parts, Placement, Prepared, ProducerOptions, ProducerSlot, Put, PutClaim, PutOutcome,
    PutToken, Record, Records, RecordsIter, ShardId, ShardInfo, ShardStats, ShardWriter, Start,
    Stream, StreamConsumer, StreamEntry, StreamOptions, StreamProducer, StreamSequence,
    Subscription, SubscriptionEnd,
};
#[cfg(feature = "std")]
pub use time::SystemClock;
pub use time::{Clock, DefaultClock, ManualClock};
#[cfg(all(any(feature = "std", feature = "async"), not(ringmain_loom)))]
pub use wait::Waitable;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use wait::wait_any;
#[cfg(all(feature = "async", not(ringmain_loom)))]
pub use wait::{WaitAnyFuture, wait_any_async};

/// What the models are made of; present only under `cfg(ringmain_loom)`.
#[cfg(ringmain_loom)]
#[doc(hidden)]
pub mod internals {
    pub use crate::queue::{place, sweep};
    #[cfg(feature = "stream")]
    pub use crate::region::kept;
    pub use crate::region::{
        arena, duty, event, fifo, layout, marks, moving, peek, repair, store, word,
    };
    pub use crate::ring::{blocks, chains, due, maps, tickets};
    #[cfg(feature = "stream")]
    pub use crate::ring::{log, roster, shards};
}

/// Compiles the examples of a page of the documentation.
#[cfg(all(doctest, feature = "mapped"))]
#[doc = include_str!("../docs/durability.md")]
mod durability_page {}

/// As above.
#[cfg(all(doctest, feature = "mapped"))]
#[doc = include_str!("../docs/large.md")]
mod large_page {}

/// As above.
#[cfg(all(doctest, feature = "metrics", feature = "mapped"))]
#[doc = include_str!("../docs/metrics.md")]
mod metrics_page {}

/// As above.
#[cfg(all(doctest, feature = "fifo", feature = "std"))]
#[doc = include_str!("../docs/fifo.md")]
mod fifo_page {}

/// As above.
#[cfg(all(doctest, feature = "stream", feature = "mapped"))]
#[doc = include_str!("../docs/streams.md")]
mod streams_page {}
