//! Each operation of a stream's data path once, without an allocation of its own.

use ringmain::{Clock, Error, Region, Start, Stream, StreamEntry};
use std::time::Duration;

/// Puts by each way, and reads it all. `true`: each did what it should. A failure is a value and
/// not a panic, because a panic allocates and calls the system.
#[must_use]
pub fn run<R: Region, C: Clock>(stream: &Stream<R, C>) -> bool {
    through(stream).unwrap_or(false)
}

fn through<R: Region, C: Clock>(stream: &Stream<R, C>) -> Result<bool, Error> {
    static LONG: [u8; 2000] = [7; 2000];
    let shard = stream.shard_of(0)?;
    let mut cursor = stream.cursor(shard, Start::Latest)?;
    let first = StreamEntry::new("one", b"one").hash(0);
    let put = stream.put_entry(&first)?;
    let long = StreamEntry::new("long", &LONG).hash(0);
    let mut refused = 0;
    stream.put_batch(&[long, first, long], |_, outcome| {
        refused += u32::from(outcome.is_err());
    })?;
    stream.put("by its key", &LONG[..100])?;
    let mut writer = stream.writer(shard)?;
    writer.put_entry(&StreamEntry::new("by its key", &LONG[..100]).hash(0))?;
    drop(writer);
    let mut claim = stream.claim("in place", 300)?;
    claim.fill(9);
    claim.commit().expect("committed");
    drop(stream.claim("given up", 300)?);
    let (mut read, mut right) = (0, refused == 0);
    for max in [1, 2, 100, 100] {
        let records = cursor.read(max)?;
        for record in &records {
            right &= match record.key()? {
                "one" => record.data() == b"one",
                "long" => record.data() == LONG,
                "by its key" => record.data() == &LONG[..100],
                _ => record.data() == [9; 300],
            };
            read += 1;
        }
    }
    // Records may lie in two segments, so that the last of them are read on.
    while cursor.position() != stream.stat(shard)?.tail {
        read += cursor.read(100)?.len();
    }
    let mut again = stream.cursor(shard, Start::At(put.sequence))?;
    right &= again.read_timeout(1, Duration::from_secs(1))?.len() == 1; // there at once
    again.seek(Start::Oldest)?;
    right &= again.read(1)?.len() == 1 && again.lag()?.records > 0;
    Ok(right && read >= 4)
}
