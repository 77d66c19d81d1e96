//! Messages with attributes, encoded and read back; bytes that nobody encoded; numbers held against
//! a plain reckoning of their digits.
#![cfg(not(ringmain_loom))]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use ringmain::{Attributes, Error, Message, Value};
use std::fmt::Debug;

/// Runs cases, the same ones each time: a failure comes again.
fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, test);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// A value that owns what it says.
#[derive(Debug, Clone, PartialEq)]
enum Owned {
    String(String),
    Number(String),
    Binary(Vec<u8>),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Owned::String(text) => Value::String(text),
            Owned::Number(text) => Value::Number(text),
            Owned::Binary(bytes) => Value::Binary(bytes),
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        "[\\t\\n\\r -~é\u{fffd}\u{1f600}]{1,60}".prop_map(Owned::String),
        "[+-]?[0-9]{1,20}(\\.[0-9]{0,17})?([eE][+-]?[0-9]{1,2})?".prop_map(Owned::Number),
        vec(any::<u8>(), 1..60).prop_map(Owned::Binary),
    ]
}

/// Up to ten attributes, their names in some order.
fn attributes() -> impl Strategy<Value = Vec<(String, Owned)>> {
    let name = prop_oneof![
        8 => "[A-Za-z0-9_-]{1,8}(\\.[A-Za-z0-9_-]{1,4}){0,3}",
        1 => "[A-Za-z0-9_-]{200,256}",
    ];
    btree_map(name, owned(), 0..=10)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn message<'a>(body: &'a [u8], attributes: &'a [(String, Owned)]) -> Result<Message<'a>, Error> {
    let mut attributes = attributes.iter();
    attributes.try_fold(Message::new(body), |message, (name, owned)| {
        message.attribute(name, owned.value())
    })
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0xaa; message.attributes_len()];
    let len = message.encode_attributes(&mut bytes).expect("room");
    assert_eq!(len, bytes.len());
    bytes
}

#[test]
fn what_is_encoded_is_read_back() {
    run(2_000, attributes(), |attributes| {
        let message =
            message(b"body", &attributes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let bytes = encoded(&message);
        let read = Attributes::new(&bytes);
        let pairs = attributes
            .iter()
            .map(|(name, owned)| (name.as_str(), owned.value()));
        prop_assert!(read.iter().eq(pairs.clone()));
        prop_assert!(message.attributes().eq(pairs.clone()));
        prop_assert!(read.is_sound());
        prop_assert!(Attributes::verify(&bytes, attributes.len()));
        prop_assert!(!Attributes::verify(&bytes, attributes.len() + 1));
        prop_assert_eq!(read.len(), attributes.len());
        prop_assert_eq!(read.is_empty(), attributes.is_empty());
        for (name, value) in pairs {
            prop_assert_eq!(read.get(name), Some(value));
        }
        prop_assert_eq!(read.get("no one's name"), None);
        let counted: usize = attributes.iter().fold(4, |sum, (name, owned)| {
            sum + name.len() + 6 + owned.value().as_bytes().len() // each type's name has six
        });
        prop_assert_eq!(message.size(), counted);
        prop_assert_eq!(bytes.len(), counted - 4 + 2 * attributes.len());
        Ok(())
    });
}

/// Reads in every way there is, and holds the ways against each other.
fn read_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let attributes = Attributes::new(bytes);
    let (framed, read) = (attributes.len(), attributes.iter().count());
    prop_assert!(read <= framed && framed <= 10);
    prop_assert_eq!(attributes.is_empty(), framed == 0);
    for (name, value) in attributes {
        prop_assert!(attributes.get(name).is_some());
        // They lie in the bytes, and nowhere else.
        for part in [name.as_bytes(), value.as_bytes()] {
            prop_assert!(bytes.as_ptr_range().contains(&part.as_ptr()));
            prop_assert!(part.as_ptr_range().end <= bytes.as_ptr_range().end);
        }
        let _ = (value.as_i64(), value.as_f64(), value.to_string());
    }
    let verified: Vec<usize> = (0..12).filter(|n| Attributes::verify(bytes, *n)).collect();
    prop_assert!(verified.is_empty() || verified == [framed]);
    if attributes.is_sound() {
        prop_assert_eq!(verified, vec![framed]);
        prop_assert_eq!(read, framed);
        // What is sound can be sent again, and gives the same bytes.
        let again = attributes
            .iter()
            .try_fold(Message::new("x"), |message, (name, value)| {
                message.attribute(name, value)
            });
        prop_assert_eq!(encoded(&again.expect("sound")), bytes);
    }
    let _ = format!("{attributes:?}");
    Ok(())
}

#[test]
fn bytes_that_nobody_encoded_are_read_without_harm() {
    run(4_000, vec(any::<u8>(), 0..300), |bytes| read_all(&bytes));
    // Small numbers: heads that nearly fit.
    run(8_000, vec(0u8..5, 0..60), |bytes| read_all(&bytes));
}

