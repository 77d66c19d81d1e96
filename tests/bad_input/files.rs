//! Files that are no regions, or no longer.

use crate::common::Dir;
use ringmain::{Error, Mapped, Queue, QueueOptions};
use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LEN: u64 = 64 << 10;

/// A region with a queue of three messages, closed again.
fn region(dir: &Dir) -> PathBuf {
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    queue.send_batch(&["a", "b", "c"]).expect("a batch");
    path
}

/// What opening says; the file is not touched by it.
fn refused(path: &Path) -> Error {
    let before = fs::read(path).expect("a file");
    let error = Mapped::open(path).expect_err("it is refused");
    let again = Mapped::open_or_create(path, LEN).expect_err("it is refused");
    assert_eq!(error, again);
    assert!(Mapped::create(path, LEN).is_err_and(|error| error == Error::Exists));
    assert!(
        fs::read(path).expect("a file") == before,
        "the file is as it was"
    );
    error
}

fn patch(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.write_all_at(bytes, offset).expect("a write");
}

#[test]
fn missing_files_and_directories_are_told() {
    let dir = Dir::new("missing");
    assert_eq!(
        Mapped::open(dir.file("none")).map(|_| ()),
        Err(Error::NotFound)
    );
    for path in ["none/q.ring", "", "none/"] {
        let path = dir
            .file(path)
            .join(if path.is_empty() { "x/y" } else { "" });
        assert!(Mapped::open(&path).is_err_and(|error| error == Error::NotFound));
        let created = Mapped::create(&path, LEN).map(|_| ());
        assert_eq!(created, Err(Error::NotFound), "{}", path.display());
    }
    let file = dir.file("file");
    fs::write(&file, "text").expect("a file");
    assert_eq!(
        Mapped::create(file.join("q"), LEN).map(|_| ()),
        Err(Error::NotFound)
    );
    assert!(Mapped::open("").is_err() && Mapped::create("", LEN).is_err());
    assert!(Mapped::open("/tmp/with\0zero").is_err());
    assert!(Mapped::create("/tmp/with\0zero", LEN).is_err());
    assert_eq!(dir.names(), ["file"]);
}

#[test]
fn foreign_files_are_told() {
    let dir = Dir::new("foreign");
    let path = dir.file("foreign");
    let contents: [&[u8]; 6] = [
        b"",
        b"R",
        b"RINGMAIN",
        &[0; 48],
        &[0xff; 100_000],
        &b"[section]\nkey = value\n".repeat(999),
    ];
    for content in contents {
        fs::write(&path, content).expect("a file");
        assert_eq!(refused(&path), Error::NotARegion, "{} bytes", content.len());
    }
    assert_eq!(dir.names(), ["foreign"]);
}

#[test]
fn what_is_no_plain_file_is_told() {
    let dir = Dir::new("plain");
    let fifo = dir.file("fifo");
    let name = std::ffi::CString::new(fifo.to_str().expect("UTF-8")).expect("no zero");
    // SAFETY: the path is a live C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    for path in [
        dir.path(),
        &fifo,
        Path::new("/dev/null"),
        Path::new("/dev/full"),
        Path::new("/"),
    ] {
        let opened = Mapped::open(path).map(|_| ());
        // Not everybody may open a device for writing.
        let forbidden = path.starts_with("/dev") && opened == Err(Error::Permission);
        assert!(
            opened == Err(Error::NotARegion) || forbidden,
            "{}: {opened:?}",
            path.display()
        );
        assert_eq!(Mapped::create(path, LEN).map(|_| ()), Err(Error::Exists));
    }
    let dangling = dir.file("dangling");
    symlink(dir.file("nowhere"), &dangling).expect("a link");
    assert_eq!(Mapped::open(&dangling).map(|_| ()), Err(Error::NotFound));
    assert_eq!(
        Mapped::create(&dangling, LEN).map(|_| ()),
        Err(Error::Exists)
    );
    assert!(Mapped::open_or_create(&dangling, LEN).is_err());
    assert_eq!(dir.names(), ["dangling", "fifo"]);
}

