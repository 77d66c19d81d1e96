//! How long the survivors take until they have what the dead one held.
//!
//! What they wait for a processor that others have does not count: the kernel says how long that
//! was. So a machine that does other work besides does not make a recovery slow; one that sleeps,
//! or that goes in circles, is as slow as ever.

use super::board::monotonic_ns;
use super::tracer::Pid;

/// Begun at a death.
pub struct Recovery {
    since_ns: u64,
    waited_ns: u64,
    busy: Option<Pid>,
}

impl Recovery {
    /// This process survives, and another one if it is given.
    pub fn begins(busy: Option<Pid>) -> Self {
        Self {
            since_ns: monotonic_ns(),
            waited_ns: waited_ns(busy),
            busy,
        }
    }

    /// How much of the time until `until_ns`, which has been, was theirs, ns.
    pub fn took_ns(&self, until_ns: u64) -> u64 {
        let waited_ns = waited_ns(self.busy).saturating_sub(self.waited_ns);
        until_ns.saturating_sub(self.since_ns + waited_ns)
    }
}

/// How long this process and another have been ready to run while others ran.
fn waited_ns(other: Option<Pid>) -> u64 {
    let own = std::process::id() as Pid;
    let of = |pid: Pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        let waited = text
            .split_whitespace()
            .nth(1)
            .and_then(|ns| ns.parse().ok());
        waited.unwrap_or(0) // a kernel that does not say: all of the time counts
    };
    of(own) + other.map_or(0, of)
}
