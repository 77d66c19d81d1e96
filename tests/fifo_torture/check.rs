//! Whether a history is one that a FIFO queue may have: exact order in each group, a locked group
//! gives nothing to others, nothing lost, each id accepted once in its window.
//!
//! An event happened somewhere between the start and the end of its call. A fault is reported only
//! if no choice of these moments explains the history; what a death leaves open is open.

use super::history::{Answer, Deed, History, Hold, NEVER, Place, Reply, Send, Settle};
use std::collections::{BTreeMap, HashMap};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Accepted and never received, or received and gone though nobody deleted it.
    Lost,
    /// Against the order of its group, or a number against the order of sends.
    Reordered,
    /// Received while another one certainly had its group; or after it was deleted.
    Doubled,
    /// An id accepted twice in its window, or still known after it.
    Window,
    /// An answer that no other event explains.
    Answer,
    /// What was never sent, two messages with one name, counts that no receive explains.
    Strange,
}

/// A fault, what it is about, and which messages: by their tokens.
#[derive(Debug, Clone)]
pub struct Violation {
    pub fault: Fault,
    pub text: String,
    pub tokens: Vec<u64>,
}

/// A message that was accepted.
#[derive(Debug, Clone)]
struct Message {
    group: u32,
    id: u64,
    token: u64,
    place: Place,
    /// It was sent, which its window counts from, between these.
    from: u64,
    sent_to: u64,
    /// By then it had its number: if its sender died, somebody has given it that later.
    to: u64,
    /// Its holds, as indices.
    holds: Vec<usize>,
}

/// The checker: what it remembers from one history to the next is ids, as long as they count.
#[derive(Debug)]
pub struct Checker {
    window_ms: u64,
    /// By id: its latest message.
    remembered: HashMap<u64, Message>,
    last_sequence: u64,
    violations: Vec<Violation>,
    /// Duplicates, messages, receives, receives of a message after its first.
    pub duplicates: u64,
    pub messages: u64,
    pub receives: u64,
    pub redeliveries: u64,
    /// Ids accepted again after their window.
    pub renewed: u64,
}

const fn ms(ns: u64) -> u64 {
    ns / 1_000_000
}

impl Checker {
    pub fn new(window_ms: u64) -> Self {
        Self {
            window_ms,
            remembered: HashMap::new(),
            last_sequence: 0,
            violations: Vec::new(),
            duplicates: 0,
            messages: 0,
            receives: 0,
            redeliveries: 0,
            renewed: 0,
        }
    }

    /// Checks what happened since the queue was empty last, up to when it was so again.
    pub fn check(&mut self, history: &History) -> Vec<Violation> {
        let messages = self.messages_of(history);
        self.order_of_numbers(&messages);
        self.order_of_turns(history);
        self.windows(history, &messages);
        let mut groups: BTreeMap<u32, Vec<&Message>> = BTreeMap::new();
        for message in messages.values() {
            groups.entry(message.group).or_default().push(message);
        }
        for messages in groups.values() {
            self.group(history, messages);
        }
        for message in messages.values() {
            self.message(history, message);
        }
        self.messages += messages.len() as u64;
        self.receives += history.holds.len() as u64;
        self.remember(messages);
        std::mem::take(&mut self.violations)
    }

    fn fault(&mut self, fault: Fault, text: String, tokens: &[u64]) {
        self.violations.push(Violation {
            fault,
            text,
            tokens: tokens.to_vec(),
        });
    }

