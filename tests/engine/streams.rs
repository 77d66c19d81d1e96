//! Streams by name: what an engine does for queues it does for streams, in both homes, over several
//! processes, over deaths at each system call and at any moment, and over damage.

use crate::common::child;
use crate::deaths::at_each_call;
use crate::{in_shm, is_clean, over_both, small};
use ringmain::{
    Engine, EngineStream, Error, FullPolicy, Heap, Home, ManualClock, Mapped, Problem, Region,
    ShardId, Start, Stream, StreamOptions, StreamSpec,
};
use std::time::{Duration, Instant};

over_both! {
    names_are_those_of_kinesis
    a_name_is_of_one_kind
    creation_is_idempotent_and_names_what_differs
    one_is_described_and_tagged
    handles_of_a_deleted_one_are_told
    one_is_opened_once
    who_waits_at_a_deleted_one_is_told
    consumers_are_described
    one_is_split_and_merged_by_its_name
}

/// A small stream.
fn stream() -> StreamSpec {
    StreamSpec::new().bytes(256 << 10)
}

fn make<H: Home>(engine: &Engine<H>, name: &str) -> EngineStream<H> {
    engine.create_stream(name, &stream()).expect("a stream")
}

/// The data of all records of a shard.
fn all<R: Region>(stream: &Stream<R, ringmain::SystemClock>, shard: ShardId) -> Vec<String> {
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let mut data = Vec::new();
    loop {
        let records = cursor.read(100).expect("nothing is lost");
        if records.is_empty() {
            return data;
        }
        let text = |record: ringmain::Record<'_>| String::from_utf8_lossy(record.data()).into();
        data.extend(records.iter().map(text));
    }
}

fn first<R: Region>(stream: &Stream<R, ringmain::SystemClock>) -> ShardId {
    stream.shards().next().expect("a shard")
}

