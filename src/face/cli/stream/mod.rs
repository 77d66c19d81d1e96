//! The verbs of streams: `put`, `tail`, `shards`; `create`, `stat` and `verify` as far as they are
//! of streams.

pub(super) mod args;
mod create;
mod describe;
mod figures;
mod flow;
mod line;
mod put;
mod shards;
mod start;
mod tail;
mod verify;

pub(super) use create::run as create;
pub(super) use describe::DescribedStream;
pub(super) use figures::Figures;
pub(super) use flow::Flow;
pub(super) use put::run as put;
pub(super) use shards::run as shards;
pub(super) use tail::run as tail;
pub(super) use verify::run as verify;

use super::any::AnyRegion;
use crate::{Error, ShardId, Stream};

/// A stream of the command line, wherever it lies.
pub(super) type AnyStream = Stream<AnyRegion>;

/// The first and the last hash of a shard.
fn hash_range(stream: &AnyStream, shard: ShardId) -> Result<(u128, u128), Error> {
    stream.hash_range(shard)
}
