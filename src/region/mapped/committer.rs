//! The thread that commits from time to time, for queues and streams whose durability
//! has an interval.
//!
//! # Protocol
//!
//! `pending` is a futex word in the region: 1 while something is marked that no timed commit has
//! taken. Who marks and finds 0 sets it and wakes a committer: one system call an interval, and
//! none while marks keep coming, since the committer sleeps through the interval first. Then it
//! clears `pending` and commits, in this order: a mark after that sets it again, `[pending]`.
//!
//! Each attachment has such a thread, and any of them will do. One that was woken and dies leaves
//! `pending` set with nobody awake: so idle sleeps are bounded, and a repair after a death wakes
//! another one. A failed commit is tried again after the next interval.

use super::attachment::Attachment;
use crate::region::section::Section;
use crate::region::{futex_wait, futex_wake};
use crate::sync::{AtomicBool, Ordering};
use crate::trace::event;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest sleep while nothing is pending.
const IDLE: Duration = Duration::from_secs(1);

/// Starts the thread when a queue needs it, and ends it.
#[derive(Debug)]
pub struct Committer {
    attachment: Arc<Attachment>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub fn new(attachment: &Arc<Attachment>) -> Self {
        Self {
            attachment: Arc::clone(attachment),
            stop: Arc::new(AtomicBool::new(false)),
            thread: Mutex::new(None),
        }
    }

    /// Starts the thread unless it runs.
    pub fn start(&self, section: Section, interval: Duration) -> std::io::Result<()> {
        let mut thread = self
            .thread
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if thread.is_none() {
            let (attachment, stop) = (Arc::clone(&self.attachment), Arc::clone(&self.stop));
            let named = std::thread::Builder::new().name("ringmain-committer".into());
            *thread = Some(named.spawn(move || run(&attachment, &section, interval, &stop))?);
        }
        Ok(())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.attachment.fork.is_child() {
            return; // the thread is the parent's
        }
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = thread.take() {
            if let Ok(Some(section)) = self.attachment.section() {
                rouse(&self.attachment, &section, u32::MAX);
            }
            thread.thread().unpark();
            let _ = thread.join(); // it does not panic; if it did, there is nothing to save
        }
    }
}

/// Says that something is marked, and wakes committers.
pub fn rouse(attachment: &Attachment, section: &Section, count: u32) {
    let Some(pending) = attachment.pending(section) else {
        return;
    };
    // ORDERING: SeqCst; [pending].
    if pending.swap(1, Ordering::SeqCst) == 0 || count > 1 {
        futex_wake(pending, count, true);
    }
}

fn run(attachment: &Attachment, section: &Section, interval: Duration, stop: &AtomicBool) {
    let Some(pending) = attachment.pending(section) else {
        return;
    };
    while !stop.load(Ordering::SeqCst) {
        if pending.load(Ordering::SeqCst) == 0 {
            futex_wait(pending, 0, IDLE, true);
            continue;
        }
        std::thread::park_timeout(interval);
        if stop.load(Ordering::SeqCst) {
            break; // who detaches commits
        }
        // ORDERING: SeqCst; [pending] cleared before the marks are taken.
        if pending.swap(0, Ordering::SeqCst) == 1 && attachment.commit_timed(section).is_err() {
            pending.store(1, Ordering::SeqCst);
            event!(WARN, "the committer tries again"; interval = format_args!("{interval:?}"));
        }
    }
}
