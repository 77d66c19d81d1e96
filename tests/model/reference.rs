//! The model: a list of messages, and what each operation does to it.

use ringmain::{Error, MessageId, Receipt};

/// The queue's visibility timeout, ms.
pub const VISIBILITY_MS: u64 = 100;
/// The longest visibility timeout, ms.
pub const VISIBILITY_MS_MAX: u64 = 43_200_000;

/// The rules as they are, or one of them altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Right,
    VisibilityOneMsLonger,
    VisibilityOneMsShorter,
    StaleReceiptDeletes,
    LateDeleteIsRefused,
    ReceivesAreNotCounted,
    PurgeSparesTheHeld,
    ReadersKeepNothing,
}

/// A message that has not been deleted.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: MessageId,
    pub body: Vec<u8>,
    pub sent_ms: u64,
    pub receives: u32,
    /// In flight until then; visible if it is past, or never was received.
    pub due_ms: u64,
    /// From then on a receive must find it; see [`Model::is_late`].
    pub sure_ms: u64,
}

/// One receive of a message.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    pub receipt: Receipt,
    pub id: MessageId,
    pub count: u32,
    pub received_ms: u64,
}

/// The queue, in plain words.
#[derive(Debug)]
pub struct Model {
    pub rule: Rule,
    pub now_ms: u64,
    pub messages: Vec<Message>,
    /// Bodies that somebody reads in place, with the message's id, one a reader.
    pub readers: Vec<(MessageId, usize)>,
}

impl Model {
    pub fn new(rule: Rule, now_ms: u64) -> Self {
        Self {
            rule,
            now_ms,
            messages: Vec::new(),
            readers: Vec::new(),
        }
    }

    fn position(&self, id: MessageId) -> Option<usize> {
        self.messages.iter().position(|message| message.id == id)
    }

    pub fn visible(&self) -> usize {
        self.messages
            .iter()
            .filter(|message| message.due_ms <= self.now_ms)
            .count()
    }

    /// Whether a receive must find something.
    pub fn is_sure(&self) -> bool {
        self.messages
            .iter()
            .any(|message| message.due_ms.max(message.sure_ms) <= self.now_ms)
    }

    /// A message whose time was over while three read it waits for one of them, and is looked at
    /// again after this many ms.
    pub fn is_late(&mut self, id: MessageId, ms: u64) {
        if let Some(at) = self.position(id) {
            self.messages[at].sure_ms = self.now_ms + ms;
        }
    }

    pub fn in_flight(&self) -> usize {
        self.messages.len() - self.visible()
    }

    /// Lengths of all bodies that still take memory: of messages, and of deleted ones being read.
    pub fn bodies(&self) -> Vec<usize> {
        let mut lens: Vec<usize> = self
            .messages
            .iter()
            .map(|message| message.body.len())
            .collect();
        let mut gone: Vec<MessageId> = Vec::new();
        for &(id, len) in &self.readers {
            let kept = self.position(id).is_some() || gone.contains(&id);
            if !kept && self.rule != Rule::ReadersKeepNothing {
                lens.push(len);
                gone.push(id);
            }
        }
        lens
    }

    pub fn send(&mut self, id: MessageId, body: Vec<u8>) -> Result<(), String> {
        if self.position(id).is_some() {
            return Err(format!("{id} was given out twice"));
        }
        let sent_ms = self.now_ms;
        self.messages.push(Message {
            id,
            body,
            sent_ms,
            receives: 0,
            due_ms: 0,
            sure_ms: 0,
        });
        Ok(())
    }

    /// What a receive of this message should give; it is in flight after that.
    pub fn receive(&mut self, id: MessageId, visibility_ms: u64) -> Result<Message, String> {
        let at = self
            .position(id)
            .ok_or(format!("{id} was received and is not there"))?;
        let message = &mut self.messages[at];
        if message.due_ms > self.now_ms {
            return Err(format!(
                "{id} was received, in flight until {}",
                message.due_ms
            ));
        }
        message.receives += (self.rule != Rule::ReceivesAreNotCounted) as u32;
        message.due_ms = self.now_ms + visibility_ms;
        message.sure_ms = 0;
        match self.rule {
            Rule::VisibilityOneMsLonger => message.due_ms += 1,
            Rule::VisibilityOneMsShorter => message.due_ms = message.due_ms.saturating_sub(1),
            _ => {}
        }
        Ok(message.clone())
    }

    /// The message of a receive, if it is the latest one.
    fn latest(&mut self, receive: &Receive) -> Result<Option<usize>, Error> {
        match self.position(receive.id) {
            Some(at) if self.messages[at].receives != receive.count => Err(Error::StaleReceipt),
            other => Ok(other),
        }
    }

    fn in_flight_of(&mut self, receive: &Receive) -> Result<usize, Error> {
        let at = self.latest(receive)?.ok_or(Error::NotInFlight)?;
        if self.messages[at].due_ms <= self.now_ms {
            return Err(Error::NotInFlight);
        }
        Ok(at)
    }

    pub fn delete(&mut self, receive: &Receive) -> Result<(), Error> {
        let at = match self.latest(receive) {
            Err(_) if self.rule == Rule::StaleReceiptDeletes => self.position(receive.id),
            other => other?,
        };
        let Some(at) = at else { return Ok(()) };
        if self.rule == Rule::LateDeleteIsRefused && self.messages[at].due_ms <= self.now_ms {
            return Err(Error::NotInFlight);
        }
        self.messages.remove(at);
        Ok(())
    }

    pub fn extend(&mut self, receive: &Receive, visibility_ms: u64) -> Result<(), Error> {
        let at = self.in_flight_of(receive);
        let most = VISIBILITY_MS_MAX.saturating_sub(self.now_ms - receive.received_ms);
        if visibility_ms > most {
            let what = "";
            return Err(Error::OutOfRange {
                what,
                value: visibility_ms,
                min: 0,
                max: most,
            });
        }
        let at = at?;
        self.messages[at].due_ms = self.now_ms + visibility_ms;
        Ok(())
    }

    pub fn release(&mut self, receive: &Receive) -> Result<(), Error> {
        let at = self.in_flight_of(receive)?;
        self.messages[at].due_ms = self.now_ms;
        Ok(())
    }

    pub fn purge(&mut self) -> u64 {
        let (now_ms, before) = (self.now_ms, self.messages.len());
        let spares = self.rule == Rule::PurgeSparesTheHeld;
        self.messages
            .retain(|message| spares && message.due_ms > now_ms);
        (before - self.messages.len()) as u64
    }

    pub fn read(&mut self, id: MessageId, len: usize) {
        self.readers.push((id, len));
    }

    pub fn stop_reading(&mut self, id: MessageId) {
        if let Some(at) = self.readers.iter().position(|reader| reader.0 == id) {
            self.readers.swap_remove(at);
        }
    }

    pub fn readers_of(&self, id: MessageId) -> usize {
        self.readers.iter().filter(|reader| reader.0 == id).count()
    }
}
