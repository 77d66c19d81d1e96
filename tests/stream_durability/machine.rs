//! A machine whose disk has a stream with a mirror.

use crate::common::machine::{self, Content};
pub use crate::common::machine::{SECTION_OFFSET, open};
use ringmain::{Mapped, ShardId, Start, Stream, StreamOptions};
use std::path::PathBuf;

/// A record as it was read: shard, sequence number, key, data.
pub type Read = (u32, u64, String, Vec<u8>);

pub enum Mirrored {}

impl Content for Mirrored {
    type Options = StreamOptions;
    const NAMES: [&'static str; 2] = ["s.ring", "s.ring.mirror"];

    fn create(region: &Mapped, options: StreamOptions) {
        Stream::create(region, options).expect("a stream");
    }
}

pub type Machine = machine::Machine<Mirrored>;

impl Machine {
    pub fn mirror(&self) -> PathBuf {
        self.companion()
    }
}

/// All records of a shard from its oldest on.
pub fn records(stream: &Stream<&Mapped>, shard: ShardId) -> Vec<Read> {
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let mut all = Vec::new();
    while let Ok(records) = cursor.read(1000) {
        if records.is_empty() {
            break;
        }
        for record in &records {
            let key = record.key().expect("a key").to_owned();
            let sequence = record.sequence().as_u64();
            all.push((shard.number(), sequence, key, record.data().to_vec()));
        }
    }
    all
}

/// All records of all shards, by shard.
pub fn all(stream: &Stream<&Mapped>) -> Vec<Read> {
    let mut shards: Vec<ShardId> = stream.shards().collect();
    shards.sort();
    let each = |shard: &ShardId| records(stream, *shard);
    shards.iter().flat_map(each).collect()
}
