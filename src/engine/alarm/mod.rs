//! Alarms over a queue's figures: no thread, no clock of their own, bounded memory.
//!
//! Time is cut into periods. What is observed within one becomes one value by a statistic, the
//! period's *datapoint*; a period in which nothing was observed is *missing*. When a period is over
//! the last `n` datapoints are looked at: with `m` of them beyond the threshold there is an alarm.
//! An alarm ends by a threshold of its own, so that a value between the two changes nothing.

mod evaluation;
mod metric;
mod monitor;
mod options;

pub use evaluation::{Alarm, AlarmState, Transition};
pub use metric::Metric;
pub use monitor::Monitor;
pub use options::{AlarmOptions, Comparison, MissingData, Statistic};
