//! A job queue: worker processes, one of which is killed in the midst of a job, and dead letters.
//!
//! The jobs are invoices to book. Ada, a worker, is killed with SIGKILL while she has one: it comes
//! back at once, long before its visibility timeout, and somebody else books it. Two invoices are
//! more than the workers' program understands: each is tried three times, later each time, and then
//! is a dead letter. Once the program is mended the dead letters are redriven, and all is booked.
//!
//! A message is delivered *at least once*. A worker that dies between booking a job and deleting it
//! has booked it, and it comes again: so here booking an invoice twice is the same as once.
//!
//! ```sh
//! cargo run --example jobs               # in a temporary directory: 2 seconds
//! cargo run --example jobs -- /tmp/jobs  # in this one, which stays
//! ```

use ringmain::{
    Engine, EngineQueue, Error, Message, QueueOptions, QueueSpec, RedriveOptions, RedriveState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::num::ParseIntError;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// The jobs: invoice 1, 2, 3 and so on. Cents came later than the workers' program.
const PRICES: [&str; 12] = [
    "120", "35", "80", "12.50", "7", "64", "99", "310", "0.99", "41", "5", "230",
];
const WITH_CENTS: [u32; 2] = [4, 9];
const TOTAL_CENTS: u64 = 100_449;

/// Longer than a job takes. A worker that dies is noticed at once, one that hangs after this time.
const VISIBILITY: Duration = Duration::from_secs(30);
/// What a job costs.
const WORK: Duration = Duration::from_millis(30);
/// How much later a failed job comes again, each time.
const BACK_OFF: Duration = Duration::from_millis(100);
/// The longest that anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let dir = std::env::temp_dir().join(format!("ringmain-jobs-{}", std::process::id()));
            let outcome = run(&dir);
            std::fs::remove_dir_all(&dir)?;
            outcome
        }
        ["worker", dir, program] => work(dir, program),
        [dir] => run(Path::new(dir)),
        _ => Err("usage: jobs [DIRECTORY]".into()),
    }
}

// ---- the worker

/// Takes jobs until the standard input ends, so that no worker outlives who has started it.
fn work(dir: &str, program: &str) -> Result<(), Failure> {
    let jobs = Engine::open(dir)?.open_queue("jobs")?;
    let stop = thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut taken = 0;
    while !stop.is_finished() {
        let Some(mut job) = jobs.receive_timeout(Duration::from_millis(200))? else {
            continue;
        };
        let invoice = job.attribute("invoice").and_then(|value| value.as_i64());
        let invoice = invoice.ok_or("a job without a number")?;
        println!("took {invoice} {}", job.receive_count());
        taken += 1;
        if program == "hangs" && taken == 2 {
            println!("hangs {invoice} 0");
            loop {
                thread::park();
            }
        }
        thread::sleep(WORK);
        match cents(job.body(), program == "mended") {
            Ok(cents) => {
                println!("booked {invoice} {cents}");
                match job.delete() {
                    // Stale: we took too long, and somebody else has it now. It bears that.
                    Ok(()) | Err(Error::StaleReceipt) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(_) => {
                println!("failed {invoice} 0");
                // `release` would bring it back at once. Dropped, it stays invisible until then.
                job.extend(BACK_OFF * job.receive_count())?;
            }
        }
    }
    Ok(())
}

/// A price in cents. Only the mended program knows that a price may have some.
fn cents(price: &[u8], is_mended: bool) -> Result<u64, ParseIntError> {
    let price = String::from_utf8_lossy(price);
    let (whole, part) = match price.split_once('.') {
        Some(parts) if is_mended => parts,
        _ => (&*price, "00"),
    };
    Ok(whole.parse::<u64>()? * 100 + part.parse::<u64>()?)
}

// ---- who sends the jobs and starts the workers

/// A line of a worker.
struct Event {
    worker: &'static str,
    verb: String,
    invoice: u32,
    number: u64,
}

impl Event {
    fn parse(worker: &'static str, line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            worker,
            verb: words.next()?.into(),
            invoice: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        })
    }
}

/// A worker process, and the thread that listens to it.
struct Worker {
    process: Child,
    listener: JoinHandle<()>,
}

