//! A disk that is full, fails or is read-only: creation leaves nothing half-made, and what was not
//! written is said, stays in the queue, and is written later.

use crate::common::Dir;
use crate::queue::tale::Note;
use crate::tale::Note as _;
use crate::trace::{self, Call, End, Fate, Watcher};
use ringmain::{Durability, Error, Mapped, Queue, QueueOptions};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const REGION: u64 = 64 << 10;
const SAFE: QueueOptions = QueueOptions::new().durability(Durability::BeforeOk);
/// What creation asks of the disk.
const CALLS: [i64; 6] = [
    libc::SYS_fallocate,
    libc::SYS_pwrite64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_msync,
    libc::SYS_linkat,
];
/// The children's exit statuses.
const WITHOUT_FAULT: i32 = 0;
const AFTER_FAULT: i32 = 10;

/// Gives one call, the `left`-th from now, a fate.
struct Nth {
    left: u64,
    fate: Fate,
    struck: Option<i64>,
}

impl Watcher for Nth {
    fn fate(&mut self, _pid: i32, call: &Call) -> Fate {
        let number = match call {
            Call::Write { .. } => libc::SYS_pwrite64,
            Call::Sync => libc::SYS_fdatasync,
            Call::Other(number) => *number,
            Call::Note(_) => {
                self.left = 0; // the creation is over
                return Fate::Done;
            }
        };
        if self.left == 0 {
            return Fate::Done;
        }
        self.left -= 1;
        if self.left != 0 {
            return Fate::Done;
        }
        self.struck = Some(number);
        self.fate
    }

    fn returned(&mut self, _call: Call, _fate: Fate, _result: i64) {}
}

fn create(dir: &Dir) -> Result<(), Error> {
    let region = Mapped::create(dir.file("q.ring"), REGION)?;
    Queue::create(&region, SAFE).map(|_| ())
}

fn use_it(dir: &Dir) {
    let region = Mapped::open(dir.file("q.ring")).expect("the region");
    let queue = Queue::open(&region).expect("the queue");
    queue.send(b"hello").expect("room, and a disk");
    let received = queue.receive().expect("a receive").expect("the message");
    received.delete().expect("a delete");
    assert_eq!(
        dir.names(),
        ["q.ring", "q.ring.journal"],
        "nothing else stays"
    );
}

/// Creates, and once more if that failed.
fn create_twice(dir: &Dir, full: bool) -> i32 {
    let first = create(dir);
    Note::Looked.tell();
    if let Err(error) = &first {
        let names = dir.names();
        if full {
            assert_eq!(*error, Error::NoSpace, "a full disk");
            assert!(names.is_empty() || names == ["q.ring"], "{names:?}");
        }
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("q.ring") && !name.ends_with("new"))
        );
        // If the last syncs failed, all is there and not known to be on the disk: it says so.
        let region = Mapped::open(dir.file("q.ring"));
        let queue = region.as_ref().map(|region| Queue::open(region).is_ok());
        let words = error.to_string();
        let said = [
            words.contains("file is there"),
            words.contains("queue is there"),
        ];
        let is_there = queue == Ok(true);
        assert_eq!(is_there, said[1], "{words}");
        assert!(queue.is_ok() || !said[0], "{words}");
        drop(region);
        let region = Mapped::open_or_create(dir.file("q.ring"), REGION).expect("a region");
        Queue::open_or_create(&region, SAFE).expect("a queue");
    }
    use_it(dir);
    if first.is_ok() {
        WITHOUT_FAULT
    } else {
        AFTER_FAULT
    }
}