    /// All messages that were accepted, by their sequence numbers.
    fn messages_of(&mut self, history: &History) -> BTreeMap<u64, Message> {
        let mut messages: BTreeMap<u64, Message> = BTreeMap::new();
        let sends: HashMap<u64, &Send> = history.sends.iter().map(|s| (s.token, s)).collect();
        for (index, hold) in history.holds.iter().enumerate() {
            let Some(send) = sends.get(&hold.token) else {
                self.fault(Fault::Strange, "never sent".into(), &[hold.token]);
                continue;
            };
            let refused = matches!(send.reply, Some(Reply::Refused | Reply::Duplicate(_)));
            let elsewhere = matches!(send.reply, Some(Reply::New(place)) if place != hold.place);
            if refused || elsewhere || (send.group, send.id) != (hold.group, hold.id) {
                let text = format!("received as {:?}, sent: {send:?}", hold.place);
                self.fault(Fault::Strange, text, &[hold.token]);
            }
            let message = messages
                .entry(hold.place.sequence)
                .or_insert_with(|| Message::of(send, hold.place));
            if (message.token, message.place) != (hold.token, hold.place) {
                let tokens = [message.token, hold.token];
                self.fault(Fault::Strange, "one number for two".into(), &tokens);
            }
            message.named_by(hold.to);
            message.holds.push(index);
        }
        for send in &history.sends {
            if let Some(Reply::New(place)) = send.reply {
                let message = messages
                    .entry(place.sequence)
                    .or_insert_with(|| Message::of(send, place));
                if message.token != send.token {
                    let tokens = [message.token, send.token];
                    self.fault(Fault::Strange, "one number for two".into(), &tokens);
                }
            }
        }
        for send in &history.sends {
            if let Some(Reply::Duplicate(place)) = send.reply
                && let Some(message) = messages.get_mut(&place.sequence)
            {
                message.named_by(send.to);
            }
        }
        messages
    }

    /// What was sent after another send had returned has the greater number, in whatever group; and
    /// so do the entries of a batch.
    fn order_of_numbers(&mut self, messages: &BTreeMap<u64, Message>) {
        let mut latest: Option<&Message> = None;
        for message in messages.values() {
            if message.place.sequence <= self.last_sequence {
                let text = format!("{} is a number of before", message.place.sequence);
                self.fault(Fault::Reordered, text, &[message.token]);
            }
            let other = latest.get_or_insert(message);
            if message.to < other.from {
                let text = format!(
                    "number {} was accepted by {}, number {} was sent from {} on",
                    message.place.sequence, message.to, other.place.sequence, other.from
                );
                self.fault(Fault::Reordered, text, &[message.token, other.token]);
            }
            if message.from > other.from {
                *other = message;
            }
        }
    }

    /// Each id once in its window, and not for longer; a duplicate is told who was first.
    fn windows(&mut self, history: &History, messages: &BTreeMap<u64, Message>) {
        let mut by_id: HashMap<u64, Vec<Message>> = HashMap::new();
        for message in messages.values() {
            let known = by_id.entry(message.id).or_insert_with(|| {
                let before = self.remembered.get(&message.id);
                before.cloned().into_iter().collect()
            });
            known.push(message.clone());
        }
        for of_one in by_id.values() {
            for two in of_one.windows(2) {
                self.renewed += 1;
                if ms(two[1].sent_to) < ms(two[0].from) + self.window_ms {
                    let text = format!("id {:x} accepted twice in its window", two[0].id);
                    self.fault(Fault::Window, text, &[two[0].token, two[1].token]);
                }
            }
        }
        for send in &history.sends {
            let Some(Reply::Duplicate(place)) = send.reply else {
                continue;
            };
            self.duplicates += 1;
            let of_one = by_id.get(&send.id).map(Vec::as_slice);
            let before = self.remembered.get(&send.id).map(std::slice::from_ref);
            let mut known = of_one.or(before).unwrap_or_default().iter();
            let Some(first) = known.find(|message| message.place == place) else {
                let text = format!("a duplicate of what nobody knows: {send:?}");
                self.fault(Fault::Lost, text, &[send.token]);
                continue;
            };
            let (first, early) = (first.clone(), first.from > send.to);
            if early || ms(first.sent_to) + self.window_ms <= ms(send.from) {
                let text = format!("a duplicate outside of the window: {send:?}");
                self.fault(Fault::Window, text, &[send.token, first.token]);
            }
        }
        self.batches(history);
    }

    fn batches(&mut self, history: &History) {
        for two in history.sends.windows(2) {
            let same = (two[0].life, two[0].call, two[0].group);
            if let (Some(Reply::New(a)), Some(Reply::New(b))) = (two[0].reply, two[1].reply)
                && same == (two[1].life, two[1].call, two[1].group)
                && a.sequence >= b.sequence
            {
                let tokens = [two[0].token, two[1].token];
                self.fault(Fault::Reordered, "a batch out of order".into(), &tokens);
            }
        }
    }