#[test]
fn truncated_files_are_told() {
    let dir = Dir::new("truncated");
    let path = region(&dir);
    for len in [LEN - 1, LEN / 2, 20_480, 4096, 4095, 48] {
        fs::File::options()
            .write(true)
            .open(&path)
            .expect("a file")
            .set_len(len)
            .expect("shorter");
        let error = refused(&path);
        assert_eq!(
            error,
            Error::Truncated {
                found: len,
                expected: LEN
            }
        );
        let said = error.to_string();
        assert!(
            said.contains(&len.to_string()) && said.contains(&LEN.to_string()),
            "{said}"
        );
    }
    for len in [47, 8, 1, 0] {
        fs::File::options()
            .write(true)
            .open(&path)
            .expect("a file")
            .set_len(len)
            .expect("shorter");
        assert_eq!(refused(&path), Error::NotARegion, "{len} bytes");
    }
}

#[test]
fn other_versions_are_told_with_both_numbers() {
    let dir = Dir::new("version");
    let path = region(&dir);
    for version in [1u32, 2, 3, 7, u32::MAX, 0] {
        patch(&path, 8, &version.to_le_bytes());
        let error = refused(&path);
        assert_eq!(
            error,
            Error::Version {
                found: version,
                supported: 5
            }
        );
        let said = error.to_string();
        assert!(
            said.contains(&version.to_string()) && said.contains("format 5"),
            "{said}"
        );
    }
    patch(&path, 8, &5u32.to_le_bytes());
    holds_three(&path);
}

fn holds_three(path: &Path) {
    let region = Mapped::open(path).expect("a region");
    let queue = Queue::open(&region).expect("a queue");
    assert_eq!(queue.stat().expect("figures").visible, 3);
}

#[test]
fn other_kinds_are_told() {
    const KIND_OFFSET: u64 = 128;
    let dir = Dir::new("kind");
    let path = region(&dir);
    for kind in [4u64, 77, u64::MAX] {
        patch(&path, KIND_OFFSET, &kind.to_le_bytes());
        let error = refused(&path);
        assert_eq!(
            error,
            Error::Kind {
                found: kind,
                expected: 1
            }
        );
        assert!(error.to_string().contains(&kind.to_string()), "{error}");
    }
    // What calls itself a FIFO queue and is none.
    patch(&path, KIND_OFFSET, &2u64.to_le_bytes());
    let field = "deduplication window";
    assert_eq!(refused(&path), Error::Damaged { field });
    // What calls itself a stream and is none.
    patch(&path, KIND_OFFSET, &3u64.to_le_bytes());
    let error = match cfg!(feature = "stream") {
        true => Error::Damaged {
            field: "segment size",
        },
        false => Error::Kind {
            found: 3,
            expected: 1,
        },
    };
    assert_eq!(refused(&path), error);
    patch(&path, KIND_OFFSET, &1u64.to_le_bytes());
    holds_three(&path);
}

#[test]
fn each_byte_of_the_birth_record_counts() {
    let dir = Dir::new("birth");
    let path = region(&dir);
    let whole = fs::read(&path).expect("a file");
    for at in 0..48 {
        patch(&path, at, &[whole[at as usize] ^ 0x41]);
        let error = refused(&path);
        let expected = match at {
            0..8 => matches!(error, Error::NotARegion),
            8..12 => matches!(error, Error::Version { .. }),
            _ => matches!(error, Error::Damaged { .. } | Error::Truncated { .. }),
        };
        assert!(expected, "byte {at}: {error:?}");
        patch(&path, at, &[whole[at as usize]]);
    }
    holds_three(&path);
}

#[test]
fn vacant_and_occupied_regions_are_told() {
    let dir = Dir::new("vacant");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    assert_eq!(Queue::open(&region).map(|_| ()), Err(Error::Vacant));
    let options = QueueOptions::new()
        .visibility(Duration::from_secs(7))
        .max_body(1000);
    let queue = Queue::create(&region, options).expect("a queue");
    queue.send(b"kept").expect("room");
    assert_eq!(
        Queue::create(&region, options).map(|_| ()),
        Err(Error::Occupied)
    );
    assert!(Queue::open_or_create(&region, options).is_ok());
    let other = [
        options.visibility(Duration::from_millis(7001)),
        options.retention(Duration::from_secs(61)),
        options.max_body(1001),
    ];
    let numbers = [["7000", "7001"], ["345600000", "61000"], ["1000", "1001"]];
    for (options, numbers) in other.into_iter().zip(numbers) {
        let error = Queue::open_or_create(&region, options).expect_err("they differ");
        assert!(matches!(error, Error::OptionsDiffer { .. }), "{error:?}");
        let said = error.to_string();
        assert!(numbers.iter().all(|number| said.contains(number)), "{said}");
    }
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.visible, stat.visibility), (1, Duration::from_secs(7)));
}
