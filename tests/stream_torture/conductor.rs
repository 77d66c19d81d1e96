//! The conductor: makes processes, kills them, makes others in their place; at the end of a round
//! it ends them all, has the readers read on to the end, and looks what is missing.

use super::board::{Board, Count, LIVES, READERS, SHARDS};
use super::common::{Dir, Numbers};
use super::options::Options;
use super::os::{self, Birth, End};
use super::reader::{Reading, misses, read};
use super::writer::{RING, SEGMENT, write};
use ringmain::{FullPolicy, Mapped, ShardId, Stream, StreamOptions};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const CREW: usize = WRITERS + READERS;
/// How long processes may take to end.
const ENDING: Duration = Duration::from_secs(30);

/// Figures of the run.
#[derive(Debug, Default)]
pub struct Tally {
    pub kills: u64,
    /// At an instruction in a call of the library.
    pub kills_inside: u64,
    pub written: u64,
    pub laps: u64,
    pub crashed: u64,
}

pub struct Conductor {
    pub board: &'static Board,
    dir: Dir,
    kills_a_second: u64,
    round: Duration,
    numbers: Numbers,
    /// Lives of writers in this round.
    lives: usize,
    pub tally: Tally,
}

impl Conductor {
    pub fn new(options: &Options) -> Self {
        Self {
            board: Board::new(),
            dir: Dir::shm("stream-torture"),
            kills_a_second: options.kills_a_second,
            round: Duration::from_millis(options.round_ms),
            numbers: Numbers(options.seed),
            lives: 0,
            tally: Tally::default(),
        }
    }

    /// One round; `throttled`: the writers wait for the readers, and nothing may be lost.
    pub fn round(&mut self, throttled: bool) {
        let board = self.board;
        board.clear(self.lives);
        self.lives = 0;
        board.throttled.store(throttled.into(), SeqCst);
        self.creates();
        let mut crew: Vec<i32> = (0..CREW).map(|role| self.start(role)).collect();
        let begun = Instant::now();
        while begun.elapsed() < self.round && self.lives + CREW < LIVES && !board.has_faults() {
            let mean_us = 1_000_000 / self.kills_a_second;
            let pause = Duration::from_micros(self.numbers.below(2 * mean_us));
            self.watch(&mut crew, pause);
            if self.numbers.below(2) == 0 {
                let role = self.numbers.below(CREW as u64) as usize;
                os::signal(crew[role], libc::SIGKILL);
                self.ended(
                    os::wait(crew[role], 0)
                        .expect("a child")
                        .map(|(_, end)| end),
                );
                crew[role] = self.start(role);
            } else {
                let bits = self.numbers.below(14);
                let instruction = 1 + self.numbers.below(2 << bits);
                let role = self.numbers.below(2) as usize;
                board.ambush[role].store(instruction, SeqCst);
            }
        }
        board
            .ambush
            .iter()
            .for_each(|ambush| ambush.store(0, SeqCst));
        board.stop.store(1, SeqCst);
        let deadline = Instant::now() + ENDING;
        for pid in crew {
            self.await_end(pid, deadline);
        }
        self.audit();
    }

    fn creates(&self) {
        let path = self.dir.file("q.ring");
        let _ = std::fs::remove_file(&path);
        let bytes = (24 << 10) + SHARDS as u64 * (RING + RING / 8 + 8192);
        let region = Mapped::create(&path, bytes).expect("a region");
        let options = StreamOptions::new()
            .shards(SHARDS as u32)
            .full(FullPolicy::Evict)
            .readers(2 * READERS as u32)
            .max_data(4000)
            .segment(SEGMENT);
        let stream = Stream::create(region, options).expect("a stream");
        let shard = ShardId::from_number(0);
        let bytes = stream.stat(shard).expect("figures").capacity_bytes;
        assert_eq!(bytes, RING, "places are reckoned with that");
        // No process is made while this one has the region open.
        drop(stream);
    }

    /// Puts others in the place of those who end meanwhile.
    fn watch(&mut self, crew: &mut [i32], time: Duration) {
        let begun = Instant::now();
        loop {
            for (role, pid) in crew.iter_mut().enumerate() {
                if let Ok(Some((_, end))) = os::wait(*pid, libc::WNOHANG) {
                    self.ended(Some(end));
                    self.tally.kills_inside += u64::from(end == End::Signal(libc::SIGKILL));
                    *pid = self.start(role);
                }
            }
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    }

    fn start(&mut self, role: usize) -> i32 {
        let (board, path) = (self.board, self.dir.file("q.ring"));
        let seed = self.numbers.next();
        let life = self.lives;
        if role < WRITERS {
            self.lives += 1;
        }
        let pid = os::spawn(Birth::default(), || {
            os::end_with_parent(false);
            match role {
                0..WRITERS => write(board, &path, life, seed),
                _ => read(board, &path, role - WRITERS, seed),
            }
        });
        pid.expect("a process")
    }

    fn ended(&mut self, end: Option<End>) {
        match end {
            Some(End::Signal(libc::SIGKILL)) => self.tally.kills += 1,
            Some(End::Exit(0)) => {}
            other => {
                eprintln!("stream torture: a process ended: {other:?}");
                self.tally.crashed += 1;
            }
        }
    }

    fn await_end(&mut self, pid: i32, deadline: Instant) {
        while Instant::now() < deadline {
            if let Ok(Some((_, end))) = os::wait(pid, libc::WNOHANG) {
                return self.ended(Some(end));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.board.fault(Count::Stuck, "a process does not end");
        os::signal(pid, libc::SIGKILL);
        let _ = os::wait(pid, 0);
    }

    /// All readers read to the end; and what was acknowledged is there, or was told to be lost.
    fn audit(&mut self) {
        let board = self.board;
        let region = Mapped::open(self.dir.file("q.ring")).expect("the region");
        let stream = Stream::open(region).expect("the stream");
        stream.tend().expect("tended");
        for (reader, shard) in (0..READERS).flat_map(|r| (0..SHARDS).map(move |s| (r, s))) {
            let mut reading = Reading::new(board, &stream, reader, shard);
            while reading.step(1000, false) != 0 && !board.has_faults() {}
            let progress = &board.progress[reader][shard];
            let told = progress.losses.load(SeqCst);
            for life in 0..self.lives {
                let written = board.written[life][shard].told.load(SeqCst);
                let known = progress.next[life].load(SeqCst);
                let (losses, next) = (known >> 32, known & 0xffff_ffff);
                let text = |what: &str| format!("{what}, in shard {shard}, at the end");
                misses(board, progress, life, next..written, told > losses, &text);
            }
            let [lost, missed] =
                [&progress.lost_bytes, &progress.missed_bytes].map(|bytes| bytes.load(SeqCst));
            if missed > lost {
                let text = format!("{missed} bytes, and {lost} were told, in shard {shard}");
                board.fault(Count::Missing, &text);
            }
        }
        let written = board.written[..self.lives].iter().flatten();
        let written = written.map(|written| written.told.load(SeqCst));
        self.tally.written += written.sum::<u64>();
        let tail = |shard| {
            let stat = stream.stat(ShardId::from_number(shard as u32));
            stat.expect("figures").tail.as_u64() >> 30
        };
        self.tally.laps += (0..SHARDS).map(tail).sum::<u64>();
    }
}