impl Worker {
    fn start(
        dir: &Path,
        name: &'static str,
        program: &str,
        events: &Sender<Event>,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("worker")
            .args([dir.as_os_str(), program.as_ref()])
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

/// What was booked, and by whom.
struct Ledger {
    events: Receiver<Event>,
    cents: BTreeMap<u32, u64>,
    by: BTreeMap<&'static str, BTreeSet<u32>>,
    again: u32,
}

impl Ledger {
    fn enter(&mut self, event: &Event) {
        match event.verb.as_str() {
            "took" => self.again += u32::from(event.number > 1),
            "booked" => {
                // Perhaps for the second time: the same entry.
                self.cents.insert(event.invoice, event.number);
                self.by
                    .entry(event.worker)
                    .or_default()
                    .insert(event.invoice);
            }
            _ => {}
        }
    }

    /// Listens until something is said.
    fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
        loop {
            let event = self.events.recv_timeout(PATIENCE)?;
            self.enter(&event);
            if is_it(&event) {
                return Ok(event);
            }
        }
    }

    /// Listens until no job is left, then ends the workers.
    fn finish<const N: usize>(
        &mut self,
        jobs: &EngineQueue,
        workers: [Worker; N],
    ) -> Result<(), Failure> {
        let begin = Instant::now();
        loop {
            let stats = jobs.stat()?;
            if stats.visible + stats.in_flight == 0 {
                break;
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("jobs are left: {stats:?}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        workers.into_iter().try_for_each(Worker::stop)?;
        while let Ok(event) = self.events.try_recv() {
            self.enter(&event);
        }
        Ok(())
    }
}

fn run(dir: &Path) -> Result<(), Failure> {
    let engine = Engine::open_or_create(dir)?;
    let dead = engine.create_queue("jobs-dead", &QueueSpec::new().bytes(1 << 20))?;
    let spec = QueueSpec::new()
        .options(QueueOptions::new().visibility(VISIBILITY))
        .bytes(1 << 20)
        .dead_letters("jobs-dead", 3);
    let jobs = engine.create_queue("jobs", &spec)?;
    for (invoice, price) in (1..).zip(PRICES) {
        jobs.send_message(&Message::new(price).integer("invoice", invoice)?)?;
    }
    println!("sent: {} jobs", PRICES.len());

    let (said, events) = mpsc::channel();
    let mut ledger = Ledger {
        events,
        cents: BTreeMap::new(),
        by: BTreeMap::new(),
        again: 0,
    };
    let mut ada = Worker::start(dir, "ada", "hangs", &said)?;
    let lost = ledger.wait_for(|event| event.verb == "hangs")?.invoice;
    let ben = Worker::start(dir, "ben", "first", &said)?;
    let cyd = Worker::start(dir, "cyd", "first", &said)?;
    ada.process.kill()?; // SIGKILL
    let killed = Instant::now();
    println!("killed: ada, with invoice {lost} in hand");
    let taken = ledger.wait_for(|event| event.verb == "took" && event.invoice == lost)?;
    let after = killed.elapsed();
    println!(
        "taken by {}: invoice {lost}, {} ms later",
        taken.worker,
        after.as_millis()
    );
    assert!(
        after < VISIBILITY / 2,
        "it came back by the death, not by time"
    );
    assert!(ada.stop().is_err(), "she was killed");
    ledger.finish(&jobs, [ben, cyd])?;

    let letters = read_letters(&dead)?;
    assert_eq!(
        letters,
        BTreeSet::from(WITH_CENTS),
        "the others were booked"
    );

    let dan = Worker::start(dir, "dan", "mended", &said)?;
    engine.start_redrive("jobs-dead", &RedriveOptions::new())?;
    let redrive = engine.run_redrive("jobs-dead")?;
    println!("redriven: {redrive}");
    assert_eq!(redrive.state, RedriveState::Completed);
    ledger.finish(&jobs, [dan])?;

    for (worker, invoices) in &ledger.by {
        println!("booked by {worker}: {invoices:?}");
    }
    println!("came again: {}", ledger.again);
    // Each with cents came twice after its first time; Ada's, unless it is one of them, once.
    assert!(ledger.again >= 4, "their counts tell it");
    assert_eq!(ledger.cents.len(), PRICES.len(), "each invoice is booked");
    let sum: u64 = ledger.cents.values().sum();
    assert_eq!(sum, TOTAL_CENTS, "at its price");
    let report = engine.verify()?;
    println!("the engine: {report}");
    assert!(report.is_clean());
    Ok(())
}

/// Prints the dead letters and leaves them where they are; their invoices.
fn read_letters(dead: &EngineQueue) -> Result<BTreeSet<u32>, Failure> {
    let (mut letters, mut invoices) = (Vec::new(), BTreeSet::new());
    while let Some(letter) = dead.receive()? {
        let invoice = letter.attribute("invoice").and_then(|value| value.as_i64());
        let invoice = u32::try_from(invoice.ok_or("a letter without a number")?)?;
        println!(
            "dead letter: invoice {invoice}, {:?}, from {}, received {} times before",
            String::from_utf8_lossy(letter.body()),
            letter.source().unwrap_or("nowhere"),
            letter.receive_count() - 1
        );
        invoices.insert(invoice);
        letters.push(letter); // held, so that the next receive finds another
    }
    for letter in letters {
        letter.release()?;
    }
    Ok(invoices)
}
