//! How long a body is there: as long as its message, and no longer.

use super::{bodies, files, heap, is_empty, large};
use crate::common::{Dir, body, child};
use ringmain::{
    Durability, Error, Heap, LargeQueue, ManualClock, Mapped, Message, Queue, QueueOptions,
};
use std::time::Duration;

const LEN: usize = 20_000;
const SECOND: Duration = Duration::from_secs(1);

/// Removed, live and foreign bodies, as a collector finds them.
fn found(large: &LargeQueue<'_, impl ringmain::Region, impl ringmain::Clock>) -> [u64; 3] {
    let found = large.collect().expect("collected");
    assert_eq!(found.doubtful, 0);
    [found.removed, found.live, found.foreign]
}

#[test]
fn a_body_stays_until_its_message_is_deleted() {
    let (dir, clock) = (Dir::new("large-again"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let id = large.send(&body(1, LEN)).expect("sent");
    for count in 1..=4 {
        assert_eq!(found(&large), [0, 1, 0], "visible");
        let mut received = large.receive().expect("received").expect("there");
        assert_eq!((received.id(), received.receive_count()), (id, count));
        assert_eq!(received.sent_ms(), 5000);
        assert_eq!(found(&large), [0, 1, 0], "held");
        assert_eq!(received.read_to_vec(LEN), Ok(body(1, LEN)));
        assert!(large.receive().expect("looked").is_none());
        match count {
            1 => received.release().expect("released"),
            2 => {
                received.extend(100 * SECOND).expect("extended");
                clock.advance(99 * SECOND);
                assert!(large.receive().expect("looked").is_none());
                clock.advance(SECOND);
            }
            3 => {
                drop(received);
                clock.advance(30 * SECOND);
            }
            _ => received.delete().expect("deleted"),
        }
    }
    is_empty(&queue, &dir);
    assert_eq!(found(&large), [0, 0, 0]);
}

#[test]
fn receipts_and_batches_delete_bodies_too() {
    let (dir, clock) = (Dir::new("large-batches"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let send = |count: u64| {
        for seed in 0..count {
            let len = if seed % 2 == 0 { LEN } else { 50 };
            large.send(&body(seed, len)).expect("sent");
        }
    };
    send(10);
    let batch = large.receive_batch(10).expect("received");
    assert_eq!((batch.len(), files(&dir)), (10, 5));
    for (seed, received) in batch.iter().enumerate() {
        let len = received.len() as usize;
        assert_eq!(received.read_to_vec(LEN), Ok(body(seed as u64, len)));
    }
    assert!(batch.delete().iter().all(Result::is_ok));
    is_empty(&queue, &dir);

    send(10);
    let batch = large.receive_batch_timeout(10, SECOND).expect("received");
    let receipts: Vec<_> = batch
        .into_iter()
        .map(|received| received.detach())
        .collect();
    assert_eq!(files(&dir), 5);
    let outcomes = large.delete_batch(&receipts).expect("ten");
    assert!(outcomes.len() == 10 && outcomes.iter().all(Result::is_ok));
    is_empty(&queue, &dir);
    assert_eq!(large.delete(&receipts[0]), Ok(()), "gone already");
    assert_eq!(
        large.delete_batch(&[]).err(),
        Some(Error::BatchSize { len: 0 })
    );
    let eleven = [receipts[0]; 11];
    assert_eq!(
        large.delete_batch(&eleven).err(),
        Some(Error::BatchSize { len: 11 })
    );

    send(3);
    let released = large.receive_batch(3).expect("received").release();
    assert!(released.iter().all(Result::is_ok));
    let first = large
        .receive_timeout(SECOND)
        .expect("received")
        .expect("there");
    large.delete(&first.receipt()).expect("deleted");
    drop(first);
    let rest = large.receive_batch(10).expect("received");
    assert_eq!(rest.len(), 2);
    assert!(rest.delete().iter().all(Result::is_ok));
    is_empty(&queue, &dir);
}

#[test]
fn a_stale_receipt_deletes_no_body() {
    let (dir, clock) = (Dir::new("large-stale"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    let first = large.receive().expect("received").expect("there");
    let receipt = first.receipt();
    clock.advance(30 * SECOND);
    let second = large.receive().expect("received").expect("visible again");
    assert_eq!(first.delete(), Err(Error::StaleReceipt));
    assert_eq!(large.delete(&receipt), Err(Error::StaleReceipt));
    assert_eq!(second.read_to_vec(LEN), Ok(body(1, LEN)));
    second.delete().expect("deleted");
    is_empty(&queue, &dir);
}

#[test]
fn a_delay_holds_the_message_and_the_collector_leaves_it() {
    let (dir, clock) = (Dir::new("large-delay"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let long = body(1, LEN);
    let message = Message::new(&long).delay(60 * SECOND);
    large.send_message(&message).expect("sent");
    clock.advance(59 * SECOND);
    assert_eq!(found(&large), [0, 1, 0]);
    assert!(large.receive().expect("looked").is_none());
    clock.advance(SECOND);
    let received = large.receive().expect("received").expect("there");
    received.delete().expect("deleted");
    is_empty(&queue, &dir);
}

#[test]
fn what_goes_without_the_side_store_is_collected() {
    let (dir, clock) = (Dir::new("large-orphans"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let send = || large.send(&body(1, LEN)).expect("sent");
    // A purge.
    for _ in 0..3 {
        send();
    }
    assert_eq!(queue.purge(), Ok(3));
    assert_eq!((files(&dir), found(&large)), (3, [3, 0, 0]));
    is_empty(&queue, &dir);
    // A delete through the plain queue.
    for _ in 0..2 {
        send();
    }
    queue
        .receive()
        .expect("received")
        .expect("there")
        .delete()
        .expect("deleted");
    assert_eq!(found(&large), [1, 1, 0]);
    // The retention.
    clock.advance(5 * 24 * 3600 * SECOND);
    send();
    while let Some(fresh) = large.receive().expect("received") {
        assert_eq!(fresh.receive_count(), 1);
        assert_eq!(fresh.read_to_vec(LEN), Ok(body(1, LEN)));
        fresh.release().expect("released");
        if queue.stat().expect("figures").expired == 1 {
            break;
        }
    }
    assert_eq!(found(&large), [1, 1, 0]);
    // Whoever opens the store collects as well.
    assert_eq!(queue.purge(), Ok(1));
    let _again = super::large(&queue, &dir);
    is_empty(&queue, &dir);
}

#[test]
fn queues_share_a_directory_and_leave_each_others_bodies() {
    let dir = Dir::new("large-shared");
    let region = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    let (mapped, clock) = (
        Queue::create(&region, QueueOptions::new()).expect("a queue"),
        ManualClock::new(5000),
    );
    let (one, two) = (heap(&clock), heap(&clock));
    let (first, second, third) = (large(&one, &dir), large(&two, &dir), large(&mapped, &dir));
    let long = body(1, 300_000);
    first.send(&long).expect("sent");
    second.send(&long).expect("sent");
    third.send(&long).expect("sent");
    for removed in [0, 1] {
        assert_eq!(found(&first), [removed, 1 - removed, 2]);
        assert_eq!(found(&second), [0, 1, 2 - removed]);
        assert_eq!(found(&third), [0, 1, 2 - removed]);
        if removed == 0 {
            one.purge().expect("purged");
        }
        std::fs::write(bodies(&dir).join("README.body"), b"not ours").expect("written");
    }
    assert_eq!(second.abandon(), Ok(1));
    assert_eq!(found(&third), [0, 1, 0]);
    let received = third.receive().expect("received").expect("there");
    assert_eq!(received.read_to_vec(300_000), Ok(long));
    received.delete().expect("deleted");
    assert_eq!(files(&dir), 1, "what is not ours stays");
}

#[test]
fn a_process_that_dies_leaves_no_body_of_its_private_queues() {
    let test = "lives::a_process_that_dies_leaves_no_body_of_its_private_queues";
    if child::role().is_some() {
        let path = std::path::PathBuf::from(child::argument());
        let queue = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
        let queue = queue.expect("a queue");
        let options = ringmain::LargeOptions::new().threshold(1000);
        let large = LargeQueue::with_options(&queue, path, options).expect("a side store");
        for seed in 0..3 {
            large.send(&body(seed, LEN)).expect("sent");
        }
        println!("sent");
        std::thread::sleep(60 * SECOND); // until it is killed
        return;
    }
    let (dir, clock) = (Dir::new("large-private"), ManualClock::new(5000));
    let path = bodies(&dir).to_string_lossy().into_owned();
    let mut command = child::command(test, "private", &path);
    let mut living = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a child");
    let out = std::io::BufReader::new(living.stdout.take().expect("its output"));
    let sent = std::io::BufRead::lines(out).map(|line| line.expect("text"));
    assert!(sent.into_iter().any(|line| line.ends_with("sent")));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(9, LEN)).expect("sent");
    assert_eq!(found(&large), [0, 1, 3], "it lives");
    assert_eq!(
        dir_names(&dir),
        4 + 2,
        "bodies, and a file for each process"
    );
    living.kill().expect("killed");
    living.wait().expect("dead");
    assert_eq!(found(&large), [3, 1, 0]);
    assert_eq!(dir_names(&dir), 1 + 1);
}

fn dir_names(dir: &Dir) -> usize {
    std::fs::read_dir(bodies(dir)).expect("a directory").count()
}

#[test]
fn a_forked_child_touches_no_body() {
    let (dir, clock) = (Dir::new("large-fork"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    let held = large.receive().expect("received").expect("there");
    let receipt = held.receipt();
    // SAFETY: the child calls the library only, and then `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "forked");
    if pid == 0 {
        let refused = large.delete(&receipt) == Err(Error::Forked)
            && large.send(&body(2, LEN)) == Err(Error::Forked)
            && large.collect() == Err(Error::Forked)
            && held.delete() == Err(Error::Forked);
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(i32::from(!refused)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the status is a live int.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "refused");
    assert_eq!(held.read_to_vec(LEN), Ok(body(1, LEN)));
    held.delete().expect("deleted");
    is_empty(&queue, &dir);
}

#[test]
fn a_journal_has_the_message_after_its_body_and_its_end_before() {
    let dir = Dir::new("large-journal");
    for level in [Durability::BeforeOk, Durability::Interval(SECOND)] {
        let path = dir.file("q.ring");
        let region = Mapped::create(&path, 1 << 20).expect("a region");
        let options = QueueOptions::new().durability(level).max_body(1000);
        let queue = Queue::create(&region, options).expect("a queue");
        let large = large(&queue, &dir);
        for seed in 0..4 {
            large.send(&body(seed, LEN)).expect("sent");
        }
        let before = queue.durable_position().expect("a journal");
        let received = large.receive().expect("received").expect("there");
        received.delete().expect("deleted");
        let after = queue.durable_position().expect("a journal");
        assert!(after > before, "the end is on the disk, at any level");
        let batch = large.receive_batch(2).expect("received");
        assert!(batch.delete().iter().all(Result::is_ok));
        assert!(queue.durable_position().expect("a journal") > after);
        let after = queue.durable_position().expect("a journal");
        assert_eq!(
            queue.at(Durability::Process).expect("a level").purge(),
            Ok(1)
        );
        assert_eq!(found(&large), [1, 0, 0]);
        assert!(queue.durable_position().expect("a journal") > after);
        is_empty(&queue, &dir);
        drop(region);
        std::fs::remove_file(&path).expect("a region");
        std::fs::remove_file(path.with_extension("ring.journal")).expect("a journal");
    }
}
