//! The command line of the verbs of streams.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regex::bytes::Regex;

use super::start::{From, from};
use crate::face::cli::values::size;
use crate::{Placement, ShardId};

/// A [`Placement`] by its word.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::face::cli) enum PlacementArg {
    /// xxh3-128
    Xxh3,
    /// MD5
    Md5,
}

impl core::convert::From<PlacementArg> for Placement {
    fn from(word: PlacementArg) -> Self {
        match word {
            PlacementArg::Xxh3 => Self::Xxh3,
            PlacementArg::Md5 => Self::Md5,
        }
    }
}

/// What a new stream is to be like.
#[derive(Debug, Clone, Args)]
pub(in crate::face::cli) struct StreamArgs {
    /// Make a stream: records by partition key, which any number read and replay
    #[arg(long, conflicts_with_all = [
        "fifo", "visibility", "delay", "max_body", "typical_body", "max_receives",
    ])]
    pub(in crate::face::cli) stream: bool,
    /// Into how many shards the hashes of partition keys are divided, 1 to 1024 [default: 1]
    #[arg(long, requires = "stream", value_name = "N")]
    pub(in crate::face::cli) shards: Option<u32>,
    /// How many shards there may be at a time, open ones and closed ones whose records are kept: to
    /// be split and merged, up to 1024 [default: as many as --shards]
    #[arg(long, requires = "stream", value_name = "N")]
    pub(in crate::face::cli) max_shards: Option<u32>,
    /// Have shards split, by `put` and by whoever tends, until they take twice the most that came
    /// in a second of the last 30 days; 4 at first, and up to 16 at a time, unless it is said
    #[arg(long, requires = "stream")]
    pub(in crate::face::cli) on_demand: bool,
    /// Give the oldest segment of a full shard up for new records, instead of refusing those
    #[arg(long, requires = "stream")]
    pub(in crate::face::cli) evict: bool,
    /// Largest data of a record [default: 1M, or what the region allows]
    #[arg(long, requires = "stream", value_name = "SIZE", value_parser = size)]
    pub(in crate::face::cli) max_data: Option<u64>,
    /// What is given up or written anew at once, 4K to 16M [default: a 16th of a shard]
    #[arg(long, requires = "stream", value_name = "SIZE", value_parser = size)]
    pub(in crate::face::cli) segment: Option<u64>,
    /// How many may read a shard at one time, 1 to 4096 [default: 64]
    #[arg(long, requires = "stream", value_name = "N")]
    pub(in crate::face::cli) readers: Option<u32>,
    /// How many consumers may be registered, 0 to 64 [default: 20]
    #[arg(long, requires = "stream", value_name = "N")]
    pub(in crate::face::cli) consumers: Option<u32>,
    /// Give each shard the quotas of Kinesis: a second has 1000 records or 1 MiB put, 2 MiB read
    #[arg(long, requires = "stream")]
    pub(in crate::face::cli) provisioned: bool,
    /// Which hash of its partition key gives a record its shard; md5 is Kinesis' own
    #[arg(long, requires = "stream", value_name = "HASH", default_value = "xxh3")]
    pub(in crate::face::cli) placement: PlacementArg,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct PutArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Data of records; without any, each line of standard input is a record
    pub(super) data: Vec<OsString>,
    /// The partition key, 1 to 256 characters
    #[arg(long, required_unless_present = "key_regex")]
    pub(super) key: Option<String>,
    /// Take the first group of this regular expression in the data, or all that it finds if it has
    /// none, for the partition key; --key is that of data in which it is not found
    #[arg(long, value_name = "RE", value_parser = key_regex)]
    pub(super) key_regex: Option<Regex>,
    /// The hash that chooses the shard, up to 32 hexadecimal digits [default: that of the key]
    #[arg(long, value_name = "HEX", value_parser = hash)]
    pub(super) hash: Option<u128>,
    /// Put the whole of this file as one record; `-`: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(super) file: Option<PathBuf>,
    /// Put each line of the file as a record
    #[arg(long, conflicts_with = "data")]
    pub(super) lines: bool,
    /// One JSON object a record: shard, sequence_number
    #[arg(long)]
    pub(super) json: bool,
    /// Print no shards and sequence numbers
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct TailArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Where to begin: oldest, latest, time:2026-11-26T12:00:00Z, time:5m (ago), or sequence:N,
    /// with --shard unless there is one
    #[arg(long, default_value = "oldest", value_name = "PLACE", value_parser = from)]
    pub(super) from: From,
    /// Read this shard alone: its number, or shardId-000000000000
    #[arg(long, value_name = "SHARD", value_parser = shard)]
    pub(super) shard: Option<ShardId>,
    /// Read for this registered consumer, which has a quota of its own
    #[arg(long, value_name = "NAME")]
    pub(super) consumer: Option<String>,
    /// Stop after this many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max: Option<u64>,
    /// Go on until interrupted, or until the reader of the pipe goes away
    #[arg(long)]
    pub(super) follow: bool,
    /// Shard, sequence number and partition key, each with a tab, before each record
    #[arg(long, conflicts_with = "json")]
    pub(super) order: bool,
    /// One JSON object a line: shard, sequence_number, arrived_ms, partition_key, data or
    /// data_base64
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct ShardsArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct SplitArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// The shard: its number, or shardId-000000000000
    #[arg(value_parser = shard)]
    pub(super) shard: ShardId,
    /// The first hash of the second child, up to 32 hexadecimal digits [default: in the middle]
    #[arg(long, value_name = "HEX", value_parser = hash)]
    pub(super) at: Option<u128>,
    /// One JSON object: children
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct MergeArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// A shard: its number, or shardId-000000000000
    #[arg(value_parser = shard)]
    pub(super) shard: ShardId,
    /// Its neighbour
    #[arg(value_parser = shard)]
    pub(super) adjacent: ShardId,
    /// One JSON object: children
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct ConsumersArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct ConsumerArgs {
    /// File of the stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// The consumer: 1 to 128 of A-Za-z0-9_.-
    pub(super) name: String,
}

#[derive(Debug, Args)]
pub(in crate::face::cli) struct DeleteStreamArgs {
    /// DIR/NAME
    pub(in crate::face::cli) path: PathBuf,
    /// Do not ask on a terminal
    #[arg(long)]
    pub(in crate::face::cli) yes: bool,
}

pub(in crate::face::cli) fn key_regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

fn hash(text: &str) -> Result<u128, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(digits, 16) {
        Ok(hash) if are_digits => Ok(hash),
        _ => Err("write 1 to 32 hexadecimal digits".to_owned()),
    }
}

fn shard(text: &str) -> Result<ShardId, String> {
    let digits = text.strip_prefix("shardId-").unwrap_or(text);
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(number) if are_digits => Ok(ShardId::from_number(number)),
        _ => Err("write its number, or shardId-000000000000 as `ringmain shards` does".to_owned()),
    }
}
