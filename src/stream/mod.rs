//! Floor 3: streams. Records by partition key, in shards that are logs, which any number read and
//! replay.
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod asynchronous;
mod cursor;
mod fate;
mod options;
mod put;
mod quota;
mod records;
mod reshard;
mod route;
mod shared;
mod stat;
mod wait;

#[cfg(feature = "async")]
pub use asynchronous::ReadFuture;
pub use cursor::{Cursor, Start};
pub use fate::Fate;
pub use options::{FullPolicy, StreamOptions};
pub use put::{Prepared, Put, PutClaim, StreamEntry};
pub use records::{Record, Records, RecordsIter};
pub use reshard::ShardInfo;
pub use shared::{ShardId, Stream, StreamSequence};
pub use stat::{Lag, ShardStats};
