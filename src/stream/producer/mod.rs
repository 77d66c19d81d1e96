//! Producing: records are buffered, put in batches, and tried again.
//!
//! A producer is one participant's, and does nothing by itself: it works in the calls of its owner.
//! Records that wait are in *lanes*, one for each open shard, in the order in which they were
//! accepted. A lane is *due* when it has a batch, when its oldest record has lingered, or when a
//! refusal lies back long enough. Then its records are put from the first on: as many as one claim
//! takes, or packed in an aggregate (`stream::parts`).
//!
//! # Order
//!
//! The records of a hash are in one lane, and so are those of a key. A lane is put from its front
//! only, and a refusal of its first record holds all of it up. `put_batch` would go on behind a
//! refused record, so each claim is made here, for the records of one lane.
//!
//! # Splits and merges
//!
//! The lanes are right for one *version* of the shards: each record that waits is in the lane of
//! the shard that was open for its hash then. If the version is another one when a record is
//! accepted, or if a claim finds its shard closed, all records that wait are sorted anew, in the
//! order in which they were accepted, until the version is the same before and after.
//!
//! So a claim is in order. A: a record of a hash waits in the lane of P. B splits P. A's next
//! record of that hash is routed to a child of P: that is another version, and so the first record
//! is sorted into the lane of the child before it. Nor can the claim put a record in a shard that
//! is not that of its hash: the lane's shard is open when the claim is won, and the range of a
//! shard does not change.
//!
//! # Time
//!
//! A shard that refuses records for now ([`Error::Full`], [`Error::SegmentInUse`],
//! [`Error::ShardReserved`], [`Error::ProvisionedThroughputExceeded`]) is left alone for a random
//! time (`backoff`), or until the time of its oldest record is over: then it is tried once more,
//! and records whose time is over have that refusal for an outcome. Any other error is the record's
//! outcome at once.
//!
//! [`Error::Full`]: crate::Error::Full
//! [`Error::SegmentInUse`]: crate::Error::SegmentInUse
//! [`Error::ShardReserved`]: crate::Error::ShardReserved
//! [`Error::ProvisionedThroughputExceeded`]: crate::Error::ProvisionedThroughputExceeded

#[cfg(feature = "async")]
mod asynchronous;
mod backoff;
mod buffered;
mod options;
mod outcome;
mod run;
mod slot;
mod sort;
#[cfg(feature = "std")]
mod wait;

pub use buffered::StreamProducer;
pub use options::ProducerOptions;
pub use outcome::{PutOutcome, PutToken};
pub use slot::ProducerSlot;
