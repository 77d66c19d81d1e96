//! The ground of a round on a stream.

use super::super::board::{Board, Entry, Time, state};
use super::super::ground::{Image, open_region};
use super::super::stage::Stage;
use super::super::tracer::{Stop, Traced, Way, told};
use super::consumers::CONSUMERS;
use super::ledger::{LARGE, MADE, put};
use super::{Kept, Streamed};
use ringmain::{Durability, FullPolicy, Mapped, ShardId, ShardStats, Stream, StreamOptions};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub type Log = Stream<Arc<Mapped>, Time>;

pub const RETENTION_MS: u64 = 60_000;
/// After this time a reader that is held up asks again who has died.
pub const ASKED_MS: u64 = 8;
/// Cursors of a shard at a time.
pub const READERS: usize = 3;
/// Shards at first, and at most.
const SHARDS: u32 = 2;
pub const PLACES: u32 = 6;
/// Bytes of a segment: two blocks of the tail's hint.
pub const SEGMENT: u64 = 8192;
/// Segments of a shard.
pub const SEGMENTS: u64 = 4;
const REGION_BYTES: u64 = 20_480 + 2048 + PLACES as u64 * (SEGMENTS * (SEGMENT + 1200) + 1024);
/// Longer than a round.
pub const EVERY: Durability = Durability::Interval(Duration::from_secs(3600));
/// What a stream has beside that survives the machine.
const KEPT_BYTES: u64 = 1024;

fn options(evicts: bool, kept: Kept) -> StreamOptions {
    StreamOptions::new()
        .shards(SHARDS)
        .max_shards(PLACES)
        .retention(Duration::from_millis(RETENTION_MS))
        .full(match evicts {
            true => FullPolicy::Evict,
            false => FullPolicy::Reject,
        })
        .readers(READERS as u32)
        .consumers(CONSUMERS)
        .max_data(3000)
        .durability(match kept {
            Kept::BeforeOk => Durability::BeforeOk,
            Kept::Timed => EVERY,
            Kept::No => Durability::Process,
        })
        .segment(SEGMENT as usize)
}

pub fn open(board: &'static Board, path: &Path) -> Log {
    Stream::open_with(open_region(path), Time(board)).expect("the stream opens")
}

/// The mirror of a region.
pub fn mirror_of(path: &Path) -> PathBuf {
    let mut mirror = path.as_os_str().to_owned();
    mirror.push(".mirror");
    PathBuf::from(mirror)
}

/// Which granule a sequence number means, counted from the first of all.
pub fn granule(sequence: u64) -> u64 {
    const INDEX: u64 = (1 << 30) - 1;
    (sequence >> 30) * (SEGMENTS * SEGMENT / 64) + (sequence & INDEX)
}

/// The figures of the shard with the lower hashes at first.
pub fn first(stream: &Log) -> ShardStats {
    stream.stat(ShardId::from_number(0)).expect("figures")
}

/// What the ledger knows of a record before a round.
struct Known {
    seed: u64,
    numbers: [u32; 4],
    sequence: u64,
}

/// A ground that can be laid again and again.
pub struct Ground {
    bytes: Vec<u8>,
    /// The file beside it, of a stream that survives the machine.
    mirror: Option<Vec<u8>>,
    records: Vec<Known>,
    now_ms: u64,
    /// Where the shards began, by their numbers.
    pub oldest: Vec<(ShardId, u64)>,
    /// The figures of the first shard.
    pub first: ShardStats,
}

