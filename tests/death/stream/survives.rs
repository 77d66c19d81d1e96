//! What of a stream survives the machine: at a moment the power goes, and another boot makes the
//! stream again from its mirror.

use super::super::board::{Fault, state};
use super::super::world::World;
use super::ground::{Log, granule, mirror_of};
use super::ledger::all_sound;
use super::survivor::Survivor;
use super::{Kept, Streamed};
use ringmain::{Error, ManualClock, Mapped, ShardId, Start, Stream};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

/// Where the boot id is in a region.
const BOOT: std::ops::Range<usize> = 48..64;

/// A stream whose machine stopped, in files of its own, and which records had to be there then.
pub struct Lost {
    path: PathBuf,
    durable: Vec<u64>,
}

impl Streamed {
    /// The power goes at this moment, in which nobody writes; `None` if nothing would survive it.
    pub fn lost(&self, world: &World) -> Option<Lost> {
        if self.kept == Kept::No {
            return None;
        }
        let path = world.dir.file("lost");
        let mut region = std::fs::read(&world.path).expect("the region");
        region[BOOT].fill(7);
        std::fs::write(&path, region).expect("room in shared memory");
        std::fs::copy(mirror_of(&world.path), mirror_of(&path)).expect("room in shared memory");
        let is_durable = |state: u32| state & state::DURABLE != 0;
        let named = world.board.named();
        let durable = named.filter(|(_, entry)| is_durable(entry.state.load(SeqCst)));
        Some(Lost {
            path,
            durable: durable.map(|(seed, _)| seed).collect(),
        })
    }
}

/// Reads all that there is; which seeds came.
fn reads(survivor: &Survivor<'_>, path: &Path) -> Result<HashSet<u64>, Error> {
    let region = Mapped::open(path)?;
    // The region's time has gone on from the latest record by less than the retention.
    let stream = Stream::open_with(&region, ManualClock::new(0))?;
    let mut seen = HashSet::new();
    for shard in stream.shards() {
        let mut cursor = stream.cursor(shard, Start::Oldest)?;
        loop {
            let records = match cursor.read(100) {
                Err(Error::ShardClosed { .. }) => break,
                records => records?,
            };
            if records.is_empty() {
                break;
            }
            for record in &records {
                all_sound(survivor.board, &record);
                let seeds = record.parts().flatten();
                let seeds = seeds.map(|part| super::super::stage::seed_in(part.data()));
                for seed in seeds {
                    if !seen.insert(seed) {
                        let what = "it comes twice after the machine stopped";
                        survivor.fault(Fault::Doubled, seed, what);
                    }
                }
            }
        }
        if stream.stat(shard)?.damaged != 0 {
            survivor.fault(
                Fault::Damaged,
                shard.number().into(),
                "the mirror has holes",
            );
        }
    }
    Ok(seen)
}

/// Where the shards begin by now: what is before was given up.
fn begins(stream: &Log) -> HashMap<u32, u64> {
    let begin = |shard: ShardId| Some((shard.number(), stream.stat(shard).ok()?.oldest.as_u64()));
    stream.shards().filter_map(begin).collect()
}

impl Survivor<'_> {
    /// All that was durable is there again, and nothing that nobody put.
    pub fn survives(&self, lost: &Lost) {
        let seen = match reads(self, &lost.path) {
            Ok(seen) => seen,
            Err(error) => {
                eprintln!("after the machine stopped: {error}");
                return self.fault(Fault::Lost, 0, "nothing is made again from the mirror");
            }
        };
        let begins = begins(self.stream);
        for seed in &lost.durable {
            let entry = self.board.known(*seed);
            let begin = begins.get(&entry.id.load(SeqCst));
            let is_kept =
                begin.is_none_or(|begin| granule(entry.sequence.load(SeqCst)) >= granule(*begin));
            if is_kept && !seen.contains(seed) {
                self.fault(
                    Fault::Lost,
                    *seed,
                    "it was on the disk, and is not there again",
                );
            }
        }
    }

    /// A commit of the survivor has all that there is.
    pub fn syncs(&self) {
        if let Err(error) = self.stream.sync() {
            eprintln!("a commit: {error}");
            self.fault(Fault::Stuck, 0, "a commit of the survivor fails");
        }
        for (_, entry) in self.board.named() {
            if entry.has(state::SENT) {
                entry.add(state::DURABLE);
            }
        }
    }
}
