//! What `ringmain stat` and `ringmain top` show of a stream's registered consumers.

use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;

use super::{AnyStream, shards_of, unless_gone};
use crate::{ConsumerInfo, Error};

/// A consumer's figures: of all shards, and of each.
#[derive(Debug, Clone, Serialize)]
pub(in crate::face::cli) struct Consumer {
    name: String,
    created_ms: u64,
    /// How many shards it is subscribed to.
    subscribed: usize,
    /// Records that it has not read, of the shards in which it has read; none if there is none.
    lag_records: Option<u64>,
    lag_bytes: Option<u64>,
    /// The age of the oldest one of these.
    pub(in crate::face::cli) lag_ms: Option<u64>,
    shards: Vec<Followed>,
}

/// A shard, as a consumer has it.
#[derive(Debug, Clone, Serialize)]
struct Followed {
    shard: String,
    /// Of the next record that it will read.
    sequence_number: Option<String>,
    lag_records: Option<u64>,
    lag_ms: Option<u64>,
    subscribed: bool,
}

impl Consumer {
    /// All that are registered, by their names. Those whose names are damaged are left out:
    /// `verify` tells of them.
    pub(super) fn all(stream: &AnyStream) -> Result<Vec<Self>, Error> {
        let mut infos: Vec<ConsumerInfo> = stream.consumers()?.filter_map(Result::ok).collect();
        infos.sort_by_key(|info| info.name);
        let mut all = Vec::with_capacity(infos.len());
        for info in infos {
            match Self::of(stream, &info) {
                Ok(consumer) => all.push(consumer),
                Err(Error::NoConsumer) => {} // deregistered meanwhile
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn of(stream: &AnyStream, info: &ConsumerInfo) -> Result<Self, Error> {
        let consumer = stream.consumer(&info.name)?;
        let mut told = Self {
            name: info.name.to_string(),
            created_ms: info.created_ms,
            subscribed: 0,
            lag_records: None,
            lag_bytes: None,
            lag_ms: None,
            shards: Vec::new(),
        };
        for shard in shards_of(stream) {
            let Some(stats) = unless_gone(consumer.stat(shard))? else {
                continue;
            };
            told.subscribed += usize::from(stats.subscribed);
            if let Some(lag) = stats.lag {
                *told.lag_records.get_or_insert_default() += lag.records;
                *told.lag_bytes.get_or_insert_default() += lag.bytes;
                told.lag_ms = told.lag_ms.max(Some(lag.ms));
            }
            told.shards.push(Followed {
                shard: shard.to_string(),
                sequence_number: stats.position.map(|position| position.to_string()),
                lag_records: stats.lag.map(|lag| lag.records),
                lag_ms: stats.lag.map(|lag| lag.ms),
                subscribed: stats.subscribed,
            });
        }
        Ok(told)
    }

    /// A row of figures for people.
    pub(super) fn row(&self) -> (String, String) {
        let lag = match (self.lag_records, self.lag_ms) {
            (Some(0), _) => "nothing left".to_owned(),
            (Some(records), Some(ms)) => {
                let age = format_duration(Duration::from_millis(ms));
                format!("{records} records behind, {age}")
            }
            _ => "nothing read".to_owned(),
        };
        let (subscribed, shards) = (self.subscribed, self.shards.len());
        let text = format!("{lag}, subscribed to {subscribed} of {shards}");
        (format!("consumer {}", self.name), text)
    }
}
