//! The one thread below floor 5: it sleeps on the region's futex for the futures of an attachment.
//!
//! A future cannot sleep on a futex, and nothing that executors can poll is woken by another
//! process without a file or a privilege that a region does not have. So the first future that
//! waits at a mapped region starts this thread. While no future waits it is not there; it ends by
//! itself shortly after the last one, and at once when the region is dropped.

use super::attachment::Attachment;
use crate::region::repair::extent;
use crate::region::{futex_wait, futex_wake};
use crate::sync::{AtomicBool, Ordering};
use crate::time::{Clock, SystemClock};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it sleeps at most: the time in which a death is noticed.
const NAP: Duration = Duration::from_millis(8);
/// How many naps without a waiting future before it ends.
const IDLE_NAPS: u32 = 100;

/// Starts the thread when it is needed, and ends it.
#[derive(Debug)]
pub struct Sleeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    attachment: Arc<Attachment>,
    running: AtomicBool,
    stop: AtomicBool,
}

impl Sleeper {
    pub fn new(attachment: &Arc<Attachment>) -> Self {
        let shared = Shared {
            attachment: Arc::clone(attachment),
            running: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// Starts the thread unless it runs. If none can be had, futures are woken by this process
    /// only.
    pub fn start(&self) {
        // ORDERING: SeqCst; [sleeper-thread]: the future's waker was put before; a thread that ends
        // clears `running` and then looks for waiting futures once more.
        if self.shared.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let named = std::thread::Builder::new().name("ringmain-sleeper".into());
        let started = named.spawn(move || shared.run());
        if started.is_err() {
            self.shared.running.store(false, Ordering::SeqCst);
        }
        let mut thread = self
            .thread
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *thread = started.ok(); // the one before it, if any, has ended or is about to
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.shared.attachment.fork.is_child() {
            return; // the thread is the parent's
        }
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = thread.take() {
            self.shared.nudge();
            let _ = thread.join(); // it does not panic; if it did, there is nothing to save
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut idle = 0;
        while !self.stop.load(Ordering::SeqCst) {
            idle = if self.attachment.wakers.is_empty() {
                idle + 1
            } else {
                0
            };
            if idle > IDLE_NAPS {
                self.running.store(false, Ordering::SeqCst);
                // ORDERING: [sleeper-thread]
                if self.attachment.wakers.is_empty() || self.running.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            self.nap();
        }
    }

    /// Looks, wakes a future if there is something for it, and sleeps.
    fn nap(&self) {
        let attachment = &self.attachment;
        if attachment.look_at_file().is_err() {
            attachment.wakers.wake(u32::MAX); // each is told by its next look
            return std::thread::park_timeout(NAP);
        }
        let Ok(Some(place)) = attachment.existing() else {
            return std::thread::park_timeout(NAP);
        };
        let store = attachment.store_at(&place);
        let sequence = store.head().event.prepare();
        attachment.tend_owners();
        let now_ms = SystemClock.now_ms().saturating_add(attachment.time_base_ms);
        let ready = |block: &&crate::ring::blocks::Block| {
            block.ready.load(Ordering::Relaxed) != 0 || block.due.ms() <= now_ms
        };
        let something = store.blocks()[..extent(&store)]
            .iter()
            .filter(ready)
            .count();
        if something != 0 {
            attachment.wakers.wake(something as u32);
        }
        futex_wait(&store.head().event.sequence, sequence, NAP, true);
    }

    /// Wakes the thread, and whoever else sleeps there: they look and sleep again.
    fn nudge(&self) {
        if let (Ok(()), Ok(Some(place))) = (self.attachment.check(), self.attachment.existing()) {
            let event = &self.attachment.store_at(&place).head().event;
            event.sequence.fetch_add(1, Ordering::SeqCst);
            futex_wake(&event.sequence, u32::MAX, true);
        }
    }
}
