//! A forked child has no attachment of its own: its calls say so, its drops touch nothing, and its
//! end does not make its parent look dead. It opens the region again and takes part.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

use ringmain::{Error, Mapped, Queue, QueueOptions};
use std::time::Duration;

/// What the child saw, as its exit status.
fn child(inherited: Mapped, path: &std::path::Path) -> i32 {
    if !Queue::open(&inherited).is_err_and(|error| error == Error::Forked) {
        return 1;
    }
    drop(inherited);
    let Ok(own) = Mapped::open(path) else {
        return 2;
    };
    let Ok(queue) = Queue::open(&own) else {
        return 3;
    };
    if queue.send(b"from the child").is_ok() {
        0
    } else {
        4
    }
}

/// Makes a child that does `act` and ends; waits for it.
fn in_a_child(act: impl FnOnce()) {
    // SAFETY: the child does `act`, which calls the library only, and then `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "forked");
    if pid == 0 {
        act();
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the status is a live int.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
}

#[test]
fn a_forked_child_commits_nothing() {
    let name = format!("ringmain-fork-commit-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    let mut claim = queue.claim(5).expect("room");
    claim.copy_from_slice(b"later");
    let mut claim = Some(claim);
    in_a_child(|| {
        claim.take().map(|claim| claim.commit());
    });
    let early = queue.receive().expect("received");
    assert!(early.is_none(), "the child has sent its parent's message");
    claim
        .map(|claim| claim.commit())
        .expect("sent by the parent");
    let received = queue.receive().expect("received").expect("there");
    assert_eq!(
        (received.body(), received.receive_count()),
        (&b"later"[..], 1)
    );
    received.delete().expect("deleted");
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
    let _ = std::fs::remove_file(&path);
}

#[test]
fn a_forked_child_is_told() {
    let name = format!("ringmain-fork-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    queue.send(b"held by the parent").expect("sent");
    let held = queue.receive().expect("received").expect("there");

    let other = Mapped::open(&path).expect("a second attachment, for the child to inherit");
    // SAFETY: the child calls the library and then `_exit`; no other thread of this process holds a
    // lock that the child needs (the allocator sees to its own).
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "forked");
    if pid == 0 {
        let refused = queue.send(b"x") == Err(Error::Forked)
            && queue.receive().is_err_and(|error| error == Error::Forked);
        let status = if refused { child(other, &path) } else { 5 };
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the status is a live int.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status));
    assert_eq!(libc::WEXITSTATUS(status), 0, "1 to 5: see `child`");

    // The parent is still attached, and nobody took what it holds.
    let tended = queue.tend().expect("tended");
    assert_eq!(tended.returned, 0, "{tended:?}");
    let from_child = queue
        .receive()
        .expect("received")
        .expect("the child's message");
    assert_eq!(from_child.body(), b"from the child");
    from_child.delete().expect("deleted");
    assert_eq!(held.body(), b"held by the parent");
    held.delete().expect("deleted");
    let _ = std::fs::remove_file(&path);
}

/// How many descriptors of this process are open on `path`.
fn open_descriptors(path: &std::path::Path) -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("descriptors");
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target == path).count()
}

#[test]
fn a_forked_child_leaves_the_parents_warden_alone() {
    let name = format!("ringmain-fork-warden-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    let (soon, long) = (Duration::from_millis(20), Duration::from_secs(20));
    let waited = queue.receive_timeout(soon).expect("waited"); // the warden runs from here on
    assert!(waited.is_none());

    let inherited = Mapped::open(&path).expect("a second attachment");
    let queue_there = Queue::open(&inherited).expect("a queue");
    assert!(queue_there.receive_timeout(soon).expect("waited").is_none());
    let before = open_descriptors(&path);
    let mut inherited = Some(inherited);
    in_a_child(|| {
        let Some(inherited) = inherited.take() else {
            std::process::abort()
        };
        let waited = queue
            .receive_timeout(long)
            .map(|received| received.is_some());
        drop(inherited); // ends at once, and frees what keeps a dead parent's lock
        if waited != Err(Error::Forked) || open_descriptors(&path) != before - 1 {
            std::process::abort();
        }
    });

    // The parent's warden has heard of nothing, and works.
    let inherited = inherited.expect("still the parent's");
    let holder = Queue::open(&inherited).expect("a queue");
    holder.send(b"held").expect("sent");
    drop(holder.receive().expect("received").expect("there")); // still that attachment's
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let received = queue.receive_timeout(long).expect("received");
            received.expect("woken").delete().expect("deleted");
        });
        std::thread::sleep(soon);
        let begun = std::time::Instant::now();
        drop(inherited);
        waiter.join().expect("ends");
        assert!(begun.elapsed() < long / 2);
    });
    let _ = std::fs::remove_file(&path);
}

