//! Floor 6: named things, and policies over them.
#![forbid(unsafe_code)]

mod alarm;

pub use alarm::{
    Alarm, AlarmOptions, AlarmState, Comparison, Metric, MissingData, Monitor, Statistic,
    Transition,
};
