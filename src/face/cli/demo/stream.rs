//! The demo's stream: how it is made, and how it is split and merged while it runs.

use std::time::Duration;

use super::super::exit::Trouble;
use super::progress::Progress;
use crate::face::cli::any::AnyRegion;
use crate::{Error, FullPolicy, ShardInfo, Stream, StreamOptions};

pub(super) const PRODUCERS: u32 = 2;
pub(super) const READERS: u32 = 2;

pub(super) const REGION_BYTES: u64 = 96 << 20;
/// Records that may be put and not read: some 1 MB of the 12 MB that a shard has.
pub(super) const UNREAD_MAX: u64 = 4000;
const SHARDS: u32 = 2;
const SHARDS_MAX: u32 = 8;
const RETENTION: Duration = Duration::from_secs(60);

/// How often shards were changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changes {
    pub(super) splits: u64,
    pub(super) merges: u64,
}

pub(super) fn create(region: AnyRegion) -> Result<Stream<AnyRegion>, Error> {
    let options = StreamOptions::new()
        .shards(SHARDS)
        .max_shards(SHARDS_MAX)
        .retention(RETENTION)
        .full(FullPolicy::Evict);
    Stream::create(region, options)
}

fn open_shards(stream: &Stream<AnyRegion>) -> Vec<ShardInfo> {
    let info = |shard| stream.shard_info(shard).ok();
    let mut open: Vec<_> = stream
        .shards()
        .filter_map(info)
        .filter(ShardInfo::is_open)
        .collect();
    open.sort_by_key(|info| info.hashes);
    open
}

/// Splits a shard, or merges two, in turn. Not as long as closed ones have all places.
pub(super) fn change(stream: &Stream<AnyRegion>, changes: &mut Changes) -> Result<(), Trouble> {
    let open = open_shards(stream);
    let changed = match open.as_slice() {
        [low, high, ..] if changes.splits > changes.merges => stream
            .merge(low.shard, high.shard)
            .map(|_| changes.merges += 1),
        [wide, ..] => {
            let (first, last) = wide.hashes;
            let middle = first + (last - first) / 2;
            stream
                .split(wide.shard, middle)
                .map(|_| changes.splits += 1)
        }
        [] => return Err(Trouble::new("a stream without open shards")),
    };
    match changed {
        Ok(()) | Err(Error::ShardLimit { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether each reader has read all that there is.
pub(super) fn is_read(stream: &Stream<AnyRegion>, progress: &Progress) -> Result<bool, Trouble> {
    for reader in 0..READERS {
        let at = progress.checkpoint(reader)?;
        for shard in stream.shards() {
            let tail = match stream.shard_info(shard)?.is_open() {
                true => Some(stream.stat(shard)?.tail.as_u64()),
                false => None,
            };
            if !at.shards.contains(&(shard.number(), tail)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
