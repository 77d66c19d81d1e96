//! Sleeping until one of several queues has a message, or one of several cursors a record.
//!
//! # Protocol
//!
//! The event count of each queue, all at once: the waiter prepares at each, looks at each, and
//! sleeps on all their sequences. A wake-up at any of them wakes it, and two that come together may
//! both count it as woken, although it goes on with one queue only. So one that has slept, before
//! it returns, looks at the other queues as well, and where something is visible it wakes somebody
//! else: a wake-up that it does not use is passed on.

use super::thread::check_wait;
use super::waitable::{WAITED_MAX, Waitable, check_count, look_at_all};
use crate::error::Error;
use crate::region::{Futex, futex_wait_any};
use crate::time::{Deadline, spins};
use core::time::Duration;

/// The longest sleep where the kernel lets a thread sleep on one word only.
const NAP: Duration = Duration::from_millis(8);

/// Queues and cursors at which a thread sleeps.
struct Waiting<'a>(&'a [&'a dyn Waitable]);

impl<'a> Waiting<'a> {
    fn at(queues: &'a [&'a dyn Waitable]) -> Self {
        queues.iter().for_each(|queue| queue.begin());
        Self(queues)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|queue| queue.end());
    }
}

/// Waits up to `timeout` (0 to 20 s) until one of 1 to 128 queues and cursors has something, and
/// returns that one's index; `None` if the time is over. They may be in different regions and
/// homes, and have different clocks. A cursor also has something if its next read is an error.
///
/// It takes nothing: the receive that follows may find that somebody else was faster. If several
/// have something, it is not always the first of them that is named. Each message wakes one
/// waiter. Who is woken and does not receive leaves the message to the next call of anybody; over a
/// mapped region another waiter is woken for it within some seconds.
///
/// On kernels before 5.16, and where a filter forbids `futex_waitv`, it sleeps at the first of
/// them only, and looks at the others every 8 ms.
///
/// # Errors
///
/// [`Error::OutOfRange`]: the timeout, or how many there are. [`Error::Forked`],
/// [`Error::Truncated`]: one of them says so.
///
/// # Progress
///
/// Waits for a message or a record, for nothing else.
///
/// # Examples
///
/// ```
/// use ringmain::{Heap, Queue, QueueOptions, wait_any};
/// use std::time::Duration;
///
/// let urgent = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
/// let normal = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
/// normal.send(b"tidy up")?;
/// let queues = [&urgent, &normal];
/// let found = wait_any(&[&urgent, &normal], Duration::from_secs(20))?;
/// assert_eq!(found, Some(1));
/// if let Some(job) = found.map(|index| queues[index].receive()).transpose()?.flatten() {
///     job.delete()?;
/// }
/// # Ok::<(), ringmain::Error>(())
/// ```
pub fn wait_any(queues: &[&dyn Waitable], timeout: Duration) -> Result<Option<usize>, Error> {
    check_wait(timeout)?;
    check_count(queues.len())?;
    let found = look_at_all(queues)?;
    if found.is_some() || timeout.is_zero() {
        return Ok(found);
    }
    let deadline = Deadline::after(timeout);
    for _ in 0..spins() {
        crate::sync::spin_hint();
    }
    let found = look_at_all(queues)?;
    if found.is_some() {
        return Ok(found);
    }
    let _waiting = Waiting::at(queues);
    let mut sequences = [0; WAITED_MAX];
    loop {
        for (queue, sequence) in queues.iter().zip(&mut sequences) {
            *sequence = queue.prepare();
        }
        let found = look_at_all(queues);
        let left = deadline.left();
        if !matches!(found, Ok(None)) || left.is_zero() {
            pass_on(queues, found.as_ref().ok().copied().flatten());
            return found;
        }
        sleep(queues, &sequences, left);
    }
}

/// Sleeps until woken, or until there may be something to see.
fn sleep(queues: &[&dyn Waitable], sequences: &[u32; WAITED_MAX], left: Duration) {
    let mut futexes = [Futex::NONE; WAITED_MAX];
    let mut nap = left;
    for ((queue, sequence), futex) in queues.iter().zip(sequences).zip(&mut futexes) {
        let (word, longest) = queue.bed(*sequence);
        *futex = word;
        nap = nap.min(longest);
    }
    if !futex_wait_any(&futexes[..queues.len()], nap) {
        queues[0].sleep_here(sequences[0], nap.min(NAP));
    }
}

/// Passes on what came to this waiter from queues that it does not return.
fn pass_on(queues: &[&dyn Waitable], used: Option<usize>) {
    for (index, queue) in queues.iter().enumerate() {
        if Some(index) != used {
            queue.pass_on();
        }
    }
}
