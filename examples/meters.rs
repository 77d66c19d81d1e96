//! Meter readings for a stream that takes a thousand records in a second and not more.
//!
//! The stream has the quotas of Kinesis. A producer puts 3000 readings of 20 meters: what the quota
//! refuses it tries again, after the time that the quota tells and a random one, and the readings
//! of each meter keep their order. Then another one puts as many and packs them: a packed record is
//! one against the quota, whatever is in it. At the end all is read, and each meter's readings are
//! looked through.
//!
//! ```sh
//! cargo run --release --example meters   # 4 seconds
//! ```

use ringmain::{
    Error, Heap, ProducerOptions, PutOutcome, Start, Stream, StreamOptions, StreamProducer,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const METERS: u32 = 20;
const READINGS: u32 = 3000;

fn main() -> Result<(), Error> {
    let stream = Stream::create(Heap::new(8 << 20)?, StreamOptions::new().quota(true))?;
    let options = ProducerOptions::new().linger(Duration::from_millis(50));
    produce(&stream, "one by one", 0, options)?;
    produce(&stream, "packed", READINGS, options.aggregate(16 << 10))?;

    let mut cursor = stream.cursor(stream.shard_of(0)?, Start::Oldest)?;
    let (mut records, mut latest) = (0, BTreeMap::new());
    loop {
        let read = cursor.read(1000)?;
        if read.is_empty() {
            break;
        }
        for part in read.iter().flat_map(|record| record.parts()) {
            let part = part?;
            let reading: &[u8; 4] = part.data().first_chunk().expect("a reading");
            let reading = u32::from_le_bytes(*reading);
            let before = latest.insert(part.key()?.to_owned(), reading);
            assert!(
                before.is_none_or(|before| before + METERS == reading),
                "in order"
            );
        }
        records += read.len();
    }
    println!(
        "{records} records hold {} readings, each meter's in order",
        2 * READINGS
    );
    assert_eq!(latest.len() as u32, METERS);
    Ok(())
}

/// Puts readings from a number on, and says what became of them.
fn produce(
    stream: &Stream<Heap>,
    how: &str,
    from: u32,
    options: ProducerOptions,
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut producer = StreamProducer::new(stream, options)?;
    let (mut put, mut again) = (0, 0);
    let mut look = |outcome: PutOutcome| match outcome.result {
        Ok(_) => (put, again) = (put + 1, again + u32::from(outcome.attempts > 1)),
        Err(error) => println!("reading {} is lost: {error}", outcome.token),
    };
    for n in from..from + READINGS {
        let meter = format!("meter-{}", n % METERS);
        // A full producer has room again when it has put something, or when outcomes are taken.
        while let Err(error) = producer.put(&meter, &n.to_le_bytes()) {
            if !matches!(error, Error::BufferFull { .. }) {
                return Err(error);
            }
            producer.poll_timeout(Duration::from_secs(1))?;
            std::iter::from_fn(|| producer.next_outcome()).for_each(&mut look);
        }
    }
    while producer.flush_timeout(Duration::from_secs(20))? != 0 {}
    producer.close(&mut look);
    let took = begun.elapsed().as_secs_f64();
    println!("{how}: {put} readings in {took:.2} s, of which {again} were tried again");
    Ok(())
}
