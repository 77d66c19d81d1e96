//! Several processes at one directory.

use crate::common::{Dir, child};
use crate::delete::turmoil;
use crate::{in_shm, is_clean, small};
use ringmain::{Engine, Error, QueueOptions};
use std::process::Child;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

fn start(test: &str, role: &str, dir: &Dir) -> Child {
    let argument = dir.path().to_str().expect("UTF-8");
    child::command(test, role, argument)
        .spawn()
        .expect("a child")
}

#[track_caller]
fn ends_well(mut child: Child) {
    assert!(child.wait().expect("an end").success());
}

/// Waits until a child has the queue open as well.
fn await_attachments(engine: &Engine, name: &str, count: u64) {
    let begun = Instant::now();
    while engine.describe(name).expect("it").stats.attachments < count {
        assert!(begun.elapsed() < LONG, "the child attaches");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn another_process_sees_a_change_without_a_restart() {
    const TEST: &str = "processes::another_process_sees_a_change_without_a_restart";
    let wanted = |options: QueueOptions| options.visibility(Duration::from_secs(5));
    if child::role().is_some() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let queue = engine.open_queue("q").expect("a queue");
        let begun = Instant::now();
        while queue.options() != wanted(queue.options()).max_receives(7) {
            assert!(begun.elapsed() < LONG, "sees it");
            std::thread::yield_now();
        }
        assert_eq!(engine.describe("dead").expect("it").sources, ["q"]);
        return;
    }
    let (dir, engine) = in_shm("change");
    let queue = engine.create_queue("q", &small()).expect("a queue");
    engine.create_queue("dead", &small()).expect("a queue");
    let child = start(TEST, "reader", &dir);
    await_attachments(&engine, "q", 2);
    engine.reconfigure("q", wanted).expect("changed");
    engine
        .set_dead_letters("q", Some(("dead", 7)))
        .expect("changed");
    ends_well(child);
    drop(queue);
    is_clean(&engine);
}

#[test]
fn who_waits_in_another_process_is_told_of_a_deletion() {
    const TEST: &str = "processes::who_waits_in_another_process_is_told_of_a_deletion";
    if child::role().is_some() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let queue = engine.open_queue("q").expect("a queue");
        let begun = Instant::now();
        assert_eq!(queue.receive_timeout(LONG).map(|_| ()), Err(Error::Deleted));
        assert!(begun.elapsed() < LONG / 2, "told, and not timed out");
        assert_eq!(queue.send(b"one"), Err(Error::Deleted));
        assert_eq!(engine.open_queue("q").map(|_| ()), Err(Error::NoQueue));
        return;
    }
    let (dir, engine) = in_shm("wait");
    let queue = engine.create_queue("q", &small()).expect("a queue");
    let children: Vec<_> = (0..3).map(|_| start(TEST, "waiter", &dir)).collect();
    await_attachments(&engine, "q", 4);
    std::thread::sleep(Duration::from_millis(100)); // they sleep by now, or soon
    engine.delete_queue("q").expect("deleted");
    children.into_iter().for_each(ends_well);
    assert_eq!(queue.receive().map(|_| ()), Err(Error::Deleted));
    is_clean(&engine);
}

/// As above, for futures: their process is woken, and looks for all of them.
#[cfg(feature = "async")]
#[test]
fn a_future_in_another_process_is_told_of_a_deletion() {
    use std::future::Future;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    const TEST: &str = "processes::a_future_in_another_process_is_told_of_a_deletion";
    if child::role().is_some() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let queue = engine.open_queue("q").expect("a queue");
        let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
        let mut futures = [queue.receive_async(), queue.receive_async()].map(Box::pin);
        let begun = Instant::now();
        for future in &mut futures {
            loop {
                match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(output) => {
                        assert_eq!(output.map(|_| ()), Err(Error::Deleted));
                        break;
                    }
                    Poll::Pending => std::thread::park_timeout(LONG),
                }
            }
        }
        assert!(begun.elapsed() < LONG / 2, "told, and not timed out");
        return;
    }
    let (dir, engine) = in_shm("future");
    engine.create_queue("q", &small()).expect("a queue");
    let child = start(TEST, "waiter", &dir);
    await_attachments(&engine, "q", 2); // the child's, and that of the look itself
    std::thread::sleep(Duration::from_millis(100)); // it sleeps by now, or soon
    engine.delete_queue("q").expect("deleted");
    ends_well(child);
}

