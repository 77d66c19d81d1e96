//! `ringmain put`: arguments, lines or a file become records.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::PutArgs;
use super::key::key_of;
use super::{AnyStream, wait};
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::lines::{Found, Lines};
use crate::face::cli::output::{note, say_bytes};
use crate::face::cli::spot;
use crate::{Capacity, Error, Put, StreamEntry};

/// The most records of a batch.
const BATCH_MAX: usize = 500;
/// The most bytes of the data in a batch: so much that keys fit beside them.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// How often a stream is tended whose shards are split on demand.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// Puts, prints where each record is, and tells on standard error what could not be put.
pub(in crate::face::cli) fn run(args: &PutArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let on_demand = stream.options().get_capacity() == Capacity::OnDemand;
    let mut run = Run {
        stream: &stream,
        args,
        put: 0,
        refused: 0,
        tended: on_demand.then(Instant::now),
        ended: false,
    };
    match &args.file {
        Some(path) if args.lines => run.lines(opened(path)?, path)?,
        Some(path) => run.whole(path)?,
        None if args.data.is_empty() => {
            run.lines(standard_input()?, Path::new("standard input"))?
        }
        None => {
            let data = args.data.iter().map(|data| data.as_bytes());
            let data: Vec<&[u8]> = data.collect();
            let mut at = 0;
            for data in data.chunks(BATCH_MAX) {
                let numbered = (at + 1..).zip(data.iter().copied());
                run.records("argument", &numbered.collect::<Vec<_>>())?;
                at += data.len() as u64;
            }
        }
    }
    run.tend(Duration::ZERO)?;
    Ok(match run.refused {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

fn standard_input() -> Result<File, Trouble> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn opened(path: &Path) -> Result<File, Trouble> {
    match path.as_os_str() == "-" {
        true => standard_input(),
        false => File::open(path).map_err(about(path.display())),
    }
}

struct Run<'a> {
    stream: &'a AnyStream,
    args: &'a PutArgs,
    put: u64,
    refused: u64,
    /// When the stream was tended last, if its shards are split on demand.
    tended: Option<Instant>,
    /// The reader of standard output went away.
    ended: bool,
}

/// What is printed of a record.
#[derive(Serialize)]
struct Line {
    shard: String,
    sequence_number: String,
}

impl Run<'_> {
    /// Puts a whole file as one record.
    fn whole(&mut self, path: &Path) -> Result<(), Trouble> {
        let max = self.stream.data_bytes_max();
        let mut data = Vec::new();
        let read = opened(path)?.take(max as u64 + 1).read_to_end(&mut data);
        read.map_err(about(path.display()))?;
        if data.len() > max {
            return Err(Trouble::new(format_args!(
                "{}: over the limit of {max} bytes for one record; --lines puts each line as one",
                path.display()
            )));
        }
        self.records(&path.display().to_string(), &[(0, &data)])
    }

    /// A line is put as soon as no further whole line has been read, else with others.
    fn lines(&mut self, input: File, source: &Path) -> Result<(), Trouble> {
        let max = self.stream.data_bytes_max();
        let mut lines = Lines::new(input, max);
        let mut ready: Vec<(u64, Range<usize>)> = Vec::with_capacity(BATCH_MAX);
        let mut bytes = 0;
        while !self.ended {
            let found = lines.next();
            if let Found::Line(line) = &found
                && ready.len() < BATCH_MAX
                && bytes + line.len() <= BATCH_BYTES_MAX
            {
                bytes += line.len();
                ready.push((lines.number(), line.clone()));
                continue;
            }
            let numbered = ready.iter();
            let numbered = numbered.map(|(number, line)| (*number, lines.bytes(line.clone())));
            self.records("line", &numbered.collect::<Vec<_>>())?;
            (bytes, _) = (0, ready.clear());
            match found {
                Found::Line(line) => {
                    bytes = line.len();
                    ready.push((lines.number(), line));
                }
                Found::TooLong => {
                    self.refused += 1;
                    let number = lines.number();
                    note(format_args!("line {number}: over the limit of {max} bytes"));
                }
                Found::NeedsInput => lines.fill().map_err(about(source.display()))?,
                Found::End => return Ok(()),
            }
        }
        Ok(())
    }

    /// Puts records, each with its number among the `what`s, or 0 if there is one. What is refused
    /// is told, the others are put.
    fn records(&mut self, what: &str, records: &[(u64, &[u8])]) -> Result<(), Trouble> {
        let mut entries = Vec::with_capacity(records.len());
        let mut numbers = Vec::with_capacity(records.len());
        for (number, data) in records {
            let args = self.args;
            match key_of(args.key_regex.as_ref(), args.key.as_deref(), data) {
                Ok(key) => {
                    let entry = StreamEntry::new(key, *data);
                    entries.push(match self.args.hash {
                        Some(hash) => entry.hash(hash),
                        None => entry,
                    });
                    numbers.push(*number);
                }
                Err(words) => self.refuse(what, *number, words),
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let outcomes = self.put(&entries)?;
        self.tend(TEND_EVERY)?;
        let (mut text, mut full) = (String::new(), None);
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            match outcome {
                Ok(put) => {
                    self.put += 1;
                    self.tell(&put, &mut text)?;
                }
                Err(error @ (Error::Full | Error::SegmentInUse { .. })) => {
                    full.get_or_insert((number, error));
                }
                Err(error) => self.refuse(what, number, &error.to_string()),
            }
        }
        if !say_bytes(text.as_bytes())? {
            self.ended = true;
        }
        match full {
            None => Ok(()),
            Some((number, error)) => {
                let why = match error {
                    Error::Full => "its shard is full of records within the retention".to_owned(),
                    error => error.to_string(),
                };
                let text = format!("{}: {why}; {} put", named(what, number), self.put);
                Err(Trouble::with_exit(Exit::Full, text))
            }
        }
    }

    /// Puts records: what became of each. Where there is a quota each is put by itself, as soon as
    /// that allows it: of a batch it could refuse one and take those behind it, of the same key.
    fn put(&self, entries: &[StreamEntry<'_>]) -> Result<Vec<Result<Put, Error>>, Error> {
        if self.stream.options().get_quota() {
            let patiently = |entry| loop {
                match self.stream.put_entry(entry) {
                    Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => wait(wait_ms),
                    outcome => return outcome,
                }
            };
            return Ok(entries.iter().map(patiently).collect());
        }
        // Each of them is told.
        let mut outcomes = vec![Err(Error::Full); entries.len()];
        self.stream
            .put_batch(entries, |n, outcome| outcomes[n] = outcome)?;
        Ok(outcomes)
    }

    /// Has shards split on demand, if that is so long ago.
    fn tend(&mut self, every: Duration) -> Result<(), Error> {
        if let Some(last) = &mut self.tended
            && last.elapsed() >= every
        {
            *last = Instant::now();
            self.stream.tend()?;
        }
        Ok(())
    }

    fn refuse(&mut self, what: &str, number: u64, words: &str) {
        self.refused += 1;
        note(format_args!("{}: {words}", named(what, number)));
    }

    /// Where a record is.
    fn tell(&self, put: &Put, text: &mut String) -> Result<(), Trouble> {
        let Put { shard, sequence } = put;
        if self.args.json {
            let line = Line {
                shard: shard.to_string(),
                sequence_number: sequence.to_string(),
            };
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        } else if !self.args.quiet {
            let _ = writeln!(text, "{shard}\t{sequence}"); // to a String
        }
        Ok(())
    }
}

/// Where a record comes from.
fn named(what: &str, number: u64) -> String {
    match number {
        0 => what.to_owned(),
        number => format!("{what} {number}"),
    }
}