/// Each call of a creation fails once, in turn. Returns how many there were.
fn creation_fails(parent: &Path, errno: i32) -> u64 {
    for nth in 1.. {
        let dir = Dir::under(parent, "crash-creation");
        let full = errno == libc::ENOSPC;
        let mut watcher = Nth {
            left: nth,
            fate: Fate::Fail(errno),
            struck: None,
        };
        let calls = if full { &CALLS[..2] } else { &CALLS[..] };
        let end = trace::run(|| create_twice(&dir, full), calls, &mut watcher, LIMIT);
        match (watcher.struck, end) {
            (Some(_), End::Exited(AFTER_FAULT)) => {}
            (None, End::Exited(WITHOUT_FAULT)) => return nth - 1,
            other => panic!("call {nth} of a creation with errno {errno}: {other:?}"),
        }
    }
    unreachable!("a creation ends")
}

/// A creator dies at each call, in turn; the next one has a queue. Returns how many there were.
fn creator_dies(parent: &Path) -> u64 {
    for nth in 1.. {
        let dir = Dir::under(parent, "crash-creator");
        let mut watcher = Nth {
            left: nth,
            fate: Fate::Kill,
            struck: None,
        };
        let act = || i32::from(create(&dir).is_err());
        let end = trace::run(act, &CALLS, &mut watcher, LIMIT);
        if watcher.struck.is_none() {
            assert_eq!(end, End::Exited(0), "a creation without a fault");
            return nth - 1;
        }
        assert_eq!(end, End::Signal(libc::SIGKILL), "call {nth} of a creation");
        let pid = trace::fork(|| {
            let region = Mapped::open_or_create(dir.file("q.ring"), REGION).expect("a region");
            Queue::open_or_create(&region, SAFE).expect("a queue");
            drop(region);
            use_it(&dir);
            0
        });
        let next = trace::reap(pid, LIMIT);
        assert_eq!(
            next,
            End::Exited(0),
            "after a death at call {nth} of a creation"
        );
    }
    unreachable!("a creation ends")
}

/// Fails what the journal asks of the disk, from one note to the next.
struct Between {
    errno: i32,
    sync: bool,
    on: bool,
    struck: u64,
}

impl Watcher for Between {
    fn fate(&mut self, _pid: i32, call: &Call) -> Fate {
        let asked = match call {
            Call::Note(_) => {
                self.on = !self.on;
                return Fate::Done;
            }
            Call::Write { .. } => !self.sync,
            Call::Sync => self.sync,
            Call::Other(_) => false,
        };
        if asked && self.on {
            self.struck += 1;
            return Fate::Fail(self.errno);
        }
        Fate::Done
    }

    fn returned(&mut self, _call: Call, _fate: Fate, _result: i64) {}
}

/// The disk refuses for a while.
fn refuses(dir: &Dir, errno: i32) {
    let region = Mapped::open(dir.file("q.ring")).expect("the region");
    let queue = Queue::open(&region).expect("the queue");
    let before = queue.send(b"before").expect("room, and a disk");
    Note::Looked.tell();
    let refused = || Error::NotDurable { errno };
    assert_eq!(queue.send(b"while it refuses"), Err(refused()));
    let sent = queue.send_batch(&["one", "two"]).expect("a batch");
    assert!(sent.iter().all(|outcome| *outcome == Err(refused())));
    let received = queue.receive().expect("a receive").expect("a message");
    assert_eq!(received.id(), before);
    assert_eq!(received.delete(), Err(refused()), "done all the same");
    assert_eq!(queue.sync(), Err(refused()));
    let wanted = queue.position().expect("a position");
    assert_eq!(queue.wait_durable(wanted), Err(refused()));
    assert!(queue.durable_position().expect("a position") < wanted);
    let process = queue.at(Durability::Process).expect("a level");
    process.send(b"at another level").expect("room");
    Note::Looked.tell();
    queue.wait_durable(wanted).expect("a disk that works again");
    assert!(queue.durable_position().expect("a position") >= wanted);
    let mut bodies = Vec::new();
    while let Some(received) = queue.receive().expect("a receive") {
        bodies.push(received.body().to_vec());
        received.delete().expect("a delete");
    }
    bodies.sort_unstable();
    let all: [&[u8]; 4] = [b"at another level", b"one", b"two", b"while it refuses"];
    assert_eq!(bodies, all);
}

