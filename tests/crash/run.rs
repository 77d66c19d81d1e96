//! The run: trials in turn until there are enough images, and a table of what was found.

use crate::common::{Dir, Numbers};
use crate::faults;
use crate::image::{COLUMNS, Tally};
use crate::machine::{Machine, Trial};
use crate::plan::Level;
use crate::queue::Queues;
#[cfg(feature = "stream")]
use crate::stream::Streams;
use crate::subject::{Subject, Twin};
use crate::trace;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const TRIAL: Trial = Trial {
    name: "before-ok",
    level: Level::BeforeOk,
    threads: 1,
    errors: false,
    deaths: false,
    twin: Twin::None,
};
const TRIALS: [Trial; 10] = [
    TRIAL,
    Trial {
        name: "before-ok, 3 attachments",
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "before-ok, disk errors",
        errors: true,
        ..TRIAL
    },
    Trial {
        name: "before-ok, deaths",
        threads: 2,
        deaths: true,
        ..TRIAL
    },
    Trial {
        name: "interval 3 ms",
        level: Level::Interval,
        ..TRIAL
    },
    Trial {
        name: "interval, 3 attachments",
        level: Level::Interval,
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "interval, errors and deaths",
        level: Level::Interval,
        threads: 2,
        errors: true,
        deaths: true,
        ..TRIAL
    },
    Trial {
        name: "process and sync",
        level: Level::Process,
        ..TRIAL
    },
    Trial {
        name: "process, 3 attachments",
        level: Level::Process,
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "process, errors and deaths",
        level: Level::Process,
        threads: 2,
        errors: true,
        deaths: true,
        ..TRIAL
    },
];

struct Options {
    images: u64,
    minutes: Option<u64>,
    seed: u64,
    dir: PathBuf,
    only: String,
    twin: bool,
}

/// The options; `None`: this run is not about us.
fn options() -> Option<Options> {
    let mut options = Options {
        images: 400,
        minutes: None,
        seed: 1,
        dir: std::env::temp_dir(),
        only: String::new(),
        twin: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .unwrap_or_else(|| panic!("{argument} of what?"))
        };
        let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{text}: no number"));
        match argument.as_str() {
            "--images" => options.images = number(value()),
            "--minutes" => options.minutes = Some(number(value())),
            "--seed" => options.seed = number(value()),
            "--dir" => options.dir = value().into(),
            "--only" => options.only = value(),
            "--twin" => options.twin = true,
            // What `cargo test` passes on to every test binary.
            "--list" => return None,
            "--nocapture" | "--quiet" | "-q" | "--exact" | "--show-output" => {}
            flag if flag.starts_with("--test-threads") => {
                if !flag.contains('=') {
                    value();
                }
            }
            name if !name.starts_with('-') => {
                if !"crash".contains(name) {
                    return None;
                }
            }
            other => panic!("unknown option {other}"),
        }
    }
    Some(options)
}

/// A trial's row of the table.
#[derive(Default, Clone)]
struct Row {
    histories: u64,
    strikes: u64,
    tally: Tally,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.strikes += other.strikes;
        self.tally.add(&other.tally);
    }

    fn print<S: Subject>(&self, name: &str) {
        print!("{name:<36} {:>9} {:>7}", self.histories, self.strikes);
        for (column, number) in COLUMNS.iter().zip(self.tally.numbers()) {
            if *column != S::NEVER {
                print!(" {number:>0$}", width(column));
            }
        }
        println!();
    }
}

fn width(column: &str) -> usize {
    column.len().max(7)
}

fn name_of<S: Subject>(trial: &Trial) -> String {
    format!("{}{}", S::NAME, trial.name)
}

/// Prints the table. Returns its last row.
fn print<S: Subject>(rows: &[Row]) -> Row {
    print!("{:<36} {:>9} {:>7}", "level", "histories", "strikes");
    for column in COLUMNS.iter().filter(|column| **column != S::NEVER) {
        print!(" {column:>0$}", width(column));
    }
    println!();
    let mut all = Row::default();
    for (trial, row) in TRIALS.iter().zip(rows) {
        row.print::<S>(&name_of::<S>(trial));
        all.add(row);
    }
    all.print::<S>("all");
    all
}

/// Runs trials; what was found in all.
fn run<S: Subject>(options: &Options, twin: Twin) -> Row {
    let began = Instant::now();
    let limit = options.minutes.map(|n| Duration::from_secs(60 * n));
    let each = if options.images < 2000 { S::FEW } else { 25 };
    let mut numbers = Numbers(options.seed);
    let mut rows = vec![Row::default(); TRIALS.len()];
    let mut words = 0;
    let wanted = |(_, trial): &(usize, &Trial)| name_of::<S>(trial).contains(&options.only);
    for (nth, trial) in TRIALS.iter().enumerate().filter(wanted).cycle() {
        let images: u64 = rows.iter().map(|row| row.tally.images).sum();
        let enough = match limit {
            Some(limit) => began.elapsed() >= limit,
            None => images >= options.images,
        };
        let is_found = twin != Twin::None && rows.iter().any(|row| row.tally.lost != 0);
        if enough || is_found || words > 20 {
            break;
        }
        let dir = Dir::under(&options.dir, "crash");
        let copies = Dir::shm("crash-images");
        let trial = Trial { twin, ..*trial };
        let life = Machine::<S>::new(trial, &dir, &copies, numbers.next()).live(3, each);
        for text in life.words.iter().filter(|_| twin == Twin::None) {
            words += 1;
            println!("{}: {text}", name_of::<S>(&trial));
        }
        rows[nth].add(&Row {
            histories: 1,
            strikes: life.strikes,
            tally: life.tally,
        });
    }
    let all = print::<S>(&rows);
    let seconds = began.elapsed().as_secs_f64();
    println!("seed {}, twin {twin:?}, {seconds:.1} s", options.seed);
    all
}

/// Whether a run has found what it must, and nothing else.
fn is_right<S: Subject>(options: &Options) -> bool {
    if !options.twin {
        let faults = run::<S>(options, Twin::None).tally.faults();
        if faults != 0 {
            println!("failed: {faults} faults");
        }
        return faults == 0;
    }
    S::TWINS.iter().all(|&twin| {
        let found = run::<S>(options, twin);
        match (found.histories, found.tally.lost) {
            (0, _) => return true, // other trials were asked for
            (_, 0) => println!("failed: nobody noticed that syncs were swallowed"),
            (_, lost) => println!("failed as it must: {lost} lost by syncs that were swallowed"),
        }
        found.tally.lost != 0
    })
}

pub fn main() -> ExitCode {
    let Some(options) = options() else {
        return ExitCode::SUCCESS;
    };
    trace::tick();
    if !options.twin && options.only.is_empty() {
        faults::run(&options.dir);
    }
    let is_right = is_right::<Queues>(&options);
    #[cfg(feature = "stream")]
    let is_right = is_right && self::is_right::<Streams>(&options);
    match is_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
