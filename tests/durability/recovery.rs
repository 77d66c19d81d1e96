//! What is there when the machine comes back.

use crate::common::{Numbers, body, seed_of};
use crate::machine::{Machine, SECTION_OFFSET, open};
use ringmain::Value;
use ringmain::{Clock, Durability, Error, ManualClock, Message, Queue, QueueOptions, SystemClock};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const SAFE: QueueOptions = QueueOptions::new().durability(Durability::BeforeOk);

/// The seeds of all messages that can be received, in order; each is whole.
fn drain(machine: &Machine) -> BTreeSet<u64> {
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    let mut seeds = BTreeSet::new();
    while let Some(received) = queue.receive().expect("a receive") {
        let seed = seed_of(received.body()).expect("a whole body");
        assert!(seeds.insert(seed), "message {seed} twice");
        received.delete().expect("a delete");
    }
    let stat = queue.stat().expect("figures");
    assert_eq!(
        (stat.slots_free, stat.damaged),
        (stat.slots, 0),
        "every slot is free again"
    );
    seeds
}

#[test]
fn what_was_sent_is_there_and_what_was_deleted_is_not() {
    let mut machine = Machine::new("recovery-plain", 1 << 18, SAFE);
    {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        for seed in 0..100 {
            queue
                .send(&body(seed, 8 + (seed as usize * 37) % 700))
                .expect("room");
        }
        for _ in 0..40 {
            let received = queue.receive().expect("a receive").expect("a message");
            assert!(seed_of(received.body()).expect("whole") < 40);
            received.delete().expect("a delete");
        }
        let held = queue.receive().expect("a receive").expect("a message");
        std::mem::forget(held); // held by nobody who is still there
    }
    machine.stop();
    assert_eq!(drain(&machine), (40..100).collect());
    // The deletes of that drain are durable in their turn.
    machine.stop();
    assert_eq!(drain(&machine), BTreeSet::new());
}

/// What a message carries besides its body, its delay, and settings that were changed.
#[test]
fn attributes_delays_and_settings_come_back() {
    let mut machine = Machine::new("recovery-more", 1 << 18, SAFE);
    let second = Duration::from_secs(1);
    {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        let changed = queue.reconfigure(|now| now.visibility(3 * second).delay(second / 2));
        changed.expect("other settings");
        let plain = Message::new("plain").delay(Duration::ZERO);
        let attributed = plain.clone().string("kind", "x").expect("by the rules");
        let long = [7; 3000];
        let long = Message::new(&long).number("n", "1").expect("by the rules");
        let hour = long.clone().delay(900 * second);
        for message in [plain, attributed, hour] {
            queue.send_message(&message).expect("room");
        }
    }
    machine.stop();
    let region = machine.open();
    let clock = ManualClock::new(SystemClock.now_ms());
    let queue = Queue::open_with(&region, &clock).expect("the queue");
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.visible, stat.delayed, stat.sent), (2, 1, 3));
    assert_eq!((stat.visibility, stat.delay), (3 * second, second / 2));
    let mut kinds = [None; 2];
    let held = [(); 2].map(|()| queue.receive().expect("a receive").expect("a message"));
    for (kind, received) in kinds.iter_mut().zip(&held) {
        assert_eq!(
            (received.body(), received.receive_count()),
            (&b"plain"[..], 1)
        );
        *kind = received.attribute("kind");
    }
    assert_eq!(kinds.iter().flatten().count(), 1, "one has it");
    assert!(kinds.contains(&Some(Value::String("x"))));
    for received in held {
        received.delete().expect("a delete");
    }
    clock.advance(800 * second);
    assert!(queue.receive().expect("a receive").is_none(), "its delay");
    clock.advance(100 * second);
    let late = queue
        .receive()
        .expect("a receive")
        .expect("its delay is over");
    assert_eq!((late.body(), late.receive_count()), (&[7; 3000][..], 1));
    assert_eq!(late.attribute("n"), Some(Value::Number("1")));
    late.delete().expect("a delete");
}

