//! The verbs of streams: `put`, `tail`, `shards`, `split`, `merge`, `consumers` and who is among
//! them; `create`, `stat` and `verify` as far as they are of streams.

pub(super) mod args;
mod consumers;
mod create;
mod describe;
mod figures;
mod flow;
mod followers;
mod key;
mod line;
mod put;
mod reshard;
mod shards;
mod start;
mod tail;
mod verify;

pub(super) use consumers::{deregister, list as consumers, register};
pub(super) use create::run as create;
pub(super) use describe::DescribedStream;
pub(super) use figures::Figures;
pub(super) use flow::Flow;
pub(super) use key::key_of;
pub(super) use put::run as put;
pub(super) use reshard::{merge, split};
pub(super) use shards::run as shards;
pub(super) use tail::run as tail;
pub(super) use verify::run as verify;

use std::time::Duration;

use super::any::AnyRegion;
use crate::{Error, ShardId, Stream};

/// A stream of the command line, wherever it lies.
pub(super) type AnyStream = Stream<AnyRegion>;

/// The shards of a stream that are there, in the order in which they were made.
fn shards_of(stream: &AnyStream) -> Vec<ShardId> {
    let mut shards: Vec<ShardId> = stream.shards().collect();
    shards.sort_unstable();
    shards
}

/// Waits until a quota allows more: it is one of a second.
fn wait(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms.min(1000)));
}

/// What is known of a shard, unless it has gone since it was seen.
fn unless_gone<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(known) => Ok(Some(known)),
        Err(Error::NoShard { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
