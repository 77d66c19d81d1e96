//! `send --rate`: so many messages a second, evenly.

use std::thread;
use std::time::{Duration, Instant};

/// Counts what was let through since the start and holds the rest back.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<u32>,
    start: Instant,
    passed: u64,
}

impl Pace {
    /// No limit without a rate.
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self {
            rate,
            start: Instant::now(),
            passed: 0,
        }
    }

    /// Waits until at least one of `wanted` messages may go, and says how many may go now.
    pub(super) fn permit(&mut self, wanted: usize) -> usize {
        let Some(rate) = self.rate else { return wanted };
        loop {
            let due = self.start.elapsed().as_secs_f64() * f64::from(rate) + 1.0;
            let open = (due as u64).saturating_sub(self.passed);
            if open > 0 {
                let granted = open.min(wanted as u64);
                self.passed += granted;
                // Time in which nothing was asked for is not saved up for a burst.
                self.forget_idle(open - granted, rate);
                return granted as usize;
            }
            let next = (self.passed as f64) / f64::from(rate);
            let wait = Duration::from_secs_f64(next).saturating_sub(self.start.elapsed());
            thread::sleep(wait.max(Duration::from_micros(20)));
        }
    }

    fn forget_idle(&mut self, unused: u64, rate: u32) {
        let burst = u64::from(rate / 10).max(10);
        self.passed += unused.saturating_sub(burst);
    }
}