impl Ground {
    pub fn new(board: &'static Board, path: &Path, streamed: &Streamed) -> Self {
        board.clear();
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(mirror_of(path));
        let bytes = REGION_BYTES
            + if streamed.kept == Kept::No {
                0
            } else {
                KEPT_BYTES
            };
        let region = Arc::new(Mapped::create(path, bytes).expect("a region"));
        let options = options(streamed.evicts, streamed.kept);
        let made = Stream::create_with(region, options, Time(board));
        drop(made.expect("a stream"));
        let stream = open(board, path);
        let segments = first(&stream).capacity_bytes / SEGMENT;
        assert_eq!(segments, SEGMENTS, "the rounds reckon with that");
        stream.tend().expect("tended");
        let next = Cell::new(MADE);
        let maker = Maker {
            board,
            path,
            stream,
            next,
        };
        let image = (streamed.prepare)(&maker);
        if streamed.kept != Kept::No {
            maker.stream.sync().expect("a mirror");
            maker
                .board
                .named()
                .for_each(|(_, entry)| entry.add(state::DURABLE));
        }
        let stats = |id| maker.stream.stat(id).ok();
        let stats: Vec<_> = maker.stream.shards().filter_map(stats).collect();
        let oldest = stats.iter().map(|s| (s.shard, s.oldest.as_u64())).collect();
        let first = *stats.first().expect("a shard");
        drop(maker);
        let image = image.unwrap_or_else(|| Image::of(path));
        std::fs::remove_file(path).expect("removed");
        let known = |(seed, entry): (u64, &Entry)| Known {
            seed,
            numbers: [&entry.state, &entry.len, &entry.group, &entry.id].map(|n| n.load(SeqCst)),
            sequence: entry.sequence.load(SeqCst),
        };
        Self {
            bytes: image.bytes().to_vec(),
            mirror: std::fs::read(mirror_of(path)).ok(),
            records: board.named().map(known).collect(),
            now_ms: board.now_ms(),
            oldest,
            first,
        }
    }

    /// Lays it at `path`: file, ledger and time.
    pub fn lay(&self, board: &Board, path: &Path) {
        board.clear();
        board.set_ms(self.now_ms);
        for known in &self.records {
            let entry = board.known(known.seed);
            let words = [&entry.state, &entry.len, &entry.group, &entry.id];
            for (word, number) in words.into_iter().zip(known.numbers) {
                word.store(number, SeqCst);
            }
            entry.sequence.store(known.sequence, SeqCst);
        }
        let _ = std::fs::remove_file(path);
        std::fs::write(path, &self.bytes).expect("room in shared memory");
        if let Some(mirror) = &self.mirror {
            std::fs::write(mirror_of(path), mirror).expect("room in shared memory");
        }
    }
}

/// Who prepares a ground.
pub struct Maker<'p> {
    pub board: &'static Board,
    pub path: &'p Path,
    pub stream: Log,
    next: Cell<u64>,
}

impl Maker<'_> {
    /// Puts the next record of a key.
    pub fn put(&self, key: u32, len: usize) {
        let seed = self.next.replace(self.next.get() + 1);
        put(self.board, &self.stream, (seed, key), len).expect("room");
    }

    /// Fills the first shard, up to the last granules of its last segment.
    pub fn fill(&self) {
        while first(&self.stream).bytes < SEGMENTS * SEGMENT - LARGE as u64 / 2 {
            self.put(0, LARGE);
        }
    }

    /// The retention of all that is there is over.
    pub fn ages(&self) {
        age(self.board);
    }

    /// Somebody dies in an operation: as it is an instruction before the stream is as `when` says,
    /// and then.
    pub fn dies(&self, operate: fn(&Stage<'_>), when: &dyn Fn(&Log) -> bool) -> [Image; 2] {
        let stage = Stage {
            board: self.board,
            path: self.path,
            receipts: &[],
        };
        let dying = Traced::start(|| {
            operate(&stage);
            0
        });
        let dying = dying.unwrap_or_else(|status| panic!("the dying one {}", told(status)));
        let step = Way {
            steps: 1,
            ..Way::default()
        };
        let mut image = Image::of(self.path);
        loop {
            let stop = dying.advance(step, None);
            assert!(matches!(stop, Stop::At(_)), "it passes that by");
            if when(&self.stream) {
                break;
            }
            image = Image::of(self.path);
        }
        let mut images = [image, Image::of(self.path)];
        dying.kill();
        for image in &mut images {
            image.leave(1); // the maker
            image.forget_processes();
        }
        images
    }
}

/// The retention of all that the ledger knows is over.
pub fn age(board: &Board) {
    board.pass_ms(RETENTION_MS + 1);
    for (_, entry) in board.named() {
        entry.add(state::OLD);
    }
}
