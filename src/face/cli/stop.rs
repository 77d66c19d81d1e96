//! Being asked to stop: SIGINT and SIGTERM set a flag that the loops look at.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::sync::{AtomicBool, Ordering};

/// Set by a signal, taken once.
#[derive(Debug)]
pub(super) struct Request(Arc<AtomicBool>);

impl Request {
    /// From now on `signal` is a request.
    pub(super) fn on_signal(signal: i32) -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
        Ok(Self(flag))
    }

    /// Whether there was a request since the last call.
    pub(super) fn taken(&self) -> bool {
        // ORDERING: Relaxed; the flag publishes nothing but itself.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Set by a signal, never cleared.
#[derive(Debug, Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on SIGINT and SIGTERM ask instead of killing; a second one kills after all.
    pub(super) fn on_signals() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the second signal finds the flag set by the first.
            let asked = Arc::clone(&flag);
            signal_hook::flag::register_conditional_default(signal, asked)?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// From now on SIGINT and SIGTERM ask, however often they come.
    pub(super) fn on_signals_patiently() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Whether a signal has come.
    pub(super) fn asked(&self) -> bool {
        // ORDERING: Relaxed; the flag publishes nothing but itself.
        self.0.load(Ordering::Relaxed)
    }
}
