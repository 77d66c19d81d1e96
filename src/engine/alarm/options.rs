//! What an alarm looks at, and when it is one.

use crate::error::Error;
use core::time::Duration;

/// The most periods that an alarm looks at.
pub const PERIODS_MAX: usize = 100;
/// The longest period, ms: a day.
const PERIOD_MS_MAX: u64 = 86_400_000;

/// How a datapoint is beyond a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Above it.
    Greater,
    /// At it, or above.
    GreaterOrEqual,
    /// Below it.
    Less,
    /// At it, or below.
    LessOrEqual,
}

impl Comparison {
    /// Whether `value` is beyond `threshold`.
    pub fn is_beyond(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }

    const fn is_upward(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }
}

/// How the values of a period become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistic {
    /// Their mean.
    #[default]
    Average,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their sum: for counters, how many in the period.
    Sum,
    /// Their sum for each second of the period: for counters, the rate.
    Rate,
}

/// What a period stands for in which nothing was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingData {
    /// For nothing known. While too little is known to decide the state stays as it is, and if
    /// all periods are missing it becomes [`InsufficientData`](super::AlarmState).
    #[default]
    Missing,
    /// For a datapoint beyond the threshold.
    Breaching,
    /// For a datapoint that is not.
    NotBreaching,
    /// For no period at all: those before it stay the last ones.
    Ignore,
}

/// The settings of an [`Alarm`](super::Alarm). Periods of a minute, one of them evaluated, by their
/// average, unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct AlarmOptions {
    pub(super) comparison: Comparison,
    pub(super) threshold: f64,
    pub(super) clear_at: f64,
    pub(super) period: Duration,
    pub(super) periods: usize,
    pub(super) breaches: Option<usize>,
    pub(super) statistic: Statistic,
    pub(super) missing: MissingData,
}

impl AlarmOptions {
    /// An alarm when a datapoint is beyond `threshold`.
    pub const fn new(comparison: Comparison, threshold: f64) -> Self {
        Self {
            comparison,
            threshold,
            clear_at: threshold,
            period: Duration::from_secs(60),
            periods: 1,
            breaches: None,
            statistic: Statistic::Average,
            missing: MissingData::Missing,
        }
    }

    /// How long a period is: 1 ms to a day. Periods begin at multiples of it on the clock.
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// How many of the last periods are looked at: 1 to 100.
    pub const fn evaluation_periods(mut self, periods: usize) -> Self {
        self.periods = periods;
        self
    }

    /// How many of them have to be beyond the threshold: 1 to their number, and all if not set.
    pub const fn datapoints_to_alarm(mut self, datapoints: usize) -> Self {
        self.breaches = Some(datapoints);
        self
    }

    /// While there is an alarm datapoints are compared with this instead. It lies on the safe side
    /// of the threshold, so that the alarm does not come and go with each small change.
    pub const fn clear_at(mut self, threshold: f64) -> Self {
        self.clear_at = threshold;
        self
    }

    /// How the values of a period become one.
    pub const fn statistic(mut self, statistic: Statistic) -> Self {
        self.statistic = statistic;
        self
    }

    /// What a period stands for in which nothing was observed.
    pub const fn missing_data(mut self, missing: MissingData) -> Self {
        self.missing = missing;
        self
    }

    pub(super) fn period_ms(&self) -> u64 {
        self.period.as_millis().min(u64::MAX as u128) as u64
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let range = |what, value: u64, max: u64| {
            if value == 0 || value > max {
                let min = 1;
                return Err(Error::OutOfRange {
                    what,
                    value,
                    min,
                    max,
                });
            }
            Ok(())
        };
        let periods = self.periods as u64;
        range("period (ms)", self.period_ms(), PERIOD_MS_MAX)?;
        range("evaluation periods", periods, PERIODS_MAX as u64)?;
        let breaches = self.breaches.unwrap_or(self.periods) as u64;
        range("datapoints to alarm", breaches, periods)?;
        let safe = if self.comparison.is_upward() {
            self.clear_at <= self.threshold
        } else {
            self.clear_at >= self.threshold
        };
        // Not a number is on no side.
        range("clear_at on the safe side of the threshold", safe as u64, 1)
    }
}
