//! Streams of an engine that are opened by name to read them.

use crate::{in_shm, is_clean, small};
use ringmain::{Durability, Engine, Error, ShardId, Start, StreamOptions, StreamSpec};
use std::time::Duration;

const ZERO: ShardId = ShardId::from_number(0);

fn spec(durability: Durability) -> StreamSpec {
    let options = StreamOptions::new().max_shards(3).durability(durability);
    StreamSpec::new().options(options).bytes(512 << 10)
}

/// How the pages of a file are mapped in this process, each way once.
fn mapped(name: &str) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let of_it = maps.lines().filter(|line| line.ends_with(name));
    let mut ways: Vec<_> = of_it
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(String::from)
        .collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}

#[test]
fn a_reader_reads_and_writes_no_record() {
    for (n, level) in [Durability::Process, Durability::BeforeOk]
        .into_iter()
        .enumerate()
    {
        let (dir, engine) = in_shm("engine-reading");
        let name = format!("telemetry-{n}");
        let missing = engine.open_stream_for_reading(&name);
        assert_eq!(missing.map(drop), Err(Error::NoStream));
        let writer = engine.create_stream(&name, &spec(level)).expect("a stream");
        writer.put("boiler-7", b"81.5").expect("room");
        let other = Engine::open(dir.path()).expect("the same engine");
        let reader = other.open_stream_for_reading(&name).expect("the stream");
        let mut cursor = reader.cursor(ZERO, Start::Oldest).expect("a cursor");
        assert_eq!(cursor.read(10).expect("a record").len(), 1);
        writer.put("boiler-7", b"81.7").expect("room");
        let read = cursor.read_timeout(10, Duration::from_secs(10));
        assert_eq!(read.expect("the next").len(), 1);
        for refused in [
            reader.put("boiler-7", b"wild"),
            reader.claim("boiler-7", 4).and_then(|claim| claim.commit()),
        ] {
            assert_eq!(refused, Err(Error::OpenedForReading));
        }
        assert_eq!(reader.split(ZERO, 1 << 127), Err(Error::OpenedForReading));
        assert_eq!(other.tend().expect("tended").dead, 0);
        is_clean(&other);
        // Whoever deletes it tells readers too.
        engine.delete_stream(&name).expect("deleted");
        assert_eq!(reader.stat(ZERO).map(drop), Err(Error::Deleted));
        let gone = other.open_stream_for_reading(&name);
        assert_eq!(gone.map(drop), Err(Error::NoStream));
    }
}

#[test]
fn reading_and_writing_are_two_attachments() {
    let (_dir, engine) = in_shm("engine-reading-both");
    let spec = spec(Durability::Process);
    drop(engine.create_stream("telemetry", &spec).expect("a stream"));
    let reader = engine.open_stream_for_reading("telemetry").expect("it");
    let again = engine.open_stream_for_reading("telemetry").expect("it");
    assert!(std::ptr::eq(&**reader.region(), &**again.region()));
    let ways = mapped("telemetry.stream");
    assert_eq!(
        ways,
        ["r--s", "rw-s"],
        "records, and what is in front of them"
    );
    let writer = engine.open_stream("telemetry").expect("it");
    let put = writer.put("boiler-7", b"81.5").expect("room");
    let mut cursor = reader
        .cursor(put.shard, Start::At(put.sequence))
        .expect("a cursor");
    assert_eq!(cursor.read(1).expect("a record").len(), 1);
    assert_eq!(
        reader.put("boiler-7", b"wild"),
        Err(Error::OpenedForReading)
    );
    drop(cursor);
    // One deletes it by the name: both handles are told, and it may be made again.
    engine.delete_stream("telemetry").expect("deleted");
    assert_eq!(writer.put("boiler-7", b"late"), Err(Error::Deleted));
    assert_eq!(
        reader.cursor(ZERO, Start::Oldest).map(drop),
        Err(Error::Deleted)
    );
    drop(engine.create_stream("telemetry", &spec).expect("a stream"));
    let anew = engine.open_stream_for_reading("telemetry").expect("it");
    assert_eq!(anew.stat(ZERO).expect("figures").bytes, 0);
    drop((reader, again, writer, anew));
    assert_eq!(mapped("telemetry.stream"), [""; 0], "nothing stays mapped");
}

#[test]
fn a_queue_is_told_apart() {
    let (_dir, engine) = in_shm("engine-reading-queue");
    drop(engine.create_queue("orders", &small()).expect("a queue"));
    let found = engine.open_stream_for_reading("orders").map(drop);
    assert!(matches!(found, Err(Error::Kind { .. })), "{found:?}");
    let refused = engine.open_stream_for_reading("no name").map(drop);
    assert!(matches!(refused, Err(Error::Name { .. })), "{refused:?}");
}
