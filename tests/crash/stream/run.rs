//! The run over streams: trials in turn until there are enough images, and a table.

use super::check::Tally;
use super::machine::{Machine, Trial, Twin};
use crate::common::{Dir, Numbers};
use crate::run::Options;
use crate::work::Level;
use std::time::{Duration, Instant};

const TRIAL: Trial = Trial {
    name: "stream, before-ok",
    level: Level::BeforeOk,
    threads: 1,
    errors: false,
    deaths: false,
    twin: Twin::None,
};
const TRIALS: [Trial; 10] = [
    TRIAL,
    Trial {
        name: "stream, before-ok, 3 threads",
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "stream, before-ok, errors",
        errors: true,
        ..TRIAL
    },
    Trial {
        name: "stream, before-ok, deaths",
        threads: 2,
        deaths: true,
        ..TRIAL
    },
    Trial {
        name: "stream, interval",
        level: Level::Interval,
        ..TRIAL
    },
    Trial {
        name: "stream, interval, 3 threads",
        level: Level::Interval,
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "stream, interval, both",
        level: Level::Interval,
        threads: 2,
        errors: true,
        deaths: true,
        ..TRIAL
    },
    Trial {
        name: "stream, process and sync",
        level: Level::Process,
        ..TRIAL
    },
    Trial {
        name: "stream, process, 3 threads",
        level: Level::Process,
        threads: 3,
        ..TRIAL
    },
    Trial {
        name: "stream, process, both",
        level: Level::Process,
        threads: 2,
        errors: true,
        deaths: true,
        ..TRIAL
    },
];

/// A trial's row of the table.
#[derive(Default, Clone)]
struct Row {
    histories: u64,
    strikes: u64,
    tally: Tally,
}

fn print(rows: &[Row]) {
    println!(
        "{:<28} {:>9} {:>7} {:>7} {:>9} {:>5} {:>5} {:>7} {:>5} {:>5}",
        "level",
        "histories",
        "strikes",
        "images",
        "durable",
        "lost",
        "holes",
        "damaged",
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
        let [images, durable, lost, holes, damaged, twice, stuck] = row.tally.numbers();
        println!(
            "{name:<28} {:>9} {:>7} {images:>7} {durable:>9} {lost:>5} {holes:>5} {damaged:>7} \
             {twice:>5} {stuck:>5}",
            row.histories, row.strikes
        );
    }
}

/// Runs trials: how many faults there were, and how many of these were something lost.
pub fn run(options: &Options, twin: Twin) -> (u64, u64) {
    let began = Instant::now();
    let limit = options.minutes.map(|n| Duration::from_secs(60 * n));
    // Short histories in a thinned run, so that each trial has one.
    let each = if options.images < 2000 { 12 } else { 25 };
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
        let failed = rows.iter().any(|row| row.tally.lost != 0);
        if enough || (failed && twin != Twin::None) || words > 20 {
            break;
        }
        let dir = Dir::under(&options.dir, "crash");
        let copies = Dir::shm("crash-images");
        let trial = Trial { twin, ..*trial };
        let life = Machine::new(trial, &dir, &copies, numbers.next()).live(3, each);
        for text in &life.words {
            if twin == Twin::None {
                words += 1;
                println!("{}: {text}", trial.name);
            }
        }
        let row = &mut rows[nth];
        row.histories += 1;
        row.strikes += life.strikes;
        row.tally.add(&life.tally);
    }
    print(&rows);
    println!("{twin:?}, {:.1} s", began.elapsed().as_secs_f64());
    let tallies = rows.iter().map(|row| &row.tally);
    tallies.fold((0, 0), |(faults, lost), tally| {
        (faults + tally.faults(), lost + tally.lost)
    })
}