#[test]
fn many_processes_create_and_delete_one_name() {
    const TEST: &str = "processes::many_processes_create_and_delete_one_name";
    if let Some(role) = child::role() {
        let engine = Engine::open_or_create(child::argument()).expect("one engine");
        turmoil(&engine, role.parse().expect("a number"), 60);
        return;
    }
    for dir in [Dir::new("turmoil"), Dir::shm("turmoil")] {
        let path = dir.file("engine"); // made by one of them
        let children: Vec<_> = (0..4)
            .map(|seed: u64| {
                let argument = path.to_str().expect("UTF-8");
                let mut command = child::command(TEST, &seed.to_string(), argument);
                command.spawn().expect("a child")
            })
            .collect();
        children.into_iter().for_each(ends_well);
        let engine = Engine::open(&path).expect("an engine");
        is_clean(&engine);
        engine.create_queue("a", &small()).expect("usable");
    }
}

#[test]
fn a_dead_letter_target_is_found_by_id_and_name() {
    // What a queue of dead letters is called, by its file: { nonce } of the configuration.
    let (dir, engine) = in_shm("target");
    let queue = engine.create_queue("q", &small()).expect("a queue");
    engine.create_queue("dead", &small()).expect("a queue");
    let id = |name: &str| {
        let bytes = std::fs::read(dir.file(&format!("{name}.queue"))).expect("a region");
        let nonce = bytes[20_480 + 40..][..8].try_into().expect("eight bytes");
        u64::from_le_bytes(nonce) & ((1 << 44) - 1)
    };
    let shown = |id: u64| {
        use ringmain::Region;
        let mut label = None;
        let found = queue.region().dead_letters(id, &mut |target| {
            label = Some(target.region.label().to_string())
        });
        assert_eq!(found, label.is_some());
        label
    };
    let first = id("dead");
    assert_eq!(shown(first), None, "nobody has said so");
    engine
        .set_dead_letters("q", Some(("dead", 5)))
        .expect("set");
    assert_eq!(shown(first).as_deref(), Some("dead"));
    assert_eq!(shown(id("q")), None, "another queue's id");
    assert_eq!(shown(0), None);
    assert_eq!(shown(first).as_deref(), Some("dead"));
    engine.delete_queue("dead").expect("deleted");
    assert_eq!(shown(first), None, "it is gone");
    engine.create_queue("dead", &small()).expect("another one");
    assert_ne!(id("dead"), first);
    assert_eq!(shown(first), None, "another one of that name");
    engine
        .set_dead_letters("q", Some(("dead", 5)))
        .expect("set");
    assert_eq!(shown(id("dead")).as_deref(), Some("dead"));
}

#[test]
fn a_forked_child_opens_the_engine_again() {
    let (dir, engine) = in_shm("fork");
    let queue = engine.create_queue("q", &small()).expect("a queue");
    // SAFETY: the child calls the library only, and then `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "forked");
    if pid == 0 {
        let forked = [
            engine.create_queue("r", &small()).map(|_| ()),
            engine.open_queue("q").map(|_| ()),
            engine.delete_queue("q"),
            engine.tag("q", "k", "v"),
            engine.queues("").map(|_| ()),
            engine.verify().map(|_| ()),
            engine.tend().map(|_| ()),
            queue.send(b"one").map(|_| ()),
        ];
        let all = forked.iter().all(|outcome| *outcome == Err(Error::Forked));
        let again = Engine::open(dir.path()).and_then(|engine| {
            let queue = engine.open_queue("q")?;
            queue.send(b"from the child")
        });
        let code = if all && again.is_ok() { 0 } else { 1 };
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the status is a live int.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
    assert_eq!(queue.stat().expect("figures").visible, 1);
    engine.delete_queue("q").expect("the turn is free");
}
