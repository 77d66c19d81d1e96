//! Consumers of a stream: registered, shown, read for and removed.

use serde_json::json;

use super::streams::{lines, made, put, text};
use super::{Outcome, Place, expect, refused, run};

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
