//! The collector: removes bodies without a message.
//!
//! It lists the directory first and looks at the words afterwards (`region::names` tells why that
//! order is right, and each race). It removes a file only if its message is not there, and no
//! other queue can have it. Several collectors side by side remove what each finds, once.
//!
//! Files are looked at by whose words tell of them:
//!
//! - those of this queue: by its words;
//! - those of private queues of a process that has died: by its lock;
//! - those of other queues in the directory, and of private queues of living processes: left alone.

use super::queue::LargeQueue;
use crate::error::Error;
use crate::queue::{KEPT_MS_MAX, MessageId};
use crate::region::Region;
use crate::region::mapped::side::{SideKeeper, SideName};
use crate::time::Clock;

/// What a collector found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Collected {
    /// Bodies of no message, which it has removed.
    pub removed: u64,
    /// Bodies of messages that are in this queue, or are being sent.
    pub live: u64,
    /// Bodies whose messages are not in this queue, but may be in the one to which it sends dead
    /// letters. They are removed 15 days and 12 hours after they were sent.
    pub doubtful: u64,
    /// Bodies of other queues, which are theirs to collect.
    pub foreign: u64,
}

/// What is to be done with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Dead,
    Live,
    Doubtful,
    Foreign,
}

/// The rule for a body of this queue.
const fn verdict(lives: bool, sends_on: bool, age_ms: u64) -> Verdict {
    match (lives, sends_on && age_ms <= KEPT_MS_MAX) {
        (true, _) => Verdict::Live,
        (false, true) => Verdict::Doubtful,
        (false, false) => Verdict::Dead,
    }
}

