//! `ringmain split` and `ringmain merge`.

use serde::Serialize;

use super::args::{MergeArgs, SplitArgs};
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::say;
use crate::face::cli::spot;
use crate::{Error, ShardId};

#[derive(Serialize)]
struct Line {
    children: Vec<String>,
}

/// Prints the shards that were opened, a line each.
fn tell(children: &[ShardId], json: bool) -> Result<Exit, Trouble> {
    let children: Vec<String> = children.iter().map(ShardId::to_string).collect();
    match json {
        true => say(serde_json::to_string(&Line { children })?)?,
        false => say(children.join("\n"))?,
    }
    Ok(Exit::Done)
}

/// Splits a shard.
pub(in crate::face::cli) fn split(args: &SplitArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let told = || about::<Error>(args.path.display());
    let (first, last) = stream.shard_info(args.shard).map_err(told())?.hashes;
    // The first hash of the upper half.
    let middle = first.saturating_add(last.saturating_sub(first) / 2 + 1);
    let children = stream.split(args.shard, args.at.unwrap_or(middle));
    tell(&children.map_err(told())?, args.json)
}

/// Merges two shards.
pub(in crate::face::cli) fn merge(args: &MergeArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let child = stream.merge(args.shard, args.adjacent);
    tell(&[child.map_err(about(args.path.display()))?], args.json)
}