#[test]
fn runs_of_every_length_come_back() {
    let options = SAFE.max_body(60_000);
    let mut machine = Machine::new("recovery-runs", 1 << 20, options);
    let lens = [1, 95, 96, 97, 224, 225, 4000, 8160, 8161, 20_000, 60_000];
    let lens = lens.map(|len| len.max(8));
    {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        // Short ones first, so that runs come to lie where messages were.
        for seed in 0..500 {
            queue
                .at(Durability::Process)
                .expect("a level")
                .send(&body(seed, 50))
                .expect("room");
        }
        queue.sync().expect("the disk");
        while let Some(received) = queue.receive().expect("a receive") {
            let process = queue.at(Durability::Process).expect("a level");
            process.delete(&received.detach()).expect("a delete");
        }
        for (seed, len) in lens.iter().enumerate() {
            queue.send(&body(1000 + seed as u64, *len)).expect("room");
        }
    }
    machine.stop();
    let wanted = (1000..1000 + lens.len() as u64).collect();
    assert_eq!(drain(&machine), wanted);
}

/// Many more bytes than the ring has, with messages that stay through all of it.
#[test]
fn the_ring_wraps_round_and_the_old_ones_stay() {
    let mut machine = Machine::new("recovery-wrap", 64 << 10, SAFE);
    let ring = std::fs::metadata(machine.journal())
        .expect("the journal")
        .len();
    let mut numbers = Numbers(5);
    let mut there = BTreeSet::new();
    let mut seed = 0;
    for _ in 0..3 {
        {
            let region = machine.open();
            let queue = Queue::open(&region).expect("the queue");
            let process = queue.at(Durability::Process).expect("a level");
            // Each commit takes a page at least: about one and a half rounds.
            for _ in 0..ring * 3 / 2 / 4096 {
                for _ in 0..numbers.below(4) {
                    let len = 8 + numbers.below(200) as usize;
                    match process.send(&body(seed, len)) {
                        Ok(_) => assert!(there.insert(seed)),
                        Err(Error::Full) => {}
                        Err(other) => panic!("{other}"),
                    }
                    seed += 1;
                }
                for _ in 0..numbers.below(4) {
                    let Some(received) = process.receive().expect("a receive") else {
                        break;
                    };
                    let seed = seed_of(received.body()).expect("a whole body");
                    if seed.is_multiple_of(16) {
                        let mut kept = received;
                        kept.extend(Duration::ZERO).expect("an extension");
                    } else {
                        received.delete().expect("a delete");
                        assert!(there.remove(&seed));
                    }
                }
                queue.sync().expect("the disk");
            }
        }
        machine.stop();
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        let mut found = BTreeSet::new();
        let mut held = Vec::new();
        while let Some(received) = queue.receive().expect("a receive") {
            found.insert(seed_of(received.body()).expect("a whole body"));
            held.push(received);
        }
        assert_eq!(found, there);
        for received in held {
            received.release().expect("a release");
        }
    }
}

#[test]
fn receive_counts_and_ids_stay_and_receipts_are_void() {
    let mut machine = Machine::new("recovery-names", 1 << 17, SAFE);
    let (id, receipt) = {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        let id = queue.send(b"one").expect("room");
        for count in 1..=3 {
            let received = queue.receive().expect("a receive").expect("a message");
            assert_eq!(received.receive_count(), count);
            received.release().expect("a release");
        }
        // Another message in the block's line makes the journal look at the block, not at this
        // slot.
        queue.send(b"two").expect("room");
        let received = queue.receive().expect("a receive").expect("a message");
        (id, received.detach())
    };
    machine.stop();
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    let mut ids = Vec::new();
    while let Some(received) = queue.receive().expect("a receive") {
        ids.push(received.id());
        std::mem::forget(received);
    }
    assert!(ids.contains(&id) && ids.len() == 2, "{ids:?}");
    assert_eq!(queue.delete(&receipt), Err(Error::StaleReceipt));
    assert_eq!(
        queue.extend(&receipt, Duration::from_secs(1)),
        Err(Error::StaleReceipt)
    );
}

#[test]
fn time_goes_on_after_the_machine_has_stopped() {
    let mut machine = Machine::new("recovery-time", 1 << 17, SAFE);
    let sent_ms = {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        queue.send(b"before").expect("room");
        let received = queue.receive().expect("a receive").expect("a message");
        let sent_ms = received.sent_ms();
        received.release().expect("a release");
        sent_ms
    };
    machine.stop();
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    queue.send(b"after").expect("room");
    let mut sent = Vec::new();
    while let Some(received) = queue.receive().expect("a receive") {
        sent.push(received.sent_ms());
        received.delete().expect("a delete");
    }
    sent.sort_unstable();
    assert_eq!(sent[0], sent_ms);
    assert!(sent[1] > sent_ms, "{sent:?}");
}

