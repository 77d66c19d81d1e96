//! Samples: taken round by round, peers interleaved, each between two probes.
//!
//! A round takes one sample of each cell, column by column, the rows of a column one after the
//! other and starting with another row each time, so that those which are compared with each other
//! are measured within the same second. A sample whose two probes disagree is discarded and taken
//! again, at most twice; so is one whose threads did not have their cores to themselves, but for
//! the last. Rounds go on until each cell has the wanted number of samples of one placement, or
//! twice that number of rounds has passed, or the time is up.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{
    machine::{Cores, processor_time},
    probe::{Placement, Probe},
    progress::Progress,
};

/// Why a run cannot go on: a peer's error, or a sum that does not match.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Attempts at a sample within a round.
const ATTEMPTS: usize = 3;
/// A sample whose threads had less than this share of their cores was disturbed by other programs.
const SHARE_MIN: f64 = 0.9;
/// The run gives up after this many times the wanted rounds.
const ROUNDS_FACTOR: usize = 2;

/// What one sample ran: messages that went in and came out again, and how long that took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Measure {
    /// Messages that arrived.
    pub messages: u64,
    /// From the start to the last arrival.
    pub seconds: f64,
}

impl Measure {
    /// `messages` in `time`.
    pub fn new(messages: u64, time: Duration) -> Self {
        Self {
            messages,
            seconds: time.as_secs_f64(),
        }
    }

    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

/// Runs one sample for about the time given, checks what arrived, and says how much that was.
pub type Job = Box<dyn FnMut(Duration) -> Result<Measure, Failure>>;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its head.
    pub title: &'static str,
    /// Whether cores talk to each other in it; if not, placement does not matter.
    pub cores_talk: bool,
    /// How many threads of this process never sleep in it, if that is known.
    pub busy: Option<usize>,
}

impl Column {
    /// A column in which one thread works.
    pub const fn alone(title: &'static str, busy: Option<usize>) -> Self {
        Self {
            title,
            cores_talk: false,
            busy,
        }
    }

    /// A column in which several do.
    pub const fn shared(title: &'static str, busy: Option<usize>) -> Self {
        Self {
            title,
            cores_talk: true,
            busy,
        }
    }

    /// The share of its cores that a sample had.
    fn share(&self, processor: Duration, passed: Duration) -> Option<f64> {
        let cores = self.busy?.min(Cores::get().count());
        Some(processor.as_secs_f64() / (passed.as_secs_f64() * cores as f64))
    }
}

/// A row of a table: one library, one job a column; `None` where it has none.
pub struct Row {
    /// Library and version, or our type.
    pub name: String,
    /// What it can do; rows of one family can do the same.
    pub family: &'static str,
    /// The families whose best peer this row is held against; none if it is a peer's row itself.
    pub against: &'static [&'static str],
    /// One a column.
    pub jobs: Vec<Option<Job>>,
}

/// One sample, as `--json` writes it.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Index of the row; the name is beside it.
    pub row: usize,
    /// The row's name.
    pub name: String,
    /// Index of the column.
    pub column: usize,
    /// The column's title.
    pub title: &'static str,
    /// The round it was taken in.
    pub round: usize,
    /// Round trip before it.
    pub before_ns: Option<f64>,
    /// Round trip after it.
    pub after_ns: Option<f64>,
    /// The placement; none where cores do not talk.
    pub placement: Option<Placement>,
    /// The share of its cores that it had, where that is known.
    pub share: Option<f64>,
    /// Whether other programs took more of its cores than is good.
    pub disturbed: bool,
    /// Whether it counts.
    pub kept: bool,
    /// What it measured.
    pub measure: Measure,
}

impl Row {
    /// Whether it is ours.
    pub fn is_ours(&self) -> bool {
        !self.against.is_empty()
    }
}

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Samples wanted of each cell, of one placement.
    pub rounds: usize,
    /// Time of a sample.
    pub time: Duration,
    /// From half of this on nothing is taken again, and after it no further round begins.
    pub limit: Duration,
}

