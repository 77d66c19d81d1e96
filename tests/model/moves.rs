//! Moves between a queue and its queue of dead letters, and looks at what is there.
//!
//! Which of several dead letters one receive moves is the queue's choice, as is which messages a
//! redrive takes: both are found out by a walk over what is left. But each must be in exactly one
//! place after it, and a receive that gives nothing leaves none of them behind.

use crate::drive::{Drive, Side, same, told};
use crate::letters::ORIGIN_BYTES;
use crate::op::Op;
use crate::reference::{Attribute, Message};
use ringmain::{ManualClock, MessageId, MessageState, Peek, PeekCursor, Peeked, Region, Value};
use std::time::Duration;

/// What a look at a message shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    id: MessageId,
    body: Vec<u8>,
    attributes: Vec<Attribute>,
    receives: u32,
    sent_ms: u64,
    first_ms: Option<u64>,
    is_letter: bool,
    state: MessageState,
}

impl Seen {
    fn of<R: Region>(peeked: &Peeked<'_, R, &ManualClock>) -> Self {
        let owned = |(name, value): (&str, Value<'_>)| {
            let bytes = value.as_bytes().to_vec();
            (name.to_owned(), value.type_name().to_owned(), bytes)
        };
        Self {
            id: peeked.id(),
            body: peeked.body().to_vec(),
            attributes: peeked.attributes().iter().map(owned).collect(),
            receives: peeked.receive_count(),
            sent_ms: peeked.sent_ms(),
            first_ms: peeked.first_received_ms(),
            is_letter: peeked.source().is_some(),
            state: peeked.state(),
        }
    }
}

impl<R: Region, D: Region> Drive<'_, R, D> {
    pub fn step(&mut self, op: &Op) -> Result<(), String> {
        match *op {
            Op::Advance { ms } => {
                self.clock.advance(Duration::from_millis(ms));
                self.jobs.model.now_ms += ms;
                self.dead.model.now_ms += ms;
                Ok(())
            }
            Op::Turn => {
                self.dead.step(op)?;
                self.jobs.step(op)
            }
            Op::Dead { ref op } => self.dead.step(op),
            Op::Redrive { max } => self.redrive(max),
            _ => {
                let dead = &mut self.dead;
                self.jobs.step_with(op, |jobs, _| letters_move(jobs, dead))
            }
        }
    }

    /// Up to `max` dead letters that are visible go back.
    fn redrive(&mut self, max: u64) -> Result<(), String> {
        let Self { jobs, dead, .. } = self;
        let moved = told(dead.queue.redrive(jobs.queue, max))?;
        let (sure, visible) = (dead.model.sure(), dead.model.visible() as u64);
        same("no more than asked for", moved <= max, true)?;
        if moved == max.min(visible) && moved == 0 {
            return Ok(());
        }
        let left = dead.walk()?;
        let gone = |message: &&Message| !left.iter().any(|seen| seen.id == message.id);
        let gone = dead.model.messages.iter().filter(gone);
        let gone: Vec<MessageId> = gone.map(|message| message.id).collect();
        same("redriven", gone.len() as u64, moved)?;
        let mut messages = Vec::new();
        for id in gone {
            let at = dead.model.position(id).ok_or("it was there")?;
            let due_ms = dead.model.messages[at].due_ms;
            same("a visible one", due_ms <= dead.model.now_ms, true)?;
            messages.push(dead.model.leave(id)?);
        }
        for seen in jobs.walk()? {
            if jobs.model.position(seen.id).is_some() {
                continue;
            }
            let same_bytes = |message: &Message| {
                message.body == seen.body && message.attributes == seen.attributes
            };
            let from = messages.iter().position(same_bytes);
            let from = from.ok_or(format!("{} came from nowhere", seen.id))?;
            same("an id of its own", jobs.ids.insert(seen.id), true)?;
            jobs.model.come_back(seen.id, messages.swap_remove(from));
        }
        same("redriven and not there", messages.len(), 0)?;
        if moved == max {
            return Ok(());
        }
        match self.stopped(&left)? {
            true => Ok(()),
            false => same("passed over", moved >= sure, true),
        }
    }

    /// If a redrive stopped at a message that found no room, it gave it back: with a receive more.
    fn stopped(&mut self, left: &[Seen]) -> Result<bool, String> {
        let Self { jobs, dead, .. } = self;
        let again = |seen: &&Seen| {
            let at = dead.model.position(seen.id);
            at.is_some_and(|at| dead.model.messages[at].receives != seen.receives)
        };
        let mut again = left.iter().filter(again);
        let Some(id) = again.next().map(|seen| seen.id) else {
            return Ok(false);
        };
        same("only one was given back", again.next(), None)?;
        let message = dead.model.try_to_move(id)?;
        let origin = if message.is_letter { ORIGIN_BYTES } else { 0 };
        jobs.has_no_room(message.len - origin)?;
        Ok(true)
    }
}

