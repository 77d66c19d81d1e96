//! Streams by name: making, opening, describing and deleting them.
//!
//! What an engine does for queues it does for streams in the same steps: a card, then a region; the
//! mark, then the files (`region::mapped::directory`). A stream has no dead letters, so its card
//! has its tags alone.

mod create;
mod describe;
mod shared;
mod spec;

pub(in crate::engine) use shared::Streams;

pub use describe::StreamDescription;
pub use spec::StreamSpec;
