//! Appending and replaying, the same for each log.

use std::{
    cell::RefCell,
    fs,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use super::record::{BATCH_MAX, Seen, number};
use crate::{
    machine::Cores,
    sample::{Failure, Job, Measure, Row},
};

/// Appends between two looks at the clock, in records.
const STRIDE: usize = 64;
/// Records of a replay.
const REPLAY: u64 = 100_000;
/// Their size.
const SIZE: usize = 100;

/// A log of keyed records.
pub trait Log {
    /// Appends records of `size` bytes that lie one after the other: in one call, transaction or
    /// trip.
    ///
    /// # Errors
    ///
    /// The log's own.
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure>;

    /// Hands on what has not left the process yet.
    ///
    /// # Errors
    ///
    /// The log's own.
    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Reads from the oldest record to the latest.
    ///
    /// # Errors
    ///
    /// The log's own.
    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure>;

    /// Makes room, if the log does not do so by itself.
    ///
    /// # Errors
    ///
    /// The log's own.
    fn clear(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A log, and the number of its next record.
struct Numbered<L> {
    log: L,
    next: u64,
}

impl<L: Log> Numbered<L> {
    /// Appends for `time`, `each` records of `size` bytes at a time; then reads back what is kept.
    fn append(&mut self, size: usize, each: usize, time: Duration) -> Result<Measure, Failure> {
        Cores::get().pin(0);
        self.log.clear()?;
        let mut bytes = vec![0x5a; size * each];
        let first = self.next;
        let start = Instant::now();
        while start.elapsed() < time {
            for _ in 0..(STRIDE / each).max(1) {
                number(&mut bytes, size, &mut self.next);
                self.log.append(&bytes, size)?;
            }
        }
        self.log.flush()?;
        let elapsed = start.elapsed();
        self.read()?.check(self.next)?;
        Ok(Measure::new(self.next - first, elapsed))
    }

    /// Reads all of it again and again, for `time`.
    fn replay(&mut self, time: Duration) -> Result<Measure, Failure> {
        Cores::get().pin(0);
        if self.next == 0 {
            let mut bytes = vec![0x5a; SIZE * BATCH_MAX];
            while self.next < REPLAY {
                number(&mut bytes, SIZE, &mut self.next);
                self.log.append(&bytes, SIZE)?;
            }
            self.log.flush()?;
        }
        let mut records = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            let seen = self.read()?;
            seen.check(REPLAY)?;
            if seen.count != REPLAY {
                return Err(format!("{} records of {REPLAY}", seen.count).into());
            }
            records += seen.count;
        }
        Ok(Measure::new(records, start.elapsed()))
    }

    fn read(&mut self) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        self.log.replay(&mut seen)?;
        Ok(seen)
    }
}

/// A row that has a name, and no folder yet.
pub struct Named<F> {
    name: String,
    family: &'static str,
    open: F,
}

/// A row of this name, whose logs `open` makes in a new folder.
pub fn row<F>(name: impl Into<String>, family: &'static str, open: F) -> Named<F> {
    Named {
        name: name.into(),
        family,
        open,
    }
}

impl<F> Named<F> {
    /// The row, with its files in folders of their own in `folder`: one log to append to, and one
    /// to replay.
    pub fn with<L>(self, folder: &Path) -> Result<Row, Failure>
    where
        F: Fn(&Path) -> Result<L, Failure>,
        L: Log + 'static,
    {
        let open = |what: &str| -> Result<_, Failure> {
            let words = self.name.split(' ').take(2).collect::<Vec<_>>();
            let name = words.join("-").replace(['.', ',', '/'], "-");
            let folder = folder.join(format!("{name}-{what}"));
            fs::create_dir_all(&folder)?;
            let log = (self.open)(&folder)?;
            Ok(Rc::new(RefCell::new(Numbered { log, next: 0 })))
        };
        let appended = open("append")?;
        let append = |(size, each)| -> Option<Job> {
            let log = Rc::clone(&appended);
            Some(Box::new(move |time| {
                log.borrow_mut().append(size, each, time)
            }))
        };
        let mut jobs: Vec<_> = [SIZE, 1024]
            .into_iter()
            .flat_map(|size| [1, 10, BATCH_MAX].map(|each| (size, each)))
            .map(append)
            .collect();
        let replayed = open("replay")?;
        jobs.push(Some(Box::new(move |time| {
            replayed.borrow_mut().replay(time)
        })));
        Ok(Row {
            name: self.name,
            family: self.family,
            against: if self.family == "stream" {
                &["log"]
            } else {
                &[]
            },
            jobs,
        })
    }
}
