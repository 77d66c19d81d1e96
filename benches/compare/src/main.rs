//! Ours beside its peers, interleaved in one process; README.md tells the method.
#![allow(clippy::disallowed_types)] // that list is for the library: here atomics are core's

use std::{fs::File, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use serde::Serialize;

mod durable;
mod machine;
mod probe;
mod progress;
mod queues;
mod rings;
mod sample;
mod streams;
mod table;

use durable::Figures;
use machine::Machine;
use probe::Probe;
use progress::Progress;
use sample::{Column, Failure, Plan, Row, Sample};
use table::{Nanoseconds, Table};

/// Runs ringmain's rings, queue and stream beside their peers: a Markdown table a section.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Samples wanted of each cell, of one placement.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Milliseconds a sample.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    millis: u64,
    /// Minutes after which a section begins no further round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// Which tables.
    #[arg(long, value_enum, default_value_t = Which::All)]
    section: Which,
    /// Capacity of the rings, a power of two.
    #[arg(long, default_value_t = 1024, value_parser = power_of_two)]
    capacity: usize,
    /// Bytes of memory given to our queue.
    #[arg(long, default_value_t = 1 << 20)]
    queue_bytes: u64,
    /// A cache line's round trip from this many nanoseconds on is called far.
    #[arg(long, default_value_t = 250.0)]
    far_ns: f64,
    /// Samples of each cell of the section `durable`: many, since disks are moody.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    durable_rounds: u32,
    /// The directory on whose disk the section `durable` writes (default: the program's own).
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only rows whose name contains one of these words.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Writes all samples, the discarded ones too, to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    #[cfg(feature = "queue")]
    #[command(flatten)]
    child: queues::Child,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Rings,
    Queue,
    Durable,
    Streams,
    All,
}

impl Which {
    fn has(self, section: Self) -> bool {
        self == section || self == Self::All
    }
}

impl Args {
    /// Whether a row of this name is asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }
}

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    machine: Machine,
    capacity: usize,
    far_ns: f64,
    sections: Vec<Section>,
    durable: Option<Figures>,
}

#[derive(Serialize)]
struct Section {
    section: &'static str,
    samples: Vec<Sample>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn power_of_two(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(value) if value.is_power_of_two() && (16..=1 << 24).contains(&value) => Ok(value),
        _ => Err("a power of two from 16 to 16777216".into()),
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    #[cfg(feature = "queue")]
    if args.child.run()? {
        return Ok(());
    }
    let machine = Machine::read();
    let probe = Probe::new(args.far_ns);
    let mut sections = Vec::new();
    if args.section.has(Which::Rings) {
        let rows = rings::rows(args.capacity);
        let notes = rings::notes(&rows);
        let heading = format!("Rings: u64, capacity {}", args.capacity);
        let shape = Shape {
            heading: &heading,
            unit: 1e6,
            unit_name: "million messages/s",
            columns: &rings::COLUMNS,
            notes: &notes,
            in_ns: Nanoseconds::None,
        };
        let samples = section(args, &machine, &probe, shape, rows)?;
        sections.push(Section {
            section: "rings",
            samples,
        });
    }
    if args.section.has(Which::Queue) {
        // The folders go, with the files in them, after the rows.
        let queues::Rows {
            rows,
            notes,
            folders: _folders,
        } = queues::rows(args.queue_bytes)?;
        let shape = Shape {
            heading: "Queue: send, receive, delete, 100 bytes",
            unit: 1e3,
            unit_name: "thousand messages/s",
            columns: &queues::COLUMNS,
            notes: &notes,
            in_ns: Nanoseconds::Ours,
        };
        let samples = section(args, &machine, &probe, shape, rows)?;
        sections.push(Section {
            section: "queue",
            samples,
        });
    }
    if args.section.has(Which::Streams) {
        // The folders go, with the files in them, after the rows.
        let streams::Rows {
            rows,
            notes,
            folders: _folders,
        } = streams::rows()?;
        let shape = Shape {
            heading: "Streams: append and replay keyed records",
            unit: 1e3,
            unit_name: "thousand records/s",
            columns: &streams::COLUMNS,
            notes: &notes,
            in_ns: Nanoseconds::All,
        };
        let samples = section(args, &machine, &probe, shape, rows)?;
        sections.push(Section {
            section: "streams",
            samples,
        });
    }
    let durable = if args.section.has(Which::Durable) {
        Some(durable(args, &machine)?)
    } else {
        None
    };
    if let Some(path) = &args.json {
        let report = Report {
            machine,
            capacity: args.capacity,
            far_ns: args.far_ns,
            sections,
            durable,
        };
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::to_writer(file, &report)?;
    }
    Ok(())
}

/// Measures what waits for the disk, prints its tables and hands its samples on.
fn durable(args: &Args, machine: &Machine) -> Result<Figures, Failure> {
    let plan = durable::Plan {
        rounds: args.durable_rounds as usize,
        time: Duration::from_millis(args.millis),
        limit: Duration::from_secs(60 * args.minutes),
    };
    let wanted = |name: &str| args.wants(name);
    let figures = durable::measure(args.dir.clone(), plan, wanted, &Progress::new())?;
    let line = format!("{}; {} ms a sample", machine.line(), args.millis);
    println!("{}", figures.markdown(&line));
    Ok(figures)
}

/// What differs between the sections' tables.
struct Shape<'a> {
    heading: &'a str,
    unit: f64,
    unit_name: &'a str,
    columns: &'a [Column],
    notes: &'a [String],
    in_ns: Nanoseconds,
}

/// Measures one section, prints its table and hands its samples on.
fn section(
    args: &Args,
    machine: &Machine,
    probe: &Probe,
    shape: Shape<'_>,
    mut rows: Vec<Row>,
) -> Result<Vec<Sample>, Failure> {
    let Shape {
        heading,
        unit,
        unit_name,
        columns,
        notes,
        in_ns,
    } = shape;
    rows.retain(|row| args.wants(&row.name));
    let plan = Plan {
        rounds: args.rounds as usize,
        time: Duration::from_millis(args.millis),
        limit: Duration::from_secs(60 * args.minutes),
    };
    let progress = Progress::new();
    let samples = sample::take(plan, columns, &mut rows, probe, &progress)?;
    let line = format!("{}; {} ms a sample", machine.line(), args.millis);
    let table = Table {
        heading,
        unit,
        unit_name,
        machine: &line,
        columns,
        rows: &rows,
        samples: &samples,
        notes,
        in_ns,
    };
    println!("{}", table.markdown());
    Ok(samples)
}