    /// Order and lock of one group, whose messages stand in order.
    fn group(&mut self, history: &History, messages: &[&Message]) {
        let place: HashMap<u64, usize> = messages
            .iter()
            .enumerate()
            .map(|(at, message)| (message.place.sequence, at))
            .collect();
        let mut turns: BTreeMap<(u32, u32), Vec<&Hold>> = BTreeMap::new();
        for hold in messages.iter().flat_map(|message| &message.holds) {
            let hold = &history.holds[*hold];
            turns.entry((hold.life, hold.call)).or_default().push(hold);
        }
        let gone: Vec<u64> = messages.iter().map(|m| gone_from(history, m)).collect();
        // Of all messages up to this one, the one that was there for longest.
        let mut last_gone: Vec<usize> = Vec::new();
        for at in 0..gone.len() {
            let before = last_gone.last().copied().unwrap_or(at);
            last_gone.push(if gone[at] > gone[before] { at } else { before });
        }
        for holds in turns.values() {
            // Of one turn in their order, since the messages are.
            let (first, last) = (holds[0], holds[holds.len() - 1]);
            let (start, end) = (place[&first.place.sequence], place[&last.place.sequence]);
            let overtaken = start.checked_sub(1).map(|at| last_gone[at]);
            let between = start..end;
            let skipped = between.filter(|at| {
                let sequence = messages[*at].place.sequence;
                holds.iter().all(|hold| hold.place.sequence != sequence)
            });
            for at in overtaken.into_iter().chain(skipped) {
                if gone[at] >= first.to {
                    let text = format!(
                        "{} received before {} was deleted",
                        last.place.sequence, messages[at].place.sequence
                    );
                    self.fault(Fault::Reordered, text, &[last.token, messages[at].token]);
                }
            }
        }
        self.locks(&turns.into_values().collect::<Vec<_>>());
    }

    /// While somebody certainly holds a message of a group, nobody receives any of it.
    fn locks(&mut self, turns: &[Vec<&Hold>]) {
        let mut locks: Vec<(u64, u64, &Hold)> = turns
            .iter()
            .flat_map(|holds| holds.iter().map(|hold| (hold.to, locked_to(hold), *hold)))
            .collect();
        locks.sort_by_key(|lock| lock.0);
        let mut starts: Vec<&Hold> = turns.iter().map(|holds| holds[0]).collect();
        let taken_from = |hold: &Hold| hold.from.max(hold.received_ms * 1_000_000);
        starts.sort_by_key(|hold| taken_from(hold));
        let (mut next, mut longest): (usize, Option<(u64, &Hold)>) = (0, None);
        for start in starts {
            while next < locks.len() && locks[next].0 < taken_from(start) {
                let (_, to, hold) = locks[next];
                if longest.is_none_or(|(so_far, _)| to > so_far) {
                    longest = Some((to, hold));
                }
                next += 1;
            }
            if let Some((to, hold)) = longest
                && start.to < to
            {
                let text = format!(
                    "group {} received at {}..{}, which was locked by {} from {} to {to}",
                    start.group,
                    taken_from(start),
                    start.to,
                    hold.life,
                    hold.to
                );
                self.fault(Fault::Doubled, text, &[start.token, hold.token]);
            }
        }
    }

    /// Messages of one receive are in order.
    fn order_of_turns(&mut self, history: &History) {
        for two in history.holds.windows(2) {
            let turn = |hold: &Hold| (hold.life, hold.call, hold.group);
            if turn(&two[0]) == turn(&two[1]) && two[0].place.sequence >= two[1].place.sequence {
                let tokens = [two[0].token, two[1].token];
                self.fault(Fault::Reordered, "a turn out of order".into(), &tokens);
            }
        }
    }

    /// What became of one message.
    fn message(&mut self, history: &History, message: &Message) {
        let mut holds: Vec<&Hold> = message.holds.iter().map(|at| &history.holds[*at]).collect();
        holds.sort_by_key(|hold| hold.count);
        self.redeliveries += holds.len().saturating_sub(1) as u64;
        let deletes = || deletes(&holds);
        if !deletes().any(Settle::may_be_done) {
            let text = format!("{:?}: received {} times", message.place, holds.len());
            self.fault(Fault::Lost, text, &[message.token]);
        }
        let done = |settle: &Settle| match settle.outcome {
            Some((at, Answer::Ok)) => at,
            _ => NEVER,
        };
        let deleted = deletes().map(done).min().unwrap_or(NEVER);
        if let Some(hold) = holds.iter().find(|hold| hold.from > deleted) {
            let text = format!("received at {} and deleted at {deleted}", hold.from);
            self.fault(Fault::Doubled, text, &[message.token]);
        }
        for two in holds.windows(2) {
            if two[0].count == two[1].count || two[1].to < two[0].from {
                let text = format!("receive counts {} and {}", two[0].count, two[1].count);
                self.fault(Fault::Strange, text, &[message.token]);
            }
        }
        let gone = deletes().filter(|d| d.may_be_done()).map(|d| d.from);
        let gone: Vec<u64> = gone.collect();
        for hold in &holds {
            self.answers(hold, &gone);
        }
    }

