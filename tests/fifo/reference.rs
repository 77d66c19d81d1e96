//! The plain model of a FIFO queue: lists, a table and a clock.

use super::common::Numbers;
use ringmain::Error;
use std::collections::HashMap;

/// How many deduplication ids histories have.
pub const KEYS: u64 = 120;

/// What a history does next.
pub enum Op {
    /// One message, or a batch.
    Send(usize),
    /// Up to so many, for so long.
    Receive(usize, Option<u64>),
    Delete,
    Release,
    Extend(u64),
    Delay(u64),
    Pass(u64),
    Purge,
}

impl Op {
    pub fn random(numbers: &mut Numbers) -> Self {
        match numbers.below(100) {
            0..15 => Self::Send(1),
            15..20 => Self::Send(2 + numbers.below(9) as usize),
            20..40 => Self::Receive(1 + numbers.below(10) as usize, None),
            40..45 => {
                let ms = [0, 1, 500, 5_000, 20_000][numbers.below(5) as usize];
                Self::Receive(1 + numbers.below(10) as usize, Some(ms))
            }
            45..70 => Self::Delete,
            70..77 => Self::Release,
            77..84 => Self::Extend([0, 1, 700, 10_000, 30_000][numbers.below(5) as usize]),
            84..86 => Self::Delay([0, 0, 0, 3, 4_000][numbers.below(5) as usize]),
            86..99 => Self::Pass([1, 2, 499, 2_000, 9_999][numbers.below(5) as usize]),
            _ => Self::Purge,
        }
    }
}

/// A message that is there.
pub struct Message {
    pub sequence: u128,
    pub id: String,
    pub body: String,
    pub sent_ms: u64,
    pub receives: u32,
    pub delayed: bool,
    /// In flight or delayed until then.
    pub until_ms: u64,
}

#[derive(Default)]
pub struct Model {
    pub now_ms: u64,
    pub delay_ms: u64,
    pub interval_ms: u64,
    pub retention_ms: u64,
    pub ids_max: usize,
    pub by_group: bool,
    pub purged_ms: u64,
    pub sent: u64,
    pub received: u64,
    pub groups: HashMap<String, Vec<Message>>,
    /// Until when each id counts, and the sequence number of the first message with it.
    pub ids: HashMap<(String, String), (u64, u128)>,
}

impl Model {
    fn key(&self, group: &str, id: &str) -> (String, String) {
        let group = if self.by_group { group } else { "" };
        (group.to_owned(), id.to_owned())
    }

    /// The sequence number of the first message with this id.
    pub fn first(&self, group: &str, id: &str) -> Option<u128> {
        let (until_ms, first) = self.ids.get(&self.key(group, id))?;
        (*until_ms > self.now_ms).then_some(*first)
    }

    /// Whether one more id can be remembered.
    pub fn has_room(&self) -> bool {
        let in_window = |(until_ms, _): &&(u64, u128)| *until_ms > self.now_ms;
        self.ids.values().filter(in_window).count() < self.ids_max
    }

    pub fn send(&mut self, group: &str, id: String, body: String, sequence: u128) {
        let (until_ms, key) = (self.now_ms + self.interval_ms, self.key(group, &id));
        self.ids.insert(key, (until_ms, sequence));
        self.sent += 1;
        let list = self.groups.entry(group.to_owned()).or_default();
        assert!(list.last().is_none_or(|last| last.sequence < sequence));
        list.push(Message {
            sequence,
            id,
            body,
            sent_ms: self.now_ms,
            receives: 0,
            delayed: self.delay_ms != 0,
            until_ms: self.now_ms + self.delay_ms,
        });
    }

    /// Whether the group gives messages, and if so how many.
    fn free(&self, list: &[Message]) -> usize {
        let held = |message: &Message| message.until_ms > self.now_ms;
        if list.iter().any(|message| held(message) && !message.delayed) {
            return 0;
        }
        list.iter().take_while(|message| !held(message)).count()
    }

