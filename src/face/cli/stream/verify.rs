//! `ringmain verify` over one stream: every record is read, and its checksum checked.

use super::{AnyStream, shards_of, unless_gone, wait};
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::{note, say};
use crate::{Error, Start};

/// How many records are read at once.
const READ_MAX: usize = 1000;

/// Reads all records that are there now, and prints each that is damaged, or sums up.
pub(in crate::face::cli) fn run(
    stream: &AnyStream,
    mut found: impl FnMut(String, String) -> Result<String, Trouble>,
) -> Result<Exit, Trouble> {
    let (mut records, mut damaged) = (0_u64, 0_u64);
    for shard in shards_of(stream) {
        let stats = unless_gone(stream.stat(shard))?;
        let cursor = unless_gone(stream.cursor(shard, Start::Oldest)).map_err(about(shard))?;
        let (Some(stats), Some(mut cursor)) = (stats, cursor) else {
            continue;
        };
        if stats.damaged != 0 {
            damaged += stats.damaged;
            let holes = format!("the disk has lost records in {} places", stats.damaged);
            say(found(shard.to_string(), holes)?)?;
        }
        let end = stats.tail;
        while cursor.position() < end {
            match cursor.read(READ_MAX) {
                Ok(read) if read.is_empty() => break,
                Ok(read) => {
                    for record in &read {
                        records += 1;
                        let sound = |part: Result<crate::Part<'_>, Error>| part?.key().map(drop);
                        if let Err(error) = record.parts().try_for_each(sound) {
                            damaged += 1;
                            say(found(place(shard, record.sequence()), error.to_string())?)?;
                        }
                    }
                }
                Err(error @ Error::RecordDamaged { sequence }) => {
                    damaged += 1;
                    let at = crate::StreamSequence::from_u64(sequence);
                    say(found(place(shard, at), error.to_string())?)?;
                }
                Err(Error::Lost { .. }) => {} // gone meanwhile, as it should
                Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => wait(wait_ms),
                Err(Error::ShardClosed { .. } | Error::NoShard { .. }) => break,
                Err(error) => return Err(about(shard)(error)),
            }
        }
    }
    for consumer in stream.consumers().map_err(about("consumers"))? {
        if let Err(error) = consumer {
            damaged += 1;
            say(found("consumers".to_owned(), error.to_string())?)?;
        }
    }
    if damaged != 0 {
        note(format_args!("{records} records sound, {damaged} damaged"));
        return Ok(Exit::Failed);
    }
    note(format_args!("sound, {records} records"));
    Ok(Exit::Done)
}

fn place(shard: crate::ShardId, sequence: crate::StreamSequence) -> String {
    format!("{shard} {sequence}")
}
