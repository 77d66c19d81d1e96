//! What every role has in hand: its place on the board, its queue, its numbers.

use super::ambush;
use super::board::{Board, Life, Tick};
use super::common::Numbers;
use ringmain::{FifoQueue, Mapped};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Groups; small numbers are used more.
pub const GROUPS: u64 = 40;
/// The visibility timeout of the queue, ms.
pub const VISIBILITY_MS: u64 = 60;
/// What receives may ask for at most, ms.
pub const VISIBILITY_MS_MAX: u64 = 150;

pub type Queue = FifoQueue<Mapped, Tick>;

/// What all processes know.
#[derive(Clone)]
pub struct Tools {
    pub board: &'static Board,
    pub path: PathBuf,
    /// The deduplication interval, ms.
    pub window_ms: u64,
    /// One of so many ids is sent again when its window ends.
    pub renewed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Producer,
    Consumer,
}

/// One process.
pub struct Hand {
    pub role: Role,
    pub tools: Tools,
    pub life: &'static Life,
    /// Unlike that of any other life.
    pub number: u64,
    pub numbers: Numbers,
    pub calls: u32,
    pub tokens: u64,
}

impl Hand {
    pub fn new(tools: Tools, role: Role, (place, number): (usize, u64), seed: u64) -> Self {
        let life = &tools.board.lives[place];
        Self {
            role,
            life,
            tools,
            number,
            numbers: Numbers(seed),
            calls: 0,
            tokens: 0,
        }
    }

    pub fn open(&self) -> Queue {
        self.inside(|| {
            let region = Mapped::open(&self.tools.path).expect("the region");
            FifoQueue::open_with(region, Tick).expect("the queue")
        })
    }

    /// Ends in an orderly way.
    pub fn close(self, queue: Queue) {
        self.life.ends();
        self.inside(|| drop(queue));
    }

    pub fn goes_on(&self) -> bool {
        !self.tools.board.stops() && self.life.has_room()
    }

    /// A call of the library, in which it may die or stand still for a while.
    pub fn inside<T>(&self, call: impl FnOnce() -> T) -> T {
        let ambush = &self.tools.board.ambush[self.role as usize];
        let order = match ambush.load(Ordering::Relaxed) {
            0 => 0,
            _ => ambush.swap(0, Ordering::SeqCst),
        };
        let Some(pause_ms) = (order >> 32).checked_sub(1) else {
            return self.inside_as(1, call);
        };
        if pause_ms == 0 {
            self.life.ends();
        }
        let pause = Some(pause_ms).filter(|ms| *ms != 0);
        self.inside_as(1, || ambush::through(order & 0xffff_ffff, pause, call))
    }

    /// A call of the library that may sleep.
    pub fn asleep<T>(&self, call: impl FnOnce() -> T) -> T {
        self.inside_as(2, call)
    }

    fn inside_as<T>(&self, kind: u64, call: impl FnOnce() -> T) -> T {
        self.life.inside.store(kind, Ordering::Relaxed);
        let value = call();
        self.life.inside.store(0, Ordering::Relaxed);
        value
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.numbers.below(end)
    }

    /// Whether it happens, once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A group; some are more popular.
    pub fn group(&mut self) -> u32 {
        let end = self.below(GROUPS) + 1;
        self.below(end) as u32
    }
}

/// The name of a group, or of an id: one in five is longer than what is kept as it is.
pub fn name(number: u64) -> String {
    match number % 5 {
        4 => format!("{number:x>100x}"),
        _ => format!("{number:x}"),
    }
}

/// The number in a name.
pub fn number(name: Option<&str>) -> u64 {
    let digits = name.expect("a name").trim_start_matches('x');
    u64::from_str_radix(digits, 16).expect("a number")
}
