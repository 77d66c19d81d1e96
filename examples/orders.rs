//! Orders of customers: many customers at once, and those of one customer in their order, whoever
//! dies.
//!
//! Each customer is a group of a FIFO queue in a file. Three workers, processes of their own, take
//! orders and enter them into one book. While one has an order of a customer in hand, nobody gets
//! the customer's next one. Ada, a worker, is killed with SIGKILL while she has one: it comes back
//! at once, long before its visibility timeout, and before the customer's next. The shop sends each
//! order twice, as one does that has not heard whether the first time was heard: the second is
//! accepted and not delivered.
//!
//! A message is received *at least once*. A worker that dies between entering an order and deleting
//! it has entered it, and it comes again; so a line of the book may stand there twice in a row.
//!
//! ```sh
//! cargo run --example orders              # in a temporary directory: 1 second
//! cargo run --example orders -- /tmp/shop # in this one, which stays
//! ```

use ringmain::{FifoOptions, FifoQueue, Mapped};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

const CUSTOMERS: [&str; 5] = ["ines", "jon", "kim", "lea", "max"];
/// Orders of each customer: 1, 2, 3 and so on.
const ORDERS: u32 = 8;
/// Longer than an order takes. Who dies is noticed at once, and who hangs after this time.
const VISIBILITY: Duration = Duration::from_secs(30);
/// What an order costs.
const WORK: Duration = Duration::from_millis(20);
/// The longest that anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let dir = std::env::temp_dir().join(format!("ringmain-orders-{}", std::process::id()));
            let outcome = run(&dir);
            fs::remove_dir_all(&dir)?;
            outcome
        }
        ["worker", dir, name] => work(Path::new(dir), name),
        [dir] => run(Path::new(dir)),
        _ => Err("usage: orders [DIRECTORY]".into()),
    }
}

fn open(dir: &Path) -> Result<FifoQueue<Mapped>, ringmain::Error> {
    let region = Mapped::open_or_create(dir.join("orders.ring"), 1 << 20)?;
    FifoQueue::open_or_create(region, FifoOptions::new().visibility(VISIBILITY))
}

// ---- the worker

/// Takes orders until the standard input ends, so that no worker outlives who has started it.
fn work(dir: &Path, name: &str) -> Result<(), Failure> {
    let orders = open(dir)?;
    // What is appended by one write stands in one piece, and in the order of the writes.
    let mut book = File::options().append(true).open(dir.join("book"))?;
    let stop = thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut taken = 0;
    while !stop.is_finished() {
        let Some(order) = orders.receive_timeout(Duration::from_millis(200))? else {
            continue;
        };
        let customer = order.group().ok_or("an order without a customer")?;
        let number = String::from_utf8_lossy(order.body()).into_owned();
        println!("took {customer} {number} {}", order.receive_count());
        taken += 1;
        if name == "ada" && taken == 3 {
            println!("hangs {customer} {number} 0");
            loop {
                thread::park();
            }
        }
        thread::sleep(WORK);
        book.write_all(format!("{customer} {number} {name}\n").as_bytes())?;
        println!("entered {customer} {number} 0");
        // Only now may anybody have the customer's next one.
        order.delete()?;
    }
    Ok(())
}

// ---- the shop, which starts the workers

/// A line of a worker.
#[derive(Debug, PartialEq)]
struct Event {
    worker: &'static str,
    verb: String,
    order: (String, u32),
    receives: u32,
}

impl Event {
    fn parse(worker: &'static str, line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            worker,
            verb: words.next()?.into(),
            order: (words.next()?.into(), words.next()?.parse().ok()?),
            receives: words.next()?.parse().ok()?,
        })
    }
}

/// A worker process, and the thread that listens to it.
struct Worker {
    process: Child,
    listener: JoinHandle<()>,
}

impl Worker {
    fn start(dir: &Path, name: &'static str, events: &Sender<Event>) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("worker")
            .args([dir.as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("its output")?).lines();
        let events = events.clone();
        let listener = thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            for event in lines.filter_map(|line| Event::parse(name, &line)) {
                let _ = events.send(event); // nobody listens any more: we are ending
            }
        });
        Ok(Self { process, listener })
    }

    /// Ends it in good order: what it has in hand it brings to an end.
    fn stop(mut self) -> Result<(), Failure> {
        let status = self.process.wait()?; // closes its standard input first
        self.listener.join().map_err(|_| "the listener panicked")?;
        if status.success() {
            return Ok(());
        }
        Err(format!("a worker failed: {status}").into())
    }
}

