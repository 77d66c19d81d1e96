//! The kept inputs of the fuzz targets, run again without a fuzzer: what a fuzzer once found stays
//! found, on the stable compiler and in seconds. The targets are those of the package `fuzz`; its
//! `run.sh` goes on searching.
//!
//! And twins: inputs under which a broken oracle, or a model with one rule altered, is found out.
#![cfg(all(feature = "mapped", feature = "stream", not(ringmain_loom)))]

mod common;
#[path = "model/drive.rs"]
mod drive;
mod ground;
#[path = "model/letters.rs"]
mod letters;
#[path = "model/moves.rs"]
mod moves;
#[path = "model/op.rs"]
mod op;
#[path = "model/reference.rs"]
mod reference;
#[allow(dead_code)] // what the tests of streams ask beside
#[path = "stream/reference.rs"]
mod row;
#[path = "model/steps.rs"]
mod steps;
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use ground::input::Input;
use ground::journal::{Files, Stopped};
use ground::layout::{FLAGS, SLOT_HEAD_BYTES};
use ground::{Ground, START_MS};
use reference::Rule;
use ringmain::{ManualClock, Queue};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use targets::exercise::Player;
use targets::{TARGETS, journal, operations, stream, stream_region};

/// An input that takes longer is one that hangs.
const HANG: Duration = Duration::from_secs(60);
/// How much is kept.
const FILES_MAX: usize = 300;
const BYTES_MAX: u64 = 1 << 20;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// A target's inputs, by name.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = directory().join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).expect("an input");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

fn replay(target: &str) {
    let run = TARGETS.iter().find(|(name, _)| *name == target);
    let run = run.expect("a target of this name").1;
    let inputs = inputs(target);
    assert!(inputs.len() >= 20, "{target}: {} inputs", inputs.len());
    let (alive, watched) = mpsc::channel::<PathBuf>();
    let watchdog = std::thread::spawn(move || {
        let mut last = PathBuf::new();
        loop {
            match watched.recv_timeout(HANG) {
                Ok(path) => last = path,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("hangs: {}", last.display());
                    std::process::exit(101);
                }
            }
        }
    });
    let mut faults = Vec::new();
    for (path, bytes) in inputs {
        alive.send(path.clone()).expect("the watchdog lives");
        if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
            faults.push(path);
        }
    }
    drop(alive);
    watchdog.join().expect("no panic");
    assert!(faults.is_empty(), "{target} fails with {faults:?}");
}

#[test]
fn damaged_regions() {
    replay("region");
}

#[test]
fn regions_damaged_in_use() {
    replay("in_use");
}

#[test]
fn histories() {
    replay("operations");
}

#[test]
fn damaged_journals() {
    replay("journal");
}

#[test]
fn receipts() {
    replay("receipt");
}

#[test]
fn rings() {
    replay("ring");
}

#[test]
fn histories_of_streams() {
    replay("stream");
}

#[test]
fn damaged_streams() {
    replay("stream_region");
}

