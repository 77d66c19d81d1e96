//! The floors of the house, and the widths of its texts, as a test.
//!
//! Reads every text file of the package. Rust sources lose their comments and literals first, and
//! are then looked through token by token; nothing is compiled. `tidy/rules.rs` says what is looked
//! for. The twins below are small sources, each with one fault that must be found.

use std::fs;
use std::path::Path;

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/tokens.rs"]
mod tokens;

use rules::{Fault, File, RULES, THREAD_FILES, exports};

/// Every text file of the package: its path from the package's root, and its text.
fn package() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    files
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).expect("the package's directory can be read") {
        let entry = entry.expect("its entries can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() && !["target", ".git"].contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files);
        }
        let end = name.rsplit('.').next().unwrap_or("");
        let text = ["rs", "md", "toml", "sh", "x", "lock", "yml"].contains(&end)
            || path.starts_with(".ci/")
            || path.starts_with("LICENSE");
        if kind.is_file() && text {
            files.push((
                path,
                fs::read_to_string(entry.path()).expect("texts are UTF-8"),
            ));
        }
    }
}

fn faults(path: &str, text: &str, exports: &[(String, String)]) -> Vec<Fault> {
    let file = File::new(path, text, exports);
    let mut faults = Vec::new();
    RULES.iter().for_each(|rule| rule(&file, &mut faults));
    faults
}