/// What the workers have said.
struct Said {
    events: Receiver<Event>,
    entered: BTreeSet<(String, u32)>,
}

impl Said {
    /// Listens until something is said.
    fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
        loop {
            let event = self.events.recv_timeout(PATIENCE)?;
            if event.verb == "entered" {
                self.entered.insert(event.order.clone());
            }
            if is_it(&event) {
                return Ok(event);
            }
        }
    }
}

/// Sends each order twice: how many were accepted as new.
fn send(orders: &FifoQueue<Mapped>) -> Result<usize, Failure> {
    let mut new = 0;
    for number in 1..=ORDERS {
        for customer in CUSTOMERS {
            let id = format!("{customer}-{number}");
            for _ in 0..2 {
                let sent = orders.send(customer, &*id, number.to_string().as_bytes())?;
                new += usize::from(!sent.is_duplicate);
            }
        }
    }
    Ok(new)
}

fn run(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    File::create(dir.join("book"))?;
    let orders = open(dir)?;
    let all = CUSTOMERS.len() * ORDERS as usize;
    let new = send(&orders)?;
    println!("sent: {all} orders, each twice; accepted once: {new}");
    assert_eq!(new, all);

    let (tell, events) = mpsc::channel();
    let entered = BTreeSet::new();
    let mut said = Said { events, entered };
    let begun = Instant::now();
    let mut ada = Worker::start(dir, "ada", &tell)?;
    let lost = said.wait_for(|event| event.verb == "hangs")?.order;
    let others = ["ben", "cyd"].map(|name| Worker::start(dir, name, &tell));
    ada.process.kill()?; // SIGKILL
    let killed = Instant::now();
    println!("killed: ada, with order {} of {} in hand", lost.1, lost.0);
    let is_again = |event: &Event| event.verb == "took" && event.worker != "ada";
    let taken = said.wait_for(|event| is_again(event) && event.order == lost)?;
    let (after, ms) = (killed.elapsed(), killed.elapsed().as_millis());
    println!("taken by {}: the same order, {ms} ms later", taken.worker);
    assert!(
        after < VISIBILITY / 2,
        "it came back by the death, not by time"
    );
    assert_eq!(taken.receives, 2, "its count tells it");
    assert!(ada.stop().is_err(), "she was killed");
    while said.entered.len() < all {
        said.wait_for(|event| event.verb == "entered")?;
    }
    println!("entered: all, after {} ms", begun.elapsed().as_millis());
    for worker in others {
        worker?.stop()?;
    }
    let stat = orders.stat()?;
    assert_eq!((stat.visible, stat.in_flight), (0, 0), "nothing is left");
    check(&fs::read_to_string(dir.join("book"))?)
}

/// Reads the book: each customer's orders stand in their order, and none is missing.
fn check(book: &str) -> Result<(), Failure> {
    let (mut numbers, mut by) = (BTreeMap::new(), BTreeMap::new());
    for line in book.lines() {
        let mut words = line.split(' ');
        let (customer, number) = (
            words.next().ok_or("a name")?,
            words.next().ok_or("a number")?,
        );
        let number: u32 = number.parse()?;
        let list: &mut Vec<u32> = numbers.entry(customer).or_default();
        if list.last() != Some(&number) {
            list.push(number); // or it came again
        }
        let worker = words.next().ok_or("a worker")?;
        by.entry(worker)
            .or_insert_with(BTreeSet::new)
            .insert(customer);
    }
    for (worker, customers) in &by {
        println!("{worker} had orders of {customers:?}");
    }
    let expected: Vec<u32> = (1..=ORDERS).collect();
    for customer in CUSTOMERS {
        let found = numbers.get(customer).ok_or("a customer without orders")?;
        println!("{customer}: {found:?}");
        assert_eq!(*found, expected, "the orders of {customer}, in their order");
    }
    println!("each customer's orders are in order");
    Ok(())
}
