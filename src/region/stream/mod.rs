//! Streams in memory: shards, and the records in them.
//!
//! [`layout`] says what lies where, [`memory`] makes and checks it, and a [`Shard`] is one of them
//! as references: the words of its [`log`](crate::ring::log), and the bytes of its granules, which
//! this room reads and writes (`record`).

mod consumers;
mod demand;
mod keep;
mod layout;
mod memory;
#[cfg(feature = "std")]
mod named;
mod reader;
mod record;
mod reserved;
mod seek;
mod site;
#[cfg(feature = "mapped")]
mod verify;
#[cfg(feature = "async")]
mod waiting;

pub use consumers::{NAME_BYTES_MAX, NAME_WORDS};
pub use demand::Rate;
#[cfg(feature = "mapped")]
pub use keep::Keep;
#[cfg(feature = "mapped")]
pub(super) use keep::{LedgerHead, LedgerPlace, LedgerSeat};
pub use layout::{
    CONSUMERS_MAX, GRANULE_BYTES, KIND_STREAM, PINS_MAX, RETENTION_MS_MAX, SHARDS_MAX, StreamShape,
    TIME_MS_MAX,
};
#[cfg(feature = "mapped")]
pub(super) use layout::{DELETED, FLAG_POSITIONS, Notes, StreamHead};
#[cfg(feature = "mapped")]
pub(super) use memory::StreamSettings;
pub use memory::{StreamPlace, StreamWish};
pub(super) use memory::{fit, format};
#[cfg(feature = "std")]
pub use named::{NamedStream, is_deleted, mark_deleted};
pub use reader::{Held, ShardReader};
pub use record::{KEY_BYTES_MAX, Reading, Stored, Writing};
pub use reserved::Reserved;
pub use site::{Places, Shard, Site};
#[cfg(feature = "mapped")]
pub(super) use verify::verify;
#[cfg(all(feature = "async", feature = "mapped"))]
pub(super) use waiting::parts;