    /// Whether a holder's deeds were answered as they must be: done in time, refused when late.
    fn answers(&mut self, hold: &Hold, gone: &[u64]) {
        // When it runs out: at the earliest and at the latest.
        let (mut early, mut late) = (hold.due_ms, hold.due_ms);
        for settle in &hold.settles {
            let Some((to, answer)) = settle.outcome else {
                return;
            };
            let (in_time, too_late) = (ms(to) < early, ms(settle.from) >= late);
            let refused = matches!(
                answer,
                Answer::Expired | Answer::Stale | Answer::NotInFlight
            );
            // The delete by another receive, which may have come first.
            let gone = gone.iter().filter(|from| **from < to).count();
            let own = usize::from(settle.deed == Deed::Delete && settle.may_be_done());
            let wrong = match settle.deed {
                Deed::Detach => false,
                _ if answer == Answer::Other => true,
                _ if in_time => refused,
                Deed::Delete => too_late && answer == Answer::Ok && gone == own,
                _ => too_late && answer == Answer::Ok,
            };
            if wrong {
                let text = format!("{settle:?}, due at {early} to {late} ms");
                self.fault(Fault::Answer, text, &[hold.token]);
            }
            match settle.deed {
                Deed::Extend(by_ms) if answer == Answer::Ok => {
                    (early, late) = (ms(settle.from) + by_ms, ms(to) + by_ms);
                }
                Deed::Release | Deed::Delete if answer != Answer::Pinned => return,
                _ => {}
            }
        }
    }

    /// Keeps what later sends may be duplicates of.
    fn remember(&mut self, messages: BTreeMap<u64, Message>) {
        let now = messages.values().map(|m| m.from).max().unwrap_or(0);
        let window_ms = self.window_ms;
        self.remembered
            .retain(|_, message| ms(message.sent_to) + 2 * window_ms + 20_000 > ms(now));
        for (sequence, message) in messages {
            self.last_sequence = sequence;
            self.remembered.insert(message.id, message);
        }
    }
}

impl Message {
    fn of(send: &Send, place: Place) -> Self {
        Self {
            group: send.group,
            id: send.id,
            token: send.token,
            place,
            from: send.from,
            sent_to: send.to,
            to: send.reply.map_or(NEVER, |_| send.to),
            holds: Vec::new(),
        }
    }

    /// Somebody was told its number by then.
    fn named_by(&mut self, at: u64) {
        self.to = self.to.min(at);
        self.sent_to = self.sent_to.min(at);
    }
}

fn deletes<'h>(holds: &[&'h Hold]) -> impl Iterator<Item = &'h Settle> {
    let settles = holds.iter().flat_map(|hold| &hold.settles);
    let deletes = settles.filter(|settle| settle.deed == Deed::Delete);
    deletes.collect::<Vec<_>>().into_iter()
}

/// From when on a message may be deleted.
fn gone_from(history: &History, message: &Message) -> u64 {
    let holds: Vec<&Hold> = message.holds.iter().map(|at| &history.holds[*at]).collect();
    let done = deletes(&holds).filter(|delete| delete.may_be_done());
    done.map(|delete| delete.from).min().unwrap_or(NEVER)
}

/// Up to when a hold certainly stands.
fn locked_to(hold: &Hold) -> u64 {
    let (mut due_ms, mut alive_to) = (hold.due_ms, hold.alive_to);
    for settle in &hold.settles {
        let end = (due_ms * 1_000_000).min(alive_to);
        match (settle.deed, settle.outcome) {
            (Deed::Detach, Some(_)) if settle.from < end => alive_to = NEVER,
            (Deed::Detach, _) => {}
            (Deed::Extend(by_ms), Some((to, Answer::Ok))) if to < end => {
                due_ms = ms(settle.from) + by_ms;
            }
            (_, Some((_, answer))) if answer != Answer::Ok => {}
            _ => return end.min(settle.from),
        }
    }
    (due_ms * 1_000_000).min(alive_to)
}
