//! FIFO queues: order, ids and numbers come back with the messages.

use crate::common::Numbers;
use crate::common::machine::{self, Content};
use crate::machine::{WHOLE, ZEROED};
use ringmain::{
    Clock, DedupScope, Durability, Error, FifoEntry, FifoOptions, FifoQueue, ManualClock, Mapped,
    Message, SystemClock, Value,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

enum Fifo {}

impl Content for Fifo {
    type Options = FifoOptions;
    const NAMES: [&'static str; 2] = ["q.fifo", "q.fifo.journal"];
    const ZEROED: Range<u64> = ZEROED;
    const WHOLE: Range<u64> = WHOLE;

    fn create(region: &Mapped, options: FifoOptions) {
        FifoQueue::create(region, options).expect("a queue");
    }
}

type Machine = machine::Machine<Fifo>;

const DAY: Duration = Duration::from_secs(86_400);
const SAFE: FifoOptions = FifoOptions::new()
    .durability(Durability::BeforeOk)
    .dedup_interval(DAY);

/// All that can be received, by group.
fn drain<C: Clock>(queue: &FifoQueue<&Mapped, C>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    loop {
        let batch = queue.receive_batch(10).expect("a receive");
        if batch.is_empty() {
            return found;
        }
        for received in &batch {
            let body = String::from_utf8(received.body().to_vec()).expect("text");
            let group = received.group().expect("a group");
            found.entry(group.into()).or_default().push(body);
        }
        for outcome in batch.delete() {
            outcome.expect("a delete");
        }
    }
}

#[test]
fn order_and_ids_come_back() {
    let mut machine = Machine::new("fifo-plain", 1 << 20, SAFE);
    let mut numbers = Vec::new();
    {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        for round in 0..20 {
            let bodies: Vec<(String, String)> = (0..7)
                .map(|group| (format!("group-{group}"), format!("{group}-{round}")))
                .collect();
            let entries: Vec<FifoEntry<'_>> = bodies
                .iter()
                .map(|(group, body)| FifoEntry::new(group, body).id(body))
                .collect();
            for sent in queue.send_batch(&entries).expect("a batch") {
                numbers.push(sent.expect("room").sequence);
            }
        }
        // Five of a group are gone, and one of another is held by nobody who is still there.
        let batch = queue.receive_batch(5).expect("a receive");
        assert_eq!(batch.len(), 5);
        for outcome in batch.delete() {
            outcome.expect("a delete");
        }
        std::mem::forget(queue.receive().expect("a receive").expect("a message"));
        assert_eq!(queue.durability(), Durability::BeforeOk);
    }
    for round in 0..2 {
        machine.stop();
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        // Each id counts, whether its message is there or has gone.
        for group in 0..7 {
            for (nth, number) in numbers.iter().skip(group).step_by(7).enumerate() {
                let (name, id) = (format!("group-{group}"), format!("{group}-{nth}"));
                let again = queue.send(&name, &*id, b"again").expect("a duplicate");
                assert!(again.is_duplicate, "{id} in round {round}");
                assert_eq!(again.sequence, *number, "{id}");
            }
        }
        let new = format!("new-{round}");
        let sent = queue.send("group-0", &*new, b"new").expect("room");
        assert!(!sent.is_duplicate && numbers.iter().all(|number| *number < sent.sequence));
        if round == 1 {
            let found = drain(&queue);
            assert_eq!(found.len(), 7);
            for (group, bodies) in found {
                let number = &group["group-".len()..];
                let from = if number == "0" { 5 } else { 0 };
                let mut wanted: Vec<String> =
                    (from..20).map(|nth| format!("{number}-{nth}")).collect();
                if number == "0" {
                    wanted.extend(["new".to_string(), "new".to_string()]);
                }
                assert_eq!(bodies, wanted, "{group}");
            }
            let stat = queue.stat().expect("figures");
            assert_eq!((stat.slots_free, stat.damaged), (stat.slots, 0));
        }
    }
    // The deletes of that drain are durable in their turn.
    machine.stop();
    let region = machine.open();
    let queue = FifoQueue::open(&region).expect("the queue");
    assert!(drain(&queue).is_empty());
    assert!(
        queue
            .send("group-3", "3-3", b"x")
            .expect("known")
            .is_duplicate
    );
}

/// A message that came and went between two commits leaves its id.
#[test]
fn an_id_outlives_a_message_that_no_commit_has_seen() {
    let mut machine = Machine::new("fifo-gone", 1 << 20, SAFE);
    {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        let process = queue.at(Durability::Process).expect("a level");
        for nth in 0..300 {
            let id = format!("id-{nth}");
            process.send("a", &*id, b"gone soon").expect("room");
            let received = process.receive().expect("a receive").expect("a message");
            received.delete().expect("a delete");
        }
        queue.sync().expect("the disk");
        assert_eq!(
            queue.position().map(ringmain::Position::as_u64),
            queue.durable_position().map(|durable| durable.as_u64() + 1)
        );
    }
    machine.stop();
    let region = machine.open();
    let queue = FifoQueue::open(&region).expect("the queue");
    for nth in 0..300 {
        let id = format!("id-{nth}");
        assert!(queue.send("a", &*id, b"again").expect("known").is_duplicate);
    }
    assert!(queue.receive().expect("a receive").is_none());
}

#[test]
fn forms_of_ids_attributes_delays_and_long_bodies_come_back() {
    let second = Duration::from_secs(1);
    let options = SAFE
        .content_dedup(true)
        .dedup_scope(DedupScope::Group)
        .delay(10 * second);
    let mut machine = Machine::new("fifo-forms", 1 << 20, options);
    let long = "x".repeat(128);
    let body = vec![b'y'; 3000];
    let ids = [None, Some("short"), Some(&*long)];
    {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        for group in ["g", &*long] {
            for id in ids {
                queue.send(group, id, &body).expect("room");
            }
            let message = Message::new("attributed").group(group);
            let message = message.string("kind", group).expect("by the rules");
            queue.send_message(&message).expect("room");
        }
    }
    machine.stop();
    let region = machine.open();
    let clock = ManualClock::new(SystemClock.now_ms());
    let queue = FifoQueue::open_with(&region, &clock).expect("the queue");
    for group in ["g", &*long] {
        for id in ids {
            assert!(queue.send(group, id, &body).expect("known").is_duplicate);
        }
        let again = queue.send(group, None, b"attributed").expect("known");
        assert!(again.is_duplicate, "attributes do not count");
    }
    assert!(queue.receive().expect("a receive").is_none(), "delayed");
    clock.advance(11 * second);
    let mut groups = Vec::new();
    for _ in 0..2 {
        let batch = queue.receive_batch(4).expect("a receive");
        let group = batch[0].group().expect("a group").to_string();
        assert_eq!(batch.len(), 4);
        for received in batch.iter().take(3) {
            assert_eq!(
                (received.group(), received.body()),
                (Some(&*group), &body[..])
            );
        }
        assert_eq!(batch[2].deduplication_id(), Some(&*long));
        assert_eq!(batch[3].attribute("kind"), Some(Value::String(&group)));
        groups.push(group);
        std::mem::forget(batch);
    }
    assert_eq!(groups, ["g", &*long], "in the order of their sends");
}

/// Windows end, and the ring of entries goes on, however full it is.
#[test]
fn the_window_goes_on_where_it_was() {
    let second = Duration::from_secs(1);
    let options = SAFE.dedup_ids(10).dedup_interval(100 * second);
    let mut machine = Machine::new("fifo-window", 1 << 20, options);
    let start = SystemClock.now_ms();
    {
        let clock = ManualClock::new(start);
        let region = machine.open();
        let queue = FifoQueue::open_with(&region, &clock).expect("the queue");
        for nth in 0..14 {
            // The first four are over by the time the last four come.
            let id = format!("id-{nth}");
            queue.send("a", &*id, b"x").expect("room");
            clock.advance(match nth {
                3 => 10 * second,
                9 => 90 * second,
                _ => second / 2,
            });
        }
        assert_eq!(
            queue.send("a", "one-more", b"x"),
            Err(Error::DeduplicationFull { max: 10 })
        );
    }
    machine.stop();
    let clock = ManualClock::new(start);
    let region = machine.open();
    let queue = FifoQueue::open_with(&region, &clock).expect("the queue");
    for nth in 4..14 {
        let id = format!("id-{nth}");
        assert!(
            queue.send("a", &*id, b"x").expect("known").is_duplicate,
            "{id}"
        );
    }
    assert_eq!(
        queue.send("a", "one-more", b"x"),
        Err(Error::DeduplicationFull { max: 10 })
    );
    // One after the other they end, and another one has its place.
    for nth in 4..14 {
        let id = format!("id-{nth}");
        while queue
            .send("a", &*id, b"x")
            .is_ok_and(|sent| sent.is_duplicate)
        {
            clock.advance(second / 10);
        }
        let sent = queue.send("a", &*id, b"x").expect("accepted anew");
        assert!(sent.is_duplicate, "by the send before");
    }
    assert_eq!(queue.stat().expect("figures").visible, 24);
}

/// Ids, and messages that stay, are written anew before the ring has gone round.
#[test]
fn the_ring_wraps_round_and_ids_stay() {
    let mut machine = Machine::new("fifo-wraps", 256 << 10, SAFE.dedup_ids(700));
    let ring = std::fs::metadata(machine.companion())
        .expect("a journal")
        .len();
    let id = |nth: u64| format!("id-{nth}");
    let commits = {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        for nth in 0..20 {
            queue.send("stays", &*id(nth), b"here").expect("room");
        }
        for nth in 20..700 {
            queue.send("goes", &*id(nth), b"gone").expect("room");
            let mut batch = queue.receive_batch(2).expect("a receive");
            if batch[0].group() == Some("stays") {
                batch = queue.receive_batch(1).expect("a receive");
            }
            assert_eq!(batch[0].group(), Some("goes"));
            for outcome in batch.delete() {
                outcome.expect("a delete");
            }
        }
        queue.durable_position().expect("a position").as_u64()
    };
    assert!(commits * 4096 > 3 * ring, "{commits} commits, {ring} bytes");
    machine.stop();
    let region = machine.open();
    let queue = FifoQueue::open(&region).expect("the queue");
    for nth in 0..700 {
        assert!(
            queue
                .send("x", &*id(nth), b"x")
                .expect("known")
                .is_duplicate,
            "{nth}"
        );
    }
    let full = Err(Error::DeduplicationFull { max: 700 });
    assert_eq!(queue.send("x", "one-more", b"x"), full);
    let wanted = vec!["here".to_string(); 20];
    assert_eq!(
        drain(&queue),
        BTreeMap::from([("stays".to_string(), wanted)])
    );
}

/// Words of whole frames may say anything, with their checks made right: what is put back can be
/// received, or is refused, and no call fails to come back.
#[test]
fn forged_records_are_bounded() {
    let mut machine = Machine::new("fifo-forged", 128 << 10, SAFE.dedup_ids(40));
    {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        for nth in 0..24 {
            let (group, id) = (format!("group-{}", nth % 3), format!("id-{nth}"));
            queue.send(&group, &*id, &[nth; 100]).expect("room");
        }
        for outcome in queue.receive_batch(4).expect("a receive").delete() {
            outcome.expect("a delete");
        }
    }
    let whole = std::fs::read(machine.companion()).expect("the journal");
    let word = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"))
    };
    let seed = word(&whole, 152);
    let is_frame = |at: &usize| whole[*at..].starts_with(b"RINGFRAM");
    let frames: Vec<usize> = (4096..whole.len()).step_by(4096).filter(is_frame).collect();
    assert!(frames.len() > 20);
    let mut numbers = Numbers(5);
    let (mut there, mut all) = (0, 0);
    for _ in 0..300 {
        let mut forged = whole.clone();
        let frame = frames[numbers.below(frames.len() as u64) as usize];
        let len = word(&forged, frame + 16) as u32 as usize;
        for _ in 0..1 + numbers.below(4) {
            let at = frame + 64 + 8 * numbers.below((len as u64 - 64) / 8) as usize;
            let was = word(&forged, at);
            let is = match numbers.below(5) {
                0 => numbers.next(),
                1 => u64::MAX,
                2 => was ^ 1 << numbers.below(64),
                3 => was.wrapping_add(numbers.below(5)),
                _ => numbers.below(300),
            };
            forged[at..at + 8].copy_from_slice(&is.to_le_bytes());
        }
        forged[frame + 56..frame + 64].fill(0);
        let check = xxh3_64_with_seed(&forged[frame..frame + len], seed);
        forged[frame + 56..frame + 64].copy_from_slice(&check.to_le_bytes());
        std::fs::write(machine.companion(), &forged).expect("the journal");
        machine.stop();
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        let _ = queue.send("group-1", "id-1", b"again");
        let _ = queue.send("group-1", "new", b"new");
        all += 1;
        for _ in 0..40 {
            let Ok(batch) = queue.receive_batch(10) else {
                break;
            };
            if batch.is_empty() {
                break;
            }
            there += batch.len();
            batch.delete();
        }
        queue.stat().expect("figures");
        queue.tend().expect("tended");
    }
    assert!(there > 10 * all, "{there} of {all} journals");
}

#[test]
fn a_purge_forgets_for_good() {
    let mut machine = Machine::new("fifo-purge", 1 << 20, SAFE);
    {
        let region = machine.open();
        let queue = FifoQueue::open(&region).expect("the queue");
        for id in ["1", "2", "3"] {
            queue.send("a", id, b"x").expect("room");
        }
        queue
            .receive()
            .expect("a receive")
            .expect("one")
            .delete()
            .expect("a delete");
        assert_eq!(queue.purge(), Ok(2));
    }
    machine.stop();
    let region = machine.open();
    let queue = FifoQueue::open(&region).expect("the queue");
    assert!(drain(&queue).is_empty());
    for id in ["1", "2", "3"] {
        assert!(
            !queue.send("a", id, b"x").expect("room").is_duplicate,
            "{id}"
        );
    }
}

/// Dead letters keep group and order in a queue with a journal of its own.
#[test]
fn dead_letters_are_durable() {
    let mut dead = Machine::new("fifo-dead", 1 << 20, SAFE);
    let mut machine = Machine::new("fifo-work", 1 << 20, SAFE.max_receives(1));
    {
        let (region, letters) = (machine.open(), dead.open());
        let letters = FifoQueue::open(&letters).expect("the queue");
        let queue = FifoQueue::open(&region).expect("the queue");
        let queue = queue.with_dead_letters(letters.by_ref()).expect("a link");
        for id in ["1", "2", "3"] {
            queue.send("a", id, id.as_bytes()).expect("room");
        }
        for _ in 0..2 {
            queue
                .receive()
                .expect("a receive")
                .expect("one")
                .release()
                .expect("released");
        }
        assert_eq!(letters.stat().expect("figures").visible, 1);
    }
    machine.stop();
    dead.stop();
    let (region, letters) = (machine.open(), dead.open());
    let queue = FifoQueue::open(&region).expect("the queue");
    let letters = FifoQueue::open(&letters).expect("the queue");
    let of = |bodies: &[&str]| {
        BTreeMap::from([(
            "a".to_string(),
            bodies.iter().map(|b| b.to_string()).collect(),
        )])
    };
    assert_eq!(drain(&letters), of(&["1"]));
    assert_eq!(drain(&queue), of(&["2", "3"]));
    for id in ["1", "2", "3"] {
        assert!(queue.send("a", id, b"x").expect("known").is_duplicate);
        assert!(!letters.send("a", id, b"x").expect("room").is_duplicate);
    }
}
