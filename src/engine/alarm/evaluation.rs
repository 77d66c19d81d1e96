//! One alarm: its periods, and how it goes from one state to another.
//!
//! ```text
//!  state now                  becomes Alarm        becomes Ok               becomes
//!                             if m of n are        if more than n - m       InsufficientData if
//!  InsufficientData, Ok       beyond threshold     are not beyond it        all n are missing
//!  Alarm                      -                    are not beyond clear_at  all n are missing
//! ```
//!
//! A period whose datapoint is missing can be on either side. With `b` datapoints beyond and `c`
//! not, there is an alarm if `b >= m`, and none if `c > n - m`; between them the state stays.

use super::options::{AlarmOptions, MissingData, PERIODS_MAX, Statistic};
use crate::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

/// What an alarm says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// Not enough is known.
    InsufficientData,
    /// All is well.
    Ok,
    /// Too many datapoints are beyond the threshold.
    Alarm,
}

/// For people.
impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InsufficientData => "insufficient data",
            Self::Ok => "ok",
            Self::Alarm => "alarm",
        })
    }
}

/// An alarm has gone from one state to another.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Transition {
    /// What it said before.
    pub from: AlarmState,
    /// What it says now.
    pub to: AlarmState,
    /// The end of the period that decided, on the clock of the observations.
    pub at: Duration,
    /// The datapoint of that period; `None` if it is missing.
    pub datapoint: Option<f64>,
}

/// The values of the period that runs.
#[derive(Debug, Clone, Copy)]
struct Running {
    count: u64,
    sum: f64,
    least: f64,
    greatest: f64,
}

impl Running {
    const EMPTY: Self = Self {
        count: 0,
        sum: 0.0,
        least: f64::INFINITY,
        greatest: f64::NEG_INFINITY,
    };

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    fn datapoint(&self, statistic: Statistic, period: Duration) -> Option<f64> {
        (self.count != 0).then(|| match statistic {
            Statistic::Average => self.sum / self.count as f64,
            Statistic::Minimum => self.least,
            Statistic::Maximum => self.greatest,
            Statistic::Sum => self.sum,
            Statistic::Rate => self.sum / period.as_secs_f64(),
        })
    }
}

/// An alarm over values that are observed from time to time.
///
/// Times are those of any clock that does not run backwards, counted from any point; a time before
/// the last one is taken for the last one. Nothing happens between observations: what became of a
/// period is told by the first call after its end.
///
/// # Examples
///
/// ```
/// # use ringmain::{Alarm, AlarmOptions, AlarmState, Comparison};
/// # use std::time::Duration;
/// let options = AlarmOptions::new(Comparison::Greater, 100.0)
///     .clear_at(20.0)
///     .period(Duration::from_secs(10));
/// let mut alarm = Alarm::new(options)?;
/// let mut observe = |at, value| {
///     let transition = alarm.observe(Duration::from_secs(at), value);
///     transition.map(|transition| transition.to)
/// };
/// assert_eq!(observe(0, 5.0), None);
/// assert_eq!(observe(10, 120.0), Some(AlarmState::Ok)); // by the 5 of the period before
/// assert_eq!(observe(20, 60.0), Some(AlarmState::Alarm));
/// assert_eq!(observe(30, 10.0), None); // 60 is more than 20
/// assert_eq!(observe(40, 10.0), Some(AlarmState::Ok));
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct Alarm {
    options: AlarmOptions,
    state: AlarmState,
    /// The period that runs, by its number; `None` before the first call.
    number: Option<u64>,
    running: Running,
    /// The last datapoints, the oldest first: at most as many as are evaluated.
    datapoints: VecDeque<Option<f64>>,
}

impl Alarm {
    /// An alarm about which nothing is known yet.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`]: a period of 1 ms to a day, 1 to 100 periods, 1 to as many datapoints,
    /// and `clear_at` not beyond the threshold.
    pub fn new(options: AlarmOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self {
            options,
            state: AlarmState::InsufficientData,
            number: None,
            running: Running::EMPTY,
            datapoints: VecDeque::with_capacity(options.periods.min(PERIODS_MAX)),
        })
    }

    /// What it says now.
    pub const fn state(&self) -> AlarmState {
        self.state
    }

    /// Takes a value, and says whether the periods that are over by now have changed the state; the
    /// value itself counts in the period that runs. What is not a number is passed over.
    ///
    /// Of several changes, in periods that nobody has looked at, the last state counts.
    pub fn observe(&mut self, now: Duration, value: f64) -> Option<Transition> {
        let transition = self.tick(now);
        if !value.is_nan() {
            self.running.add(value);
        }
        transition
    }

    /// [`observe`](Self::observe) without a value: ends the periods that are over.
    pub fn tick(&mut self, now: Duration) -> Option<Transition> {
        let now_ms = now.as_millis().min(u64::MAX as u128) as u64;
        let number = now_ms / self.options.period_ms();
        let Some(runs) = self.number else {
            self.number = Some(number);
            return None;
        };
        if number <= runs {
            return None;
        }
        let from = self.state;
        let datapoint = self
            .running
            .datapoint(self.options.statistic, self.options.period);
        self.running = Running::EMPTY;
        let mut decided = self.end_period(runs, datapoint);
        // After as many missing periods as are evaluated nothing else is left.
        let missing = (number - runs - 1).min(self.options.periods as u64);
        for missed in number - missing..number {
            decided = self.end_period(missed, None).or(decided);
        }
        self.number = Some(number);
        let (at, datapoint) = decided?;
        (self.state != from).then_some(Transition {
            from,
            to: self.state,
            at,
            datapoint,
        })
    }

    /// Enters the datapoint of a period; its end and the datapoint if it changes the state.
    fn end_period(
        &mut self,
        number: u64,
        datapoint: Option<f64>,
    ) -> Option<(Duration, Option<f64>)> {
        if datapoint.is_none() && self.options.missing == MissingData::Ignore {
            return None;
        }
        if self.datapoints.len() == self.options.periods {
            self.datapoints.pop_front();
        }
        self.datapoints.push_back(datapoint);
        let state = self.evaluate();
        if state == self.state {
            return None;
        }
        self.state = state;
        let end_ms = self.options.period_ms().saturating_mul(number + 1);
        Some((Duration::from_millis(end_ms), datapoint))
    }

    fn evaluate(&self) -> AlarmState {
        let options = &self.options;
        let threshold = match self.state {
            AlarmState::Alarm => options.clear_at,
            AlarmState::Ok | AlarmState::InsufficientData => options.threshold,
        };
        let (mut beyond, mut within) = (0, 0);
        for datapoint in &self.datapoints {
            match (datapoint, options.missing) {
                (Some(value), _) if options.comparison.is_beyond(*value, threshold) => beyond += 1,
                (Some(_), _) | (None, MissingData::NotBreaching) => within += 1,
                (None, MissingData::Breaching) => beyond += 1,
                (None, MissingData::Missing | MissingData::Ignore) => {}
            }
        }
        let needed = options.breaches.unwrap_or(options.periods);
        if beyond >= needed {
            AlarmState::Alarm
        } else if within > options.periods - needed {
            AlarmState::Ok
        } else if beyond + within == 0 && self.datapoints.len() == options.periods {
            AlarmState::InsufficientData
        } else {
            self.state
        }
    }
}