    /// A receive of up to `max` gave these: each group that is among them was free, gave its oldest
    /// ones in order, and all it has before the next one; and who got fewer got all there were.
    pub fn check_turn(&self, found: &[(String, u128)], max: usize) {
        assert!(found.len() <= max);
        let mut done: Vec<&str> = Vec::new();
        for part in found.chunk_by(|one, next| one.0 == next.0) {
            let group = &*part[0].0;
            assert!(!done.contains(&group), "{group} gave twice: {found:?}");
            done.push(group);
            let list = self.groups.get(group).expect("a group with messages");
            let free = self.free(list);
            assert!(part.len() <= free, "{group} has {free}: {found:?}");
            let before = found.iter().position(|one| one.0 == group).unwrap_or(0);
            assert_eq!(part.len(), free.min(max - before), "{group}: {found:?}");
            for (message, (_, sequence)) in list.iter().zip(part) {
                assert_eq!(message.sequence, *sequence, "{group}: {found:?}");
            }
        }
        if found.len() < max {
            for (group, list) in &self.groups {
                let missed = !done.contains(&&**group) && self.free(list) != 0;
                assert!(!missed, "{group} is free: {found:?}");
            }
        }
    }

    pub fn message(&mut self, sequence: u128) -> Option<&mut Message> {
        let mut all = self.groups.values_mut().flatten();
        all.find(|message| message.sequence == sequence)
    }

    /// It is there no more.
    pub fn gone(&mut self, sequence: u128) {
        for list in self.groups.values_mut() {
            list.retain(|message| message.sequence != sequence);
        }
    }

    /// What a receipt of the `count`th receive of a message gets.
    fn standing(&mut self, sequence: u128, count: u32, over: Error) -> Vec<Result<(), Error>> {
        let (now_ms, retention_ms) = (self.now_ms, self.retention_ms);
        let Some(message) = self.message(sequence) else {
            return vec![];
        };
        let in_flight = message.until_ms > now_ms;
        let aged = message.sent_ms + retention_ms < now_ms;
        let mut standing = vec![match message.receives == count {
            false => Err(Error::StaleReceipt),
            true if in_flight => Ok(()),
            true => Err(over),
        }];
        if aged && !in_flight {
            // It is dropped by whoever looks first.
            standing.extend([Ok(()), Err(Error::NotInFlight)]);
        }
        standing
    }

    pub fn delete(&mut self, sequence: u128, count: u32) -> Vec<Result<(), Error>> {
        let standing = self.standing(sequence, count, Error::ExpiredReceipt);
        if standing.is_empty() {
            return vec![Ok(())];
        }
        if standing == [Ok(())] {
            self.gone(sequence);
        }
        standing
    }

    pub fn release(&mut self, sequence: u128, count: u32) -> Vec<Result<(), Error>> {
        self.extend(sequence, count, 0)
    }

    pub fn extend(&mut self, sequence: u128, count: u32, ms: u64) -> Vec<Result<(), Error>> {
        let standing = self.standing(sequence, count, Error::NotInFlight);
        if standing.is_empty() {
            return vec![Err(Error::NotInFlight)];
        }
        let now_ms = self.now_ms;
        if let (true, Some(message)) = (standing == [Ok(())], self.message(sequence)) {
            message.until_ms = now_ms + ms;
        }
        standing
    }

    pub fn purge(&mut self) {
        self.groups.clear();
        self.ids.clear();
        self.purged_ms = self.now_ms;
    }

    /// Messages that are too old and not in flight.
    fn is_aged(&self, message: &Message) -> bool {
        message.until_ms <= self.now_ms && message.sent_ms + self.retention_ms < self.now_ms
    }

    pub fn aged(&self) -> u64 {
        let all = self.groups.values().flatten();
        all.filter(|message| self.is_aged(message)).count() as u64
    }

    pub fn drop_aged(&mut self) {
        let mut groups = std::mem::take(&mut self.groups);
        for list in groups.values_mut() {
            list.retain(|message| !self.is_aged(message));
        }
        self.groups = groups;
    }

    pub fn len(&self) -> u64 {
        self.groups.values().map(|list| list.len() as u64).sum()
    }

    /// Visible, in flight, delayed.
    pub fn figures(&self) -> (u64, u64, u64) {
        let mut figures = (0, 0, 0);
        for message in self.groups.values().flatten() {
            match (message.until_ms > self.now_ms, message.delayed) {
                (false, _) => figures.0 += 1,
                (true, false) => figures.1 += 1,
                (true, true) => figures.2 += 1,
            }
        }
        figures
    }
}
