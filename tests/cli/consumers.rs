//! Consumers of a stream: registered, shown, read for and removed.

use serde_json::json;

use super::streams::{lines, made, put, text};
use super::{Outcome, Place, expect, refused, run, stat};

#[test]
fn consumers_come_and_go() -> Outcome {
    let place = Place::new("consumers")?;
    let s = &made(&place, &["--consumers", "2", "--provisioned"])?;
    expect(&run(&["consumers", s, "--json"])?, 0, "");
    for name in ["index", "audit"] {
        expect(&run(&["register-consumer", s, name])?, 0, "");
    }
    let told = lines(&run(&["consumers", s, "--json"])?)?;
    let names: Vec<_> = told.iter().map(|line| &line["name"]).collect();
    assert_eq!(names, [&json!("audit"), &json!("index")]);
    assert!(
        told.iter()
            .all(|line| line["created_ms"].as_u64() > Some(1_700_000_000_000))
    );
    let table = text(&run(&["consumers", s])?);
    assert!(table.starts_with("CONSUMER"), "{table}");
    assert!(
        table.contains("audit") && table.lines().count() == 3,
        "{table}"
    );

    refused(
        &run(&["register-consumer", s, "audit"])?,
        1,
        "is registered",
    );
    refused(&run(&["register-consumer", s, "more"])?, 1, "2 consumers");
    refused(&run(&["register-consumer", s, "a b"])?, 1, "at byte 1");
    refused(&run(&["deregister-consumer", s, "more"])?, 1, "no consumer");
    refused(&run(&["tail", s, "--consumer", "more"])?, 1, "no consumer");

    put(s, "a", &["one", "two"])?;
    let tail = ["tail", s, "--consumer", "audit"];
    expect(&run(&tail)?, 0, "one\ntwo\n");
    expect(&run(&["deregister-consumer", s, "audit"])?, 0, "");
    refused(&run(&tail)?, 1, "no consumer");
    let told = lines(&run(&["consumers", s, "--json"])?)?;
    assert_eq!((told.len(), &told[0]["name"]), (1, &json!("index")));
    refused(&run(&["create", s, "--consumers", "2"])?, 2, "--stream");
    Ok(())
}

#[test]
fn they_are_described_by_name() -> Outcome {
    let place = Place::new("consumers-named")?;
    let dir = place.file("plant");
    expect(&run(&["init", &dir])?, 0, "");
    let s = &format!("{dir}/telemetry");
    expect(&run(&["create", s, "--stream", "--size", "1M"])?, 0, "");
    expect(&run(&["register-consumer", s, "audit"])?, 0, "");
    let told = &lines(&run(&["describe", s, "--json"])?)?[0];
    assert_eq!(
        (&told["consumers"], &told["consumers_max"]),
        (&json!(["audit"]), &json!(20))
    );
    let told = text(&run(&["describe", s])?);
    assert!(told.contains("consumers        audit"), "{told}");
    Ok(())
}

#[test]
fn where_they_stand_is_shown() -> Outcome {
    let place = Place::new("consumers-stand")?;
    let s = &made(&place, &["--shards", "2", "--consumers", "3"])?;
    for name in ["index", "audit"] {
        expect(&run(&["register-consumer", s, name])?, 0, "");
    }
    put(s, "a", &["one", "two", "three"])?;
    let tail = ["tail", s, "--consumer", "audit", "--max", "3"];
    expect(&run(&tail)?, 0, "one\ntwo\nthree\n");
    put(s, "a", &["four", "five"])?;
    let told = stat(s)?;
    let consumers = told["consumers"].as_array().ok_or("a list")?;
    assert_eq!(consumers.len(), 2);
    let [audit, index] = [&consumers[0], &consumers[1]];
    assert_eq!(
        (&audit["name"], &index["name"]),
        (&json!("audit"), &json!("index"))
    );
    assert_eq!(
        (&audit["lag_records"], &audit["subscribed"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(
        (&audit["lag_bytes"], &index["lag_records"]),
        (&json!(128), &json!(null))
    );
    let shards = audit["shards"].as_array().ok_or("a list")?;
    let lags: Vec<_> = shards.iter().map(|shard| &shard["lag_records"]).collect();
    assert_eq!(shards.len(), 2);
    assert!(lags.contains(&&json!(2)), "{lags:?}");
    let table = text(&run(&["stat", s])?);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name));
    let audit = row("consumer audit").ok_or("a row")?;
    assert!(audit.contains("2 records behind") && audit.ends_with("subscribed to 0 of 2"));
    assert!(
        row("consumer index")
            .ok_or("a row")?
            .contains("nothing read")
    );
    Ok(())
}

/// A name that nobody has written so: its second letter is a blank.
#[test]
fn a_damaged_name_is_found() -> Outcome {
    use std::os::unix::fs::FileExt;
    let place = Place::new("consumers-damaged")?;
    let s = &made(&place, &["--consumers", "1"])?;
    expect(&run(&["register-consumer", s, "audit"])?, 0, "");
    assert_eq!(run(&["verify", s])?.status.code(), Some(0));
    let bytes = std::fs::read(s)?;
    let at = bytes
        .windows(5)
        .position(|five| five == b"audit")
        .ok_or("its name")?;
    let file = std::fs::File::options().write(true).open(s)?;
    file.write_all_at(b" ", at as u64 + 1)?;
    let output = run(&["verify", s, "--json"])?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = &lines(&output)?[0];
    assert_eq!(told["file"], "consumers");
    assert!(
        told["problem"]
            .as_str()
            .ok_or("words")?
            .contains("name of a consumer")
    );
    // The figures of the stream are shown without it.
    assert_eq!(stat(s)?["consumers"], json!([]));
    Ok(())
}
