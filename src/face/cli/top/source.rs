//! Where the screen's figures come from, and what it can do to a queue.

use std::collections::BTreeMap;
use std::time::Instant;

use super::streams::{StreamLook, Streams};
use crate::face::cli::any::AnyQueue;
use crate::face::cli::exit::Trouble;
use crate::face::cli::spot;
use crate::{Engine, Error, FifoStats, MessageState, QueueStats, RedriveOptions};

/// Bytes of a body that are shown.
pub(super) const BODY_SHOWN: usize = 120;
/// Messages that are shown.
const MESSAGES_SHOWN: usize = 200;

/// A queue, as one look finds it.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) name: String,
    pub(super) stats: QueueStats,
    /// Of a FIFO queue alone.
    pub(super) groups: Option<FifoStats>,
}

/// A message, as a peek finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) state: &'static str,
    /// How long ago it was sent, ms.
    pub(super) age_ms: u64,
    pub(super) receive_count: u32,
    pub(super) len: usize,
    /// The beginning of its body.
    pub(super) body: Vec<u8>,
}

/// What a peek brings: messages, and how many were passed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) messages: Vec<Seen>,
    pub(super) passed: u64,
}

/// Queues and streams by name.
pub(super) trait Source {
    /// A look at each queue, sorted by name. One that goes meanwhile is left out.
    fn looks(&mut self) -> Result<Vec<Look>, Trouble>;
    /// The same at each stream.
    fn streams(&mut self) -> Result<Vec<StreamLook>, Trouble>;
    /// Some messages of a queue, without receiving them.
    fn peek(&mut self, name: &str) -> Result<Sight, Trouble>;
    /// Removes all messages; how many.
    fn purge(&mut self, name: &str) -> Result<u64, Trouble>;
    /// Begins to move dead letters back to the queues that they came from; how many there are.
    fn redrive(&mut self, name: &str) -> Result<u64, Trouble>;
}

/// The queues and streams of an engine; each stays open while it is there.
pub(super) struct Queues {
    engine: Engine,
    open: BTreeMap<String, AnyQueue>,
    streams: Streams,
}

impl Queues {
    pub(super) fn of(engine: Engine) -> Self {
        Self {
            engine,
            open: BTreeMap::new(),
            streams: Streams::default(),
        }
    }

    fn queue(&mut self, name: &str) -> Result<&AnyQueue, Error> {
        if !self.open.contains_key(name) {
            let queue = spot::open_named(&self.engine, name)?.leave_tending();
            self.open.insert(name.to_owned(), queue);
        }
        self.open.get(name).ok_or(Error::NoQueue)
    }

    fn figures(&mut self, name: &str) -> Result<(QueueStats, Option<FifoStats>), Error> {
        let queue = self.queue(name)?;
        Ok((queue.stat()?, queue.groups()?))
    }
}

impl Source for Queues {
    fn looks(&mut self) -> Result<Vec<Look>, Trouble> {
        let names = self.engine.queues("")?;
        self.open.retain(|name, _| names.contains(name));
        let mut looks = Vec::with_capacity(names.len());
        for name in names {
            let figures = match self.figures(&name) {
                // Deleted, and perhaps made anew.
                Err(Error::Deleted) => {
                    self.open.remove(&name);
                    self.figures(&name)
                }
                figures => figures,
            };
            match figures {
                Ok((stats, groups)) => looks.push(Look {
                    name,
                    stats,
                    groups,
                }),
                Err(Error::NoQueue | Error::Deleted) => {}
                Err(error) => return Err(Trouble::new(format_args!("{name}: {error}"))),
            }
        }
        Ok(looks)
    }

    fn streams(&mut self) -> Result<Vec<StreamLook>, Trouble> {
        let told = |(name, error): (String, Error)| match name.is_empty() {
            true => Trouble::new(error),
            false => Trouble::new(format_args!("{name}: {error}")),
        };
        self.streams.looks(&self.engine).map_err(told)
    }

    fn peek(&mut self, name: &str) -> Result<Sight, Trouble> {
        let queue = self.queue(name)?;
        let now_ms = queue.time_ms();
        let mut peeks = queue.peeks();
        let mut sight = Sight::default();
        for peeked in peeks.by_ref().take(MESSAGES_SHOWN) {
            let peeked = peeked?;
            let body = peeked.body();
            sight.messages.push(Seen {
                id: peeked.id().to_string(),
                state: word(peeked.state()),
                age_ms: now_ms.saturating_sub(peeked.sent_ms()),
                receive_count: peeked.receive_count(),
                len: body.len(),
                body: body[..body.len().min(BODY_SHOWN)].to_vec(),
            });
        }
        sight.passed = peeks.passed();
        Ok(sight)
    }

    fn purge(&mut self, name: &str) -> Result<u64, Trouble> {
        Ok(self.queue(name)?.purge()?)
    }

    fn redrive(&mut self, name: &str) -> Result<u64, Trouble> {
        let status = self.engine.start_redrive(name, &RedriveOptions::new())?;
        let (engine, name) = (self.engine.clone(), name.to_owned());
        // It outlives neither the screen nor its work: what is left, somebody else goes on with.
        std::thread::spawn(move || engine.run_redrive(&name));
        Ok(status.total)
    }
}

/// A state's word on the screen and in JSON.
pub(in crate::face::cli) fn word(state: MessageState) -> &'static str {
    match state {
        MessageState::Visible => "visible",
        MessageState::InFlight { .. } => "in flight",
        MessageState::Delayed { .. } => "delayed",
    }
}

/// A look at all queues and streams, and when it was.
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) looks: Vec<Look>,
    pub(super) streams: Vec<StreamLook>,
}

impl Moment {
    pub(super) fn now(source: &mut dyn Source) -> Result<Self, Trouble> {
        let looks = source.looks()?;
        let at = Instant::now();
        let streams = source.streams()?;
        Ok(Self { at, looks, streams })
    }
}
