//! Where the dead letters of a queue go.
//!
//! Refused are targets in which messages would be lost or go round: a queue that does not exist,
//! the source itself, one whose longest body is shorter than the source's, and one from which dead
//! letters come back to the source, directly or over others.

use super::handle::Engine;
use super::meta::{Target, check_receives};
use super::shared::Shared;
use crate::error::Error;
use crate::region::shelf::{Held, Home, Shelf, check_name, is_fifo_name};
use crate::time::Clock;

/// Where the dead letters of a queue go, and when a message is one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterPolicy {
    /// The queue that takes them.
    pub target: String,
    /// How often a message is received before it goes there.
    pub max_receives: u32,
}

impl<H: Home> Shared<H> {
    /// In a turn: the id of `target`, if it may take the dead letters of `source`.
    pub fn target_id(
        &self,
        source: &str,
        body_bytes_max: usize,
        target: &str,
    ) -> Result<u64, Error> {
        check_name(target)?;
        let refused = |problem| Err(Error::DeadLetters { problem });
        if target == source {
            return refused("a queue is not its own");
        }
        if is_fifo_name(target) != is_fifo_name(source) {
            return refused("it is of another kind: a FIFO queue has a FIFO queue, and only it");
        }
        if !self.finish(Held::Queue, target)? {
            return refused("there is no queue of that name");
        }
        let look = self.shelf.look(target)?;
        if look.body_bytes_max < body_bytes_max {
            return refused("its longest body (max_body) is shorter than the source's");
        }
        if look.id == 0 {
            return refused("its nonce has no low bits; create it again");
        }
        if self.leads_to(target, source)? {
            return refused("its own dead letters come back to the source");
        }
        Ok(look.id)
    }

    /// Whether the dead letters of `from` reach `to`, over however many queues.
    fn leads_to(&self, from: &str, to: &str) -> Result<bool, Error> {
        let mut seen = vec![from.to_string()];
        while let Some(next) = seen.last().map(|name| self.meta(name)).transpose()? {
            match next.dead_letters {
                Some(target) if target.name == to => return Ok(true),
                Some(target) if !seen.contains(&target.name) => seen.push(target.name),
                _ => break,
            }
        }
        Ok(false)
    }

    /// Says where dead letters go, or that they go nowhere.
    fn set_dead_letters(&self, name: &str, policy: Option<(&str, u32)>) -> Result<(), Error> {
        check_name(name)?;
        if let Some((target, receives)) = policy {
            check_name(target)?;
            check_receives(receives)?;
        }
        self.shelf.turn(|| {
            let queue = self.present(name)?;
            let mut meta = self.meta(name)?;
            meta.dead_letters = match policy {
                None => None,
                Some((target, receives)) => Some(Target {
                    id: self.target_id(name, queue.body_bytes_max(), target)?,
                    name: target.into(),
                    receives,
                }),
            };
            self.set_meta(Held::Queue, name, &meta)?;
            let policy = meta.dead_letters.map(|target| (target.id, target.receives));
            queue.set_dead_letters(policy)
        })
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// Says where dead letters of a queue go: to the queue `target`, after a message was received
    /// `max_receives` times (1 to 1000) and not deleted. `None`: they go nowhere, and a message is
    /// received as often as it is not deleted.
    ///
    /// Every participant goes by it from its next receive on. A target that is deleted later, and
    /// even one that is made again under its name, is no target any more: dead letters then stay
    /// where they are, received by nobody, until another one is set.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`]; [`Error::DeadLetters`]: the target does not exist, is
    /// the queue itself, is of the other kind, takes shorter bodies, or sends its own dead letters
    /// back; [`Error::OutOfRange`]. Then nothing has changed. With a journal [`Error::NotDurable`]:
    /// it has, and is not known to be on the disk.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_queue("orders", &QueueSpec::new())?;
    /// engine.create_queue("orders-dead", &QueueSpec::new())?;
    /// engine.set_dead_letters("orders", Some(("orders-dead", 5)))?;
    /// let policy = engine.describe("orders")?.dead_letters;
    /// assert_eq!(policy.map(|policy| policy.target).as_deref(), Some("orders-dead"));
    /// engine.set_dead_letters("orders", None)?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn set_dead_letters(&self, name: &str, policy: Option<(&str, u32)>) -> Result<(), Error> {
        self.shared.set_dead_letters(name, policy)
    }
}