#[test]
fn altered_bytes_are_read_without_harm() {
    let alterations = vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let cut = prop::option::of(any::<prop::sample::Index>());
    run(
        4_000,
        (attributes(), alterations, cut),
        |(attributes, alterations, cut)| {
            let mut bytes = encoded(&message(b"body", &attributes).expect("sound attributes"));
            if bytes.is_empty() {
                return Ok(());
            }
            for (index, byte) in alterations {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            read_all(&bytes)
        },
    );
}

#[test]
fn a_cut_is_noticed_wherever_it_falls() {
    run(60, attributes(), |attributes| {
        let bytes = encoded(&message(b"body", &attributes).expect("sound attributes"));
        for len in 0..bytes.len() {
            prop_assert!(!Attributes::verify(&bytes[..len], attributes.len()));
            read_all(&bytes[..len])?;
        }
        Ok(())
    });
}

/// Whether a number of these digits (the first and the last not zero) is allowed, with the point
/// `exponent` places behind the last of them.
fn is_allowed(digits: &str, exponent: i64) -> bool {
    let first = exponent + digits.len() as i64 - 1;
    digits.len() <= 38 && first >= -128 && (first < 126 || (first == 126 && digits == "1"))
}

#[test]
fn numbers_are_bounded_however_they_are_written() {
    let digits = prop_oneof!["[1-9]", "[1-9][0-9]{0,17}[1-9]", "[1-9][0-9]{34,38}[1-9]"];
    let near = prop_oneof![-180i64..150, -130i64..-126, 85i64..130];
    // Zeros before and behind, the point moved, a sign, and the exponent made up for it.
    let form = (
        "[+-]?",
        0usize..50,
        0usize..50,
        any::<prop::sample::Index>(),
    );
    run(
        20_000,
        (digits, near, form),
        |(digits, exponent, (sign, before, behind, point))| {
            let mut text = format!("{}{digits}{}", "0".repeat(before), "0".repeat(behind));
            let point = point.index(text.len() + 1);
            let written = exponent - behind as i64 + (text.len() - point) as i64;
            text.insert(point, '.');
            let text = format!("{sign}{text}e{written}");
            let result = Message::new("x").number("n", &text);
            prop_assert_eq!(result.is_ok(), is_allowed(&digits, exponent), "{}", text);
            if let Err(error) = result {
                let of_the_value = matches!(error, Error::AttributeValue { .. });
                prop_assert!(of_the_value);
                return Ok(());
            }
            let plain = format!("{sign}{digits}e{exponent}");
            prop_assert_eq!(Value::Number(&text).as_f64(), plain.parse().ok());
            let zeros = "0".repeat(usize::try_from(exponent).unwrap_or(0));
            let whole: Option<i64> = format!("{sign}{digits}{zeros}").parse().ok();
            prop_assert_eq!(
                Value::Number(&text).as_i64(),
                whole.filter(|_| exponent >= 0)
            );
            Ok(())
        },
    );
}

#[test]
fn each_error_tells_its_limit() {
    fn text(result: Result<Message<'_>, Error>) -> String {
        result.expect_err("a rule is broken").to_string()
    }
    let new = || Message::new("x");
    let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let ten = ten
        .iter()
        .try_fold(new(), |message, name| message.integer(name, 1));
    let ten = ten.expect("ten fit");
    let long = "n".repeat(257);
    let name = "the attribute's name is refused at byte";
    let value = "the attribute's value is refused at byte";
    let nines = "9".repeat(39);
    let expected = [
        (
            text(ten.integer("k", 1)),
            "11 attributes; a message has at most 10".to_string(),
        ),
        (
            text(new().integer("", 1)),
            format!("{name} 0: a name has 1 to 256 characters"),
        ),
        (
            text(new().integer(&long, 1)),
            format!("{name} 256: a name has 1 to 256 characters"),
        ),
        (
            text(new().integer("a/b", 1)),
            format!("{name} 1: a name has letters A-Z and a-z, digits, and the marks _ - . alone"),
        ),
        (
            text(new().integer("ab.", 1)),
            format!("{name} 2: a name neither begins nor ends with a full stop"),
        ),
        (
            text(new().integer("a..b", 1)),
            format!("{name} 2: a name has no two full stops in a row"),
        ),
        (
            text(
                new()
                    .integer("a", 1)
                    .and_then(|message| message.string("a", "b")),
            ),
            "attributes 0 and 1 have one name; names differ in a message".to_string(),
        ),
        (
            text(new().binary("a", "")),
            format!("{value} 0: a value has at least 1 byte"),
        ),
        (
            text(new().string("a", "b\u{7}")),
            format!(
                "{value} 1: text has no control characters but tab, LF and CR, and neither U+FFFE \
                 nor U+FFFF"
            ),
        ),
        (
            text(new().number("a", "1,5")),
            format!(
                "{value} 1: a number is decimal digits, with at most a sign, a point and an \
                 exponent"
            ),
        ),
        (
            text(new().number("a", &nines)),
            format!("{value} 38: a number has at most 38 significant digits"),
        ),
        (
            text(new().number("a", "1e127")),
            format!("{value} 0: a number is zero, or from 1e-128 to 1e126 without its sign"),
        ),
    ];
    for (found, expected) in expected {
        assert_eq!(found, expected);
    }
    let error = Error::BufferTooSmall { needed: 8, len: 7 };
    assert_eq!(error.to_string(), "the buffer has 7 bytes; 8 are needed");
}