/// Takes samples of each cell until the plan is fulfilled.
///
/// # Errors
///
/// Returns the first job's error, with the row's and the column's name.
pub fn take(
    plan: Plan,
    columns: &[Column],
    rows: &mut [Row],
    probe: &Probe,
    progress: &Progress,
) -> Result<Vec<Sample>, Failure> {
    let cells = rows.iter().flat_map(|row| &row.jobs).flatten().count();
    progress.start(cells * plan.rounds);
    let mut samples = Vec::new();
    let start = Instant::now();
    for round in 0..plan.rounds * ROUNDS_FACTOR {
        if round > 0 && start.elapsed() > plan.limit {
            break;
        }
        if round >= plan.rounds {
            if fulfilled(plan, columns, rows, &samples) {
                break;
            }
            progress.extend(cells);
        }
        for (column, head) in columns.iter().enumerate() {
            for turn in 0..rows.len() {
                let row = (turn + round) % rows.len();
                let Row { name, jobs, .. } = &mut rows[row];
                let Some(job) = &mut jobs[column] else {
                    continue;
                };
                progress.step(name, head.title);
                let attempts = if start.elapsed() > plan.limit / 2 {
                    1
                } else {
                    ATTEMPTS
                };
                let at = At {
                    row,
                    name,
                    column,
                    round,
                    attempts,
                };
                cell(plan, at, head, job, probe, &mut samples)
                    .map_err(|error| format!("{name}, {}: {error}", head.title))?;
            }
        }
    }
    progress.finish();
    Ok(samples)
}

/// Whose sample is being taken.
struct At<'a> {
    row: usize,
    name: &'a str,
    column: usize,
    round: usize,
    attempts: usize,
}

/// Takes one cell's sample, again when its probes disagree.
fn cell(
    plan: Plan,
    at: At<'_>,
    head: &Column,
    job: &mut Job,
    probe: &Probe,
    samples: &mut Vec<Sample>,
) -> Result<(), Failure> {
    for attempt in 1..=at.attempts {
        let before_ns = if head.cores_talk {
            probe.trip_ns()
        } else {
            None
        };
        let (processor, start) = (processor_time(), Instant::now());
        let measure = job(plan.time)?;
        let share = head.share(processor_time() - processor, start.elapsed());
        let after_ns = if head.cores_talk {
            probe.trip_ns()
        } else {
            None
        };
        let judged = before_ns
            .zip(after_ns)
            .map(|(a, b)| (probe.judge(a), probe.judge(b)));
        let agree = judged.is_none_or(|(before, after)| before == after);
        let disturbed = share.is_some_and(|share| share < SHARE_MIN);
        let kept = agree && (!disturbed || attempt == at.attempts);
        samples.push(Sample {
            row: at.row,
            name: at.name.to_owned(),
            column: at.column,
            title: head.title,
            round: at.round,
            before_ns,
            after_ns,
            placement: judged.filter(|_| kept).map(|(before, _)| before),
            share,
            disturbed,
            kept,
            measure,
        });
        if kept {
            break;
        }
    }
    Ok(())
}

/// Whether each cell has enough samples of one placement, the same in all.
fn fulfilled(plan: Plan, columns: &[Column], rows: &[Row], samples: &[Sample]) -> bool {
    let enough = |placement: Placement| {
        rows.iter().enumerate().all(|(row, Row { jobs, .. })| {
            jobs.iter().enumerate().all(|(column, job)| {
                job.is_none()
                    || !columns[column].cores_talk
                    || rates(samples, row, column, Some(placement)).len() >= plan.rounds
            })
        })
    };
    Placement::ALL.into_iter().any(enough) || samples.iter().all(|one| one.before_ns.is_none())
}

/// The kept rates of one cell, sorted; `placement` matters only where cores talk.
pub fn rates(
    samples: &[Sample],
    row: usize,
    column: usize,
    placement: Option<Placement>,
) -> Vec<f64> {
    let mut rates: Vec<f64> = samples
        .iter()
        .filter(|one| one.row == row && one.column == column && one.kept)
        .filter(|one| one.placement.is_none() || one.placement == placement)
        .map(|one| one.measure.rate())
        .collect();
    rates.sort_by(f64::total_cmp);
    rates
}
