//! Runs a journal for a while, times each commit, and then reads back what was committed.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    Column,
    message::{Body, Tally, bodies, number},
};
use crate::sample::Failure;

/// A sample has at least this many commits of each thread, however slow the disk is.
const COMMITS_MIN: usize = 4;

/// Something that keeps messages on a disk.
pub trait Journal: Sync {
    /// A handle that commits, for one thread of one sample.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn writer(&self, thread: usize) -> Result<Box<dyn Writer + '_>, Failure>;

    /// Reads back what was committed since the last call, `committed` of them, counts it, and makes
    /// room. Nobody writes meanwhile, and nobody times it.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn settle(&self, committed: Tally) -> Result<Tally, Failure>;
}

/// Commits.
pub trait Writer {
    /// Puts all bodies on the disk and returns when they are there.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure>;
}

/// What one sample ran.
#[derive(Debug, Clone, Serialize)]
pub struct Measure {
    /// Messages that were committed.
    pub messages: u64,
    /// Commits, of all threads.
    pub commits: usize,
    /// From the start to the end of the last commit.
    pub seconds: f64,
    /// Median of what a commit took.
    pub commit_us: f64,
}

/// One sample, as `--json` writes it.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Index of the row; the name is beside it.
    pub row: usize,
    /// The row's name.
    pub name: &'static str,
    /// Index of the column.
    pub column: usize,
    /// The column's title.
    pub title: &'static str,
    /// The round it was taken in.
    pub round: usize,
    /// Median of what a commit of the yardstick took just before.
    pub yardstick_us: f64,
    /// What it measured.
    pub measure: Measure,
}

/// What one thread did.
struct Part {
    committed: Tally,
    took: Vec<Duration>,
    start: Instant,
    end: Instant,
}

/// Takes one sample.
///
/// # Errors
///
/// The store's own; what was committed cannot be read back.
pub fn run(journal: &dyn Journal, column: Column, time: Duration) -> Result<Measure, Failure> {
    let gate = Barrier::new(column.threads);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..column.threads)
            .map(|thread| {
                let gate = &gate;
                scope.spawn(move || {
                    let writer = journal.writer(thread);
                    gate.wait(); // also with an error: the others wait for this one
                    commit(&mut *writer?, thread, column.group, time)
                })
            })
            .collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Result<Part, Failure>>| {
            worker.join().map_err(|_| "a writer panicked")?
        };
        workers
            .into_iter()
            .map(join)
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    let committed = parts
        .iter()
        .fold(Tally::default(), |all, part| all.join(part.committed));
    let found = journal.settle(committed)?;
    if found != committed {
        return Err(format!("committed {committed:?}, found {found:?}: lost or damaged").into());
    }
    let (start, end) = parts
        .iter()
        .fold((parts[0].start, parts[0].end), |(start, end), part| {
            (start.min(part.start), end.max(part.end))
        });
    let mut took: Vec<Duration> = parts.into_iter().flat_map(|part| part.took).collect();
    took.sort_unstable();
    Ok(Measure {
        messages: committed.count,
        commits: took.len(),
        seconds: (end - start).as_secs_f64(),
        commit_us: took[took.len() / 2].as_secs_f64() * 1e6,
    })
}

/// Commits group after group until the time is up.
fn commit(
    writer: &mut dyn Writer,
    thread: usize,
    group: usize,
    time: Duration,
) -> Result<Part, Failure> {
    let mut bodies = bodies(group);
    let mut next = (thread as u64) << 48;
    let mut took = Vec::new();
    let mut committed = Tally::default();
    let start = Instant::now();
    let mut before = start;
    while took.len() < COMMITS_MIN || before - start < time {
        next = number(&mut bodies, next);
        let begun = Instant::now();
        writer.commit(&bodies)?;
        before = Instant::now();
        took.push(before - begun);
        bodies.iter().for_each(|body| committed.add(body));
    }
    Ok(Part {
        committed,
        took,
        start,
        end: before,
    })
}
