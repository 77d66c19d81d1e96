//! Streams that survive the machine, from the command line.

use std::fs;

use serde_json::json;

use super::streams::{made, put, text};
use super::{Outcome, Place, expect, json, refused, run, stat};

#[test]
fn a_stream_may_survive_the_machine() -> Outcome {
    let place = Place::new("stream-kept")?;
    let s = &made(&place, &["--durability", "before-ok"])?;
    put(s, "a", &["one", "two"])?;
    let figures = stat(s)?;
    assert_eq!(figures["durability"], "before-ok");
    assert_eq!(figures["damaged"], 0);
    let [position, durable] = ["position", "durable_position"].map(|key| figures[key].as_u64());
    assert_eq!(position, durable.map(|durable| durable + 1));
    let shard = &figures["positions"][0];
    assert_eq!(
        shard["durable_sequence_number"],
        shard["next_sequence_number"]
    );
    let shown = text(&run(&["stat", s])?);
    let line = shown.lines().find(|line| line.starts_with("durability"));
    assert!(
        line.is_some_and(|line| line.ends_with(" before-ok")),
        "{shown}"
    );
    let mirror = format!("{s}.mirror");
    let kept = fs::read(&mirror)?;
    fs::remove_file(&mirror)?;
    refused(
        &run(&["put", s, "--key", "a", "three"])?,
        1,
        "the region's mirror is missing",
    );
    refused(&run(&["verify", s])?, 1, "mirror");
    fs::write(&mirror, kept)?;
    expect(&run(&["tail", s])?, 0, "one\ntwo\n");
    let timed = &place.file("timed.stream");
    let create = [
        "create",
        timed,
        "--size",
        "1M",
        "--stream",
        "--durability",
        "50ms",
    ];
    expect(&run(&create)?, 0, "");
    assert_eq!(stat(timed)?["durability"], "interval 50 ms");
    let other = &place.file("other.stream");
    let create = [
        "create",
        other,
        "--size",
        "1M",
        "--stream",
        "--durability",
        "2h",
    ];
    refused(&run(&create)?, 1, "durability interval");
    assert!(!fs::exists(other)?, "nothing half-made stays behind");
    Ok(())
}

#[test]
fn an_engine_tells_of_it() -> Outcome {
    let place = Place::new("stream-kept-engine")?;
    let dir = &place.file("plant");
    expect(&run(&["init", dir])?, 0, "");
    let s = &format!("{dir}/telemetry");
    let create = [
        "create",
        s,
        "--size",
        "1M",
        "--stream",
        "--durability",
        "20ms",
    ];
    expect(&run(&create)?, 0, "");
    put(s, "a", &["one"])?;
    let told = json(&run(&["describe", s, "--json"])?)?;
    assert_eq!(
        (&told["durability"], &told["damaged"]),
        (&json!("interval 20 ms"), &json!(0))
    );
    let shown = text(&run(&["describe", s])?);
    assert!(
        shown.lines().any(|line| line.ends_with(" interval 20 ms")),
        "{shown}"
    );
    assert!(fs::exists(place.file("plant/telemetry.stream.mirror"))?);
    refused(&run(&["verify", dir])?, 0, "");
    expect(&run(&["delete-stream", s, "--yes"])?, 0, "");
    assert!(!fs::exists(place.file("plant/telemetry.stream.mirror"))?);
    Ok(())
}
