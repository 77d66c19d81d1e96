//! The audit of a round: holds what happened to each message against what may happen.

use super::board::{Board, Op, RECOVERIES};
use super::faults::{Fault, KINDS};
use super::history::{Entry, Message, Past, Round, is_delete};
use super::ledger::{Answer, Kind};
use super::os::End;
use super::roles::Role;
use std::sync::atomic::{AtomicU64, Ordering};

/// Histories told in full, a round.
const TOLD_MAX: usize = 4;

/// What the audit found.
pub struct Audit<'r> {
    round: &'r Round,
    pub faults: [u64; KINDS],
    told: usize,
    /// Receives that left no trace but a count.
    missing: u64,
    receives: u64,
    deletes: u64,
    messages: u64,
    by_sibling: u64,
    recovery_us: Vec<u64>,
}

impl<'r> Audit<'r> {
    /// Looks at everything. `problems` are faults of the shipped program; `twin`: count, and say
    /// nothing.
    pub fn of(round: &'r Round, problems: Vec<String>, twin: bool) -> Self {
        let mut audit = Self {
            round,
            faults: [0; KINDS],
            told: if twin { TOLD_MAX } else { 0 },
            missing: 0,
            receives: 0,
            deletes: 0,
            messages: 0,
            by_sibling: 0,
            recovery_us: Vec::new(),
        };
        for entry in &round.faults {
            let fault = Fault::of(entry.record.count);
            audit.faults[fault as usize] += 1; // its text was said where it happened
            let of = round
                .messages()
                .find(|m| m.seed == entry.record.seed && m.seed != 0);
            if let Some(message) = of.filter(|_| audit.told < TOLD_MAX) {
                audit.told += 1;
                eprint!("{}", message.tell());
            }
        }
        for message in round.messages() {
            audit.message(&message);
        }
        for problem in problems {
            audit.fault(Fault::Program, None, &problem);
        }
        audit.counts();
        audit.time();
        audit.ids();
        audit.ends();
        audit
    }

    /// Leaves the figures on the board.
    pub fn report(&self, board: &Board) {
        let verdict = &board.verdict;
        let set = |figure: &AtomicU64, value: u64| figure.store(value, Ordering::SeqCst);
        set(&verdict.messages, self.messages);
        set(&verdict.receives, self.receives);
        set(&verdict.deletes, self.deletes);
        set(&verdict.records, self.round.entries.len() as u64);
        set(&verdict.hidden, self.missing);
        set(&verdict.late_reads, self.round.late_reads);
        set(&verdict.by_sibling, self.by_sibling);
        set(&verdict.forked_calls, self.round.refused);
        for (figure, faults) in verdict.faults.iter().zip(self.faults) {
            set(figure, faults);
        }
        let times = self.recovery_us.len().min(RECOVERIES);
        for (figure, time) in verdict.recovery_us.iter().zip(&self.recovery_us) {
            set(figure, *time);
        }
        set(&verdict.recoveries, times as u64);
    }

    fn fault(&mut self, fault: Fault, message: Option<&Message<'_>>, text: &str) {
        self.faults[fault as usize] += 1;
        if self.told < TOLD_MAX {
            self.told += 1;
            let history = message.map_or(String::new(), Message::tell);
            eprintln!("fault ({}): {text}\n{history}", fault.name());
        }
    }

    // ---- one message

    fn message(&mut self, message: &Message<'_>) {
        self.messages += u64::from(message.acknowledged().is_some());
        self.receives += message.receives.len() as u64;
        self.origin(message);
        self.fate(message);
        for pair in message.receives.windows(2) {
            self.in_turn(message, &pair[0], &pair[1]);
        }
        let mut before = 0;
        for entry in &message.receives {
            let gap = (entry.record.count as u64).saturating_sub(before + 1);
            before = entry.record.count as u64;
            self.missing += gap;
            let explained = || self.round.hidden.iter().any(|h| h.since <= entry.record.t1);
            if gap > 0 && !explained() || before == 0 {
                let text = format!("{gap} receives before count {before} that nobody began");
                self.fault(Fault::Counts, Some(message), &text);
            }
        }
        self.answers(message);
    }

    /// It was sent, once, and not refused.
    fn origin(&mut self, message: &Message<'_>) {
        if message.receives.is_empty() {
            return;
        }
        let not_sent = message
            .of_kind(Kind::SendEnd)
            .any(|end| end.record.answer != Answer::Ok);
        if message.of_kind(Kind::SendBegin).count() != 1 || not_sent {
            let text = "received, and never sent, or its send was refused or aborted";
            self.fault(Fault::Phantom, Some(message), text);
        }
    }

