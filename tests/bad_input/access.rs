//! What the operating system refuses: access, writing, room.

use crate::common::{Dir, child};
#[cfg(feature = "stream")]
use ringmain::{Durability, ShardId, Stream, StreamOptions};
use ringmain::{Error, Mapped, Queue, QueueOptions};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

const LEN: u64 = 1 << 20;
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("other permissions");
}

/// Root is refused nothing, so the checks run in a child that is nobody.
#[test]
fn no_permission_is_told() {
    if child::role().is_some() {
        let dir = PathBuf::from(child::argument());
        for name in ["secret", "read-only"] {
            let path = dir.join("files").join(name);
            assert_eq!(
                Mapped::open(&path).map(|_| ()),
                Err(Error::Permission),
                "{name}"
            );
            let either = Mapped::open_or_create(&path, LEN).map(|_| ());
            assert_eq!(either, Err(Error::Permission), "{name}");
        }
        let created = Mapped::create(dir.join("files/new"), LEN).map(|_| ());
        assert_eq!(created, Err(Error::Permission));
        assert!(Error::Permission.to_string().contains("denied"));
        return;
    }
    let dir = Dir::new("permission");
    mode(dir.path(), 0o755);
    fs::create_dir(dir.file("files")).expect("a directory");
    for (name, bits) in [("secret", 0o000), ("read-only", 0o444)] {
        let path = dir.file("files").join(name);
        let region = Mapped::create(&path, LEN).expect("a region");
        Queue::create(&region, QueueOptions::new())
            .expect("a queue")
            .send(b"kept")
            .expect("room");
        let bits_now = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(bits_now, 0o600, "private by default");
        mode(&path, bits);
    }
    mode(&dir.file("files"), 0o555);
    let argument = dir.path().to_str().expect("UTF-8");
    let mut command = child::command("access::no_permission_is_told", "nobody", argument);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
        command.current_dir("/");
    }
    let status = command.status();
    mode(&dir.file("files"), 0o755);
    match status {
        Ok(status) => assert!(status.success(), "{status}"),
        // The test binary lies where nobody may not read: then the mode bits are all there is.
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
    }
    let entries = fs::read_dir(dir.file("files"))
        .expect("a directory")
        .count();
    assert_eq!(entries, 2, "nothing half-made stays behind");
    mode(&dir.file("files").join("secret"), 0o600);
    let region = Mapped::open(dir.file("files").join("secret"));
    let region = region.expect("its owner may open it");
    assert_eq!(
        Queue::open(&region)
            .expect("a queue")
            .stat()
            .expect("figures")
            .visible,
        1
    );
}

