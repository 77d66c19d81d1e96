//! All metrics: what each is called, and where in a queue's figures it stands.

use crate::queue::QueueStats;

/// What there is now.
pub struct Gauge {
    pub name: &'static str,
    pub help: &'static str,
    pub value: fn(&QueueStats) -> f64,
}

/// What has happened, ever.
pub struct Counter {
    pub name: &'static str,
    pub help: &'static str,
    pub value: fn(&QueueStats) -> u64,
    /// The same place, to be written.
    pub place: fn(&mut QueueStats) -> &mut u64,
}

/// The histogram of latencies.
pub const LATENCY_NAME: &str = "ringmain_send_to_receive_seconds";
pub const LATENCY_HELP: &str = "Time from send to receive.";

macro_rules! gauges {
    ($($name:literal $help:literal $value:expr;)*) => {
        &[$(Gauge { name: $name, help: $help, value: $value },)*]
    };
}

macro_rules! counters {
    ($($name:literal $help:literal $field:ident;)*) => {
        &[$(Counter {
            name: $name,
            help: $help,
            value: |stats| stats.$field,
            place: |stats| &mut stats.$field,
        },)*]
    };
}

pub const GAUGES: &[Gauge] = gauges! {
    "ringmain_visible" "Messages that can be received now." |stats| stats.visible as f64;
    "ringmain_in_flight" "Messages received and neither deleted nor visible again."
        |stats| stats.in_flight as f64;
    "ringmain_delayed" "Messages sent whose delay is not over." |stats| stats.delayed as f64;
    "ringmain_oldest_age_seconds"
        "Age of the oldest message that can be received now, 0 if there is none."
        |stats| stats.oldest_age.unwrap_or_default().as_secs_f64();
    "ringmain_slots" "Slots in all." |stats| stats.slots as f64;
    "ringmain_slots_free" "Slots that are free." |stats| stats.slots_free as f64;
    "ringmain_attachments" "Participants attached." |stats| stats.attachments as f64;
};

pub const COUNTERS: &[Counter] = counters! {
    "ringmain_sent_total" "Messages sent." sent;
    "ringmain_received_total" "Receives of a message; one that came back counts again." received;
    "ringmain_deleted_total" "Messages deleted." deleted;
    "ringmain_empty_receives_total" "Receives that found nothing." empty_receives;
    "ringmain_damaged_total" "Messages set aside because of their checksum." damaged;
    "ringmain_expired_total" "Messages dropped for their age." expired;
    "ringmain_purged_total" "Messages removed by purges." purged;
    "ringmain_moved_total" "Messages moved to another queue." moved;
};
