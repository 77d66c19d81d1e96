//! A bar on standard error, when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// How far the run has come.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that hides itself where standard error is not a terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    /// Begins a section of `samples` samples.
    pub fn start(&self, samples: usize) {
        self.bar.reset();
        self.bar.set_length(samples as u64);
    }

    /// Adds a round of `samples` that turned out to be needed.
    pub fn extend(&self, samples: usize) {
        self.bar.inc_length(samples as u64);
    }

    /// Tells which sample comes now.
    pub fn step(&self, row: &str, column: &str) {
        self.bar.inc(1);
        self.bar.set_message(format!("{row}: {column}"));
    }

    /// Ends the section.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
