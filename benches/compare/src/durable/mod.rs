//! Section `durable`: messages of 100 bytes that are on the disk before the next, or the next
//! group, is sent. Stores that sync at each commit, and the bare system calls that they stand on.

mod drive;
mod figures;
mod message;
mod okaywal;
#[cfg(feature = "queue")]
mod ours;
mod place;
mod raw;
mod redb;
mod sqlite;
#[cfg(feature = "stream")]
mod stream;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use self::drive::{Journal, Sample};
pub use self::figures::Figures;
use crate::{progress::Progress, sample::Failure};

/// How messages are committed in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub title: &'static str,
    /// Messages a commit.
    pub group: usize,
    /// Threads that commit at once, each of its own.
    pub threads: usize,
}

/// The columns.
pub const COLUMNS: [Column; 5] = [
    Column::alone("one at a time", 1),
    Column::alone("groups of 10", 10),
    Column::alone("groups of 100", 100),
    Column::alone("groups of 1000", 1000),
    Column {
        title: "4 threads, one at a time each",
        group: 1,
        threads: 4,
    },
];

impl Column {
    const fn alone(title: &'static str, group: usize) -> Self {
        Self {
            title,
            group,
            threads: 1,
        }
    }
}

/// A row: a name, and what commits.
pub struct Row {
    /// Library and version with its setting, or the system calls.
    pub name: &'static str,
    /// Where its messages go.
    pub journal: Box<dyn Journal>,
}

impl Row {
    fn new(name: &'static str, journal: impl Journal + 'static) -> Self {
        Self {
            name,
            journal: Box::new(journal),
        }
    }
}

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Samples wanted of each cell.
    pub rounds: usize,
    /// Time of a sample.
    pub time: Duration,
    /// After this no further round begins.
    pub limit: Duration,
}

/// Measures the section in a new folder in `dir`, or in the one that the program lies in.
///
/// # Errors
///
/// A folder that is kept in memory; a store's own error; a message that cannot be read back.
pub fn measure(
    dir: Option<PathBuf>,
    plan: Plan,
    wanted: impl Fn(&str) -> bool,
    progress: &Progress,
) -> Result<Figures, Failure> {
    let place = place::Place::new(dir)?;
    let mut rows = rows(place.path())?;
    // The first row is what the others are held against.
    let yardstick = rows.remove(0);
    rows.retain(|row| wanted(row.name));
    rows.insert(0, yardstick);
    let before = figures::load();
    let samples = take(plan, &rows, progress)?;
    Ok(Figures {
        names: rows.iter().map(|row| row.name).collect(),
        samples,
        place: place.describe(),
        load: [before, figures::load()],
    })
}

fn rows(folder: &Path) -> Result<Vec<Row>, Failure> {
    use raw::{Files, Way};
    Ok(vec![
        Row::new(
            "pwrite + fdatasync, initialised file (yardstick)",
            Files::new(folder, Way::Initialised)?,
        ),
        Row::new(
            "pwrite + fdatasync, growing file",
            Files::new(folder, Way::Growing)?,
        ),
        Row::new(
            "stores + msync, mapped file",
            Files::new(folder, Way::Mapped)?,
        ),
        #[cfg(feature = "queue")]
        Row::new("ringmain, Durability::BeforeOk", ours::Store::new(folder)?),
        #[cfg(feature = "stream")]
        Row::new(
            "ringmain stream, Durability::BeforeOk",
            stream::Store::new(folder)?,
        ),
        Row::new("okaywal 0.3.1", okaywal::Log::new(folder)?),
        Row::new(
            "redb 4.6.0, Durability::Immediate",
            redb::Store::new(folder)?,
        ),
        Row::new("SQLite WAL, synchronous=FULL", sqlite::Store::new(folder)?),
    ])
}

/// Takes samples round by round: column by column, the rows of a column one after the other, each
/// round starting with another row. A disk's mood changes within a second, so each sample has a
/// sample of the yardstick just before it; the yardstick's own row tells how much that leaves.
fn take(plan: Plan, rows: &[Row], progress: &Progress) -> Result<Vec<Sample>, Failure> {
    progress.start(plan.rounds * rows.len() * COLUMNS.len());
    let mut samples = Vec::new();
    let start = Instant::now();
    for round in 0..plan.rounds {
        if round > 0 && start.elapsed() > plan.limit {
            break;
        }
        for (column, head) in COLUMNS.iter().enumerate() {
            for turn in 0..rows.len() {
                let row = (turn + round) % rows.len();
                let Row { name, journal } = &rows[row];
                progress.step(name, head.title);
                let told = |error| format!("{name}, {}: {error}", head.title);
                let yardstick = drive::run(&*rows[0].journal, *head, plan.time).map_err(told)?;
                let measure = drive::run(&**journal, *head, plan.time).map_err(told)?;
                samples.push(Sample {
                    row,
                    name,
                    column,
                    title: head.title,
                    round,
                    yardstick_us: yardstick.commit_us,
                    measure,
                });
            }
        }
    }
    progress.finish();
    Ok(samples)
}
