//! How much was put into a stream between two looks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{AnyStream, shards_of, unless_gone};
use crate::{Error, ShardId, Start, StreamSequence};

/// Where the shards of a stream ended at the last look.
#[derive(Debug, Default)]
pub(in crate::face::cli) struct Flow {
    tails: Option<BTreeMap<ShardId, StreamSequence>>,
}

/// What was put a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::face::cli) struct PutRates {
    pub(in crate::face::cli) records: f64,
    pub(in crate::face::cli) bytes: f64,
}

impl Flow {
    /// What was put since the last look, `passed` ago. `None` at the first look, and if a shard has
    /// no reader's place free. What has gone already is not counted.
    ///
    /// It walks over the headers of what was put.
    pub(in crate::face::cli) fn look(
        &mut self,
        stream: &AnyStream,
        passed: Option<Duration>,
    ) -> Result<Option<PutRates>, Error> {
        let mut tails = BTreeMap::new();
        for shard in shards_of(stream) {
            if let Some(stats) = unless_gone(stream.stat(shard))? {
                tails.insert(shard, stats.tail);
            }
        }
        let before = self.tails.replace(tails);
        let (Some(before), Some(passed)) = (before, passed) else {
            return Ok(None);
        };
        let (mut records, mut bytes) = (0, 0);
        for shard in shards_of(stream) {
            // A shard that was not there then has all of its records from since then.
            let start = before
                .get(&shard)
                .map_or(Start::Oldest, |at| Start::At(*at));
            let lag = match stream.cursor(shard, start) {
                Ok(mut cursor) => unless_gone(cursor.lag())?.unwrap_or_default(),
                Err(Error::NoShard { .. }) => continue, // it has gone since it was seen
                Err(Error::Readers { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            records += lag.records;
            bytes += lag.bytes;
        }
        let seconds = passed.as_secs_f64().max(1e-3);
        Ok(Some(PutRates {
            records: records as f64 / seconds,
            bytes: bytes as f64 / seconds,
        }))
    }
}