#[test]
fn the_house_is_tidy() {
    let files = package();
    let lib = files
        .iter()
        .find(|(path, _)| path == "src/lib.rs")
        .expect("there is a lib.rs");
    let exports = exports(&lib.1);
    assert!(
        files.len() > 50 && exports.len() > 10,
        "the package was found and read"
    );
    let mut lines = Vec::new();
    for (path, text) in &files {
        for fault in faults(path, text, &exports) {
            lines.push(format!("{path}:{}: {}", fault.line, fault.what));
        }
    }
    assert!(
        lines.is_empty(),
        "{} faults:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

// ---- the twins: each rule can fail

const LIB: &str = "pub use error::Error; pub use queue::{Batch, Queue}; pub use region::Fixed;";

/// One twin a line: the file it stands for, its one line of source, and what must be found.
const TWINS: &str = r#"
src/ring/x.rs       ~ use crate::region::Heap;                        ~ ring may not use region
src/ring/x.rs       ~ fn f() { crate::queue::send() }                 ~ ring may not use queue
src/ring/x.rs       ~ mod m { use super::super::super::queue; }       ~ ring may not use queue
src/ring/x.rs       ~ use crate::*;                                   ~ ring may not use *
src/region/x.rs     ~ use crate::{error::Error, queue::Queue};        ~ region may not use queue
src/region/x.rs     ~ use crate::{ring::{a, b}, stream};              ~ region may not use stream
src/region/x.rs     ~ use crate::Batch;                               ~ may not use Batch of queue
src/queue/x.rs      ~ use crate::stream::Log;                         ~ queue may not use stream
src/queue/x.rs      ~ use super::super::topic::Topic;                 ~ queue may not use topic
src/queue/mod.rs    ~ #![forbid(unsafe_code)] use super::topic;       ~ queue may not use topic
src/message/x.rs    ~ use crate::queue::Queue;                        ~ message may not use queue
src/message/x.rs    ~ use crate::stream::Log;                         ~ message may not use stream
src/ring/x.rs       ~ use crate::message::Message;                    ~ ring may not use message
src/time/x.rs       ~ use crate::hash::xxh3;                          ~ time may not use hash
src/sync/x.rs       ~ use crate::time::Clock;                         ~ sync may not use time
src/error.rs        ~ #![forbid(unsafe_code)] use crate::sync::A;     ~ error may not use sync
src/queue/x.rs      ~ use crate::engine::Engine;                      ~ queue may not use engine
src/region/x.rs     ~ use crate::engine::Engine;                      ~ region may not use engine
src/engine/x.rs     ~ use crate::face::cli;                           ~ engine may not use face
src/engine/x.rs     ~ fn f(file: File) {}                             ~ a file touched
src/engine/mod.rs   ~ fn f() {}                                       ~ without #![forbid
src/attic/x.rs      ~ fn f() {}                                       ~ attic has no floor
src/queue/x.rs      ~ fn f() { unsafe { g() } }                       ~ unsafe code
src/face/cli/x.rs   ~ unsafe fn f() {}                                ~ unsafe code
src/bin/x.rs        ~ fn main() {}                                    ~ without #![forbid
src/queue/mod.rs    ~ mod send; // #![forbid(unsafe_code)]            ~ without #![forbid
src/ring/x.rs       ~ use core::sync::atomic::AtomicU64;              ~ an atomic named
src/ring/x.rs       ~ use std::sync::{atomic::AtomicU64, Arc};        ~ an atomic named
src/region/x.rs     ~ type A = portable_atomic::AtomicU64;            ~ an atomic named
src/queue/x.rs      ~ loom::thread::yield_now();                      ~ an atomic named
src/region/x.rs     ~ let t = std::time::Instant::now();              ~ a clock read
src/queue/x.rs      ~ let t = SystemTime::now();                      ~ a clock read
src/region/x.rs     ~ libc::clock_gettime(0, &mut t);                 ~ a clock read
src/queue/x.rs      ~ std::fs::remove_file(path)                      ~ a file touched
src/ring/x.rs       ~ fn f(file: File) {}                             ~ a file touched
src/queue/x.rs      ~ tracing::info!("sent");                         ~ tracing named
src/region/x.rs     ~ std::thread::spawn(|| ());                      ~ a thread started
src/region/y/x.rs   ~ thread::Builder::new()                          ~ a thread started
"#;

/// As [`TWINS`], without a fault: each of these passes.
const SOUND: &str = r##"
src/region/x.rs     ~ use crate::ring::blocks::Block; use crate::Error;
src/region/x.rs     ~ mod home { use super::memory::Place; use super::super::ring; }
src/queue/x.rs      ~ use super::batch::Batch; use crate::{Queue, Fixed, error::Error};
src/queue/x.rs      ~ pub(crate) fn f() {} /// See `crate::stream` and unsafe code.
src/ring/x.rs       ~ /* outer /* crate::queue::x */ unsafe */ fn f<'a>(_: &'a u8) {}
src/queue/x.rs      ~ const S: &str = r#"unsafe " crate::topic::x"#;
src/queue/x.rs      ~ const Q: [char; 2] = ['"', '\'']; const S: &str = "unsafe \" ";
src/queue/x.rs      ~ const B: &[u8] = b"std::fs"; const C: u8 = b'u';
src/stream/x.rs     ~ use crate::message::Message;
src/queue/x.rs      ~ use crate::message::{Attributes, Message}; use super::super::message;
src/sync/x.rs       ~ pub use core::sync::atomic::Ordering; use loom::cell::UnsafeCell;
src/time/x.rs       ~ use crate::sync::A; fn f() { std::time::Instant::now(); }
src/face/cli/x.rs   ~ use crate::Queue; fn f() { std::fs::read(p); Instant::now(); }
src/engine/x.rs     ~ use crate::queue::Queue; use crate::region::shelf::Home;
src/consumer/x.rs   ~ fn f() { std::thread::spawn(|| ()); }
docs/y.md           ~ src/work/x.rs and https://example.org/home/page
"##;

/// The faults of one line of a table.
fn faults_of(path: &str, source: &str) -> Vec<Fault> {
    let opening = if path.ends_with(".rs") {
        "//! Opens.\n"
    } else {
        ""
    };
    faults(path, &format!("{opening}{source}\n"), &exports(LIB))
}

fn must_find(path: &str, source: &str, expected: &str) {
    let found = faults_of(path, source);
    let met = found
        .iter()
        .filter(|fault| fault.what.contains(expected))
        .count();
    assert!(
        met > 0 && met == found.len(),
        "{path}: {source}\n{expected}: {found:?}"
    );
}

#[test]
fn each_fault_is_found() {
    for line in TWINS.lines().filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split('~').map(str::trim).collect();
        must_find(parts[0], parts[1], parts[2]);
    }
    must_find("benches/x.rs", &"1".repeat(101), "101 columns");
    must_find("docs/x.md", &"wide ".repeat(30), "columns");
    must_find("tests/x.rs", &"\n".repeat(600), "602 lines");
    for dir in ["work", "root", "farm", "home"] {
        must_find(
            "README.md",
            &format!("see /{dir}/main"),
            "a path of one machine",
        );
    }
    for unopened in ["", "fn f() {}", "//!", "// A comment."] {
        let found = faults("tests/x.rs", unopened, &exports(LIB));
        assert!(
            found.len() == 1 && found[0].what.contains("does not open"),
            "{found:?}"
        );
    }
}

#[test]
fn what_is_sound_passes() {
    let table = format!("| {} |", "wide ".repeat(30));
    let doc = format!("/// {table}");
    let rest = [
        ("docs/x.md", table.as_str()),
        ("src/queue/x.rs", doc.as_str()),
    ];
    let thread = THREAD_FILES.map(|path| (path, "fn f() { std::thread::Builder::new(); }"));
    let lines = SOUND.lines().filter_map(|line| line.split_once('~'));
    for (path, source) in lines.chain(rest).chain(thread) {
        let found = faults_of(path.trim(), source.trim());
        assert!(found.is_empty(), "{path}: {source}\n{found:?}");
    }
}