fn names_are_those_of_kinesis<H: Home>(engine: &Engine<H>) {
    let longest = "n".repeat(128);
    for name in ["a", ".", "..", "a.b-c_D9", "x.fifo", "q.queue", &longest] {
        make(engine, name).put("k", b"v").expect("room");
    }
    let refused = [
        ("", 0, "1 to 128"),
        ("a b", 1, "letters"),
        ("a/b", 1, "letters"),
        ("\u{e4}", 0, "letters"),
        (&format!("n{longest}"), 128, "1 to 128"),
    ];
    for (name, at, words) in refused {
        for outcome in [
            engine.create_stream(name, &stream()).map(drop),
            engine.open_stream(name).map(drop),
            engine.describe_stream(name).map(drop),
            engine.delete_stream(name),
        ] {
            let Err(error @ Error::Name { at: found, .. }) = &outcome else {
                panic!("{name:?}: {outcome:?}");
            };
            assert_eq!(*found, at, "{name:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    let mut names = engine.streams("").expect("names");
    assert_eq!(names.len(), 7);
    names.retain(|name| name.starts_with('a'));
    assert_eq!(engine.streams("a").expect("names"), names);
    assert_eq!(names, ["a", "a.b-c_D9"]);
    assert_eq!(engine.queues("").expect("names"), [""; 0]);
}

#[track_caller]
fn is_other_kind<T>(outcome: Result<T, Error>, found: u64, expected: u64) {
    let error = outcome.map(drop).expect_err("of another kind");
    assert_eq!(error, Error::Kind { found, expected });
}

fn a_name_is_of_one_kind<H: Home>(engine: &Engine<H>) {
    const QUEUE: u64 = 1;
    const FIFO: u64 = 2;
    const STREAM: u64 = 3;
    engine.create_queue("q", &small()).expect("a queue");
    make(engine, "s");
    is_other_kind(engine.create_queue("s", &small()), STREAM, QUEUE);
    is_other_kind(engine.open_queue("s"), STREAM, QUEUE);
    is_other_kind(engine.describe("s"), STREAM, QUEUE);
    is_other_kind(engine.delete_queue("s"), STREAM, QUEUE);
    is_other_kind(engine.create_stream("q", &stream()), QUEUE, STREAM);
    is_other_kind(engine.open_stream("q"), QUEUE, STREAM);
    is_other_kind(engine.describe_stream("q"), QUEUE, STREAM);
    is_other_kind(engine.delete_stream("q"), QUEUE, STREAM);
    // A name that no queue can have, and one that only a FIFO queue can have.
    make(engine, "s.1");
    is_other_kind(engine.open_queue("s.1"), STREAM, QUEUE);
    make(engine, "s.fifo");
    is_other_kind(engine.open_queue("s.fifo"), STREAM, FIFO);
    #[cfg(feature = "fifo")]
    {
        let spec = ringmain::QueueSpec::fifo(ringmain::FifoOptions::new());
        is_other_kind(engine.create_fifo_queue("s.fifo", &spec), STREAM, FIFO);
        engine.create_fifo_queue("q.fifo", &spec).expect("a queue");
        is_other_kind(engine.create_stream("q.fifo", &stream()), FIFO, STREAM);
    }
    assert_eq!(engine.open_stream("r").map(drop), Err(Error::NoStream));
    assert_eq!(engine.delete_stream("r"), Err(Error::NoStream));
    assert_eq!(engine.open_queue("r").map(drop), Err(Error::NoQueue));
    // Once it is deleted, the name is anybody's.
    engine.delete_queue("q").expect("deleted");
    make(engine, "q").put("k", b"v").expect("room");
    engine.delete_stream("s").expect("deleted");
    engine.create_queue("s", &small()).expect("a queue");
}

fn creation_is_idempotent_and_names_what_differs<H: Home>(engine: &Engine<H>) {
    let options = StreamOptions::new().shards(2).readers(8).max_data(1000);
    let spec = stream().options(options);
    let put = engine.create_stream("s", &spec).expect("a stream");
    let put = put.put("k", b"one").expect("room");
    let again = engine.create_stream("s", &spec).expect("the same");
    assert_eq!(all(&again, put.shard), ["one"]);
    let others = [
        (options.shards(3), "shards"),
        (options.readers(9), "readers"),
        (options.retention(Duration::from_secs(9)), "retention (ms)"),
        (options.full(FullPolicy::Evict), "evict"),
        (options.max_data(1001), "max_data (bytes)"),
        (options.segment(8192), "segment (bytes)"),
    ];
    for (other, what) in others {
        let outcome = engine.create_stream("s", &stream().options(other));
        let Err(Error::OptionsDiffer { option, .. }) = outcome else {
            panic!("{what}: {outcome:?}");
        };
        assert_eq!(option, what);
    }
    let outcome = engine.create_stream("s", &spec.clone().bytes(512 << 10));
    let bytes = matches!(outcome, Err(Error::OptionsDiffer { option: "bytes", found, given })
        if (found, given) == (256 << 10, 512 << 10));
    assert!(bytes, "{outcome:?}");
    let bad = [
        stream().options(options.shards(0)),
        stream().options(options.retention(Duration::from_millis(999))),
        stream().bytes(100),
        stream().tag("", "v"),
        stream().tag("k", "v".repeat(257)),
    ];
    for spec in bad {
        engine.create_stream("t", &spec).expect_err("out of range");
    }
    assert_eq!(engine.streams("").expect("names"), ["s"]);
}

fn one_is_described_and_tagged<H: Home>(engine: &Engine<H>) {
    let options = StreamOptions::new().shards(3).full(FullPolicy::Evict);
    let spec = stream().options(options.retention(Duration::from_secs(60)));
    let made = engine.create_stream("s.1", &spec.tag("plant", "north"));
    let made = made.expect("a stream");
    let put = made.put("k", b"some data").expect("room");
    engine.tag("s.1", "cost", "7").expect("tagged");
    engine.tag("s.1", "cost", "8").expect("tagged anew");
    let told = engine.describe_stream("s.1").expect("a stream");
    assert_eq!(told.name, "s.1");
    assert_eq!(told.options, made.options());
    assert_eq!(told.options.get_shards(), 3);
    assert_eq!(told.options.get_full(), FullPolicy::Evict);
    assert_eq!(told.options.get_retention(), Duration::from_secs(60));
    assert_eq!((told.bytes, told.shards.len()), (256 << 10, 3));
    let held = told.shards.iter().find(|shard| shard.shard == put.shard);
    assert!(held.expect("the shard").bytes >= 64);
    let tags: Vec<_> = told.tags.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(tags, [("cost", "8"), ("plant", "north")]);
    assert!(told.created_ms > 1_700_000_000_000);
    engine.untag("s.1", "plant").expect("taken away");
    engine.untag("s.1", "never").expect("no error");
    let told = engine.describe_stream("s.1").expect("a stream");
    assert_eq!(told.tags.len(), 1);
    assert_eq!(engine.tag("s.2", "k", "v"), Err(Error::NoStream));
    assert_eq!(engine.tag("s", "k", "v"), Err(Error::NoQueue));
    let bad = engine.tag("a/b", "k", "v");
    assert!(matches!(bad, Err(Error::Name { .. })), "{bad:?}");
}

fn handles_of_a_deleted_one_are_told<H: Home>(engine: &Engine<H>) {
    let old = make(engine, "s");
    let put = old.put("k", b"one").expect("room");
    let claim = old.claim("k", 3).expect("room");
    let mut holds = old.cursor(put.shard, Start::Oldest).expect("a cursor");
    let mut cursor = old.cursor(put.shard, Start::Oldest).expect("a cursor");
    let held = holds.read(1).expect("a record");
    engine.delete_stream("s").expect("deleted");
    assert_eq!(old.put("k", b"two"), Err(Error::Deleted));
    assert_eq!(claim.commit(), Err(Error::Deleted));
    assert_eq!(cursor.read(1).map(drop), Err(Error::Deleted));
    assert_eq!(old.stat(put.shard).map(drop), Err(Error::Deleted));
    assert_eq!(old.tend().map(drop), Err(Error::Deleted));
    let outcome = old.cursor(put.shard, Start::Oldest).map(drop);
    assert_eq!(outcome, Err(Error::Deleted));
    let data = held.iter().next().expect("in place").data().to_vec();
    assert_eq!(data, b"one", "what was read stays");
    assert_eq!(engine.streams("").expect("names"), [""; 0]);
    let anew = make(engine, "s");
    assert_eq!(all(&anew, first(&anew)), [""; 0]);
    anew.put("k", b"three").expect("room");
    assert_eq!(old.put("k", b"two"), Err(Error::Deleted));
    assert_eq!(all(&anew, first(&anew)), ["three"]);
}

fn one_is_opened_once<H: Home>(engine: &Engine<H>) {
    let one = make(engine, "s");
    let same = engine.open_stream("s").expect("it");
    assert!(std::ptr::eq(&**one.region(), &**same.region()));
    assert_eq!(
        (one.region().name(), one.region().bytes()),
        ("s", 256 << 10)
    );
    assert!(format!("{one:?}").contains("\"s\""), "{one:?}");
    drop((one, same));
    assert_eq!(engine.tend().expect("nothing is open").dead, 0);
    make(engine, "s").put("k", b"v").expect("room");
}

fn who_waits_at_a_deleted_one_is_told<H: Home>(engine: &Engine<H>) {
    let spec = stream().options(StreamOptions::new().shards(2));
    let old = engine.create_stream("s", &spec).expect("a stream");
    let shards: Vec<ShardId> = old.shards().collect();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = shards
            .iter()
            .map(|shard| {
                let waits = engine.open_stream("s").expect("it");
                scope.spawn(move || {
                    let mut cursor = waits.cursor(*shard, Start::Latest).expect("a cursor");
                    let told = cursor.read_timeout(1, Duration::from_secs(20));
                    told.map(|records| records.len())
                })
            })
            .collect();
        // They are asleep by then; if one is not yet, it finds the mark when it looks.
        while old.stat(shards[1]).expect("figures").readers == 0 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(20));
        engine.delete_stream("s").expect("deleted");
        let begun = Instant::now();
        for waiter in waiters {
            assert_eq!(waiter.join().expect("ended"), Err(Error::Deleted));
        }
        let after = begun.elapsed();
        assert!(
            after < Duration::from_secs(3),
            "told, not timed out: {after:?}"
        );
    });
}