/// What has become of the dead letters that a receive has met.
fn letters_move<R: Region, D: Region>(
    jobs: &mut Side<'_, R>,
    dead: &mut Side<'_, D>,
) -> Result<(), String> {
    let letters = jobs.model.letters();
    if letters.is_empty() {
        return Ok(()); // if one has moved, the figures say so
    }
    let moved = told(jobs.queue.stat())?.moved - jobs.model.ever.moved;
    if moved == letters.len() as u64 {
        for id in letters {
            dead.model.arrive(jobs.model.leave(id)?);
        }
        return Ok(());
    }
    let left = jobs.walk()?;
    let mut held_back = Vec::new();
    for id in letters {
        match left
            .iter()
            .find(|seen| seen.id == id)
            .map(|seen| seen.state)
        {
            None => dead.model.arrive(jobs.model.leave(id)?),
            Some(MessageState::Visible) => {} // not met: the receive had enough before
            Some(state) => held_back.push((id, state)),
        }
    }
    for (id, state) in held_back {
        let until_ms = jobs.base_ms + jobs.model.hold_back(id)?;
        same("held back", state, MessageState::InFlight { until_ms })?;
        let at = jobs.model.position(id).ok_or("it stays")?;
        dead.has_no_room(jobs.model.messages[at].len + ORIGIN_BYTES)?;
    }
    Ok(())
}

impl<R: Region> Side<'_, R> {
    /// A message of this length was refused for want of room.
    fn has_no_room(&self, len: usize) -> Result<(), String> {
        let (free, run) = (self.slots_free(), self.run(len));
        // A run wants adjacent slots, of which the model knows nothing.
        if free < run || (run > 1 && free < self.slots) {
            return Ok(());
        }
        Err(format!("no room, with {free} slots free for {run}"))
    }

    /// A walk over all messages; how many it passed by.
    fn look(&self) -> Result<(Vec<Seen>, usize), String> {
        let (mut cursor, mut seen, mut busy) = (PeekCursor::new(), Vec::new(), 0);
        loop {
            match told(self.queue.peek_at(&mut cursor))? {
                Peek::Message(peeked) => seen.push(Seen::of(&peeked)),
                Peek::Busy(_) => busy += 1,
                Peek::Onward => {}
                Peek::End => return Ok((seen, busy)),
                other => return Err(format!("unexpected: {other:?}")),
            }
        }
    }

    /// A walk that passes by nothing of the history's: who reads what another reads too stops.
    fn walk(&mut self) -> Result<Vec<Seen>, String> {
        let mut at = 0;
        while at < self.held.len() {
            let id = self.held[at].receive.id;
            if self.model.readers_of(id) > 1 {
                self.model.stop_reading(id);
                drop(self.held.remove(at));
            } else {
                at += 1;
            }
        }
        Ok(self.look()?.0)
    }

    fn expected(&self, message: &Message) -> Seen {
        let (until_ms, now_ms) = (self.base_ms + message.due_ms, self.model.now_ms);
        Seen {
            id: message.id,
            body: message.body.clone(),
            attributes: message.attributes.clone(),
            receives: message.receives,
            sent_ms: self.base_ms + message.sent_ms,
            first_ms: message.first_ms.map(|first_ms| self.base_ms + first_ms),
            is_letter: message.is_letter,
            state: match message.due_ms <= now_ms {
                true => MessageState::Visible,
                false if message.is_new => MessageState::Delayed { until_ms },
                false => MessageState::InFlight { until_ms },
            },
        }
    }

    /// Looks at everything: each message is there once, as the model has it, but for those that two
    /// read.
    pub fn peek(&mut self) -> Result<(), String> {
        let (mut seen, busy) = self.look()?;
        let mut passed = 0;
        for message in &self.model.messages {
            let Some(at) = seen.iter().position(|seen| seen.id == message.id) else {
                let readers = self.model.readers_of(message.id);
                same("readers of a message not seen", readers, 2)?;
                passed += 1;
                continue;
            };
            same("seen", seen.swap_remove(at), self.expected(message))?;
        }
        same("passed by", busy, passed)?;
        same("seen and not there", seen.first(), None)?;
        let next = told(self.queue.peek())?.map(|peeked| Seen::of(&peeked));
        match next.map(|next| self.model.position(next.id).ok_or(next)) {
            Some(Err(next)) => return Err(format!("{next:?} is not there")),
            Some(Ok(at)) => {
                let next = &self.model.messages[at];
                same(
                    "the next is visible",
                    next.due_ms <= self.model.now_ms,
                    true,
                )?;
            }
            None => same("something visible to peek at", self.model.visible(), {
                let busy = |message: &&Message| self.model.readers_of(message.id) == 2;
                let visible = |message: &&Message| message.due_ms <= self.model.now_ms;
                let messages = self.model.messages.iter();
                messages.filter(visible).filter(busy).count()
            })?,
        }
        self.model.peek();
        Ok(())
    }
}
