//! Each operation of the data path once, on an empty queue, without an allocation of its own.

use ringmain::{Clock, MessageState, Queue, Receipt, Region};
use std::time::Duration;

const BODIES: [&[u8]; 10] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"];
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs all operations and leaves the queue empty. `true`: each did what it should.
///
/// A failure is a value and not a panic, because a panic allocates and calls the system.
#[must_use]
pub fn run<R: Region, C: Clock>(queue: &Queue<R, C>) -> bool {
    one_by_one(queue).unwrap_or(false)
        && by_receipt(queue).unwrap_or(false)
        && by_tens(queue).unwrap_or(false)
        && by_tens_by_receipt(queue).unwrap_or(false)
        && in_place(queue).unwrap_or(false)
        && large(queue).unwrap_or(false)
        && peeking(queue).unwrap_or(false)
        && aside(queue).unwrap_or(false)
}

fn one_by_one<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    queue.send(b"one")?;
    let Some(mut received) = queue.receive()? else {
        return Ok(false);
    };
    let right = received.body() == b"one" && received.receive_count() == 1;
    received.extend(TIMEOUT)?;
    received.release()?;
    let Some(received) = queue.receive()? else {
        return Ok(false);
    };
    let again = received.receive_count() == 2;
    received.delete()?;
    Ok(right && again && queue.receive()?.is_none())
}

fn by_receipt<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    queue.send(b"two")?;
    let Some(received) = queue.receive()? else {
        return Ok(false);
    };
    let receipt = received.detach();
    queue.extend(&receipt, TIMEOUT)?;
    queue.release(&receipt)?;
    let mut buffer = [0; 8];
    let Some(copied) = queue.receive_into(&mut buffer)? else {
        return Ok(false);
    };
    let stale = queue.delete(&receipt).is_err();
    queue.delete(&copied.receipt)?;
    queue.delete(&copied.receipt)?;
    Ok(stale && &buffer[..copied.len] == b"two")
}

fn by_tens<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    let sent = queue.send_batch(&BODIES)?;
    if sent.iter().any(|outcome| outcome.is_err()) {
        return Ok(false);
    }
    let mut left = 10;
    while left != 0 {
        let mut batch = queue.receive_batch(10)?;
        let extended = batch.extend(TIMEOUT).iter().all(|outcome| outcome.is_ok());
        let len = batch.len();
        if len == 0 || !extended || batch.release().iter().any(|outcome| outcome.is_err()) {
            return Ok(false);
        }
        let batch = queue.receive_batch_for(len, TIMEOUT)?;
        left -= batch.len();
        if batch.is_empty() || batch.delete().iter().any(|outcome| outcome.is_err()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn by_tens_by_receipt<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    queue.send_batch(&BODIES)?;
    let mut left = 10;
    while left != 0 {
        let batch = queue.receive_batch(left)?;
        let mut receipts: [Option<Receipt>; 10] = [None; 10];
        let len = batch.len();
        for (receipt, received) in receipts.iter_mut().zip(batch) {
            *receipt = Some(received.detach());
        }
        let Some(first) = receipts[0] else {
            return Ok(false);
        };
        let mut known = [first; 10];
        for (known, receipt) in known.iter_mut().zip(receipts.iter().flatten()) {
            *known = *receipt;
        }
        let known = &known[..len];
        let extended = queue
            .extend_batch(known, TIMEOUT)?
            .iter()
            .all(|o| o.is_ok());
        let deleted = queue.delete_batch(known)?.iter().all(|o| o.is_ok());
        let released = queue.release_batch(known)?.iter().any(|o| o.is_ok());
        if !extended || !deleted || released {
            return Ok(false);
        }
        left -= len;
    }
    Ok(true)
}

fn in_place<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    let mut claim = queue.claim(5)?;
    claim.copy_from_slice(b"claim");
    claim.commit();
    queue.claim(5)?.abort();
    drop(queue.claim(5)?);
    let Some(received) = queue.receive()? else {
        return Ok(false);
    };
    let right = received.body() == b"claim";
    // Deleted by receipt while it is read in place: the slot waits for the reader.
    queue.delete(&received.receipt())?;
    let still = received.body() == b"claim";
    drop(received);
    Ok(right && still)
}

fn large<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    static LARGE: [u8; 12_000] = [7; 12_000];
    for len in [1, 600, 12_000] {
        let body = &LARGE[..len.min(queue.max_body())];
        queue.send(body)?;
        let Some(received) = queue.receive()? else {
            return Ok(false);
        };
        let right = received.body() == body;
        received.delete()?;
        if !right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A walk without receiving, while a message is visible, one in flight and one delayed.
fn peeking<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    queue.send(b"one")?;
    let Some(held) = queue.receive()? else {
        return Ok(false);
    };
    queue.send(b"two")?;
    let Some(next) = queue.peek()? else {
        return Ok(false);
    };
    let mut right = next.body() == b"two" && next.attributes().is_empty();
    let mut walk = queue.peeks();
    for peeked in &mut walk {
        let peeked = peeked?;
        right &= match peeked.state() {
            MessageState::Visible => peeked.id() == next.id(),
            _ => peeked.body() == held.body() && peeked.receive_count() == 1,
        };
    }
    right &= walk.passed() == 0;
    held.delete()?;
    let Some(received) = queue.receive()? else {
        return Ok(false);
    };
    received.delete()?;
    drop(next);
    Ok(right && queue.receive()?.is_none())
}

fn aside<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<bool, ringmain::Error> {
    queue.send(b"gone")?;
    let first = queue.stat()?.purged == 0;
    let right = match queue.purge() {
        Ok(purged) => purged == 1,
        // In the rounds after the first: then it goes by hand.
        Err(ringmain::Error::PurgedRecently {
            wait_ms: 1..=60_000,
        }) if !first => {
            let Some(received) = queue.receive()? else {
                return Ok(false);
            };
            received.delete()?;
            true
        }
        Err(error) => return Err(error),
    };
    let stat = queue.stat()?;
    Ok(right && stat.slots_free == stat.slots && queue.receive()?.is_none())
}