#[test]
fn each_target_has_inputs_and_few_of_them() {
    let dirs = fs::read_dir(directory()).expect("the corpus");
    let mut names: Vec<String> = dirs
        .map(|dir| {
            dir.expect("a directory")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(names, targets);
    let mut bytes = 0;
    for target in targets {
        let inputs = inputs(target);
        assert!(
            inputs.len() <= FILES_MAX,
            "{target}: {} inputs",
            inputs.len()
        );
        bytes += inputs
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum::<u64>();
    }
    assert!(bytes <= BYTES_MAX, "{bytes} bytes in all");
}

/// A body that nobody sent is found out: with the checksums taken away and one byte altered, a
/// reader who trusts them panics.
#[test]
fn twin_a_body_that_nobody_sent() {
    let ground = Ground::new();
    let layout = &ground.template.layout;
    let message = &ground.template.messages[10];
    ground.set_word(FLAGS, 0);
    ground.seal();
    let at = layout.slot(message.slot) + SLOT_HEAD_BYTES + 9;
    ground.write(at, &[!message.body[9]]);
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region without checksums");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    let player = Player::new(&queue, &clock, true);
    let caught = catch_unwind(AssertUnwindSafe(|| player.ends(1)));
    assert!(caught.is_err(), "the altered body was taken for a sent one");
}

/// A body that nobody sent, with its checksum and its frame's made right, is found out; so is a
/// journal that lacks a frame and passes for a whole one.
#[test]
fn twin_a_journal_that_was_forged() {
    let ground = Stopped::new();
    let is_caught = |files: &Files, expected| {
        ground.put(files);
        let run = || journal::used(&ground, expected, 0, Input::new(&[]));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    let whole = Some(&ground.bodies[..]);
    assert!(!is_caught(&ground.files, whole), "a journal as it was");

    let last_sent = &ground.frames[1];
    let mut files = ground.files.clone();
    let record = files.records(last_sent)[0];
    files.journal[record + 24 + 9] ^= 1;
    files.seal_record(record);
    files.seal_frame(last_sent.start);
    assert!(
        is_caught(&files, None),
        "the altered body was taken for a sent one"
    );

    let mut files = ground.files.clone();
    files.journal[last_sent.clone()].fill(0);
    assert!(!is_caught(&files, None), "a frame that is not there");
    assert!(is_caught(&files, whole), "it was not missed");
}

/// The kept histories tell a model with one rule altered from the right one.
#[test]
fn twin_a_model_with_one_rule_altered() {
    let inputs = inputs("operations");
    let altered = [
        Rule::VisibilityOneMsLonger,
        Rule::VisibilityOneMsShorter,
        Rule::StaleReceiptDeletes,
        Rule::LateDeleteIsRefused,
        Rule::ReceivesAreNotCounted,
        Rule::PurgeSparesTheHeld,
        Rule::PurgeAsOftenAsOneLikes,
        Rule::PurgeWaitsOneMsLonger,
        Rule::ReadersKeepNothing,
        Rule::DelayOneMsLonger,
        Rule::DelayOneMsShorter,
        Rule::DelayedCountsAsInFlight,
        Rule::AttributesAreLost,
        Rule::DeadLettersAreDelivered,
        Rule::OneReceiveMore,
        Rule::MaxReceivesStays,
        Rule::DeadLetterIsLost,
        Rule::DeadLetterStaysToo,
        Rule::DeadLetterLosesItsCount,
        Rule::DeadLetterIsSentAnew,
        Rule::HeldBackOneMsLonger,
        Rule::HeldBackOneMsShorter,
        Rule::RedriveKeepsTheId,
        Rule::RedriveKeepsTheCount,
        Rule::RedrivePurges,
        Rule::PeekCounts,
        Rule::LatencyBucketsEndOneMsLater,
        Rule::MovesCountAsReceives,
    ];
    for rule in altered {
        let caught = inputs
            .iter()
            .any(|(_, bytes)| operations::differs(rule, bytes).is_err());
        assert!(caught, "{rule:?} was not caught");
    }
}

/// The same of the model of streams.
#[test]
fn twin_a_model_of_streams_with_one_rule_altered() {
    let inputs = inputs("stream");
    let is_caught = |rule| {
        let differs = |bytes: &[u8]| {
            let run = || stream::held_against(rule, bytes);
            catch_unwind(AssertUnwindSafe(run)).is_err()
        };
        inputs.iter().any(|(_, bytes)| differs(bytes))
    };
    assert!(!is_caught(stream::Rule::Right));
    for rule in [
        stream::Rule::RecordsStayLess,
        stream::Rule::RecordsStayMore,
        stream::Rule::OtherPlacement,
    ] {
        assert!(is_caught(rule), "{rule:?} was not caught");
    }
}

/// Data that nobody has put are found out, where no checksum does it.
#[test]
fn twin_a_record_that_was_altered() {
    assert!(catch_unwind(stream_region::forged).is_err());
}