impl<R: Region, C: Clock> LargeQueue<'_, R, C> {
    /// Removes the bodies of messages that are gone, and tells what else is there.
    ///
    /// Those of other queues that use the directory are left to their own collectors; but those of
    /// queues in the memory of processes that have died are removed, whoever asks. Nothing is
    /// removed whose message is in the queue or is being sent, however slowly.
    ///
    /// If the queue sends dead letters to another one, a body whose message is not here may belong
    /// to one that is there. It is `doubtful`, and is removed when no queue can have it any more.
    ///
    /// # Errors
    ///
    /// [`Error::SideStore`], [`Error::Permission`], [`Error::NotDurable`], [`Error::Forked`],
    /// [`Error::Deleted`]: a part may be done.
    ///
    /// # Progress
    ///
    /// Waits for the file system; if it removes anything of a queue with a journal, for the disk.
    ///
    /// # Complexity
    ///
    /// Linear in the files of the directory, of which it keeps the names.
    pub fn collect(&self) -> Result<Collected, Error> {
        self.check()?;
        self.queue.tend()?;
        let (bodies, processes) = self.dir.list()?;
        let collected = self.sweep(&bodies, |name| self.judge(name))?;
        for process in processes {
            if self.dir.is_dead(process) {
                self.dir.forget(process)?; // its bodies went before it
            }
        }
        Ok(collected)
    }

    fn judge(&self, name: SideName) -> Verdict {
        if self.is_own(name) {
            let id = MessageId::of(name.place, name.stamp);
            // In this order: a message that goes on does so when the other queue has been named.
            let lives = self.queue.lives(id);
            return verdict(lives, self.queue.sends_on(), self.queue.age_ms(id));
        }
        match name.keeper {
            SideKeeper::Process(process) if self.dir.is_dead(process) => Verdict::Dead,
            _ => Verdict::Foreign,
        }
    }

    /// Removes those of the listed bodies that `judge` finds dead.
    fn sweep(
        &self,
        bodies: &[SideName],
        judge: impl Fn(SideName) -> Verdict,
    ) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        let mut dead = Vec::new();
        for &name in bodies {
            match judge(name) {
                Verdict::Dead => dead.push(name),
                Verdict::Live => collected.live += 1,
                Verdict::Doubtful => collected.doubtful += 1,
                Verdict::Foreign => collected.foreign += 1,
            }
        }
        if !dead.is_empty() && self.queue.is_journaled() {
            self.queue.sync()?; // the ends of the messages come to the disk before those of bodies
        }
        for name in dead {
            collected.removed += u64::from(self.dir.remove(name)?);
        }
        Ok(collected)
    }

    /// Removes the bodies of all messages of this queue, for when the queue is deleted, which it
    /// may be already. Returns how many.
    ///
    /// Messages that are still somewhere lose their bodies: those in the queue, those that are
    /// being sent, and those that have gone on to a queue of dead letters.
    ///
    /// # Errors
    ///
    /// [`Error::SideStore`], [`Error::Permission`], [`Error::Forked`]: a part may be done.
    pub fn abandon(&self) -> Result<u64, Error> {
        match self.check() {
            Ok(()) | Err(Error::Deleted) => {}
            Err(other) => return Err(other),
        }
        let mut removed = 0;
        let own = self.dir.list()?.0.into_iter();
        for name in own.filter(|&name| self.is_own(name)) {
            removed += u64::from(self.dir.remove(name)?);
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::LargeOptions;
    use super::*;
    use crate::message::Message;
    use crate::queue::{Queue, QueueOptions};
    use crate::region::Heap;

    /// Does `act` with a queue of its own in memory.
    fn with_queue(name: &str, act: impl FnOnce(&LargeQueue<'_, Heap>)) {
        let dir = format!("ringmain-collect-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(dir);
        let region = Heap::new(1 << 14).expect("memory");
        let queue = Queue::create(region, QueueOptions::new()).expect("a queue");
        let options = LargeOptions::new().threshold(0);
        let large = LargeQueue::with_options(&queue, &dir, options).expect("a directory");
        act(&large);
        large.dir.remove_all();
    }

    fn listed(large: &LargeQueue<'_, Heap>) -> Vec<SideName> {
        large.dir.list().expect("listed").0
    }

    /// A sender has claimed and made the file, and has not published. Whether the file is there
    /// after a collector with this rule has come by.
    fn survives_half_sent(
        large: &LargeQueue<'_, Heap>,
        judge: impl Fn(SideName) -> Verdict,
    ) -> bool {
        let claim = large.queue.claim_named(&Message::new("x")).expect("room");
        let name = large.name_of(claim.id());
        let writer = large.dir.create(name, None).expect("a file");
        large.sweep(&listed(large), judge).expect("swept");
        let survived = large.dir.has(name);
        drop(writer);
        drop(claim);
        assert!(listed(large).is_empty());
        survived
    }

    #[test]
    fn a_body_that_is_being_written_lives_and_a_rule_without_claims_loses_it() {
        with_queue("claims", |large| {
            assert!(survives_half_sent(large, |name| large.judge(name)));
            // The twin: only what can be received lives.
            let twin = |name: SideName| {
                let stat = large.queue.stat().expect("figures");
                verdict(
                    stat.visible + stat.in_flight != 0 && large.is_own(name),
                    false,
                    0,
                )
            };
            assert!(!survives_half_sent(large, twin));
        });
    }

    #[test]
    fn the_list_comes_before_the_look_and_a_rule_that_looks_first_loses_a_body() {
        with_queue("order", |large| {
            for twin in [false, true] {
                // The twin looks at the words, finds nobody, and lists afterwards.
                let early = listed(large);
                let looked: Vec<SideName> = early
                    .iter()
                    .copied()
                    .filter(|&name| large.judge(name) == Verdict::Live)
                    .collect();
                large.send(b"a body").expect("sent");
                let stale = |name: SideName| verdict(looked.contains(&name), false, 0);
                let swept = if twin {
                    large.sweep(&listed(large), stale)
                } else {
                    large.sweep(&early, |name| large.judge(name))
                };
                assert_eq!(swept.map(|swept| swept.removed), Ok(u64::from(twin)));
                let received = large.receive().expect("received").expect("there");
                let body = received.read_to_vec(10);
                match twin {
                    false => assert_eq!(body, Ok(b"a body".to_vec())),
                    true => assert_eq!(body, Err(Error::SideMissing)),
                }
                received.delete().expect("deleted");
            }
        });
    }

    #[test]
    fn what_may_have_gone_on_is_kept_as_long_as_any_queue_keeps_it() {
        for age_ms in [0, KEPT_MS_MAX, u64::MAX] {
            assert_eq!(verdict(true, false, age_ms), Verdict::Live);
            assert_eq!(verdict(true, true, age_ms), Verdict::Live);
            assert_eq!(verdict(false, false, age_ms), Verdict::Dead);
        }
        assert_eq!(verdict(false, true, KEPT_MS_MAX), Verdict::Doubtful);
        assert_eq!(verdict(false, true, KEPT_MS_MAX + 1), Verdict::Dead);
        assert_eq!(KEPT_MS_MAX, (15 * 24 + 12) * 3_600_000);
    }
}
