//! Streams of an engine that survive the machine: their mirrors come and go with them.

use crate::in_shm;
use ringmain::{Durability, Engine, Error, Problem, StreamOptions, StreamSpec};
use std::os::unix::fs::FileExt;

fn spec() -> StreamSpec {
    let options = StreamOptions::new().durability(Durability::BeforeOk);
    StreamSpec::new().options(options).bytes(256 << 10)
}

const MIRROR: &str = "telemetry.stream.mirror";

#[test]
fn a_mirror_comes_and_goes_with_its_stream() {
    let (dir, engine) = in_shm("engine-kept");
    for round in 0..3 {
        let stream = engine
            .create_stream("telemetry", &spec())
            .expect("a stream");
        stream.put("boiler-7", b"81.5").expect("the disk");
        assert!(dir.names().contains(&MIRROR.to_owned()), "round {round}");
        let told = engine.describe_stream("telemetry").expect("it");
        assert_eq!(told.options.get_durability(), Durability::BeforeOk);
        let [shard] = told.shards[..] else {
            panic!("one shard")
        };
        assert_eq!((shard.durable, shard.damaged), (Some(shard.tail), 0));
        let other = spec().options(StreamOptions::new());
        let differs = engine.create_stream("telemetry", &other);
        assert!(matches!(differs.err(), Some(Error::OptionsDiffer { .. })));
        crate::is_clean(&engine);
        engine.delete_stream("telemetry").expect("deleted");
        assert_eq!(stream.put("boiler-7", b"late"), Err(Error::Deleted));
        assert_eq!(dir.names(), ["ringmain.engine"], "round {round}");
    }
}

#[test]
fn a_mirror_that_is_gone_or_alone_is_told() {
    let (dir, engine) = in_shm("engine-mirrors");
    drop(
        engine
            .create_stream("telemetry", &spec())
            .expect("a stream"),
    );
    let kept = std::fs::read(dir.file(MIRROR)).expect("it");
    std::fs::remove_file(dir.file(MIRROR)).expect("it");
    let report = engine.verify().expect("a report");
    assert!(
        matches!(&report.findings[..], [finding]
            if matches!(finding.problem, Problem::Region(Error::Mirror { .. }))),
        "{report}"
    );
    let other = Engine::open(dir.path()).expect("the engine");
    assert!(matches!(
        other.open_stream("telemetry").err(),
        Some(Error::Mirror { .. })
    ));
    std::fs::write(dir.file(MIRROR), &kept).expect("back");
    other.open_stream("telemetry").expect("whole again");
    other.delete_stream("telemetry").expect("deleted");
    // As a removal leaves it that died, or reached the disk in another order.
    std::fs::write(dir.file(MIRROR), &kept).expect("alone");
    let report = engine.verify().expect("a report");
    assert!(
        matches!(&report.findings[..], [finding] if finding.problem == Problem::JournalAlone),
        "{report}"
    );
    engine
        .create_stream("telemetry", &spec())
        .expect("a stream");
    crate::is_clean(&engine);
    engine.delete_stream("telemetry").expect("deleted");
    std::fs::write(dir.file(MIRROR), &kept).expect("alone");
    engine.tend().expect("tended");
    assert_eq!(dir.names(), ["ringmain.engine"]);
}

/// The power went between the mark and the removal of the files.
#[test]
fn what_was_deleted_stays_deleted() {
    let (dir, engine) = in_shm("engine-kept-deleted");
    let stream = engine
        .create_stream("telemetry", &spec())
        .expect("a stream");
    stream.put("boiler-7", b"81.5").expect("the disk");
    drop(stream);
    let file = dir.file("telemetry.stream");
    let (mark, boot) = (20_480 + 136, 48);
    let file = std::fs::File::options()
        .write(true)
        .open(file)
        .expect("the region");
    file.write_all_at(b"deleted!", mark).expect("a mark");
    file.write_all_at(&[7; 16], boot).expect("another boot");
    let again = Engine::open(dir.path()).expect("the engine");
    assert!(matches!(
        again.open_stream("telemetry").err(),
        Some(Error::NoStream)
    ));
    assert_eq!(dir.names(), ["ringmain.engine"]);
}