fn consumers_are_described<H: Home>(engine: &Engine<H>) {
    let spec = stream().options(StreamOptions::new().consumers(2));
    let made = engine.create_stream("s", &spec).expect("a stream");
    for name in ["index", "audit"] {
        made.register_consumer(name).expect("a seat");
    }
    let told = engine.describe_stream("s").expect("it");
    let names: Vec<_> = told
        .consumers
        .iter()
        .map(|consumer| consumer.name)
        .collect();
    assert_eq!(names, ["audit", "index"]);
    assert_eq!(told.options.get_consumers(), 2);
    let differs = engine.create_stream("s", &stream()).map(drop);
    let option = "consumers";
    let (found, given) = (2, 20);
    assert_eq!(
        differs,
        Err(Error::OptionsDiffer {
            option,
            found,
            given
        })
    );
    // Who is subscribed is told that the stream is deleted.
    let same = engine.open_stream("s").expect("it");
    let consumer = same.consumer("audit").expect("registered");
    let shard = made.shards().next().expect("a shard");
    let mut subscription = consumer.subscribe(shard, Start::Oldest).expect("free");
    engine.delete_stream("s").expect("deleted");
    assert_eq!(subscription.next_records().map(drop), Err(Error::Deleted));
    assert_eq!(
        made.register_consumer("late").map(drop),
        Err(Error::Deleted)
    );
}

