//! The run: trials in turn until there are enough images, and a table of what was found.

use crate::check::Tally;
use crate::common::{Dir, Numbers};
use crate::faults;
use crate::machine::{Machine, Trial};
use crate::trace;
use crate::work::Level;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const TRIAL: Trial = Trial {
    name: "before-ok",
    level: Level::BeforeOk,
    threads: 1,
    errors: false,
    deaths: false,
    twin: false,
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

pub struct Options {
    pub images: u64,
    pub minutes: Option<u64>,
    pub seed: u64,
    pub dir: PathBuf,
    pub only: String,
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

fn print(rows: &[Row]) {
    println!(
        "{:<28} {:>9} {:>7} {:>7} {:>9} {:>5} {:>7} {:>11} {:>5} {:>5}",
        "level",
        "histories",
        "strikes",
        "images",
        "durable",
        "lost",
        "damaged",
        "resurrected",
        "twice",
        "stuck"
    );
    let mut all = Row::default();
    for row in rows {
        all.histories += row.histories;
        all.strikes += row.strikes;
        all.tally.add(&row.tally);
    }
    let names = TRIALS.iter().map(|trial| trial.name).chain(["all"]);
    for (name, row) in names.zip(rows.iter().chain([&all])) {
        let [images, durable, lost, damaged, resurrected, twice, stuck] = row.tally.numbers();
        println!(
            "{name:<28} {:>9} {:>7} {images:>7} {durable:>9} {lost:>5} {damaged:>7} \
             {resurrected:>11} {twice:>5} {stuck:>5}",
            row.histories, row.strikes
        );
    }
}

pub fn main() -> ExitCode {
    let Some(options) = options() else {
        return ExitCode::SUCCESS;
    };
    trace::tick();
    let began = Instant::now();
    if !options.twin && options.only.is_empty() {
        faults::run(&options.dir);
    }
    let limit = options
        .minutes
        .map(|minutes| Duration::from_secs(60 * minutes));
    // Short histories in a thinned run, so that each trial has one.
    let each = if options.images < 2000 { 14 } else { 25 };
    let mut numbers = Numbers(options.seed);
    let mut rows = vec![Row::default(); TRIALS.len()];
    let mut words = 0;
    let wanted = |(_, trial): &(usize, &Trial)| trial.name.contains(&options.only);
    for (nth, trial) in TRIALS.iter().enumerate().filter(wanted).cycle() {
        let images: u64 = rows.iter().map(|row| row.tally.images).sum();
        let enough = match limit {
            Some(limit) => began.elapsed() >= limit,
            None => images >= options.images,
        };
        let failed = rows.iter().any(|row| row.tally.faults() != 0);
        if enough || (failed && options.twin) || words > 20 {
            break;
        }
        let dir = Dir::under(&options.dir, "crash");
        let copies = Dir::shm("crash-images");
        let trial = Trial {
            twin: options.twin,
            ..*trial
        };
        let seed = numbers.next();
        let life = Machine::new(trial, &dir, &copies, seed).live(3, each);
        for text in &life.words {
            words += 1;
            println!("{}: {text}", trial.name);
        }
        let row = &mut rows[nth];
        row.histories += 1;
        row.strikes += life.strikes;
        row.tally.add(&life.tally);
    }
    print(&rows);
    println!(
        "seed {}, {:.1} s",
        options.seed,
        began.elapsed().as_secs_f64()
    );
    let queues = verdict(&rows, options.twin);
    match queues && streams(&options) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The same of streams; whether it is as it must be.
#[cfg(feature = "stream")]
fn streams(options: &Options) -> bool {
    use crate::stream::machine::Twin;
    if !options.twin {
        let (faults, _) = crate::stream::run::run(options, Twin::None);
        println!("streams: {faults} faults");
        return faults == 0;
    }
    [Twin::Syncs, Twin::Ledgers].into_iter().all(|twin| {
        let (_, lost) = crate::stream::run::run(options, twin);
        println!("streams, {twin:?} swallowed: {lost} lost, as it must be, or nobody noticed");
        lost != 0
    })
}

#[cfg(not(feature = "stream"))]
fn streams(_: &Options) -> bool {
    true
}

/// Whether the run has found what it must, and nothing else.
fn verdict(rows: &[Row], twin: bool) -> bool {
    let faults: u64 = rows.iter().map(|row| row.tally.faults()).sum();
    let lost: u64 = rows.iter().map(|row| row.tally.lost).sum();
    if rows.iter().all(|row| row.histories == 0) {
        return true; // other trials were asked for
    }
    match (twin, faults) {
        (false, 0) => true,
        (false, faults) => {
            println!("failed: {faults} faults");
            false
        }
        (true, _) if lost != 0 => {
            println!(
                "failed as it must: {lost} durable messages lost by syncs that were swallowed"
            );
            true
        }
        (true, _) => {
            println!("failed: nobody noticed that syncs were swallowed");
            false
        }
    }
}