/// In a mount namespace of the child's own: a file system of 256 KiB, which is then made read-only.
#[test]
fn full_and_read_only_disks_are_told() {
    if child::role().is_some() {
        return on_a_small_disk(&PathBuf::from(child::argument()));
    }
    let dir = Dir::new("disk");
    let argument = dir.path().to_str().expect("UTF-8");
    let test = "access::full_and_read_only_disks_are_told";
    let mut command = child::command(test, "disk", argument);
    let target = CString::new(argument).expect("no zero");
    let root = is_root();
    // SAFETY: between fork and exec only system calls are made, on memory made before.
    unsafe { command.pre_exec(move || mount_small_disk(&target, root)) };
    match command.status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => {
            // No namespaces here: `a_limit_of_file_sizes_is_told` shows a refusal all the same.
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            println!("no mount namespace here: {error}");
        }
    }
    assert!(dir.names().is_empty(), "the mount was the child's own");
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn mount_small_disk(target: &CString, root: bool) -> io::Result<()> {
    let user = if root { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: plain numbers, and live C strings.
    unsafe {
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        done(libc::unshare(libc::CLONE_NEWNS | user))?;
        if !root {
            // Without a map of users the new file system would take no files.
            map_id(c"/proc/self/uid_map", uid)?;
            let _ = write_all(c"/proc/self/setgroups", b"deny");
            map_id(c"/proc/self/gid_map", gid)?;
        }
        let none = std::ptr::null();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        done(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
        let kind = c"tmpfs".as_ptr();
        done(libc::mount(
            kind,
            target.as_ptr(),
            kind,
            0,
            c"size=256k".as_ptr().cast(),
        ))
    }
}

/// Writes "ID ID 1" without an allocation.
fn map_id(path: &std::ffi::CStr, id: u32) -> io::Result<()> {
    let mut text = [b' '; 24];
    for field in 0..2 {
        let (mut at, mut left) = (field * 11 + 9, id);
        loop {
            text[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
            at -= 1;
        }
    }
    text[22] = b'1';
    write_all(path, &text[..23])
}

fn write_all(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: a live C string, and a live buffer of that length.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        libc::close(fd);
        done((written != bytes.len() as isize) as libc::c_int)
    }
}

fn names(dir: &std::path::Path) -> usize {
    fs::read_dir(dir).expect("a directory").count()
}

fn on_a_small_disk(dir: &std::path::Path) {
    let path = dir.join("q.ring");
    for _ in 0..3 {
        let error = Mapped::create(&path, LEN)
            .map(|_| ())
            .expect_err("the disk has 256 KiB");
        assert_eq!(error, Error::NoSpace);
        assert!(Mapped::open_or_create(&path, LEN).is_err_and(|error| error == Error::NoSpace));
        assert_eq!(names(dir), 0, "nothing half-made stays behind");
    }
    #[cfg(feature = "stream")]
    mirror_on_a_small_disk(dir);
    // All of its room comes back: a region that fits can be made, and its space is its own.
    let region = Mapped::create(&path, 128 << 10).expect("it fits");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    while fs::write(dir.join("filler"), vec![1; 256 << 10]).is_ok() {}
    for _ in 0..queue.capacity() {
        queue
            .send(b"reserved")
            .expect("room in spite of the full disk");
    }
    drop(region);
    fs::remove_file(dir.join("filler")).expect("a file");

    let target = CString::new(dir.to_str().expect("UTF-8")).expect("no zero");
    let (none, flags) = (std::ptr::null(), libc::MS_REMOUNT | libc::MS_RDONLY);
    // SAFETY: a live C string.
    let remounted = unsafe { libc::mount(none, target.as_ptr(), none, flags, none.cast()) };
    done(remounted).expect("its own mount can be made read-only");
    assert_eq!(Mapped::open(&path).map(|_| ()), Err(Error::ReadOnly));
    assert_eq!(
        Mapped::create(dir.join("new"), LEN).map(|_| ()),
        Err(Error::ReadOnly)
    );
    assert!(Error::ReadOnly.to_string().contains("read-only"));
    assert_eq!(names(dir), 1);
}

/// A stream whose mirror finds no room: nothing half-made is in the way of the next try, be it by
/// the same attachment or by another.
#[cfg(feature = "stream")]
fn mirror_on_a_small_disk(dir: &std::path::Path) {
    let (path, filler) = (dir.join("s.ring"), dir.join("filler"));
    for others in [false, true] {
        let region = Mapped::create(&path, REGION_OF_STREAM).expect("it fits");
        while fs::write(&filler, vec![1; 256 << 10]).is_ok() {}
        for _ in 0..3 {
            let made = Stream::create(&region, kept()).map(drop);
            assert_eq!(made, Err(Error::NoSpace));
            let made = Stream::open_or_create(&region, kept()).map(drop);
            assert_eq!(made, Err(Error::NoSpace));
            assert_eq!(names(dir), 2, "the region, and what fills the disk");
            assert_eq!(Stream::open(&region).map(drop), Err(Error::Vacant));
        }
        fs::remove_file(&filler).expect("a file");
        let region = match others {
            true => {
                drop(region);
                Mapped::open(&path).expect("it stands")
            }
            false => region,
        };
        is_a_stream(&region);
        drop(region);
        let region = Mapped::open(&path).expect("with its mirror");
        let stream = Stream::open(&region).expect("the stream");
        assert_eq!(
            stream.stat(ShardId::from_number(0)).expect("one").damaged,
            0
        );
        drop(region);
        for name in ["s.ring", "s.ring.mirror"] {
            fs::remove_file(dir.join(name)).expect("a file");
        }
    }
}

#[cfg(feature = "stream")]
const REGION_OF_STREAM: u64 = 64 << 10;

#[cfg(feature = "stream")]
fn kept() -> StreamOptions {
    let options = StreamOptions::new().max_data(1000);
    options.durability(Durability::BeforeOk)
}

/// A stream can be made there now, and what is put is on the disk.
#[cfg(feature = "stream")]
fn is_a_stream(region: &Mapped) {
    let stream = Stream::create(region, kept()).expect("there is room now");
    let put = stream.put("boiler-7", b"81.5").expect("on the disk");
    let durable = stream.stat(put.shard).expect("figures").durable;
    assert!(durable.expect("a mirror") > put.sequence);
}

/// A process that may not make files as large as that.
#[test]
fn a_limit_of_file_sizes_is_told() {
    if child::role().is_some() {
        let path = PathBuf::from(child::argument()).join("q.ring");
        let limit = libc::rlimit {
            rlim_cur: 64 << 10,
            rlim_max: 64 << 10,
        };
        // SAFETY: the limit lives through the call; the signal gets no handler.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
        let error = Mapped::create(&path, LEN)
            .map(|_| ())
            .expect_err("beyond the limit");
        assert!(
            matches!(error, Error::RegionTooLarge { len: LEN, .. }),
            "{error:?}"
        );
        assert!(!path.exists());
        let region = Mapped::create(&path, 64 << 10).expect("within the limit");
        #[cfg(feature = "stream")]
        {
            let made = Stream::create(&region, kept()).map(drop);
            assert!(
                matches!(made, Err(Error::RegionTooLarge { len, .. }) if len > REGION_OF_STREAM),
                "{made:?}"
            );
        }
        drop(region);
        return;
    }
    for dir in [Dir::new("rlimit"), Dir::shm("rlimit")] {
        let argument = dir.path().to_str().expect("UTF-8");
        let test = "access::a_limit_of_file_sizes_is_told";
        let status = child::command(test, "limited", argument)
            .status()
            .expect("a child");
        assert!(status.success(), "{status}");
        assert_eq!(dir.names(), ["q.ring"], "and no mirror");
        #[cfg(feature = "stream")]
        is_a_stream(&Mapped::open(dir.file("q.ring")).expect("it stands"));
    }
}
