//! Checks by number, of which none may panic or hang.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

/// Makes the check for each seed. Tells by name which of them takes longer than `hang`, and ends
/// the process; in the end, which of them panicked.
pub fn watched(seeds: Range<u64>, hang: Duration, check: impl Fn(u64)) {
    let (alive, watched) = mpsc::channel::<u64>();
    let watchdog = std::thread::spawn(move || {
        let mut last = 0;
        loop {
            match watched.recv_timeout(hang) {
                Ok(now) => last = now,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("hangs: seed {last}");
                    std::process::exit(101);
                }
            }
        }
    });
    let mut faults = Vec::new();
    for seed in seeds {
        alive.send(seed).expect("the watchdog lives");
        if catch_unwind(AssertUnwindSafe(|| check(seed))).is_err() {
            faults.push(seed);
        }
    }
    drop(alive);
    watchdog.join().expect("no panic");
    let first = &faults[..faults.len().min(12)];
    assert!(faults.is_empty(), "{} panic: {first:?}", faults.len());
}
