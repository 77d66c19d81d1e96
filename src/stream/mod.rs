//! Floor 3: streams. Records by partition key, in shards that are logs, which any number read and
//! replay.
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod asynchronous;
mod consumers;
mod cursor;
mod demand;
mod durability;
mod fate;
mod options;
mod parts;
mod placement;
mod producer;
mod put;
mod quota;
mod records;
mod reshard;
mod route;
mod shared;
mod stat;
mod wait;
mod writer;

#[cfg(feature = "async")]
pub use asynchronous::ReadFuture;
pub use consumers::{
    ConsumerInfo, ConsumerName, ConsumerStats, StreamConsumer, Subscription, SubscriptionEnd,
};
pub use cursor::{Cursor, Start};
pub use demand::{Capacity, Demand};
pub use fate::Fate;
pub use options::{FullPolicy, StreamOptions};
pub use parts::{Part, Parts};
pub use placement::Placement;
pub use producer::{ProducerOptions, ProducerSlot, PutOutcome, PutToken, StreamProducer};
pub use put::{Prepared, Put, PutClaim, StreamEntry};
pub use records::{Record, Records, RecordsIter};
pub use reshard::ShardInfo;
pub use shared::{ShardId, Stream, StreamSequence};
pub use stat::{Lag, ShardStats};
pub use writer::ShardWriter;