fn one_is_split_and_merged_by_its_name<H: Home>(engine: &Engine<H>) {
    let spec = stream().options(StreamOptions::new().max_shards(4));
    let made = engine.create_stream("s", &spec).expect("a stream");
    let parent = made.put("k", b"one").expect("room").shard;
    let children = made.split(parent, 1 << 127).expect("split");
    let told = engine.describe_stream("s").expect("it");
    let shards: Vec<ShardId> = told.shards.iter().map(|stats| stats.shard).collect();
    assert_eq!(shards, [parent, children[0], children[1]]);
    let child = made.put("k", b"two").expect("room").shard;
    let mut cursor = made.cursor(child, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a record").len(), 1);
    let merged = made.merge(children[0], children[1]).expect("merged");
    engine.delete_stream("s").expect("deleted");
    assert_eq!(made.shard_info(merged).map(drop), Err(Error::Deleted));
    assert_eq!(made.split(merged, 1 << 127).map(drop), Err(Error::Deleted));
}

/// What is older than the retention goes when the engine is tended.
#[test]
fn an_engine_tends_its_streams() {
    let clock = ManualClock::new(1_000_000);
    let engine = Engine::<Heap, _>::in_memory_with(&clock);
    let options = StreamOptions::new().retention(Duration::from_secs(60));
    let spec = stream().options(options.segment(4096));
    let made = engine.create_stream("s", &spec).expect("a stream");
    let shard = made.shards().next().expect("a shard");
    while made.put("k", &[7; 1000]).is_ok() {}
    let full = made.stat(shard).expect("figures");
    engine.tend().expect("tended");
    let kept = made.stat(shard).expect("figures");
    assert_eq!(kept.bytes, full.bytes, "it is not old yet");
    clock.advance(Duration::from_secs(61));
    engine.tend().expect("tended");
    let left = made.stat(shard).expect("figures");
    assert!(left.bytes <= 2 * 4096, "{} of {}", left.bytes, full.bytes);
    assert_eq!(left.evicted_segments, 0, "it went by age");
}

#[test]
fn another_engine_finds_them() {
    let (dir, engine) = in_shm("engine-stream");
    make(&engine, "s").put("k", b"one").expect("room");
    let other = Engine::open(dir.path()).expect("the same engine");
    let theirs = other.open_stream("s").expect("it is there");
    assert_eq!(all(&theirs, first(&theirs)), ["one"]);
    engine.delete_stream("s").expect("deleted");
    assert_eq!(theirs.put("k", b"two"), Err(Error::Deleted));
    assert_eq!(other.open_stream("s").map(drop), Err(Error::NoStream));
    assert_eq!(dir.names(), ["ringmain.engine"]);
    assert_eq!(is_clean_and_counts(&other), (0, 0));
}

fn is_clean_and_counts(engine: &Engine) -> (usize, usize) {
    is_clean(engine);
    let report = engine.verify().expect("a report");
    (report.queues, report.streams)
}

/// Two processes put into one stream by its name; one of them is killed with a claim in hand.
#[test]
fn a_participant_is_killed_with_a_claim() {
    const TEST: &str = "streams::a_participant_is_killed_with_a_claim";
    if let Some(role) = child::role() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let stream = make(&engine, "s");
        if role == "puts" {
            for n in 0..100 {
                stream.put("k", n.to_string().as_bytes()).expect("room");
            }
            return;
        }
        let claim = stream.claim("k", 8).expect("room");
        engine.tag("s", "claimed", "yes").expect("tagged");
        std::thread::sleep(Duration::from_secs(60));
        drop(claim);
        return;
    }
    let (dir, engine) = in_shm("engine-stream-deaths");
    let stream = make(&engine, "s");
    let argument = dir.path().to_str().expect("UTF-8");
    let mut claimer = child::command(TEST, "claims", argument);
    let mut claimer = claimer.spawn().expect("a child");
    let begun = Instant::now();
    let claimed = || !engine.describe_stream("s").expect("it").tags.is_empty();
    while !claimed() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it claims");
        std::thread::yield_now();
    }
    let mut putter = child::command(TEST, "puts", argument);
    let status = putter.status().expect("a child");
    assert!(status.success(), "a claim holds up no writer");
    let shard = first(&stream);
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a read").len(), 0, "it is claimed");
    claimer.kill().expect("killed");
    claimer.wait().expect("its end");
    let tended = engine.tend().expect("tended");
    assert_eq!(tended.dead, 1);
    let numbers: Vec<String> = (0..100).map(|n: u32| n.to_string()).collect();
    assert_eq!(all(&stream, shard), numbers);
    assert_eq!(is_clean_and_counts(&engine), (0, 1));
}

