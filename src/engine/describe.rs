//! What is known of a queue, and its tags.

use super::dead::DeadLetterPolicy;
use super::handle::Engine;
use super::meta::{Meta, Target, check_tag, check_tags};
use super::shared::Shared;
use super::shared::gone;
use crate::error::Error;
#[cfg(feature = "fifo")]
use crate::queue::FifoOptions;
use crate::queue::{QueueOptions, QueueStats};
use crate::region::policy::{DEAD_LETTERS, RECEIVES_MAX};
use crate::region::shelf::{Held, Home, Shelf, check_name};
use crate::time::Clock;
use std::collections::BTreeMap;

/// A queue of an engine as it is at this moment: see [`Engine::describe`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueDescription {
    /// Its name.
    pub name: String,
    /// Its options, as changed since it was made.
    pub options: QueueOptions,
    /// Those of a FIFO queue, if it is one.
    #[cfg(feature = "fifo")]
    pub fifo: Option<FifoOptions>,
    /// Bytes of its region.
    pub bytes: u64,
    /// Where its dead letters go.
    pub dead_letters: Option<DeadLetterPolicy>,
    /// The queues whose dead letters come here, sorted.
    pub sources: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made, ms since 1970 by the wall clock; 0 if its metadata were lost.
    pub created_ms: u64,
    /// Its figures.
    pub stats: QueueStats,
}

impl<H: Home> Shared<H> {
    /// The queues whose dead letters go to `target`, sorted.
    pub(super) fn sources(&self, target: &str) -> Result<Vec<String>, Error> {
        let mut sources = self.names("")?;
        sources.retain(|name| {
            let policy = self.meta(name).ok().and_then(|meta| meta.dead_letters);
            policy.is_some_and(|policy| policy.name == target)
        });
        Ok(sources)
    }

    /// Changes the metadata of a queue or a stream.
    fn change_meta(
        &self,
        name: &str,
        change: impl FnOnce(&mut Meta) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let is_none = |held: &Held| held.check_name(name).is_err();
        if Held::ALL.iter().all(is_none) {
            check_name(name)?;
        }
        self.shelf.turn(|| {
            let held = self.held(name)?;
            let before = self.meta_of(held, name)?;
            let mut meta = before.clone();
            change(&mut meta)?;
            if meta == before {
                return Ok(());
            }
            self.set_meta(held, name, &meta)
        })
    }

    /// In a turn: what has this name.
    fn held(&self, name: &str) -> Result<Held, Error> {
        for held in Held::ALL {
            if held.check_name(name).is_ok() && self.finish(held, name)? {
                return Ok(held);
            }
        }
        Err(match check_name(name) {
            Ok(()) => Error::NoQueue,
            Err(_) => Error::NoStream,
        })
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// What is known of a queue.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::MetadataDamaged`]; those of `Mapped::open`.
    ///
    /// # Complexity
    ///
    /// Linear in the slots of the queue that have been used, and in the queues of the engine.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_queue("orders", &QueueSpec::new().bytes(1 << 20).tag("team", "blue"))?;
    /// let orders = engine.describe("orders")?;
    /// assert_eq!((orders.bytes, orders.stats.visible), (1 << 20, 0));
    /// assert_eq!(orders.tags["team"], "blue");
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn describe(&self, name: &str) -> Result<QueueDescription, Error> {
        let named = self.shared.find(name)?;
        let meta = self.shared.meta(name)?;
        let policy = named.policy();
        let max_receives = |target: &Target| match policy[DEAD_LETTERS] == target.id {
            true => policy[RECEIVES_MAX] as u32,
            false => target.receives, // somebody is setting it, or died over that
        };
        let bytes = named.bytes();
        let queue = self.either(named)?;
        Ok(QueueDescription {
            name: name.into(),
            options: queue.options(),
            #[cfg(feature = "fifo")]
            fifo: queue.fifo_options(),
            bytes,
            dead_letters: meta.dead_letters.map(|target| DeadLetterPolicy {
                max_receives: max_receives(&target),
                target: target.name,
            }),
            sources: self.shared.sources(name)?,
            tags: meta.tags,
            created_ms: meta.created_ms,
            stats: queue.stat().map_err(gone)?,
        })
    }

    /// Gives a queue or a stream a tag, or another value for it: a key of 1 to 128 characters, a
    /// value of up to 256, no control characters.
    ///
    /// # Errors
    ///
    /// [`Error::Tag`]; [`Error::TagCount`]: it has 50 already; [`Error::NoQueue`], or
    /// [`Error::NoStream`] for a name that no queue can have; [`Error::Name`],
    /// [`Error::MetadataDamaged`].
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_queue("orders", &QueueSpec::new())?;
    /// engine.tag("orders", "team", "blue")?;
    /// engine.untag("orders", "team")?;
    /// assert!(engine.describe("orders")?.tags.is_empty());
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn tag(&self, name: &str, key: &str, value: &str) -> Result<(), Error> {
        check_tag(key, value)?;
        self.shared.change_meta(name, |meta| {
            meta.tags.insert(key.into(), value.into());
            check_tags(&meta.tags)
        })
    }

    /// Takes a tag from a queue or a stream. One that it does not have is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Tag`]: it is no key; those of [`tag`](Engine::tag) but [`Error::TagCount`].
    ///
    /// # Progress
    ///
    /// As [`tag`](Engine::tag).
    pub fn untag(&self, name: &str, key: &str) -> Result<(), Error> {
        check_tag(key, "")?;
        self.shared.change_meta(name, |meta| {
            meta.tags.remove(key);
            Ok(())
        })
    }
}
