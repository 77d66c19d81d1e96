//! The model: a list of messages, and what each operation does to it.

use ringmain::{Error, MessageId, Receipt};

/// The visibility timeout that the queue begins with, ms.
pub const VISIBILITY_MS: u64 = 100;
/// The longest visibility timeout, ms.
pub const VISIBILITY_MS_MAX: u64 = 43_200_000;
/// From one purge to the next it is at least this long, ms.
pub const PURGE_EVERY_MS: u64 = 60_000;
/// The longest delay, ms.
pub const DELAY_MS_MAX: u64 = 900_000;
/// Bounds of the receives that a message may have before it is a dead letter.
pub const MAX_RECEIVES: std::ops::RangeInclusive<u32> = 1..=1000;

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
    #[allow(dead_code)] // no kept history of the corpus purges twice in a minute
    PurgeAsOftenAsOneLikes,
    #[allow(dead_code)]
    PurgeWaitsOneMsLonger,
    ReadersKeepNothing,
    DelayOneMsLonger,
    DelayOneMsShorter,
    DelayedCountsAsInFlight,
    AttributesAreLost,
    DeadLettersAreDelivered,
    OneReceiveMore,
    MaxReceivesStays,
    DeadLetterIsLost,
    DeadLetterStaysToo,
    DeadLetterLosesItsCount,
    DeadLetterIsSentAnew,
    HeldBackOneMsLonger,
    HeldBackOneMsShorter,
    RedriveKeepsTheId,
    RedriveKeepsTheCount,
    RedrivePurges,
    PeekCounts,
    LatencyBucketsEndOneMsLater,
    MovesCountAsReceives,
}

/// An attribute: its name, its type's name, its bytes.
pub type Attribute = (String, String, Vec<u8>);

/// What happened ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ever {
    pub sent: u64,
    pub received: u64,
    pub deleted: u64,
    pub purged: u64,
    pub moved: u64,
    pub latency: Latency,
}

/// Receives by the time since the send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Below 1, 2, 4, 8 ms and so on; the last is open.
    pub counts: [u64; 24],
    pub sum_ms: u64,
}

/// What is given to the queue.
#[derive(Debug, Clone, Default)]
pub struct Sending {
    pub body: Vec<u8>,
    pub attributes: Vec<Attribute>,
    /// Bytes that the queue keeps: the body and the encoded attributes.
    pub len: usize,
    /// In place of the queue's delay.
    pub delay_ms: Option<u64>,
}

impl Sending {
    /// Nothing but a body.
    pub fn plain(body: Vec<u8>) -> Self {
        let len = body.len();
        Self {
            body,
            len,
            ..Self::default()
        }
    }
}

/// A message that has not been deleted.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: MessageId,
    pub body: Vec<u8>,
    pub attributes: Vec<Attribute>,
    /// Bytes that it takes.
    pub len: usize,
    pub sent_ms: u64,
    pub receives: u32,
    /// When it was received first, in whatever queue.
    pub first_ms: Option<u64>,
    /// Moved here as a dead letter.
    pub is_letter: bool,
    /// Never received.
    pub is_new: bool,
    /// Until then it is in flight, or delayed if it never was received; visible if it is past.
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

impl Latency {
    pub fn add(&mut self, ms: u64, rule: Rule) {
        let later = u64::from(rule == Rule::LatencyBucketsEndOneMsLater);
        let is_below = |bucket: &usize| ms < (1 << *bucket) + later;
        let last = self.counts.len() - 1;
        self.counts[(0..last).find(is_below).unwrap_or(last)] += 1;
        self.sum_ms += ms;
    }
}

/// The queue, in plain words.
#[derive(Debug)]
pub struct Model {
    pub rule: Rule,
    pub now_ms: u64,
    pub visibility_ms: u64,
    pub delay_ms: u64,
    pub max_receives: Option<u32>,
    /// When the last purge was; `None`: never.
    pub purged_ms: Option<u64>,
    pub ever: Ever,
    pub messages: Vec<Message>,
    /// Bodies that somebody reads in place, with the message's id, one a reader.
    pub readers: Vec<(MessageId, usize)>,
}

impl Model {
    pub fn new(rule: Rule, now_ms: u64) -> Self {
        Self {
            rule,
            now_ms,
            visibility_ms: VISIBILITY_MS,
            delay_ms: 0,
            max_receives: None,
            purged_ms: None,
            ever: Ever::default(),
            messages: Vec::new(),
            readers: Vec::new(),
        }
    }