/// Two processes race for one name, each for a kind: one of them gets it.
#[test]
fn processes_race_for_one_name() {
    const TEST: &str = "streams::processes_race_for_one_name";
    if let Some(role) = child::role() {
        let engine = Engine::open(child::argument()).expect("an engine");
        for n in 0..40 {
            let name = format!("n{n}");
            let outcome = match &*role {
                "queue" => engine.create_queue(&name, &small()).map(drop),
                _ => engine.create_stream(&name, &stream()).map(drop),
            };
            assert!(
                matches!(outcome, Ok(()) | Err(Error::Kind { .. })),
                "{outcome:?}"
            );
        }
        return;
    }
    let (dir, engine) = in_shm("engine-stream-race");
    let argument = dir.path().to_str().expect("UTF-8");
    let children = ["queue", "stream", "queue", "stream"].map(|role| {
        let mut command = child::command(TEST, role, argument);
        command.spawn().expect("a child")
    });
    for mut child in children {
        assert!(child.wait().expect("its end").success());
    }
    let queues = engine.queues("").expect("names");
    let streams = engine.streams("").expect("names");
    assert_eq!(queues.len() + streams.len(), 40, "each has one");
    assert!(queues.iter().all(|name| !streams.contains(name)));
    is_clean(&engine);
}

fn works(stream: &EngineStream) {
    let put = stream.put("k", b"works").expect("room");
    let data = all(stream, put.shard);
    assert_eq!(data.last().map(String::as_str), Some("works"));
}

#[test]
fn a_creator_dies_at_each_call() {
    let spec = stream().tag("k", "v");
    at_each_call(
        |_| {},
        |engine| {
            engine.create_stream("s", &spec).expect("a stream");
        },
        |engine, stops, ()| {
            let opened = engine.open_stream("s");
            match engine.streams("s").expect("names").len() {
                0 => assert_eq!(opened.map(|_| ()), Err(Error::NoStream)),
                _ => works(&opened.expect("it is whole")),
            }
            let made = engine.create_stream("s", &spec);
            works(&made.unwrap_or_else(|error| panic!("after {stops} stops: {error}")));
            assert_eq!(engine.describe_stream("s").expect("it").tags["k"], "v");
        },
    );
}

#[test]
fn a_deleter_dies_at_each_call() {
    at_each_call(
        |engine| {
            let stream = make(engine, "s");
            stream.put("k", b"old").expect("room");
            stream
        },
        |engine| engine.delete_stream("s").expect("deleted"),
        |engine, stops, before| match engine.open_stream("s") {
            Ok(stream) => assert_eq!(all(&stream, first(&stream)), ["old"]),
            Err(error) => {
                assert_eq!(error, Error::NoStream, "after {stops} stops");
                assert_eq!(before.put("k", b"late"), Err(Error::Deleted));
                assert_eq!(engine.streams("").expect("names"), [""; 0]);
                // The name is free for either kind.
                let queue = engine.create_queue("s", &small());
                queue.unwrap_or_else(|error| panic!("after {stops} stops: {error}"));
            }
        },
    );
}

