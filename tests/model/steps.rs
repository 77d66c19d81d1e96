//! Does one operation to the queue and to the model, and compares what comes back.

use crate::common::{body, fill};
use crate::drive::{Holding, Side, attributes_of, same, same_outcome, told};
use crate::op::Op;
use crate::reference::{Attribute, DELAY_MS_MAX, Message, Receive, Sending, VISIBILITY_MS_MAX};
use ringmain::{Batch, Error, ManualClock, MessageId, QueueOptions, Receipt, Region};
use std::time::Duration;

/// How many receipts are remembered, to be used later.
const KNOWN_MAX: usize = 64;
/// How many bodies are read in place at once.
const HELD_MAX: usize = 24;
/// A message remembers two former readers; with a third it would have to wait for one of them.
const READERS_MAX: usize = 2;
/// When a queue looks again at a message that three read.
const PINNED_RETRY_MS: u64 = 10;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl<'a, R: Region> Side<'a, R> {
    /// One operation on one queue.
    pub fn step(&mut self, op: &Op) -> Result<(), String> {
        self.step_with(op, |_, _| Ok(()))
    }

    /// One operation on one queue. `moves` is told of each receive as soon as it is done, and
    /// whether it gave something.
    pub fn step_with(
        &mut self,
        op: &Op,
        moves: impl FnOnce(&mut Self, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        match *op {
            Op::Send { len } => {
                let bytes = self.next_body(len);
                let result = self.queue.send(&bytes);
                self.sent(result, Sending::plain(bytes))
            }
            Op::SendBatch { ref lens } => self.send_batch(lens),
            Op::SendMessage {
                len,
                delay_ms,
                attributes,
            } => self.send_message(len, delay_ms, attributes),
            Op::Claim { len, commit } => self.claim(len, commit),
            Op::Receive { max } => {
                let batch = self.queue.receive_batch(max);
                self.received(batch, max, self.model.visibility_ms, moves)
            }
            Op::ReceiveOne => self.receive_one(moves),
            Op::ReceiveFor { max, visibility_ms } => {
                let time = Duration::from_millis(visibility_ms);
                let batch = self.queue.receive_batch_for(max, time);
                self.received(batch, max, visibility_ms, moves)
            }
            Op::ReceiveInto => self.receive_into(moves),
            Op::Purge => {
                let (found, expected) = (self.queue.purge(), self.model.purge());
                same("purge", found, expected)
            }
            Op::Peek => self.peek(),
            Op::MaxReceives { receives } => {
                let found = self.queue.reconfigure(|options| match receives {
                    Some(receives) => options.max_receives(receives),
                    None => options.no_max_receives(),
                });
                let expected = self.model.set_max_receives(receives);
                same_outcome("max_receives", found, expected)
            }
            Op::Reconfigure {
                visibility_ms,
                delay_ms,
            } => {
                let (visibility, delay) = (ms(visibility_ms), ms(delay_ms));
                let change = |options: QueueOptions| options.visibility(visibility).delay(delay);
                let found = self.queue.reconfigure(change);
                let expected = self.model.reconfigure(visibility_ms, delay_ms);
                same_outcome("reconfigure", found, expected)
            }
            Op::Turn => {
                std::mem::swap(&mut self.queue, &mut self.other);
                Ok(())
            }
            _ if self.known.is_empty() => Ok(()),
            Op::Delete { pick } => {
                let receive = self.known(pick);
                let found = self.queue.delete(&receive.receipt);
                same_outcome("delete", found, self.model.delete(&receive))
            }
            Op::DeleteBatch { ref picks } => self.delete_batch(picks),
            Op::Extend {
                pick,
                visibility_ms,
            } => {
                let receive = self.known(pick);
                let time = Duration::from_millis(visibility_ms);
                let found = self.queue.extend(&receive.receipt, time);
                same_outcome("extend", found, self.model.extend(&receive, visibility_ms))
            }
            Op::Release { pick } => {
                let receive = self.known(pick);
                let found = self.queue.release(&receive.receipt);
                same_outcome("release", found, self.model.release(&receive))
            }
            _ if self.held.is_empty() => Ok(()),
            ref op => self.settle_held(op),
        }
    }

    fn known(&self, pick: usize) -> Receive {
        self.known[pick % self.known.len()]
    }

    fn settle_held(&mut self, op: &Op) -> Result<(), String> {
        let (Op::DeleteHeld { pick }
        | Op::ExtendHeld { pick, .. }
        | Op::ReleaseHeld { pick }
        | Op::Detach { pick }
        | Op::Drop { pick }) = *op
        else {
            return Err(String::from("an operation without a step"));
        };
        let at = pick % self.held.len();
        if let Op::ExtendHeld { visibility_ms, .. } = *op {
            let Holding {
                received, receive, ..
            } = &mut self.held[at];
            let found = received.extend(Duration::from_millis(visibility_ms));
            let expected = self.model.extend(receive, visibility_ms);
            return same_outcome("extend by handle", found, expected);
        }
        let Holding {
            received, receive, ..
        } = self.held.swap_remove(at);
        self.model.stop_reading(receive.id);
        match op {
            Op::DeleteHeld { .. } => {
                let expected = self.model.delete(&receive);
                same_outcome("delete by handle", received.delete(), expected)
            }
            Op::ReleaseHeld { .. } => {
                let expected = self.model.release(&receive);
                same_outcome("release by handle", received.release(), expected)
            }
            Op::Detach { .. } => same("receipt", received.detach(), receive.receipt),
            _ => {
                drop(received);
                Ok(())
            }
        }
    }

    fn next_body(&mut self, len: usize) -> Vec<u8> {
        self.sent += 1;
        body(self.sent, len)
    }

    /// Why a message is refused, if it is.
    fn refusal(&self, body_len: usize, size: usize, delay_ms: Option<u64>) -> Option<Error> {
        let max = self.queue.max_body();
        match delay_ms {
            _ if body_len == 0 => Some(Error::BodyEmpty),
            _ if size > max => Some(Error::BodyTooLong { len: size, max }),
            Some(value) if value > DELAY_MS_MAX => Some(Error::OutOfRange {
                what: "",
                value,
                min: 0,
                max: DELAY_MS_MAX,
            }),
            _ => None,
        }
    }

    fn sent(&mut self, found: Result<MessageId, Error>, sending: Sending) -> Result<(), String> {
        let size = sending
            .attributes
            .iter()
            .fold(sending.body.len(), |size, (name, type_name, bytes)| {
                size + name.len() + type_name.len() + bytes.len()
            });
        if let Some(error) = self.refusal(sending.body.len(), size, sending.delay_ms) {
            return same_outcome("send", found.map(|_| ()), Err(error));
        }
        let (free, run) = (self.slots_free(), self.run(sending.len));
        match found {
            Ok(_) if run > free => Err(format!("{run} slots given out of {free}")),
            Ok(id) if !self.ids.insert(id) => Err(format!("{id} was given out twice")),
            Ok(id) => self.model.send(id, sending),
            // A run wants adjacent slots, of which the model knows nothing.
            Err(Error::Full) if free < run || (run > 1 && free < self.slots) => Ok(()),
            Err(error) => Err(format!("{error}, with {free} slots free for {run}")),
        }
    }

    /// Attributes of each type, under names of their own.
    fn send_message(
        &mut self,
        len: usize,
        delay_ms: Option<u64>,
        attributes: usize,
    ) -> Result<(), String> {
        let body = self.next_body(len);
        let text = |n: usize| format!("{}", self.sent.wrapping_mul(7) + n as u64);
        let wanted: Vec<Attribute> = (0..attributes)
            .map(|n| match n % 3 {
                0 => (format!("text.{n}"), "String", format!("é{}", text(n))),
                1 => (format!("N{n}"), "Number", format!("-{}.5", text(n))),
                _ => (format!("b-{n}"), "Binary", text(n)),
            })
            .map(|(name, kind, text)| (name, kind.to_owned(), text.into_bytes()))
            .collect();
        let mut message = ringmain::Message::new(&body);
        for (name, kind, bytes) in &wanted {
            let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
            message = told(match kind.as_str() {
                "String" => message.string(name, text),
                "Number" => message.number(name, text),
                _ => message.binary(name, bytes),
            })?;
        }
        if let Some(delay_ms) = delay_ms {
            message = message.delay(ms(delay_ms));
        }
        let found = self.queue.send_message(&message);
        let len = len + message.attributes_len();
        drop(message); // its borrows end
        self.sent(
            found,
            Sending {
                body,
                attributes: wanted,
                len,
                delay_ms,
            },
        )
    }

    fn send_batch(&mut self, lens: &[usize]) -> Result<(), String> {
        let bodies: Vec<Vec<u8>> = lens.iter().map(|&len| self.next_body(len)).collect();
        let outcomes = self.queue.send_batch(&bodies);
        if bodies.is_empty() || bodies.len() > 10 {
            let error = Error::BatchSize { len: bodies.len() };
            return same("send_batch", outcomes.map(|_| ()), Err(error));
        }
        let outcomes = told(outcomes)?;
        same("outcomes", outcomes.len(), bodies.len())?;
        for (outcome, body) in outcomes.into_iter().zip(bodies) {
            self.sent(outcome, Sending::plain(body))?;
        }
        Ok(())
    }

    fn claim(&mut self, len: usize, commit: bool) -> Result<(), String> {
        let bytes = self.next_body(len);
        match self.queue.claim(len) {
            Ok(mut claim) if commit => {
                fill(self.sent, &mut claim);
                let id = claim.commit();
                self.sent(Ok(id), Sending::plain(bytes))
            }
            Ok(mut claim) => {
                claim.fill(0xee);
                same("claim", None, self.refusal(len, len, None))
            }
            Err(error) => self.sent(Err(error), Sending::plain(bytes)),
        }
    }

    /// A receive finds something if something is visible, and else nothing.
    fn comes(&self, something: bool) -> Result<(), String> {
        if something {
            return same("there is something", self.model.visible() > 0, true);
        }
        same(
            "something visible was passed over",
            self.model.is_sure(),
            false,
        )
    }

    fn received(
        &mut self,
        batch: Result<Batch<'a, R, &'a ManualClock>, Error>,
        max: usize,
        visibility_ms: u64,
        moves: impl FnOnce(&mut Self, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        if visibility_ms > VISIBILITY_MS_MAX {
            let refused = matches!(batch, Err(Error::OutOfRange { .. }));
            return same("a timeout out of range refused", refused, true);
        }
        if max == 0 || max > 10 {
            return same(
                "receive",
                batch.map(|_| ()),
                Err(Error::BatchSize { len: max }),
            );
        }
        let batch = told(batch)?;
        moves(self, !batch.is_empty())?;
        self.comes(!batch.is_empty())?;
        same("no more than asked for", batch.len() <= max, true)?;
        let mut seen = Vec::new();
        for received in batch {
            same("twice in a batch", seen.contains(&received.id()), false)?;
            seen.push(received.id());
            self.hold(received, visibility_ms)?;
        }
        Ok(())
    }

    fn receive_one(
        &mut self,
        moves: impl FnOnce(&mut Self, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        let received = told(self.queue.receive())?;
        moves(self, received.is_some())?;
        self.comes(received.is_some())?;
        received.map_or(Ok(()), |received| {
            self.hold(received, self.model.visibility_ms)
        })
    }

    fn hold(
        &mut self,
        received: ringmain::Received<'a, R, &'a ManualClock>,
        visibility_ms: u64,
    ) -> Result<(), String> {
        let id = received.id();
        let message = self.model.receive(id, visibility_ms)?;
        same("body", received.body(), &message.body)?;
        same("attributes", &attributes_of(&received), &message.attributes)?;
        same("receive count", received.receive_count(), message.receives)?;
        same(
            "send time",
            received.sent_ms(),
            self.base_ms + message.sent_ms,
        )?;
        let first_ms = message.first_ms.unwrap_or(self.model.now_ms);
        let found = received.first_received_ms();
        same("first receive", found, self.base_ms + first_ms)?;
        let source = message.is_letter.then_some("");
        same("source", received.source(), source)?;
        let receive = self.remember(received.receipt(), &message);
        if self.model.readers_of(id) >= READERS_MAX {
            if visibility_ms == 0 {
                self.model.is_late(id, PINNED_RETRY_MS); // over while the batch still read it
            }
            return same("receipt", received.detach(), receive.receipt);
        }
        if self.held.len() == HELD_MAX {
            let oldest = self.held.remove(0);
            self.model.stop_reading(oldest.receive.id);
        }
        self.model.read(id, message.len);
        self.held.push(Holding {
            received,
            receive,
            body: message.body,
            attributes: message.attributes,
        });
        Ok(())
    }

    fn receive_into(
        &mut self,
        moves: impl FnOnce(&mut Self, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut buffer = vec![0; self.queue.max_body()];
        let copied = told(self.queue.receive_into(&mut buffer))?;
        moves(self, copied.is_some())?;
        self.comes(copied.is_some())?;
        let Some(copied) = copied else { return Ok(()) };
        let message = self
            .model
            .receive(copied.receipt.id(), self.model.visibility_ms)?;
        same("copied body", &buffer[..copied.len], &message.body)?;
        same("receive count", copied.receive_count, message.receives)?;
        self.remember(copied.receipt, &message);
        Ok(())
    }

    fn remember(&mut self, receipt: Receipt, message: &Message) -> Receive {
        let (id, count, received_ms) = (message.id, message.receives, self.model.now_ms);
        let receive = Receive {
            receipt,
            id,
            count,
            received_ms,
        };
        if self.known.len() == KNOWN_MAX {
            self.known.remove(0);
        }
        self.known.push(receive);
        receive
    }

    fn delete_batch(&mut self, picks: &[usize]) -> Result<(), String> {
        let receives: Vec<Receive> = picks.iter().map(|&pick| self.known(pick)).collect();
        let receipts: Vec<Receipt> = receives.iter().map(|receive| receive.receipt).collect();
        let outcomes = self.queue.delete_batch(&receipts);
        if receipts.is_empty() || receipts.len() > 10 {
            let error = Error::BatchSize {
                len: receipts.len(),
            };
            return same("delete_batch", outcomes.map(|_| ()), Err(error));
        }
        let outcomes = told(outcomes)?;
        same("outcomes", outcomes.len(), receives.len())?;
        for (outcome, receive) in outcomes.into_iter().zip(receives) {
            same_outcome("delete in a batch", outcome, self.model.delete(&receive))?;
        }
        Ok(())
    }
}
