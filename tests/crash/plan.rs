//! A child's part of a history: how long, by how many, and where its random steps come from.

use crate::common::Numbers;
use ringmain::Durability;
use std::path::PathBuf;
use std::time::Duration;

/// When a history's operations are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// When they return.
    BeforeOk,
    /// Some milliseconds later, or when `sync` returns.
    Interval,
    /// When `sync` returns, or an operation through the own handle of the queue or stream.
    Process,
}

impl Level {
    pub fn durability(self) -> Durability {
        match self {
            Self::BeforeOk | Self::Process => Durability::BeforeOk,
            Self::Interval => Durability::Interval(Duration::from_millis(3)),
        }
    }
}

/// A child's part of a history.
#[derive(Debug, Clone)]
pub struct Plan<F> {
    pub path: PathBuf,
    pub level: Level,
    pub form: F,
    pub threads: u64,
    pub steps: u64,
    /// Which child of the history this is.
    pub child: u64,
    /// Whether it first looks at what is there, since the machine has just started.
    pub look: bool,
    pub seed: u64,
}

impl<F: Sync> Plan<F> {
    /// Works by as many threads as there are to be.
    pub fn by_threads(&self, work: impl Fn(u64) + Sync) {
        let work = &work;
        std::thread::scope(|scope| {
            for who in 1..self.threads {
                scope.spawn(move || work(who));
            }
            work(0);
        });
    }

    /// What makes the steps of a thread random.
    pub fn numbers(&self, who: u64) -> Numbers {
        Numbers(self.seed ^ (who << 32))
    }

    /// The number of what a thread sends or puts, which nothing else in the history has.
    pub fn number(&self, who: u64, nth: u64) -> u64 {
        self.child << 24 | who << 20 | nth
    }

    /// Whether the next step is one at level *process*, of which most are.
    pub fn is_at_process(&self, numbers: &mut Numbers) -> bool {
        self.level == Level::Process && numbers.below(16) != 0
    }
}

/// How many steps an attachment makes, of those that are left: now and then one goes, and another
/// one comes.
pub fn spell(left: &mut u64, numbers: &mut Numbers) -> Option<u64> {
    if *left == 0 {
        return None;
    }
    let some = (*left).min(20 + numbers.below(200));
    *left -= some;
    Some(some)
}