    /// It was deleted, or purged; and after that it was gone.
    fn fate(&mut self, message: &Message<'_>) {
        let round = self.round;
        let (mut accounted, mut gone_ns) = (false, None::<u64>);
        for begin in message
            .of_kind(Kind::SettleBegin)
            .filter(|e| is_delete(e.record.op))
        {
            match message.outcome(begin).map(|end| &end.record) {
                None => accounted = true,
                Some(end) if end.answer == Answer::Ok => {
                    accounted = true;
                    self.deletes += 1;
                    let receiver = message
                        .receives
                        .iter()
                        .find(|e| e.record.count == end.count);
                    self.by_sibling += u64::from(receiver.is_some_and(|e| e.life != begin.life));
                    gone_ns = Some(gone_ns.map_or(end.t1, |t| t.min(end.t1)));
                }
                Some(_) => {}
            }
        }
        let sent = message.acknowledged();
        let begun = message.of_kind(Kind::SendBegin).next();
        let purged = |begun: &Entry| {
            let mut purges = round.purges.iter();
            purges.any(|purge| purge.ended.is_none_or(|end| end >= begun.record.t0))
        };
        accounted |= begun.is_some_and(purged);
        if !accounted && (sent.is_some() || !message.receives.is_empty()) {
            let text = "in the queue, never deleted, and not there at the end";
            self.fault(Fault::Lost, Some(message), text);
        }
        let after = |t: u64| message.receives.iter().any(|e| e.record.t0 > t);
        if gone_ns.is_some_and(after) {
            let text = "received by a call that began after a delete had returned";
            self.fault(Fault::Resurrected, Some(message), text);
        }
        if let Some(sent) = sent {
            // One that three read at that moment may stay: docs of `purge`.
            let reached = |t: u64| {
                message
                    .receives
                    .iter()
                    .any(|e| e.record.t0 > t && e.record.count < 4)
            };
            let stayed = round
                .purges
                .iter()
                .any(|purge| purge.begun > sent.record.t1 && purge.ended.is_some_and(reached));
            if stayed {
                self.fault(Fault::Purged, Some(message), "received after a purge");
            }
        }
    }

    /// Two receives, one after the other: not at once, not too early.
    fn in_turn(&mut self, message: &Message<'_>, before: &Entry, after: &Entry) {
        let (p, n) = (&before.record, &after.record);
        if p.count == n.count {
            let text = format!("two receives with count {}", n.count);
            return self.fault(Fault::Twice, Some(message), &text);
        }
        if n.t1 < p.t0 {
            let text = format!("count {} came before count {}", n.count, p.count);
            self.fault(Fault::Counts, Some(message), &text);
        }
        let due_ms = self.least_due_ms(message, before, n.t0, n.t1);
        // Its own time may be older than that of whoever made the message visible to it: it may
        // have stopped in between. The latest time at its end is not.
        if n.latest >= due_ms {
            return;
        }
        if !self.may_come_back(message, before, n.t1) {
            let text = format!(
                "received again before region time {}, and its holder's time is over at {due_ms}",
                n.latest + 1
            );
            return self.fault(Fault::Early, Some(message), &text);
        }
        self.recovery(message, before, after);
    }

    /// The least time at which the hold of `receive` may have been over, for one who looks between
    /// `from` and `to`: extensions that may or may not have been done by then count as they
    /// please.
    fn least_due_ms(&self, message: &Message<'_>, receive: &Entry, from: u64, to: u64) -> u64 {
        // Each possible due time, and when it was certainly set.
        let mut possible = vec![(receive.record.b, receive.record.t1)];
        for begin in message.of_kind(Kind::SettleBegin) {
            let b = &begin.record;
            if b.op != Op::Extend || b.count != receive.record.count || b.t0 > to {
                continue;
            }
            match message.outcome(begin).map(|end| &end.record) {
                Some(end) if end.answer != Answer::Ok => {}
                Some(end) if end.t1 < from => {
                    possible.retain(|(_, set)| *set >= b.t0);
                    possible.push((b.a, end.t1));
                }
                _ => possible.push((b.a, u64::MAX)),
            }
        }
        possible.iter().map(|(due, _)| *due).min().unwrap_or(0)
    }

    /// Whether the message of `receive` may have become visible before its time: its owner or its
    /// attachment had ended, or somebody released it.
    fn may_come_back(&self, message: &Message<'_>, receive: &Entry, by_ns: u64) -> bool {
        let count = receive.record.count;
        let begun = |op: Op| {
            let all = message.of_kind(Kind::SettleBegin);
            all.filter(move |e| e.record.op == op && e.record.count == count)
        };
        let done = |entry: &Entry| message.outcome(entry).map(|end| end.record);
        let released = begun(Op::Release).any(|entry| {
            entry.record.t0 <= by_ns && done(entry).is_none_or(|end| end.answer == Answer::Ok)
        });
        if released {
            return true;
        }
        let past = &self.round.lives[receive.life];
        let key = (receive.life, receive.record.attachment);
        let dropped = self.round.drops.get(&key).copied();
        let over = dropped.unwrap_or(u64::MAX).min(past.over_ns());
        let parted = past.role.is_program() // it detaches whatever it writes
            || begun(Op::Detach).any(|entry| done(entry).is_some_and(|end| end.t1 < over));
        over <= by_ns && !parted
    }