#[test]
fn a_boot_id_that_is_wrong_while_somebody_is_attached_is_told() {
    let mut machine = Machine::new("recovery-boot", 1 << 17, SAFE);
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    queue.send(b"still here").expect("room");
    let boot = machine.boot();
    machine.set_boot([7; 16]);
    let refused = ringmain::Mapped::open(machine.path()).map(|_| ());
    assert_eq!(refused, Err(Error::Damaged { field: "boot id" }));
    machine.set_boot(boot);
    drop(machine.open());
    let received = queue.receive().expect("a receive").expect("a message");
    assert_eq!(received.body(), b"still here");
    received.delete().expect("a delete");
    drop(region);
    machine.stop();
    assert_eq!(drain(&machine), BTreeSet::new());
}

/// The disk damages what the region says of its queue; the journal says the same.
#[test]
fn a_configuration_that_is_damaged_comes_from_the_journal() {
    let options = SAFE.visibility(Duration::from_secs(77)).max_body(5000);
    let mut machine = Machine::new("recovery-configuration", 1 << 17, options);
    {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        queue.send(&body(1, 3000)).expect("room");
    }
    let sector = SECTION_OFFSET..SECTION_OFFSET + 640;
    for filler in [0, 0x5a, 0xff] {
        let file = open(&machine.path());
        let damage = vec![filler; (sector.end - sector.start) as usize];
        // In the same boot it is damage: what is in the queue is more than the journal has.
        let mut sound = vec![0; damage.len()];
        file.read_exact_at(&mut sound, sector.start)
            .expect("a sector");
        file.write_all_at(&damage, sector.start).expect("a sector");
        let refused = ringmain::Mapped::open(machine.path()).map(|_| ());
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        file.write_all_at(&sound, sector.start).expect("a sector");
        machine.stop();
        file.write_all_at(&damage, sector.start).expect("a sector");
        let region = machine.open();
        let queue = Queue::open_or_create(&region, options).expect("the same queue");
        let received = queue.receive().expect("a receive").expect("the message");
        assert_eq!(seed_of(received.body()), Some(1));
        received.release().expect("a release");
    }
}

#[test]
fn a_moved_message_is_on_the_disk_before_it_leaves() {
    let late = Durability::Interval(Duration::from_secs(3600)); // nobody commits in this time
    for level in [Durability::BeforeOk, late] {
        let source = Machine::new("moved-from", 1 << 18, SAFE.max_receives(2));
        let target = Machine::new("moved-to", 1 << 18, SAFE.durability(level));
        let (from, to) = (source.open(), target.open());
        let to = Queue::open(&to).expect("the queue");
        let from = Queue::open(&from).expect("the queue");
        let from = from.with_dead_letters(to.by_ref()).expect("linked");
        let id = from.send(&body(1, 900)).expect("room");
        from.send(&body(2, 30)).expect("room");
        for _ in 0..2 {
            let failed = from.receive().expect("received").expect("a message");
            assert_eq!(seed_of(failed.body()), Some(1));
            failed.release().expect("released");
            let other = from.receive().expect("received").expect("a message");
            other.release().expect("released");
        }
        assert!(from.receive().expect("looked").is_none(), "both have moved");
        assert_eq!(from.stat().expect("figures").moved, 2);
        let (mut source, mut target) = (source.copy("moved-a"), target.copy("moved-b"));
        source.stop();
        target.stop();
        assert_eq!(drain(&source), BTreeSet::new(), "{level}");
        {
            let region = target.open();
            let queue = Queue::open(&region).expect("the queue");
            let letter = queue.receive().expect("received").expect("a message");
            assert_eq!(seed_of(letter.body()), Some(1));
            assert_eq!((letter.id(), letter.source()), (id, Some("")));
            assert_eq!(letter.receive_count(), 3);
            letter.release().expect("released");
        }
        assert_eq!(drain(&target), BTreeSet::from([1, 2]), "{level}");
    }
}
