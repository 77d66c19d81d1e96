//! A machine that stops: all participants gone, another boot, and pages of the region as the kernel
//! happened to write them.

use crate::common::{Dir, Numbers};
use ringmain::{Mapped, ShardId, Start, Stream, StreamOptions};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the boot id is.
const BOOT_OFFSET: u64 = 48;
/// Where the stream's section begins, and how long the line of its configuration is.
pub const SECTION_OFFSET: u64 = 20_480;
const CONFIG_BYTES: u64 = 128;

/// A record as it was read: shard, sequence number, key, data.
pub type Read = (u32, u64, String, Vec<u8>);

/// A stream in a file with a mirror, and what one can do to it.
pub struct Machine {
    dir: Dir,
    numbers: Numbers,
}

impl Machine {
    pub fn new(name: &str, bytes: u64, options: StreamOptions) -> Self {
        let machine = Self {
            dir: Dir::new(name),
            numbers: Numbers(1),
        };
        let region = Mapped::create(machine.path(), bytes).expect("a region");
        Stream::create(&region, options).expect("a stream");
        machine
    }

    /// A machine with the files as they are at this moment, whoever uses them.
    pub fn copy(&self, name: &str) -> Self {
        let copy = Self {
            dir: Dir::new(name),
            numbers: Numbers(2),
        };
        std::fs::copy(self.path(), copy.path()).expect("the region");
        std::fs::copy(self.mirror(), copy.mirror()).expect("the mirror");
        copy
    }

    pub fn path(&self) -> PathBuf {
        self.dir.file("s.ring")
    }

    pub fn mirror(&self) -> PathBuf {
        self.dir.file("s.ring.mirror")
    }

    pub fn names(&self) -> Vec<String> {
        self.dir.names()
    }

    pub fn open(&self) -> Mapped {
        Mapped::open(self.path()).expect("the region")
    }

    /// The machine has stopped: another boot id, and whatever in the pages of the stream.
    pub fn stop(&mut self) {
        let file = open(&self.path());
        let len = file.metadata().expect("a size").len();
        file.write_all_at(&[7; 16], BOOT_OFFSET).expect("a boot id");
        let mut at = SECTION_OFFSET + CONFIG_BYTES;
        while at + 8 <= len {
            // Some words are left as they were, some are torn.
            if self.numbers.below(4) != 0 {
                let number = self.numbers.next().to_le_bytes();
                file.write_all_at(&number, at).expect("a torn word");
            }
            at += 8 * (1 + self.numbers.below(64));
        }
    }
}

pub fn open(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file")
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
