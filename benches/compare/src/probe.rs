//! How far apart the two cores are at this moment.
//!
//! A virtual machine's cores are threads of the host, which moves them: to the two halves of one
//! core, to neighbours, to different sockets. Two-thread figures move with that, several times
//! over, and not alike for each library. So each sample is taken between two probes of a cache
//! line's round trip, and only samples of one placement are compared.
//!
//! Two threads, pinned to the first two cores, hand a number back and forth: each writes its own
//! line and spins on the other's. The median of many short runs is the answer, so that a thread
//! that was put aside for a while in one of them does not count.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::machine::Cores;

/// Runs a probe is made of.
const RUNS: usize = 15;
/// Round trips in a run: 15 runs of 150 trips take 0.25 ms where a trip takes 110 ns.
const TRIPS: u64 = 150;
/// On a busy machine a probe ends after this time with the runs that it has.
const LIMIT: Duration = Duration::from_millis(3);
/// What the asking thread says when it has done.
const OVER: u64 = u64::MAX;

/// Where the host had put the two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// A round trip took less than the threshold.
    Near,
    /// It took more.
    Far,
}

impl Placement {
    /// Both, in the order in which they are printed.
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

/// Takes probes and judges them.
#[derive(Debug, Clone)]
pub struct Probe {
    cores: &'static Cores,
    threshold_ns: f64,
}

/// A word on lines of its own: the hardware fetches lines in pairs.
#[repr(align(128))]
struct Line(AtomicU64);

impl Probe {
    /// A probe that calls a round trip of `threshold_ns` or more far.
    pub fn new(threshold_ns: f64) -> Self {
        Self {
            cores: Cores::get(),
            threshold_ns,
        }
    }

    /// The placement that a round trip of `trip_ns` shows.
    pub fn judge(&self, trip_ns: f64) -> Placement {
        if trip_ns < self.threshold_ns {
            Placement::Near
        } else {
            Placement::Far
        }
    }

    /// Measures a round trip between the first two cores, in nanoseconds; `None` on one core.
    pub fn trip_ns(&self) -> Option<f64> {
        if self.cores.count() < 2 {
            return None;
        }
        let (ask, answer) = (Line(AtomicU64::new(0)), Line(AtomicU64::new(0)));
        let mut runs = Vec::with_capacity(RUNS);
        thread::scope(|scope| {
            scope.spawn(|| {
                self.cores.pin(1);
                let mut heard = 0;
                while heard != OVER {
                    // ORDERING: Acquire and Release as a hand-over would use them; nothing else
                    // is published, the numbers themselves are the message.
                    match ask.0.load(Ordering::Acquire) {
                        same if same == heard => spin_loop(),
                        turn => {
                            heard = turn;
                            answer.0.store(turn, Ordering::Release);
                        }
                    }
                }
            });
            scope.spawn(|| {
                self.cores.pin(0);
                let mut turn = 0;
                let mut trip = || {
                    turn += 1;
                    ask.0.store(turn, Ordering::Release);
                    while answer.0.load(Ordering::Acquire) != turn {
                        spin_loop();
                    }
                };
                trip(); // the other thread has started
                let first = Instant::now();
                while runs.is_empty() || runs.len() < RUNS && first.elapsed() < LIMIT {
                    let start = Instant::now();
                    for _ in 0..TRIPS {
                        trip();
                    }
                    runs.push(start.elapsed().as_nanos() as f64 / TRIPS as f64);
                }
                ask.0.store(OVER, Ordering::Release);
            });
        });
        runs.sort_by(f64::total_cmp);
        Some(runs[runs.len() / 2])
    }
}