    /// A message that came back because its holder was killed: after how long.
    fn recovery(&mut self, message: &Message<'_>, before: &Entry, after: &Entry) {
        let past = &self.round.lives[before.life];
        let drained = self.round.lives[after.life].role == Role::Drainer;
        let settled = message
            .of_kind(Kind::SettleBegin)
            .any(|e| e.record.count == before.record.count);
        let forked = self.round.forkers.contains(&before.life);
        let next = after.record.count == before.record.count + 1;
        let program = self.round.lives[after.life].role.is_program();
        if let Some(killed) = past.killed_ns
            && !(drained || settled || forked || program)
            && next
            && after.record.t1 > killed
        {
            self.recovery_us.push((after.record.t1 - killed) / 1000);
        }
    }

    /// Each answer that was not `Ok` has a reason.
    fn answers(&mut self, message: &Message<'_>) {
        for end in message.of_kind(Kind::SettleEnd) {
            let e = &end.record;
            let by_now = |h: &super::history::Hidden| h.since <= e.t1;
            let again = message
                .receives
                .iter()
                .any(|r| r.record.count > e.count && r.record.t0 <= e.t1)
                || self.round.hidden.iter().any(by_now);
            let explained = match e.answer {
                Answer::Stale => again,
                Answer::Pinned => e.count >= 3,
                Answer::NotInFlight => again || self.was_over(message, end),
                _ => true,
            };
            if !explained {
                let text = format!("{} answered {:?} without a reason", e.op.name(), e.answer);
                self.fault(Fault::Answer, Some(message), &text);
            }
        }
    }

    /// Whether a receive may have been over when `end` was said of it: its time, another's delete
    /// or release, its owner's end, a purge.
    fn was_over(&self, message: &Message<'_>, end: &Entry) -> bool {
        let e = &end.record;
        let Some(receive) = message.receives.iter().find(|r| r.record.count == e.count) else {
            return true; // received by one who died before saying so
        };
        let others = message.of_kind(Kind::SettleBegin).any(|begin| {
            let b = &begin.record;
            let own = begin.life == end.life && b.t0 == e.t0;
            let ends = is_delete(b.op) || b.op == Op::Release;
            !own && ends && b.t0 <= e.t1
        });
        others
            || self.least_due_ms(message, receive, e.t0, e.t1) <= e.latest
            || self.may_come_back(message, receive, e.t1)
            || self.round.purges.iter().any(|purge| purge.begun <= e.t1)
    }

    // ---- all of them

    fn counts(&mut self) {
        let most: u64 = self.round.hidden.iter().map(|hidden| hidden.most).sum();
        if self.missing > most {
            let text = format!(
                "{} receives without a trace, where deaths explain {most}",
                self.missing
            );
            self.fault(Fault::Counts, None, &text);
        }
    }

    /// The region's time never runs backwards: what began after another had ended saw no less.
    fn time(&mut self) {
        let mut seen: Vec<(u64, u64, u64)> = Vec::new();
        for entry in &self.round.entries {
            let r = &entry.record;
            match r.kind {
                Kind::Got => seen.push((r.t0, r.t1, r.a)),
                Kind::SendEnd if r.answer == Answer::Ok && r.id.1 != 0 => {
                    seen.push((r.t0, r.t1, r.sent_ms()))
                }
                _ => {}
            }
        }
        let mut by_end: Vec<(u64, u64)> = seen.iter().map(|(_, t1, ms)| (*t1, *ms)).collect();
        by_end.sort_unstable();
        seen.sort_unstable();
        let (mut high_ms, mut ended) = (0, by_end.into_iter().peekable());
        for (t0, _, ms) in seen {
            while let Some((_, before)) = ended.next_if(|(t1, _)| *t1 < t0) {
                high_ms = high_ms.max(before);
            }
            if ms < high_ms {
                let text = format!("region time {ms} after {high_ms}");
                self.fault(Fault::Time, None, &text);
            }
        }
    }

    /// One id, one message.
    fn ids(&mut self) {
        let mut ids: Vec<((u64, u64), u64)> = Vec::new();
        for entry in &self.round.entries {
            let r = &entry.record;
            let named = match r.kind {
                Kind::Got => true,
                Kind::SendEnd => r.answer == Answer::Ok,
                _ => false,
            };
            // The program does not say the ids of what it sends.
            if named && r.id != (0, 0) {
                ids.push((r.id, r.seed));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let shared = ids.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
        ids.sort_unstable_by_key(|(id, seed)| (*seed, *id));
        let many = ids.windows(2).filter(|pair| pair[0].1 == pair[1].1).count();
        if shared + many != 0 {
            let text = format!("{shared} ids of two messages, {many} messages with two ids");
            self.fault(Fault::Ids, None, &text);
        }
    }

    /// Everybody ended by the conductor's hand, or by itself in order.
    fn ends(&mut self) {
        let wrong = |past: &&Past| match past.end {
            End::Exit(0) => false,
            End::Exit(_) => !past.role.is_program(), // looked at with its words
            End::Signal(libc::SIGKILL) => past.killed_ns.is_none(),
            End::Signal(_) | End::Stopped => true,
        };
        let round = self.round;
        for past in round.lives.iter().filter(wrong) {
            let text = format!(
                "life {} ({}): {:?}",
                past.number,
                past.role.name(),
                past.end
            );
            self.fault(Fault::Crash, None, &text);
        }
    }
}
