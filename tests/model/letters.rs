//! The model's dead letters, and what is seen without receiving.

use crate::reference::{MAX_RECEIVES, Message, Model, Rule};
use ringmain::{Error, MessageId};

/// Bytes that a dead letter takes beside the message: an id, and the length of a name that is
/// empty.
pub const ORIGIN_BYTES: usize = 17;
/// When a queue tries again to move a dead letter that found no room.
const RETRY_MS: u64 = 1000;

impl Model {
    pub fn set_max_receives(&mut self, receives: Option<u32>) -> Result<(), Error> {
        if let Some(value) = receives.filter(|value| !MAX_RECEIVES.contains(value)) {
            return Err(Error::OutOfRange {
                what: "",
                value: value.into(),
                min: 1,
                max: 1000,
            });
        }
        if self.rule != Rule::MaxReceivesStays || self.max_receives.is_none() {
            self.max_receives = receives;
        }
        Ok(())
    }

    /// Those that a receive moves instead of giving them out.
    pub fn letters(&self) -> Vec<MessageId> {
        let max = match (self.max_receives, self.rule) {
            (None, _) | (_, Rule::DeadLettersAreDelivered) => return Vec::new(),
            (Some(max), Rule::OneReceiveMore) => max + 1,
            (Some(max), _) => max,
        };
        self.messages
            .iter()
            .filter(|message| message.due_ms <= self.now_ms && message.receives >= max)
            .map(|message| message.id)
            .collect()
    }

    /// A message leaves for another queue.
    pub fn leave(&mut self, id: MessageId) -> Result<Message, String> {
        let at = self.position(id).ok_or(format!("{id} is not there"))?;
        self.ever.moved += 1;
        if self.rule == Rule::MovesCountAsReceives {
            let message = &self.messages[at];
            self.ever
                .latency
                .add(self.now_ms - message.sent_ms, self.rule);
        }
        if self.rule == Rule::DeadLetterStaysToo && !self.messages[at].is_letter {
            return Ok(self.messages[at].clone());
        }
        Ok(self.messages.remove(at))
    }

    /// A dead letter comes, with all that it had.
    pub fn arrive(&mut self, mut message: Message) {
        self.ever.sent += 1;
        match self.rule {
            Rule::DeadLetterIsLost => return,
            Rule::DeadLetterLosesItsCount => message.receives = 0,
            Rule::DeadLetterIsSentAnew => message.sent_ms = self.now_ms,
            _ => {}
        }
        message.is_letter = true;
        message.len += ORIGIN_BYTES;
        (message.due_ms, message.sure_ms) = (self.now_ms, 0);
        self.messages.push(message);
    }

    /// A redriven message comes: as if it were sent now.
    pub fn come_back(&mut self, id: MessageId, mut message: Message) {
        self.ever.sent += 1;
        if self.rule == Rule::RedrivePurges {
            return;
        }
        if self.rule != Rule::RedriveKeepsTheId {
            message.id = id;
        }
        if self.rule != Rule::RedriveKeepsTheCount {
            message.receives = 0;
        }
        message.len -= if message.is_letter { ORIGIN_BYTES } else { 0 };
        (message.is_letter, message.is_new) = (false, true);
        (message.sent_ms, message.first_ms) = (self.now_ms, None);
        (message.due_ms, message.sure_ms) = (self.now_ms, 0);
        self.messages.push(message);
    }

    /// A dead letter that found no room is held by nobody for a while. That counts for the message,
    /// and is nobody's receive.
    pub fn hold_back(&mut self, id: MessageId) -> Result<u64, String> {
        let retry_ms = match self.rule {
            Rule::HeldBackOneMsLonger => RETRY_MS + 1,
            Rule::HeldBackOneMsShorter => RETRY_MS - 1,
            _ => RETRY_MS,
        };
        let at = self.position(id).ok_or(format!("{id} is not there"))?;
        let message = &mut self.messages[at];
        message.receives += 1;
        (message.due_ms, message.sure_ms) = (self.now_ms + retry_ms, 0);
        Ok(message.due_ms)
    }

    /// A message was to be redriven, found no room and is visible again.
    pub fn try_to_move(&mut self, id: MessageId) -> Result<Message, String> {
        let at = self.position(id).ok_or(format!("{id} is not there"))?;
        let message = &mut self.messages[at];
        if message.due_ms > self.now_ms {
            return Err(format!("{id} was taken until {}", message.due_ms));
        }
        message.receives += 1;
        message.first_ms.get_or_insert(self.now_ms);
        message.is_new = false;
        (message.due_ms, message.sure_ms) = (self.now_ms, 0);
        Ok(message.clone())
    }

    /// Somebody looked at all that is there.
    pub fn peek(&mut self) {
        if self.rule == Rule::PeekCounts {
            self.messages
                .iter_mut()
                .for_each(|message| message.receives += 1);
        }
    }
}
