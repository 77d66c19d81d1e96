//! Directories and files that are not as they should be: each has its own error, and `verify` finds
//! each kind.

use crate::common::Dir;
use crate::{in_shm, small};
use ringmain::{Durability, Engine, Error, Mapped, Problem, QueueOptions, Report};
use std::fs;
use std::path::Path;

fn problem_of(path: &Path) -> &'static str {
    match Engine::open(path).map(|_| ()) {
        Err(Error::NotAnEngine { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_that_is_something_else_is_refused() {
    let dir = Dir::new("else");
    let nowhere = dir.file("nowhere");
    assert_eq!(Engine::open(&nowhere).map(|_| ()), Err(Error::NotFound));
    assert_eq!(
        Engine::open(nowhere.join("deep")).map(|_| ()),
        Err(Error::NotFound)
    );
    assert_eq!(
        Engine::create(nowhere.join("deep")).map(|_| ()),
        Err(Error::NotFound)
    );
    assert!(problem_of(dir.path()).contains("no marker"));

    fs::write(dir.file("file"), b"text").expect("a file");
    assert!(problem_of(&dir.file("file")).contains("no directory"));
    for outcome in [
        Engine::create(dir.path()).map(|_| ()),
        Engine::open_or_create(dir.path()).map(|_| ()),
        Engine::create(dir.file("file")).map(|_| ()),
        Engine::open_or_create(dir.file("file")).map(|_| ()),
    ] {
        assert!(
            matches!(outcome, Err(Error::NotAnEngine { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(dir.names(), ["file"], "nothing was made");

    let path = dir.file("engine");
    Engine::create(&path).expect("an engine");
    assert_eq!(Engine::create(&path).map(|_| ()), Err(Error::Exists));
    fs::remove_file(path.join("ringmain.engine")).expect("removed");
    fs::create_dir(path.join("ringmain.engine")).expect("a directory");
    let outcome = Engine::open(&path).map(|_| ());
    assert!(
        matches!(outcome, Err(Error::MetadataDamaged { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_marker_that_is_damaged_or_newer_says_so() {
    let (dir, engine) = in_shm("marker");
    engine.create_queue("q", &small()).expect("a queue");
    let marker = dir.file("ringmain.engine");
    let sound = fs::read(&marker).expect("a marker");
    for len in 0..sound.len() {
        fs::write(&marker, &sound[..len]).expect("written");
        let outcome = Engine::open(dir.path()).map(|_| ());
        let Err(Error::MetadataDamaged { what, .. }) = outcome else {
            panic!("cut to {len}: {outcome:?}");
        };
        assert!(what.contains("marker"));
    }
    for at in 0..sound.len() {
        let mut other = sound.clone();
        other[at] ^= 4;
        fs::write(&marker, &other).expect("written");
        let outcome = Engine::open(dir.path()).map(|_| ());
        let told = matches!(
            outcome,
            Err(Error::MetadataDamaged { .. } | Error::MetadataVersion { .. })
        );
        assert!(told, "byte {at}: {outcome:?}");
    }
    let newer = String::from_utf8(sound.clone())
        .expect("text")
        .replacen(" 1\n", " 2\n", 1);
    fs::write(&marker, newer).expect("written");
    let error = Engine::open(dir.path()).map(|_| ()).expect_err("newer");
    assert!(
        matches!(
            error,
            Error::MetadataVersion {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("format 2") && text.contains("format 1"),
        "{text}"
    );
    let report = Engine::verify_dir(dir.path()).expect("a report");
    assert_eq!(report.findings[0].problem, Problem::Marker(error));
    assert_eq!((report.queues, report.findings.len()), (1, 1), "{report}");

    fs::write(&marker, &sound).expect("written");
    let nonce = engine.nonce();
    assert_eq!(
        Engine::open(dir.path()).expect("sound again").nonce(),
        nonce
    );
    // One that was opened and whose directory is another's now does nothing there.
    fs::remove_file(&marker).expect("removed");
    let gone = engine.create_queue("r", &small()).map(|_| ());
    assert!(matches!(gone, Err(Error::NotAnEngine { .. })), "{gone:?}");
    fs::write(&marker, &sound).expect("a copy");
    let replaced = engine.delete_queue("q");
    assert!(
        matches!(replaced, Err(Error::NotAnEngine { .. })),
        "{replaced:?}"
    );
}

#[test]
fn metadata_that_are_damaged_say_so() {
    let (dir, engine) = in_shm("meta");
    engine.create_queue("dead", &small()).expect("a queue");
    let spec = small().dead_letters("dead", 5).tag("team", "blue");
    let queue = engine.create_queue("q", &spec).expect("a queue");
    let path = dir.file("q.meta");
    let sound = fs::read(&path).expect("metadata");
    let mut damages: Vec<Vec<u8>> = (0..sound.len()).map(|len| sound[..len].to_vec()).collect();
    damages.extend((0..sound.len()).map(|at| {
        let mut other = sound.clone();
        other[at] ^= 1;
        other
    }));
    damages.push(vec![b'x'; 1 << 20]);
    damages.push(vec![0xff; 100]);
    for damage in damages {
        fs::write(&path, &damage).expect("written");
        for outcome in [
            engine.describe("q").map(|_| ()),
            engine.tag("q", "k", "v"),
            engine.create_queue("q", &spec).map(|_| ()),
            engine.set_dead_letters("q", None),
        ] {
            let told = matches!(
                outcome,
                Err(Error::MetadataDamaged { .. } | Error::MetadataVersion { .. })
            );
            assert!(told, "{outcome:?}");
        }
        assert!(matches!(found(&dir, "q.meta"), Problem::Metadata(_)));
        assert_eq!(
            fs::read(&path).expect("metadata"),
            damage,
            "nothing is changed"
        );
    }
    engine.tend().expect("tended all the same");
    queue.send(b"one").expect("the queue works");
    engine.delete_queue("q").expect("and can be deleted");
}

/// The one finding, which is at `file`.
#[track_caller]
fn found(dir: &Dir, file: &str) -> Problem {
    let before = dir.names();
    let report: Report = Engine::verify_dir(dir.path()).expect("a report");
    assert_eq!(before, dir.names(), "nothing is changed");
    let [finding] = &report.findings[..] else {
        panic!("one finding: {report}");
    };
    assert_eq!(finding.file, file, "{report}");
    assert!(!finding.problem.to_string().is_empty());
    assert!(report.to_string().contains(file) && !report.is_clean());
    finding.problem.clone()
}

#[test]
fn each_kind_of_damage_is_found() {
    let (dir, engine) = in_shm("verify");
    let spec = small().options(QueueOptions::new().durability(Durability::BeforeOk));
    engine
        .create_queue("j", &spec.bytes(128 << 10))
        .expect("a queue");
    engine.create_queue("q", &small()).expect("a queue");
    let report = Engine::verify_dir(dir.path()).expect("a report");
    assert!(report.is_clean() && report.queues == 2, "{report}");
    assert_eq!(report.to_string(), "queues: 2, streams: 0, findings: 0");

    let file = |name: &str| dir.file(name);
    let undo = |name: &str, bytes: &[u8]| fs::write(file(name), bytes).expect("written");

    // Strange files, and files that were not finished.
    for name in ["README", "x y.queue", ".meta", "q.queue.lock"] {
        undo(name, b"");
        assert_eq!(found(&dir, name), Problem::Strange);
        fs::remove_file(file(name)).expect("removed");
    }
    undo("q.meta.0123.new", b"");
    assert_eq!(found(&dir, "q.meta.0123.new"), Problem::Unnamed);
    engine.tend().expect("tended");
    undo("alone.meta", b"");
    assert_eq!(found(&dir, "alone.meta"), Problem::MetadataAlone);
    engine.tend().expect("tended");
    undo("alone.queue.journal", b"");
    assert_eq!(found(&dir, "alone.queue.journal"), Problem::JournalAlone);
    engine.tend().expect("tended");

    // A journal that is in the way of a new queue's.
    undo("new.queue.journal", b"of a queue that is gone");
    let durable = QueueOptions::new().durability(Durability::BeforeOk);
    let spec = small().options(durable).bytes(128 << 10);
    engine.create_queue("new", &spec).expect("a queue");
    engine.delete_queue("new").expect("deleted");

    // A region without a queue, and what is no region.
    Mapped::create(file("half.queue"), 64 << 10).expect("a region");
    assert_eq!(found(&dir, "half.queue"), Problem::HalfMade);
    assert_eq!(engine.queues("half").expect("names"), [""; 0]);
    undo(
        "half.queue",
        b"something else that is no region, and longer than a header is",
    );
    assert_eq!(
        found(&dir, "half.queue"),
        Problem::Region(Error::NotARegion)
    );
    assert_eq!(
        engine.open_queue("half").map(|_| ()),
        Err(Error::NotARegion)
    );
    fs::remove_file(file("half.queue")).expect("removed");

    // Regions: cut short, damaged, their journal gone or another's.
    let region = fs::read(file("q.queue")).expect("a region");
    undo("q.queue", &region[..60 << 10]);
    let cut = found(&dir, "q.queue");
    assert!(
        matches!(cut, Problem::Region(Error::Truncated { .. })),
        "{cut:?}"
    );
    let mut damaged = region.clone();
    damaged[20_480 + 8] ^= 1; // the number of slots
    undo("q.queue", &damaged);
    let problem = found(&dir, "q.queue");
    assert!(
        matches!(problem, Problem::Region(Error::Damaged { .. })),
        "{problem:?}"
    );
    let opened = engine.open_queue("q").map(|_| ());
    assert!(matches!(opened, Err(Error::Damaged { .. })), "{opened:?}");
    undo("q.queue", &region);
    let journal = fs::read(file("j.queue.journal")).expect("a journal");
    undo("j.queue.journal", &[0; 4096]);
    let problem = found(&dir, "j.queue");
    assert!(
        matches!(problem, Problem::Region(Error::Journal { .. })),
        "{problem:?}"
    );
    fs::remove_file(file("j.queue.journal")).expect("removed");
    let problem = found(&dir, "j.queue");
    assert!(
        matches!(problem, Problem::Region(Error::Journal { .. })),
        "{problem:?}"
    );
    undo("j.queue.journal", &journal);

    let meta = fs::read(file("q.meta")).expect("metadata");
    fs::remove_file(file("q.meta")).expect("removed");
    assert_eq!(found(&dir, "q.queue"), Problem::NoMetadata);
    undo("q.meta", &meta);
    let report = engine.verify().expect("a report");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn targets_that_are_gone_or_others_are_found() {
    let (dir, engine) = in_shm("targets");
    let target = || "dead".to_string();
    engine.create_queue("dead", &small()).expect("a queue");
    engine
        .create_queue("q", &small().dead_letters("dead", 5))
        .expect("a queue");
    engine.delete_queue("dead").expect("deleted");
    assert_eq!(
        found(&dir, "q.meta"),
        Problem::NoTarget { target: target() }
    );
    engine.create_queue("dead", &small()).expect("another one");
    assert_eq!(
        found(&dir, "q.meta"),
        Problem::OtherTarget { target: target() }
    );
    engine
        .set_dead_letters("q", Some(("dead", 5)))
        .expect("set");
    let meta = fs::read(dir.file("q.meta")).expect("metadata");
    engine.set_dead_letters("q", None).expect("taken away");
    fs::write(dir.file("q.meta"), &meta).expect("as if the change had died");
    assert_eq!(found(&dir, "q.meta"), Problem::HalfChanged);
    engine.tend().expect("finished");
    let policy = engine
        .describe("q")
        .expect("it")
        .dead_letters
        .expect("a policy");
    assert_eq!((policy.target, policy.max_receives), (target(), 5));
    let report = engine.verify().expect("a report");
    assert!(report.is_clean(), "{report}");
}
