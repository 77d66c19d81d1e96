//! The alarms of one queue, fed from its figures.

use super::evaluation::{Alarm, AlarmState, Transition};
use super::metric::Metric;
use super::options::AlarmOptions;
use crate::error::Error;
use crate::queue::QueueStats;
use crate::time::Clock;
use core::time::Duration;

/// One alarm with its name and what it looks at.
#[derive(Debug)]
struct Watched {
    name: String,
    metric: Metric,
    alarm: Alarm,
}

/// The alarms of one queue. Whoever looks at the queue from time to time shows it what was seen.
///
/// # Examples
///
/// ```
/// # use ringmain::{AlarmOptions, Comparison, Heap, ManualClock, Metric, Monitor, Queue};
/// # use ringmain::QueueOptions;
/// # use std::time::Duration;
/// # let clock = ManualClock::new(60_000);
/// # let queue = Queue::create_with(Heap::new(1 << 16)?, QueueOptions::new(), &clock)?;
/// let deep = AlarmOptions::new(Comparison::GreaterOrEqual, 2.0).period(Duration::from_secs(1));
/// let mut monitor = Monitor::new(&clock);
/// monitor.add("deep", Metric::Visible, deep)?;
///
/// queue.send_batch(&["a", "b", "c"])?;
/// let mut said = Vec::new();
/// for _ in 0..2 {
///     let stats = queue.stat()?;
///     monitor.look(&stats, |name, change| said.push(format!("{name}: {}", change.to)));
///     clock.advance(Duration::from_secs(1));
/// }
/// assert_eq!(said, ["deep: alarm"]);
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct Monitor<C: Clock> {
    clock: C,
    watched: Vec<Watched>,
    last: Option<QueueStats>,
}

impl<C: Clock> Monitor<C> {
    /// A monitor without alarms.
    pub const fn new(clock: C) -> Self {
        Self {
            clock,
            watched: Vec::new(),
            last: None,
        }
    }

    /// Adds an alarm. Of two with one name [`state`](Self::state) tells the first.
    ///
    /// # Errors
    ///
    /// As [`Alarm::new`].
    pub fn add(
        &mut self,
        name: impl Into<String>,
        metric: Metric,
        options: AlarmOptions,
    ) -> Result<(), Error> {
        self.watched.push(Watched {
            name: name.into(),
            metric,
            alarm: Alarm::new(options)?,
        });
        Ok(())
    }

    /// Feeds each alarm with its metric's value, now, and tells each change of a state.
    pub fn look(&mut self, stats: &QueueStats, mut changed: impl FnMut(&str, &Transition)) {
        let now = self.now();
        for watched in &mut self.watched {
            let change = match watched.metric.value(stats, self.last.as_ref()) {
                Some(value) => watched.alarm.observe(now, value),
                None => watched.alarm.tick(now),
            };
            if let Some(change) = change {
                changed(&watched.name, &change);
            }
        }
        self.last = Some(*stats);
    }

    /// For when there are no figures to show: ends the periods that are over, which may be missing.
    pub fn tick(&mut self, mut changed: impl FnMut(&str, &Transition)) {
        let now = self.now();
        for watched in &mut self.watched {
            if let Some(change) = watched.alarm.tick(now) {
                changed(&watched.name, &change);
            }
        }
    }

    /// What an alarm says; `None` if there is none of this name.
    pub fn state(&self, name: &str) -> Option<AlarmState> {
        let mut alarms = self.states();
        alarms
            .find(|(known, _)| *known == name)
            .map(|(_, state)| state)
    }

    /// What each alarm says, in the order in which they were added.
    pub fn states(&self) -> impl ExactSizeIterator<Item = (&str, AlarmState)> {
        let watched = self.watched.iter();
        watched.map(|watched| (watched.name.as_str(), watched.alarm.state()))
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.now_ms())
    }
}
