//! What is looked at in a queue's figures.

use crate::queue::{QueueStats, increase};
use core::fmt;

type Closure = Box<dyn FnMut(&QueueStats) -> Option<f64> + Send>;

/// One figure of a queue, as an alarm sees it.
///
/// What is there now is taken as it is. Of what is counted *ever*, the increase since the monitor's
/// last look is taken: with [`Statistic::Sum`](super::Statistic) that is how many in the period,
/// with [`Statistic::Rate`](super::Statistic) how many a second.
#[non_exhaustive]
pub enum Metric {
    /// Messages that can be received.
    Visible,
    /// Messages in flight.
    InFlight,
    /// Messages whose delay is not over.
    Delayed,
    /// How long ago the oldest message that can be received was sent, seconds; 0 if there is none.
    OldestAge,
    /// Free slots.
    SlotsFree,
    /// Participants attached.
    Attachments,
    /// Messages sent.
    Sent,
    /// Receives of a message.
    Received,
    /// Messages deleted.
    Deleted,
    /// Receives that found nothing.
    EmptyReceives,
    /// Messages set aside because of their checksum.
    Damaged,
    /// Messages dropped for their age.
    Expired,
    /// Messages removed by purges.
    Purged,
    /// What a closure makes of the figures: see [`of`](Self::of).
    #[doc(hidden)]
    Computed(Computed),
}

/// A closure.
pub struct Computed(Closure);

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Visible => "Visible",
            Self::InFlight => "InFlight",
            Self::Delayed => "Delayed",
            Self::OldestAge => "OldestAge",
            Self::SlotsFree => "SlotsFree",
            Self::Attachments => "Attachments",
            Self::Sent => "Sent",
            Self::Received => "Received",
            Self::Deleted => "Deleted",
            Self::EmptyReceives => "EmptyReceives",
            Self::Damaged => "Damaged",
            Self::Expired => "Expired",
            Self::Purged => "Purged",
            Self::Computed(_) => "Computed",
        })
    }
}

impl Metric {
    /// What a closure makes of the figures: backlog per worker, say. `None`, or what is not a
    /// number, is no value.
    pub fn of(compute: impl FnMut(&QueueStats) -> Option<f64> + Send + 'static) -> Self {
        Self::Computed(Computed(Box::new(compute)))
    }

    /// Its value now, after the last look; a counter has none at the first.
    pub(super) fn value(&mut self, now: &QueueStats, last: Option<&QueueStats>) -> Option<f64> {
        let grown = |count: fn(&QueueStats) -> u64| Some(increase(last?, now, count) as f64);
        match self {
            Self::Visible => Some(now.visible as f64),
            Self::InFlight => Some(now.in_flight as f64),
            Self::Delayed => Some(now.delayed as f64),
            Self::OldestAge => Some(now.oldest_age.unwrap_or_default().as_secs_f64()),
            Self::SlotsFree => Some(now.slots_free as f64),
            Self::Attachments => Some(now.attachments as f64),
            Self::Sent => grown(|stats| stats.sent),
            Self::Received => grown(|stats| stats.received),
            Self::Deleted => grown(|stats| stats.deleted),
            Self::EmptyReceives => grown(|stats| stats.empty_receives),
            Self::Damaged => grown(|stats| stats.damaged),
            Self::Expired => grown(|stats| stats.expired),
            Self::Purged => grown(|stats| stats.purged),
            Self::Computed(Computed(compute)) => compute(now).filter(|value| !value.is_nan()),
        }
    }
}
