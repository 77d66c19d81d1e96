//! Texts and bytes as receipts: what is read is written again as it was, and names nothing that is
//! not there.

use crate::ground::input::Input;
use ringmain::{Error, Heap, ManualClock, Queue, QueueOptions, Receipt};
use std::time::Duration;

/// The input: a text as it is, or numbers that are made into one.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let text = match kind % 3 {
        0 => String::from_utf8_lossy(input.rest()).into_owned(),
        1 => {
            let words = [input.word(), input.word(), input.word()];
            format!("{:016x}{:016x}{:016x}", words[0], words[1], words[2])
        }
        _ => near(kind, &mut input),
    };
    let receipt = match text.parse::<Receipt>() {
        Ok(receipt) => receipt,
        Err(error) => {
            assert_eq!(error, Error::MalformedReceipt, "{text:?}");
            let digits = text.len() == 48 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let digit = |at: usize| u8::from_str_radix(&text[at..=at], 16).unwrap_or(16);
            assert!(
                !digits || digit(16) > 3 || digit(32) > 3,
                "{text} is a receipt"
            );
            return;
        }
    };
    let written = receipt.to_string();
    assert_eq!(written, text.to_ascii_lowercase(), "written as it was read");
    assert_eq!(written.parse(), Ok(receipt), "and read again");
    assert_eq!(format!("{receipt:?}"), format!("Receipt({written})"));
    assert_eq!(written[..32], receipt.id().to_string());
    let id = u128::from_str_radix(&written[..32], 16).expect("digits");
    assert_eq!(receipt.id().as_u128(), id);
    assert!(receipt.sent_ms() < 1 << 44 && receipt.received_ms() < 1 << 44);
    used(&receipt);
}

/// A text that is nearly one: a receipt's digits with one place altered.
fn near(kind: u8, input: &mut Input<'_>) -> String {
    let mut text: Vec<char> = format!("{:048x}", u128::from(input.word()))
        .chars()
        .collect();
    let at = input.below(text.len());
    let odd = [
        'g',
        ' ',
        '-',
        '+',
        '\0',
        '\u{e9}',
        '\u{1f600}',
        'F',
        '4',
        '8',
    ];
    text[at] = odd[kind as usize % odd.len()];
    text.into_iter().collect()
}

/// A receipt that somebody made up does nothing to a queue.
fn used(receipt: &Receipt) {
    let clock = ManualClock::new(1000);
    let region = Heap::new(4096).expect("memory");
    let queue = Queue::create_with(&region, QueueOptions::new(), &clock).expect("a queue");
    queue.send(b"kept").expect("room");
    let received = queue.receive().expect("a receive").expect("the message");
    for result in [
        queue.delete(receipt),
        queue.release(receipt),
        queue.extend(receipt, Duration::ZERO),
    ] {
        // The queue's name has 32 bits, so a text may hit it, but not a message's stamp as well.
        let harmless = matches!(
            result,
            Ok(()) | Err(Error::ForeignReceipt | Error::MalformedReceipt | Error::NotInFlight)
        );
        assert!(harmless, "{receipt}: {result:?}");
    }
    assert_eq!(received.body(), b"kept");
    received.delete().expect("it was there all the time");
}
