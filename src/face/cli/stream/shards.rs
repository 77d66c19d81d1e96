//! `ringmain shards`: the shards of a stream.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::args::ShardsArgs;
use super::figures::instant;
use super::{AnyStream, shards_of, unless_gone};
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::say;
use crate::face::cli::spot;
use crate::{Error, ShardId};

#[derive(Debug, Serialize)]
struct Line {
    shard: String,
    /// `open`, or `closed`.
    state: &'static str,
    starting_hash_key: String,
    ending_hash_key: String,
    starting_sequence_number: String,
    /// Of a closed one.
    ending_sequence_number: Option<String>,
    oldest_sequence_number: String,
    next_sequence_number: String,
    parent: Option<String>,
    adjacent_parent: Option<String>,
    children: Vec<String>,
    bytes: u64,
    capacity_bytes: u64,
    latest_ms: Option<u64>,
    evicted_segments: u64,
    readers: u32,
}

impl Line {
    fn of(stream: &AnyStream, shard: ShardId) -> Result<Self, Error> {
        let (info, stats) = (stream.shard_info(shard)?, stream.stat(shard)?);
        let (first, last) = info.hashes;
        let named = |shard: ShardId| shard.to_string();
        Ok(Self {
            shard: shard.to_string(),
            state: match info.is_open() {
                true => "open",
                false => "closed",
            },
            starting_hash_key: format!("{first:032x}"),
            ending_hash_key: format!("{last:032x}"),
            starting_sequence_number: info.starting.to_string(),
            ending_sequence_number: info.ending.map(|at| at.to_string()),
            oldest_sequence_number: stats.oldest.to_string(),
            next_sequence_number: stats.tail.to_string(),
            parent: info.parent.map(named),
            adjacent_parent: info.adjacent_parent.map(named),
            children: info.children.into_iter().flatten().map(named).collect(),
            bytes: stats.bytes,
            capacity_bytes: stats.capacity_bytes,
            latest_ms: Some(stats.latest_ms).filter(|ms| *ms != 0),
            evicted_segments: stats.evicted_segments,
            readers: stats.readers,
        })
    }
}

/// Prints a line for each shard.
pub(in crate::face::cli) fn run(args: &ShardsArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream_for_reading(&args.path)?;
    let shards = shards_of(&stream).into_iter();
    let lines = shards.filter_map(|shard| unless_gone(Line::of(&stream, shard)).transpose());
    let lines: Result<Vec<Line>, Error> = lines.collect();
    let lines = lines.map_err(about(args.path.display()))?;
    if args.json {
        for line in &lines {
            say(serde_json::to_string(line)?)?;
        }
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "SHARD",
        "STATE",
        "FIRST HASH",
        "LAST HASH",
        "BYTES",
        "OF",
        "LATEST",
        "READERS",
    ]);
    for line in lines {
        table.add_row([
            line.shard,
            line.state.to_owned(),
            line.starting_hash_key,
            line.ending_hash_key,
            line.bytes.to_string(),
            line.capacity_bytes.to_string(),
            line.latest_ms.map_or("none".to_owned(), instant),
            line.readers.to_string(),
        ]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    for column in [4, 5, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(table.trim_fmt())?;
    Ok(Exit::Done)
}