fn disk_refuses(parent: &Path) -> u64 {
    let mut struck = 0;
    let faults = [
        (libc::EIO, false),
        (libc::EIO, true),
        (libc::ENOSPC, false),
        (libc::EROFS, false),
        (libc::EDQUOT, true),
    ];
    for (errno, sync) in faults {
        let dir = Dir::under(parent, "crash-refuses");
        let pid = trace::fork(|| i32::from(create(&dir).is_err()));
        assert_eq!(trace::reap(pid, LIMIT), End::Exited(0), "a creation");
        let mut watcher = Between {
            errno,
            sync,
            on: false,
            struck: 0,
        };
        let act = || {
            refuses(&dir, errno);
            0
        };
        let end = trace::run(act, &CALLS, &mut watcher, LIMIT);
        assert_eq!(end, End::Exited(0), "a disk with errno {errno}");
        assert!(watcher.struck >= 5, "{} calls failed", watcher.struck);
        struck += watcher.struck;
    }
    struck
}

/// A file system of its own for this process.
fn mount(at: &Path, flags: libc::c_ulong, options: &str) -> bool {
    let path = CString::new(at.as_os_str().as_bytes()).expect("a path");
    let options = CString::new(options).expect("options");
    let (source, kind) = (c"none".as_ptr(), c"tmpfs".as_ptr());
    // SAFETY: all arguments are live C strings.
    unsafe { libc::mount(source, path.as_ptr(), kind, flags, options.as_ptr().cast()) == 0 }
}

/// Parts this process from the mounts of others. `false`: not permitted.
fn unshare() -> bool {
    // SAFETY: plain numbers and literal strings.
    unsafe {
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let (none, root) = (core::ptr::null(), c"/".as_ptr());
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, root, none, flags, none.cast()) == 0
    }
}

const NOT_PERMITTED: i32 = 20;

/// File systems that are really full, and really read-only.
fn small_disks(dir: &Dir) -> i32 {
    if !unshare() {
        return NOT_PERMITTED;
    }
    let small: [(&str, &[&str]); 2] = [("size=32k", &[]), ("size=256k", &["q.ring"])];
    for (size, left) in small {
        if !mount(dir.path(), 0, size) {
            return NOT_PERMITTED;
        }
        assert_eq!(create(dir), Err(Error::NoSpace), "{size}");
        assert_eq!(dir.names(), left, "{size}");
    }
    assert!(mount(dir.path(), 0, "size=8m"));
    create(dir).expect("room");
    use_it(dir);
    assert!(mount(
        dir.path(),
        libc::MS_REMOUNT | libc::MS_RDONLY,
        "size=8m"
    ));
    let refused = Mapped::open(dir.file("q.ring")).map(|_| ());
    assert_eq!(refused, Err(Error::ReadOnly));
    assert!(mount(dir.path(), libc::MS_REMOUNT, "size=8m"));
    use_it(dir);
    0
}

/// All of it; says what was done.
pub fn run(parent: &Path) {
    let full = creation_fails(parent, libc::ENOSPC);
    let failed = creation_fails(parent, libc::EIO);
    let died = creator_dies(parent);
    println!(
        "creation: {full} calls met a full disk, {failed} calls failed, {died} deaths; each time \
         the next creation gave a queue"
    );
    assert!(
        full >= 4 && failed > full && died > full,
        "creation asks for more than that"
    );
    println!(
        "a disk that refuses: {} calls failed, nothing lost",
        disk_refuses(parent)
    );
    let dir = Dir::under(parent, "crash-small");
    let pid = trace::fork(|| small_disks(&dir));
    match trace::reap(pid, LIMIT) {
        End::Exited(0) => println!("small and read-only file systems: as they must be"),
        End::Exited(NOT_PERMITTED) => {
            println!("small and read-only file systems: not tried, mounting is not permitted");
        }
        other => panic!("small and read-only file systems: {other:?}"),
    }
}