    pub fn position(&self, id: MessageId) -> Option<usize> {
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
        self.sure() != 0
    }

    /// How many a receive must find, if it takes as many.
    pub fn sure(&self) -> u64 {
        let sure = |message: &&Message| message.due_ms.max(message.sure_ms) <= self.now_ms;
        self.messages.iter().filter(sure).count() as u64
    }

    /// A message whose time was over while three read it waits for one of them, and is looked at
    /// again after this many ms.
    pub fn is_late(&mut self, id: MessageId, ms: u64) {
        if let Some(at) = self.position(id) {
            self.messages[at].sure_ms = self.now_ms + ms;
        }
    }

    /// Sent, never received, and not visible yet.
    pub fn delayed(&self) -> usize {
        if self.rule == Rule::DelayedCountsAsInFlight {
            return 0;
        }
        self.messages
            .iter()
            .filter(|message| message.is_new && message.due_ms > self.now_ms)
            .count()
    }

    pub fn in_flight(&self) -> usize {
        self.messages.len() - self.visible() - self.delayed()
    }

    /// Lengths of all bodies that still take memory: of messages, and of deleted ones being read.
    pub fn bodies(&self) -> Vec<usize> {
        let mut lens: Vec<usize> = self.messages.iter().map(|message| message.len).collect();
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

    pub fn send(&mut self, id: MessageId, sending: Sending) -> Result<(), String> {
        if self.position(id).is_some() {
            return Err(format!("{id} was given out twice"));
        }
        let delay_ms = match (sending.delay_ms.unwrap_or(self.delay_ms), self.rule) {
            (0, _) => 0,
            (delay_ms, Rule::DelayOneMsLonger) => delay_ms + 1,
            (delay_ms, Rule::DelayOneMsShorter) => delay_ms - 1,
            (delay_ms, _) => delay_ms,
        };
        let attributes = match self.rule {
            Rule::AttributesAreLost => Vec::new(),
            _ => sending.attributes,
        };
        self.ever.sent += 1;
        self.messages.push(Message {
            id,
            body: sending.body,
            attributes,
            len: sending.len,
            sent_ms: self.now_ms,
            receives: 0,
            first_ms: None,
            is_letter: false,
            is_new: true,
            due_ms: self.now_ms + delay_ms,
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
                "{id} was received, in flight or delayed until {}",
                message.due_ms
            ));
        }
        message.receives += (self.rule != Rule::ReceivesAreNotCounted) as u32;
        message.is_new = false;
        message.first_ms.get_or_insert(self.now_ms);
        self.ever.received += 1;
        self.ever
            .latency
            .add(self.now_ms - message.sent_ms, self.rule);
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
        self.ever.deleted += 1;
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

    /// Once a minute at most.
    pub fn purge(&mut self) -> Result<u64, Error> {
        let every_ms = match self.rule {
            Rule::PurgeAsOftenAsOneLikes => 0,
            Rule::PurgeWaitsOneMsLonger => PURGE_EVERY_MS + 1,
            _ => PURGE_EVERY_MS,
        };
        let again_ms = self.purged_ms.map_or(0, |purged_ms| purged_ms + every_ms);
        if again_ms > self.now_ms {
            let wait_ms = again_ms - self.now_ms;
            return Err(Error::PurgedRecently { wait_ms });
        }
        self.purged_ms = Some(self.now_ms);
        let (now_ms, before) = (self.now_ms, self.messages.len());
        let spares = self.rule == Rule::PurgeSparesTheHeld;
        self.messages
            .retain(|message| spares && message.due_ms > now_ms);
        let purged = (before - self.messages.len()) as u64;
        self.ever.purged += purged;
        Ok(purged)
    }

    pub fn reconfigure(&mut self, visibility_ms: u64, delay_ms: u64) -> Result<(), Error> {
        let maxima = [(visibility_ms, VISIBILITY_MS_MAX), (delay_ms, DELAY_MS_MAX)];
        for (value, max) in maxima {
            if value > max {
                let (what, min) = ("", 0);
                return Err(Error::OutOfRange {
                    what,
                    value,
                    min,
                    max,
                });
            }
        }
        (self.visibility_ms, self.delay_ms) = (visibility_ms, delay_ms);
        Ok(())
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
