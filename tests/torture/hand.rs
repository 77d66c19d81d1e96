//! A participant's hand: each call of the library through it leaves its intent, its outcome and its
//! place in the shared board. Roles are written over these.

use super::ambush;
use super::board::{Board, Life, Op, Raw, Tick};
use super::body::{self, Shape};
use super::faults::Fault;
use super::ledger::{Answer, Kind, Record};
use super::os::{self, Packets};
use crate::common::Numbers;
use ringmain::{Claim, Error, Mapped, MessageId, Queue, Receipt, Received};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The queue as a participant sees it.
pub type Desk<'r> = Queue<&'r Mapped, Tick>;
/// A message as a participant sees it.
pub type Message<'d, 'r> = Received<'d, &'r Mapped, Tick>;
/// A claim as a participant sees it.
pub type Room<'d, 'r> = Claim<'d, &'r Mapped, Tick>;

/// The visibility timeout of both queues, ms.
pub const VISIBILITY_MS: u64 = 120;
/// The longest visibility that anybody asks for, ms: only a death brings such a message back.
pub const VISIBILITY_MS_MAX: u64 = 8_000;
/// How long an opener tries when every attachment is taken, and a participant goes on without a
/// sign of the conductor, ns.
const PATIENCE_NS: u64 = 30_000_000_000;

/// What a participant has at hand, the same for all of a run.
#[derive(Clone)]
pub struct Tools {
    pub board: &'static Board,
    pub raw: Raw,
    pub mail: Packets,
    pub path: PathBuf,
    pub shape: Shape,
    /// A twin runs, whose faults are expected: they are counted and not told.
    pub twin: bool,
}

/// What names a receive that is held: enough to settle it, from anywhere.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    pub seed: u64,
    pub count: u32,
}

pub struct Hand {
    pub tools: Tools,
    pub life: &'static Life,
    /// The life's number in the whole run.
    pub number: u64,
    pub numbers: Numbers,
    /// Its entry for a forked child, if it may fork.
    pub spare: Option<(usize, u64)>,
    sent: u64,
    attachments: u8,
}

fn answer(result: &Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Answer::Ok,
        Err(Error::Full) => Answer::Full,
        Err(Error::StaleReceipt) => Answer::Stale,
        Err(Error::NotInFlight) => Answer::NotInFlight,
        Err(Error::Pinned { .. }) => Answer::Pinned,
        Err(_) => Answer::Other,
    }
}