#[test]
fn damage_is_found_and_told() {
    let (dir, engine) = in_shm("engine-stream-damage");
    for name in ["card", "cut", "head", "none", "sound"] {
        let spec = stream().tag("k", "v");
        let made = engine.create_stream(name, &spec).expect("a stream");
        made.put("k", b"v").expect("room");
    }
    engine.create_queue("q", &small()).expect("a queue");
    let path = |file: &str| dir.file(file);
    let change = |file: &str, act: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(path(file)).expect("a file");
        act(&mut bytes);
        std::fs::write(path(file), bytes).expect("written");
    };
    change("card.stream.meta", &|bytes| bytes[20] ^= 1);
    change("cut.stream", &|bytes| bytes.truncate(100 << 10));
    change("head.stream", &|bytes| bytes[20_480] ^= 2); // the number of shards
    std::fs::remove_file(path("none.stream.meta")).expect("removed");
    std::fs::write(path("alone.stream.meta"), b"a card").expect("written");
    std::fs::copy(path("sound.stream"), path("q.stream")).expect("copied");
    std::fs::copy(path("q.queue"), path("odd.stream")).expect("copied");
    let sound = std::fs::read(path("sound.stream")).expect("a file");

    let report = engine.verify().expect("a report");
    let found: Vec<_> = report.findings.iter().map(|f| &*f.file).collect();
    let files = [
        "alone.stream.meta",
        "card.stream.meta",
        "cut.stream",
        "head.stream",
        "none.stream",
        "odd.stream",
        "q.stream",
    ];
    assert_eq!(found, files, "{report}");
    let problem = |file: &str| {
        let finding = report.findings.iter().find(|f| f.file == file);
        finding.expect("found").problem.clone()
    };
    assert_eq!(problem("alone.stream.meta"), Problem::MetadataAlone);
    let damaged = problem("card.stream.meta");
    let is_metadata = matches!(damaged, Problem::Metadata(Error::MetadataDamaged { .. }));
    assert!(is_metadata, "{damaged}");
    let cut = problem("cut.stream");
    assert!(
        matches!(cut, Problem::Region(Error::Truncated { .. })),
        "{cut}"
    );
    let head = problem("head.stream");
    assert!(
        matches!(head, Problem::Region(Error::Damaged { .. })),
        "{head}"
    );
    let odd = problem("odd.stream");
    assert!(matches!(odd, Problem::Region(Error::Kind { .. })), "{odd}");
    assert_eq!(problem("none.stream"), Problem::NoMetadata);
    assert_eq!(problem("q.stream"), Problem::SameName);
    assert_eq!((report.queues, report.streams), (1, 7));

    let opened = |name: &str| engine.open_stream(name).map(drop);
    let other = Engine::open(dir.path()).expect("the same engine, elsewhere");
    let outcome = other.open_stream("cut").map(drop);
    assert!(
        matches!(outcome, Err(Error::Truncated { .. })),
        "{outcome:?}"
    );
    let outcome = other.open_stream("head").map(drop);
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
    assert!(matches!(opened("odd"), Err(Error::Kind { .. })));
    let outcome = engine.describe_stream("card").map(drop);
    let is_metadata = matches!(outcome, Err(Error::MetadataDamaged { .. }));
    assert!(is_metadata, "{outcome:?}");
    assert_eq!(opened("card"), Ok(()), "the stream itself is sound");
    assert!(engine.describe_stream("none").expect("it").tags.is_empty());
    // The mark of a deleted one is one value and no other.
    for byte in 0..8 {
        let mut bytes = sound.clone();
        bytes[20_480 + 136 + byte] ^= 1;
        std::fs::write(path("marked.stream"), bytes).expect("written");
        let other = Engine::open(dir.path()).expect("the same engine, elsewhere");
        works(
            &other
                .open_stream("marked")
                .expect("no flipped bit deletes it"),
        );
    }
    let mut bytes = sound.clone();
    bytes[20_480 + 136..][..8].copy_from_slice(b"deleted!");
    std::fs::write(path("marked.stream"), bytes).expect("written");
    assert_eq!(opened("marked"), Err(Error::NoStream));
    assert!(!path("marked.stream").exists(), "its deletion was finished");
}

#[test]
fn they_may_be_sent_and_shared() {
    fn may<T: Send + Sync>() {}
    may::<EngineStream<Heap>>();
    may::<EngineStream<Mapped>>();
}