/// A claim, a read and a cursor of a stream are the parent's: a child that commits or drops them
/// changes nothing.
#[cfg(feature = "stream")]
#[test]
fn a_forked_child_leaves_the_parents_claims_and_pins_alone() {
    use ringmain::{FullPolicy, Start, Stream, StreamOptions};
    let name = format!("ringmain-fork-stream-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 64 << 10).expect("a region");
    let options = StreamOptions::new().full(FullPolicy::Evict);
    let stream = Stream::create(&region, options).expect("a stream");
    let put = stream.put("a", b"read by the parent").expect("put");
    let mut cursor = stream.cursor(put.shard, Start::Oldest).expect("a cursor");
    let records = cursor.read(1).expect("read");
    let mut first = Some(stream.claim("a", 6).expect("claimed"));
    let mut second = Some(stream.claim("a", 6).expect("claimed"));
    let mut other = Some(stream.cursor(put.shard, Start::Oldest).expect("a cursor"));
    let mut held = Some(records);
    in_a_child(|| {
        let committed = first.take().map(|claim| claim.commit());
        if !matches!(committed, Some(Err(Error::Forked))) {
            std::process::abort();
        }
        drop((second.take(), held.take(), other.take()));
    });
    let mut kept = stream
        .cursor(put.shard, Start::After(put.sequence))
        .expect("a cursor");
    assert!(
        kept.read(10).expect("read").is_empty(),
        "committed or given up by the child"
    );
    assert_eq!(stream.stat(put.shard).expect("figures").readers, 3);
    let full = loop {
        if let Err(error) = stream.put("a", &[7; 1000]) {
            break error;
        }
    };
    assert!(matches!(full, Error::SegmentInUse { .. }), "{full}");
    for mut claim in [first, second].into_iter().flatten() {
        claim.copy_from_slice(b"parent");
        claim.commit().expect("committed");
    }
    let records = held.expect("still the parent's");
    for record in &records {
        assert_eq!(record.data(), b"read by the parent");
    }
    let after = kept.read(2).expect("read");
    assert!(after.len() == 2 && after.iter().all(|record| record.data() == b"parent"));
    drop(after);
    let _ = std::fs::remove_file(&path);
}

/// A shard that the parent has to itself is not the child's: it puts nothing there, and does not
/// give it back.
#[cfg(feature = "stream")]
#[test]
fn a_forked_child_has_no_shard_of_its_parents() {
    use ringmain::{Start, Stream, StreamOptions};
    let name = format!("ringmain-fork-writer-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let stream = Stream::create(&region, StreamOptions::new()).expect("a stream");
    let shard = stream.shard_of(0).expect("a shard");
    let mut writer = Some(stream.writer(shard).expect("a writer"));
    let put = |writer: &mut Option<ringmain::ShardWriter<'_, _, _>>| {
        writer
            .as_mut()
            .map(|writer| writer.put("a", b"the parent's"))
    };
    assert!(matches!(put(&mut writer), Some(Ok(_))));
    in_a_child(|| {
        if !matches!(put(&mut writer), Some(Err(Error::Forked))) {
            std::process::abort();
        }
        drop(writer.take());
    });
    let refused = stream.put("a", b"another's");
    assert!(
        matches!(refused, Err(Error::ShardReserved { .. })),
        "{refused:?}"
    );
    assert!(matches!(put(&mut writer), Some(Ok(_))));
    drop(writer);
    stream.put("a", b"another's").expect("given back");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a read").len(), 3);
    std::fs::remove_file(&path).expect("removed");
}

/// What waits in a producer is the parent's: a child that flushes, drops or closes it puts nothing.
#[cfg(feature = "stream")]
#[test]
fn a_forked_child_puts_nothing_of_its_parents() {
    use ringmain::{ProducerOptions, Start, Stream, StreamOptions, StreamProducer};
    let name = format!("ringmain-fork-producer-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let stream = Stream::create(&region, StreamOptions::new()).expect("a stream");
    let made = || {
        let linger = Duration::from_secs(60);
        let options = ProducerOptions::new().linger(linger);
        let mut producer = StreamProducer::new(&stream, options).expect("a producer");
        producer.put("a", b"the parent's").expect("room");
        Some(producer)
    };
    let mut producers = [made(), made(), made()];
    in_a_child(|| {
        let [flushed, dropped, closed] = &mut producers;
        let is_refused = flushed.as_mut().is_some_and(|flushed| {
            let put = flushed.put("a", b"the child's");
            put == Err(Error::Forked) && flushed.flush() == Err(Error::Forked)
        });
        drop(dropped.take());
        let mut told = 0;
        if let Some(closed) = closed.take() {
            closed.close(|outcome| told += u32::from(outcome.result == Err(Error::Forked)));
        }
        if !is_refused || told != 1 {
            std::process::abort();
        }
    });
    let shard = stream.shard_of(0).expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    assert!(cursor.read(10).expect("a read").is_empty());
    drop(producers);
    assert_eq!(cursor.read(10).expect("a read").len(), 3);
    std::fs::remove_file(&path).expect("removed");
}
