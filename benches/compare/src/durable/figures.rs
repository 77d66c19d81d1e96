//! The tables of the durable section: what a commit takes, what that is to the yardstick just
//! before it, and how many messages a second come of it.

use std::fmt::Write;

use serde::Serialize;

use super::{COLUMNS, drive::Sample};

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The rows' names, the yardstick first.
    pub names: Vec<&'static str>,
    /// The samples.
    pub samples: Vec<Sample>,
    /// File system and device.
    pub place: String,
    /// The machine's load average over the last minute, before and after: who waits for a disk on a
    /// busy machine then waits for a core.
    pub load: [String; 2],
}

/// Median and quartiles of a cell.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values[(last as f64 * share).round() as usize];
        Some(Self {
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
        })
    }
}

impl Figures {
    /// All of it as Markdown; `machine` is the line that names machine, kernel and compiler.
    pub fn markdown(&self, machine: &str) -> String {
        let rounds = self.samples.iter().map(|one| one.round + 1).max();
        let rounds = rounds.unwrap_or(0);
        let mut text = "## Durable: send, 100 bytes, on the disk\n\n".to_owned();
        let [before, after] = &self.load;
        let _ = writeln!(
            text,
            "{machine}; {}; {rounds} rounds; load average {before} before, {after} after.",
            self.place
        );
        let title = "Microseconds a commit, median (quartiles) of the samples' medians";
        self.table(&mut text, title, |one| one.measure.commit_us);
        let title = "A commit's time, as a multiple of the yardstick's just before it";
        self.table(&mut text, title, |one| {
            one.measure.commit_us / one.yardstick_us
        });
        let title = "Messages a second";
        self.table(&mut text, title, |one| {
            one.measure.messages as f64 / one.measure.seconds
        });
        text.push('\n');
        for note in NOTES {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    fn table(&self, text: &mut String, title: &str, value: impl Fn(&Sample) -> f64) {
        let _ = write!(text, "\n{title}.\n\n| ");
        for column in &COLUMNS {
            let _ = write!(text, "| {} ", column.title);
        }
        let _ = writeln!(text, "|\n|---{}|", "|---:".repeat(COLUMNS.len()));
        for (row, name) in self.names.iter().enumerate() {
            let _ = write!(text, "| {name} ");
            for column in 0..COLUMNS.len() {
                let cell = self
                    .samples
                    .iter()
                    .filter(|one| (one.row, one.column) == (row, column));
                let cell = Spread::of(cell.map(&value).collect());
                let cell = cell.map_or_else(String::new, |cell| cell.text());
                let _ = write!(text, "| {cell} ");
            }
            text.push_str("|\n");
        }
    }
}

impl Spread {
    fn text(&self) -> String {
        let [low, median, high] = [self.low, self.median, self.high].map(crate::table::digits);
        format!("{median} ({low}-{high})")
    }
}

/// The load average over the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().filter(|first| !first.is_empty());
    first.unwrap_or("unknown").to_owned()
}

/// What has to be known to read the tables.
const NOTES: [&str; 5] = [
    "A commit is timed by itself, from the call to its return, when its messages are on the disk; \
     so with four threads it includes the wait for the others. Nothing is received meanwhile; \
     after each sample all of it is read back, counted, compared with what was sent, and removed.",
    "pwrite and msync: whole pages of 4 KiB, one for up to 40 messages; each thread has a file of \
     its own. They are what a commit costs at least, and keep no order and no index.",
    "okaywal: concurrent commits share a sync; files of 1 MiB as it comes, checkpoints (read and \
     counted) in a thread of its own. redb and SQLite: one writer at a time, the others wait.",
    "SQLite: its checkpoints come every 1000 pages, as it comes, and fall on who commits then.",
    "Threads are not pinned: they sleep most of the time. Whether the disk below a virtual \
     machine keeps its word, no program on it can tell.",
];