impl Hand {
    pub fn new(tools: Tools, index: usize, number: u64, seed: u64) -> Self {
        let life = &tools.board.lives[index];
        Self {
            life,
            number,
            numbers: Numbers(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)),
            spare: None,
            sent: 0,
            attachments: 0,
            tools,
        }
    }

    // ---- going on and reporting

    /// Whether there is more to do: nobody asks for an end, and the ledger has room.
    pub fn goes_on(&self) -> bool {
        let beat = self.tools.board.beat_ns.load(Ordering::Relaxed);
        if os::now_ns().saturating_sub(beat) > PATIENCE_NS {
            os::exit(3); // the conductor is gone: nobody reads this
        }
        !self.tools.board.stops() && self.life.ledger.has_room()
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.numbers.below(end)
    }

    pub fn log(&self, record: &Record) {
        self.life.ledger.append(record);
    }

    /// Reports a fault, with the figures that explain it.
    pub fn fault(&self, fault: Fault, seed: u64, a: u64, b: u64, text: &str) {
        let mut record = Record::new(Kind::Fault, seed, os::now_ns());
        (record.count, record.a, record.b) = (fault as u32, a, b);
        record.op = self.op();
        self.log(&record);
        if !self.tools.twin {
            eprintln!("fault ({}), life {}: {text}", fault.name(), self.number);
        }
    }

    fn latest_ms(&self) -> u64 {
        self.tools.raw.latest_ms(Tick(self.tools.board))
    }

    fn op(&self) -> Op {
        Op::of(self.life.op.load(Ordering::Relaxed))
    }

    /// Does `call` as `op`: where a death finds it.
    pub fn at<T>(&self, op: Op, call: impl FnOnce() -> T) -> T {
        self.life.op.store(op as u64, Ordering::Release);
        let result = ambush::through(self.tools.board, self.life, op, call);
        self.life.op.store(Op::Outside as u64, Ordering::Release);
        self.life.steps.fetch_add(1, Ordering::Relaxed);
        result
    }

    // ---- attachments

    /// Opens the region. `None`: not now, for a reason that is allowed.
    pub fn open(&mut self) -> Option<(Mapped, u8)> {
        let begun = os::now_ns();
        loop {
            match self.at(Op::Open, || Mapped::open(&self.tools.path)) {
                Ok(region) => {
                    self.attachments = self.attachments.wrapping_add(1);
                    return Some((region, self.attachments));
                }
                Err(Error::Attachments { .. }) if os::now_ns() - begun < PATIENCE_NS => {
                    std::thread::yield_now();
                }
                Err(Error::Version { .. })
                    if self.tools.board.trials.load(Ordering::SeqCst) != 0 =>
                {
                    return None;
                }
                Err(error) => {
                    let text = format!("open: {error}");
                    self.fault(Fault::Error, 0, 0, 0, &text);
                    return None;
                }
            }
        }
    }

    /// Whether this life has had so many attachments that their numbers run out.
    pub fn is_worn(&self) -> bool {
        self.attachments > 200
    }

    pub fn desk<'r>(&mut self, region: &'r Mapped) -> Option<Desk<'r>> {
        let tick = Tick(self.tools.board);
        match self.at(Op::Open, || Queue::open_with(region, tick)) {
            Ok(desk) => Some(desk),
            Err(error) => {
                let text = format!("open of the queue: {error}");
                self.fault(Fault::Error, 0, 0, 0, &text);
                None
            }
        }
    }

    /// Drops an attachment.
    pub fn close(&mut self, region: Mapped, attachment: u8) {
        self.dropping(attachment);
        self.at(Op::Close, || drop(region));
    }

    /// Says that an attachment is about to be dropped.
    pub fn dropping(&self, attachment: u8) {
        let mut record = Record::new(Kind::DropBegin, 0, os::now_ns());
        record.attachment = attachment;
        self.log(&record);
    }

    // ---- sending

    /// A seed for a message of this life.
    pub fn seed(&mut self) -> u64 {
        self.sent += 1;
        body::seed(self.tools.shape, false, self.number, self.sent)
    }

    /// Says that a message is about to be sent.
    pub fn sending(&self, seed: u64) -> u64 {
        let t0 = os::now_ns();
        self.log(&Record::new(Kind::SendBegin, seed, t0));
        t0
    }

    /// Says what became of a send that began at `t0`.
    pub fn sent(&self, seed: u64, t0: u64, result: Result<MessageId, Error>) -> Answer {
        let mut record = Record::new(Kind::SendEnd, seed, t0);
        record.t1 = os::now_ns();
        match result {
            Ok(id) => {
                let id = id.as_u128();
                record.id = ((id >> 64) as u64, id as u64);
            }
            Err(error) => {
                record.answer = answer(&Err(error.clone()));
                if record.answer != Answer::Full {
                    self.fault(Fault::Error, seed, 0, 0, &format!("send: {error}"));
                }
            }
        }
        self.log(&record);
        record.answer
    }

    pub fn send(&mut self, desk: &Desk<'_>) -> Answer {
        let seed = self.seed();
        let body = body::body(seed);
        let t0 = self.sending(seed);
        let result = self.at(Op::Send, || desk.send(&body));
        self.sent(seed, t0, result)
    }

    pub fn send_batch(&mut self, desk: &Desk<'_>, n: usize) -> Answer {
        let seeds: Vec<u64> = (0..n).map(|_| self.seed()).collect();
        let bodies: Vec<Vec<u8>> = seeds.iter().map(|seed| body::body(*seed)).collect();
        let t0 = seeds.iter().map(|seed| self.sending(*seed)).min();
        let t0 = t0.unwrap_or(0);
        let mut last = Answer::Ok;
        match self.at(Op::SendBatch, || desk.send_batch(&bodies)) {
            Ok(outcomes) => {
                for (seed, outcome) in seeds.iter().zip(outcomes) {
                    last = self.sent(*seed, t0, outcome);
                }
            }
            Err(error) => self.fault(Fault::Error, 0, 0, 0, &format!("send_batch: {error}")),
        }
        last
    }

    /// Claims room for a message and fills it; `None` if there is none.
    pub fn claim<'d, 'r>(&mut self, desk: &'d Desk<'r>) -> Option<(u64, u64, Room<'d, 'r>)> {
        let seed = self.seed();
        let body = body::body(seed);
        let t0 = self.sending(seed);
        match self.at(Op::Claim, || desk.claim(body.len())) {
            Ok(mut room) => {
                room.copy_from_slice(&body);
                Some((seed, t0, room))
            }
            Err(error) => {
                self.sent(seed, t0, Err(error));
                None
            }
        }
    }

    pub fn commit(&mut self, (seed, t0, room): (u64, u64, Room<'_, '_>)) {
        let id = self.at(Op::Commit, || room.commit());
        self.sent(seed, t0, Ok(id));
    }

    /// Gives a claim up: from here on nobody may see its message.
    pub fn abort(&mut self, (seed, t0, room): (u64, u64, Room<'_, '_>)) {
        let mut record = Record::new(Kind::SendEnd, seed, t0);
        record.answer = Answer::Aborted;
        self.log(&record);
        self.at(Op::Abort, || room.abort());
    }

    // ---- receiving

    /// Does a receive of up to `max`, of which the ledger gets what it took.
    pub fn receiving<'d, 'r: 'd, T: Deref<Target = [Message<'d, 'r>]>>(
        &mut self,
        op: Op,
        max: usize,
        visibility_ms: u64,
        attachment: u8,
        call: impl FnOnce() -> Result<T, Error>,
    ) -> Option<T> {
        let t0 = self.open_receive(max);
        let result = self.at(op, call);
        let t1 = os::now_ns();
        match &result {
            Ok(messages) => {
                for message in messages.iter() {
                    self.got(op, attachment, message, visibility_ms, t0, t1);
                }
            }
            Err(error) => self.fault(Fault::Error, 0, 0, 0, &format!("{}: {error}", op.name())),
        }
        self.close_receive();
        result.ok()
    }

    /// Opens the intent of a receive; returns when it began.
    pub fn open_receive(&self, max: usize) -> u64 {
        let t0 = os::now_ns();
        self.life.open_max.store(max as u64, Ordering::Relaxed);
        self.life.open_since.store(t0, Ordering::Release);
        t0
    }

    pub fn close_receive(&self) {
        self.life.open_since.store(0, Ordering::Release);
    }

    fn got(
        &self,
        op: Op,
        attachment: u8,
        message: &Message<'_, '_>,
        visibility_ms: u64,
        t0: u64,
        t1: u64,
    ) {
        let seed = self.checked_seed(message.body());
        let id = message.id().as_u128();
        self.log(&Record {
            kind: Kind::Got,
            op,
            answer: Answer::Ok,
            attachment,
            count: message.receive_count(),
            seed,
            id: ((id >> 64) as u64, id as u64),
            a: message.received_ms(),
            b: message.received_ms() + visibility_ms,
            latest: self.latest_ms(),
            t0,
            t1,
        });
    }

    /// The seed of a body; bytes that are not its are a fault.
    fn checked_seed(&self, bytes: &[u8]) -> u64 {
        let claimed = body::claimed_seed(bytes).unwrap_or(0);
        if !body::is_body_of(claimed, bytes) {
            let text = format!("message {claimed:016x}: {} bytes are not its", bytes.len());
            self.fault(Fault::Damaged, claimed, bytes.len() as u64, 0, &text);
        }
        claimed
    }

    /// A receive into a buffer.
    pub fn receive_into(
        &mut self,
        desk: &Desk<'_>,
        attachment: u8,
        buffer: &mut [u8],
    ) -> Option<(Named, Receipt)> {
        let t0 = self.open_receive(1);
        let result = self.at(Op::ReceiveInto, || desk.receive_into(buffer));
        let t1 = os::now_ns();
        let mut named = None;
        match result {
            Ok(Some(copied)) => {
                let seed = self.checked_seed(&buffer[..copied.len]);
                let id = copied.receipt.id().as_u128();
                let received_ms = copied.receipt.received_ms();
                self.log(&Record {
                    kind: Kind::Got,
                    op: Op::ReceiveInto,
                    answer: Answer::Ok,
                    attachment,
                    count: copied.receive_count,
                    seed,
                    id: ((id >> 64) as u64, id as u64),
                    a: received_ms,
                    b: received_ms + VISIBILITY_MS,
                    latest: self.latest_ms(),
                    t0,
                    t1,
                });
                let count = copied.receive_count;
                named = Some((Named { seed, count }, copied.receipt));
            }
            Ok(None) => {}
            // Received and released by the call itself, or left for its due time.
            Err(Error::BufferTooSmall { .. } | Error::NotInFlight | Error::StaleReceipt)
                if buffer.len() < body::BODY_BYTES_MAX =>
            {
                let mut record = Record::new(Kind::Blind, 0, t0);
                (record.count, record.t1) = (1, t1);
                self.log(&record);
            }
            Err(error) => self.fault(Fault::Error, 0, 0, 0, &format!("receive_into: {error}")),
        }
        self.close_receive();
        named
    }

    /// Looks again at bytes that were received long ago and are still held.
    pub fn look_again(&self, message: &Message<'_, '_>) {
        let seed = self.checked_seed(message.body());
        self.log(&Record::new(Kind::LateRead, seed, os::now_ns()));
    }

    // ---- settling

    /// Says what is about to be done to a receive; returns when.
    pub fn settling(&self, op: Op, named: Named, due_ms: u64) -> u64 {
        let mut record = Record::new(Kind::SettleBegin, named.seed, os::now_ns());
        (record.op, record.count, record.a) = (op, named.count, due_ms);
        self.log(&record);
        record.t0
    }

    /// Says what came of it.
    pub fn settled(&self, op: Op, named: Named, t0: u64, result: Result<(), Error>) -> Answer {
        let mut record = Record::new(Kind::SettleEnd, named.seed, t0);
        (record.op, record.count) = (op, named.count);
        record.answer = answer(&result);
        record.latest = self.latest_ms();
        record.t1 = os::now_ns();
        let allowed = match record.answer {
            Answer::Ok | Answer::Stale | Answer::Pinned => true,
            Answer::NotInFlight => matches!(op, Op::Extend | Op::Release),
            Answer::Full | Answer::Aborted | Answer::Other => false,
        };
        if !allowed {
            let text = format!("{} of {:016x}: {result:?}", op.name(), named.seed);
            self.fault(Fault::Error, named.seed, 0, 0, &text);
        }
        self.log(&record);
        record.answer
    }

    /// Does `call` as `op` to a receive.
    pub fn settle(&self, op: Op, named: Named, call: impl FnOnce() -> Result<(), Error>) -> Answer {
        let t0 = self.settling(op, named, 0);
        let result = self.at(op, call);
        self.settled(op, named, t0, result)
    }

    /// Does `call` as an extension up to `ms` from now.
    pub fn extend(
        &self,
        named: Named,
        ms: u64,
        call: impl FnOnce(Duration) -> Result<(), Error>,
    ) -> Answer {
        let due_ms = self.tools.raw.reached_ms() + ms;
        let t0 = self.settling(Op::Extend, named, due_ms);
        let result = self.at(Op::Extend, || call(Duration::from_millis(ms)));
        self.settled(Op::Extend, named, t0, result)
    }

    /// Gives a message's receipt to whoever of the others reads the mail next.
    pub fn mail(&self, message: Message<'_, '_>) {
        let named = Named::of(&message);
        let t0 = self.settling(Op::Detach, named, 0);
        let receipt = self.at(Op::Detach, || message.detach());
        self.settled(Op::Detach, named, t0, Ok(()));
        self.post(named, &receipt);
    }

    /// Puts a receipt into the mail; without room there it is forgotten, and the message comes
    /// back.
    pub fn post(&self, named: Named, receipt: &Receipt) {
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&named.seed.to_le_bytes());
        packet[8..12].copy_from_slice(&named.count.to_le_bytes());
        packet[12..].copy_from_slice(receipt.to_string().as_bytes());
        self.tools.mail.write(&packet);
    }

    /// A receipt from the mail.
    pub fn fetch(&self) -> Option<(Named, Receipt)> {
        let packet: [u8; PACKET] = self.tools.mail.read()?;
        let (seed, rest) = packet.split_first_chunk::<8>()?;
        let (count, text) = rest.split_first_chunk::<4>()?;
        let named = Named {
            seed: u64::from_le_bytes(*seed),
            count: u32::from_le_bytes(*count),
        };
        let text = std::str::from_utf8(text).ok()?;
        match text.parse() {
            Ok(receipt) => Some((named, receipt)),
            Err(error) => {
                self.fault(Fault::Error, named.seed, 0, 0, &format!("{text}: {error}"));
                None
            }
        }
    }
}

/// `{ seed, count, receipt as text }`
const PACKET: usize = 8 + 4 + 48;

impl Named {
    pub fn of(message: &Message<'_, '_>) -> Self {
        Self {
            seed: body::claimed_seed(message.body()).unwrap_or(0),
            count: message.receive_count(),
        }
    }
}
