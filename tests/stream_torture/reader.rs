//! A reader, and what must hold: of each life of a writer the numbers in a shard come from 0 on,
//! each once, each whole, at growing places; one may be left out only after the reader was told of
//! a loss since the one before, and all that are left out take no more room than what was told.

use super::board::{AT, Board, Count, LIVES, Progress, SHARDS};
use super::common::{Numbers, seed_of};
use super::writer::{RING, len};
use ringmain::StreamSequence;
use ringmain::{Cursor, DefaultClock, Error, Mapped, Record, ShardId, Start, Stream};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

type Place<'s> = Cursor<'s, Mapped, DefaultClock>;

/// Which granule a sequence number means, counted from the first of all.
pub fn granule(sequence: u64) -> u64 {
    const INDEX: u64 = (1 << 30) - 1;
    ((sequence & !AT) >> 30) * (RING / 64) + (sequence & INDEX)
}

/// The least room of a record, bytes.
fn room(seed: u64) -> u64 {
    (len(seed) as u64 + 16).next_multiple_of(64)
}

/// One reader in one shard.
pub struct Reading<'s> {
    board: &'static Board,
    reader: usize,
    shard: usize,
    cursor: Place<'s>,
}

pub fn read(board: &'static Board, path: &Path, reader: usize, seed: u64) -> i32 {
    let stream = board.inside(1, || {
        Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
    });
    let mut numbers = Numbers(seed);
    let mut readings: Vec<_> = (0..SHARDS)
        .map(|shard| board.inside(1, || Reading::new(board, &stream, reader, shard)))
        .collect();
    while !board.stops() {
        let mut came = 0;
        for reading in &mut readings {
            let max = 1 + numbers.below(64) as usize;
            came += reading.step(max, numbers.below(64) == 0);
        }
        if came == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    0
}

impl<'s> Reading<'s> {
    /// Goes on where this reader's earlier lives have been.
    pub fn new(
        board: &'static Board,
        stream: &'s Stream<Mapped>,
        reader: usize,
        shard: usize,
    ) -> Self {
        let id = ShardId::from_number(shard as u32);
        let start = match board.progress[reader][shard].place.load(SeqCst) {
            0 => Start::Oldest,
            at if at & AT != 0 => Start::At(StreamSequence::from_u64(at & !AT)),
            after => Start::After(StreamSequence::from_u64(after)),
        };
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let cursor = loop {
            match stream.cursor(id, start) {
                Ok(cursor) => break cursor,
                // Those who have died have them still.
                Err(Error::Readers { .. }) if std::time::Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => {
                    board.fault(Count::Stuck, &format!("no cursor: {error}"));
                    super::os::exit(0);
                }
            }
        };
        Self {
            board,
            reader,
            shard,
            cursor,
        }
    }

    /// One read; how many records came. With `lingers` it holds them for a while.
    pub fn step(&mut self, max: usize, lingers: bool) -> usize {
        let progress = &self.board.progress[self.reader][self.shard];
        let (board, shard) = (self.board, self.shard);
        let error = match board.inside(1, || self.cursor.read(max)) {
            Ok(records) => {
                if lingers {
                    std::thread::sleep(Duration::from_millis(2));
                }
                for record in &records {
                    came(board, progress, shard, &record);
                }
                return records.len();
            }
            Err(error) => error,
        };
        let Error::Lost { bytes } = error else {
            board.fault(Count::Damaged, &format!("a read in shard {shard}: {error}"));
            return 1;
        };
        // Told before it is gone beyond: who dies here is told once more.
        progress.losses.fetch_add(1, SeqCst);
        progress.lost_bytes.fetch_add(bytes, SeqCst);
        let at = self.cursor.position().as_u64();
        progress.place.store(at | AT, SeqCst);
        if board.throttled.load(SeqCst) != 0 {
            let text = format!("{bytes} bytes, though writers wait, in shard {shard}");
            board.fault(Count::Missing, &text);
        }
        1
    }
}

/// Counts a record.
fn came(board: &Board, progress: &Progress, shard: usize, record: &Record<'_>) {
    let sequence = record.sequence().as_u64();
    let last = progress.place.load(SeqCst);
    let goes_back = match last & AT {
        0 => sequence <= last,
        _ => sequence < last & !AT,
    };
    let text = |what: &str| format!("{what} at {sequence:#x} in shard {shard}");
    if goes_back {
        board.fault(Count::Reordered, &text("behind a later one"));
    }
    let again = progress.doing.swap(sequence, SeqCst) == sequence;
    let seed = seed_of(record.data()).filter(|seed| {
        let (life, number) = ((seed >> 32) as usize, seed & 0xffff_ffff);
        let is_known = life < LIVES && {
            let written = &board.written[life][shard];
            number < written.begun.load(SeqCst)
        };
        let there = record.shard().number() as usize == shard;
        is_known && there && record.data().len() == len(*seed)
    });
    match (seed, record.key()) {
        (Some(seed), Ok(key)) if key.starts_with("shard-") => {
            expected(board, progress, seed, again, &text);
        }
        _ => board.fault(Count::Damaged, &text("bytes that nobody has put")),
    }
    progress.place.store(sequence, SeqCst);
}

/// Whether it is the next record of its life.
fn expected(
    board: &Board,
    progress: &Progress,
    seed: u64,
    again: bool,
    text: &impl Fn(&str) -> String,
) {
    let (life, number) = ((seed >> 32) as usize, seed & 0xffff_ffff);
    let known = progress.next[life].load(SeqCst);
    let (losses, next) = (known >> 32, known & 0xffff_ffff);
    let told = progress.losses.load(SeqCst);
    if again && number + 1 == next {
        return; // counted before the reader died
    }
    if number < next {
        board.fault(Count::Doubled, &text("a record comes again"));
        return;
    }
    // Stored before anything is counted: who dies in between counts too little, never twice.
    progress.next[life].store(told << 32 | (number + 1), SeqCst);
    board.count(Count::Read, 1);
    misses(board, progress, life, next..number, told > losses, text);
}

/// Counts records of a life that did not come.
pub fn misses(
    board: &Board,
    progress: &Progress,
    life: usize,
    numbers: std::ops::Range<u64>,
    was_told: bool,
    text: &impl Fn(&str) -> String,
) {
    for number in numbers {
        if !was_told {
            board.fault(Count::Missing, &text(&format!("life {life}, {number}")));
            continue;
        }
        let bytes = room(super::writer::seed(life, number));
        progress.missed_bytes.fetch_add(bytes, SeqCst);
        board.count(Count::Lost, 1);
    }
}
