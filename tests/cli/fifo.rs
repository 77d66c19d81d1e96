//! FIFO queues in files: made, sent to by group, received in order, looked at.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Outcome, Place, expect, json, refused, run, run_with, stat};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each line of JSON that was printed.
fn lines(output: &std::process::Output) -> Result<Vec<Value>, serde_json::Error> {
    text(output).lines().map(serde_json::from_str).collect()
}

/// A FIFO queue of this name, made with these options.
fn made(place: &Place, options: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let q = place.file("orders.fifo");
    let create = ["create", &q, "--size", "1M", "--fifo"];
    expect(&run(&[&create[..], options].concat())?, 0, "");
    Ok(q)
}

/// Sends one message of this id: what was printed, without its newline, as words.
fn send(q: &str, group: &str, id: &str, body: &str) -> Result<Vec<String>, std::io::Error> {
    let output = run(&["send", q, "--group", group, "--dedup-id", id, body])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(text(&output)
        .trim()
        .split('\t')
        .map(str::to_owned)
        .collect())
}

#[test]
fn groups_are_received_in_order_and_ids_once() -> Outcome {
    let place = Place::new("fifo")?;
    let q = &made(&place, &[])?;
    let first = send(q, "a", "1", "one")?;
    let second = send(q, "a", "2", "two")?;
    assert_eq!((first.len(), first[0].len(), first[1].len()), (2, 32, 20));
    assert!(first[1] < second[1], "{first:?} {second:?}");
    let again = send(q, "b", "1", "another")?;
    assert_eq!(again[..2], first[..], "of the first one");
    assert_eq!(again[2], "duplicate");
    send(q, "b", "3", "three")?;

    let output = run(&["receive", q, "--json"])?;
    let received = json(&output)?;
    let ordered = ["group", "deduplication_id", "sequence_number", "body"];
    let found: Vec<_> = ordered.iter().map(|key| received[key].clone()).collect();
    assert_eq!(json!(found), json!(["a", "1", first[1], "one"]));
    // The group is locked now; another one is not.
    let output = run(&["receive", q, "--max", "5", "--order", "--receipt"])?;
    let line = text(&output);
    let words: Vec<_> = line.trim().split('\t').collect();
    assert_eq!(words[2..], ["b", "3", "three"], "{line}");
    expect(&run(&["receive", q])?, 3, "");
    let receipt = received["receipt"].as_str().ok_or("no receipt")?;
    expect(&run(&["extend", q, receipt, "1h"])?, 0, "");
    expect(&run(&["release", q, receipt, words[0]])?, 0, "");
    let all = ["receive", q, "--max", "5", "--delete"];
    expect(&run(&all)?, 0, "one\ntwo\nthree\n");
    Ok(())
}

#[test]
fn figures_tell_groups_and_ids() -> Outcome {
    let place = Place::new("fifo-stat")?;
    let options = ["--dedup-scope", "group", "--dedup-interval", "90s"];
    let others = ["--dedup-ids", "100", "--content-dedup", "--quota"];
    let q = &made(&place, &[&options[..], &others].concat())?;
    let sent = run_with(&["send", q, "--group", "a"], b"one\ntwo\none\n")?;
    let sent = text(&sent);
    assert_eq!(sent.lines().count(), 3, "{sent}");
    assert!(
        sent.ends_with("\tduplicate\n"),
        "the body is the id: {sent}"
    );
    assert_eq!(send(q, "b", "x", "one")?.len(), 2, "another group");
    assert_eq!(send(q, "c", "x", "one")?.len(), 2, "another group");
    run(&["receive", q])?;
    let found = stat(q)?;
    for (key, value) in [
        ("fifo", json!(true)),
        ("groups_ready", json!(2)),
        ("groups_locked", json!(1)),
        ("groups_delayed", json!(0)),
        ("remembered_ids", json!(4)),
        ("dedup_ids", json!(100)),
        ("dedup_interval_ms", json!(90_000)),
        ("dedup_scope", json!("group")),
        ("content_dedup", json!(true)),
        ("quota", json!(true)),
        ("visible", json!(3)),
    ] {
        assert_eq!(found[key], value, "{key}: {found}");
    }
    let shown = text(&run(&["stat", q])?);
    assert!(shown.contains("FIFO queue"), "{shown}");
    assert!(shown.contains("groups locked"), "{shown}");

    let peeked = lines(&run(&["peek", q, "--json"])?)?;
    let mut groups: Vec<_> = peeked.iter().map(|line| line["group"].clone()).collect();
    groups.sort_by_key(Value::to_string);
    assert_eq!(json!(groups), json!(["a", "a", "b", "c"]));
    assert!(
        peeked
            .iter()
            .all(|line| line["sequence_number"].is_string())
    );

    expect(&run(&["set", q, "--delay", "5m"])?, 0, "delay 0s -> 5m\n");
    send(q, "d", "x", "late")?;
    assert_eq!(stat(q)?["groups_delayed"], 1);
    refused(&run(&["purge", q, "--yes"])?, 0, "5 removed");
    let found = stat(q)?;
    assert_eq!(found["groups_ready"], 0, "{found}");
    assert_eq!(found["groups_locked"], 0, "{found}");
    assert_eq!(found["remembered_ids"], 0, "{found}");
    refused(&run(&["verify", q])?, 0, "sound");
    Ok(())
}

#[test]
fn what_does_not_go_together_is_refused() -> Outcome {
    let place = Place::new("fifo-not")?;
    let q = &made(&place, &["--dedup-ids", "2"])?;
    refused(&run(&["send", q, "x"])?, 1, "--group");
    refused(
        &run(&["send", q, "--group", "a", "x"])?,
        1,
        "no deduplication id",
    );
    let delayed = [
        "send",
        q,
        "--group",
        "a",
        "--dedup-id",
        "1",
        "--delay",
        "1s",
        "x",
    ];
    refused(&run(&delayed)?, 1, "the queue's own");
    let two = ["send", q, "--group", "a", "--dedup-id", "1", "x", "y"];
    refused(&run(&two)?, 2, "one message");
    refused(&run(&["send", q, "--dedup-id", "1", "x"])?, 2, "--group");
    send(q, "a", "1", "x")?;
    send(q, "a", "2", "x")?;
    let full = [
        "send",
        q,
        "--no-wait",
        "--group",
        "a",
        "--dedup-id",
        "3",
        "x",
    ];
    refused(&run(&full)?, 4, "deduplication ids are remembered");
    assert_eq!(stat(q)?["visible"], 2);

    let standard = &place.file("q.ring");
    refused(&run(&["create", standard, "--quota"])?, 2, "--fifo");
    let kept = &place.file("kept.ring");
    let journaled = ["create", kept, "--fifo", "--durability", "before-ok"];
    expect(&run(&journaled)?, 0, "");
    send(kept, "a", "1", "x")?;
    let figures = stat(kept)?;
    assert_eq!(figures["durability"], "before-ok");
    assert!(figures["durable_position"].as_u64() >= Some(1), "{figures}");
    assert_eq!(run(&["verify", kept])?.status.code(), Some(0));
    run(&["create", standard, "--size", "1M"])?;
    refused(&run(&["send", standard, "--group", "a", "x"])?, 1, "FIFO");
    assert_eq!(stat(standard)?.get("fifo"), None);

    let dir = place.file("engine");
    run(&["init", &dir])?;
    let named = |name: &str| format!("{dir}/{name}");
    refused(
        &run(&["send", &named("x.fifo"), "--group", "a", "x"])?,
        1,
        "no queue",
    );
    refused(
        &run(&["create", &named("x"), "--fifo"])?,
        1,
        "ends in .fifo",
    );
    refused(
        &run(&["create", &named("x.fifo")])?,
        1,
        "the name is refused",
    );
    expect(&run(&["list", &dir])?, 0, "");
    Ok(())
}

#[test]
fn send_makes_one() -> Outcome {
    let place = Place::new("fifo-made")?;
    let dir = place.file("engine");
    run(&["init", &dir])?;
    let group = ["--group", "a"];
    let with = |path: &str, more: &[&str]| {
        run(&[&["send", path, "--create", "--size", "1M", "x"], more].concat())
    };

    // What does not go together makes nothing.
    let (named, file) = (&format!("{dir}/orders.fifo"), &place.file("q.ring"));
    refused(&with(named, &[])?, 1, "--group");
    refused(&with(file, &["--fifo"])?, 1, "--group");
    refused(&with(file, &group)?, 1, "--group is for FIFO queues");
    refused(
        &with(&format!("{dir}/x"), &["--fifo", "--group", "a"])?,
        1,
        "ends in .fifo",
    );
    refused(&with(file, &["--group", "a", "--quota"])?, 2, "--fifo");
    expect(&run(&["list", &dir])?, 0, "");
    assert!(!std::fs::exists(file)?);

    // In an engine the name says it, in a file the option.
    let made = with(named, &["--group", "a", "--dedup-id", "1"])?;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let options = ["--fifo", "--content-dedup", "--dedup-scope", "group"];
    let made = with(file, &[&options[..], &group].concat())?;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    for (q, scope) in [(named, "queue"), (file, "group")] {
        let figures = stat(q)?;
        assert_eq!(
            (&figures["fifo"], &figures["visible"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(figures["dedup_scope"], scope);
        // One that is there is used as it is.
        let again = with(q, &["--group", "a", "--dedup-id", "2"])?;
        assert_eq!(again.status.code(), Some(0), "{again:?}");
        refused(&with(q, &[])?, 1, "--group");
        assert_eq!(stat(q)?["visible"], 2);
    }
    Ok(())
}

#[test]
fn one_of_an_engine_is_used_by_name() -> Outcome {
    let place = Place::new("fifo-named")?;
    let dir = place.file("q");
    let (q, dead) = (&format!("{dir}/orders.fifo"), &format!("{dir}/dead.fifo"));
    expect(&run(&["init", &dir])?, 0, "");
    let fifo = ["--size", "1M", "--fifo", "--content-dedup"];
    let create = |path: &str, more: &[&str]| run(&[&["create", path], &fifo[..], more].concat());
    expect(&create(dead, &[])?, 0, "");
    let letters = ["--dead-letters", "dead.fifo", "--max-receives", "1"];
    expect(
        &create(q, &[&letters[..], &["--tag", "a=b"]].concat())?,
        0,
        "",
    );
    refused(&create(q, &letters)?, 1, "exists");
    expect(&run(&["list", &dir])?, 0, "dead.fifo\norders.fifo\n");
    let plain = format!("{dir}/plain");
    expect(&run(&["create", &plain, "--size", "1M"])?, 0, "");
    let set = ["set", &plain, "--dead-letters", "dead.fifo"];
    let set = run(&[&set[..], &["--max-receives", "1"]].concat())?;
    refused(&set, 1, "another kind");

    for body in ["one", "two", "one"] {
        let sent = run(&["send", q, "--group", "a", body])?;
        assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    }
    expect(&run(&["receive", q, "--delete"])?, 0, "one\n");
    let seen = run(&["top", &dir, "--once", "--json"])?;
    let rows = lines(&seen)?;
    assert_eq!(rows[1]["name"], "orders.fifo");
    assert_eq!(
        (&rows[1]["groups_ready"], &rows[1]["groups_locked"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(rows[2].get("groups_ready"), None, "{rows:?}");
    let table = text(&run(&["top", &dir, "--once"])?);
    assert!(table.contains("GRP READY"), "{table}");
    let described = json(&run(&["describe", q, "--json"])?)?;
    assert_eq!(described["fifo"], true);
    assert_eq!(described["dead_letters"], "dead.fifo");
    assert!(text(&run(&["describe", q])?).contains("dedup scope      queue"));
    expect(&run(&["peek", q])?, 0, "two\n");
    assert_eq!(stat(q)?["groups_ready"], 1);

    let receipt = run(&["receive", q, "--receipt"])?;
    let receipt = text(&receipt);
    let receipt = receipt.split('\t').next().unwrap_or_default();
    expect(&run(&["release", q, receipt])?, 0, "");
    expect(&run(&["receive", q])?, 3, ""); // a dead letter now
    assert_eq!(stat(dead)?["visible"], 1);
    let redriven = run(&["redrive", dead])?;
    assert!(text(&redriven).contains("1 of 1 moved"), "{redriven:?}");
    let purged = run(&["purge", q, "--yes"])?;
    assert_eq!(purged.status.code(), Some(0), "{purged:?}");
    assert_eq!(stat(q)?["visible"], 0);
    expect(&run(&["verify", &dir])?, 0, "");
    expect(&run(&["delete-queue", q, "--yes"])?, 0, "");
    expect(&run(&["list", &dir])?, 0, "dead.fifo\nplain\n");
    Ok(())
}

/// As many lines as take this many batches of ten.
fn numbers(batches: usize) -> String {
    (0..10 * batches)
        .map(|number| format!("{number}\n"))
        .collect()
}

#[test]
fn a_long_group_is_received_to_its_end() -> Outcome {
    let place = Place::new("fifo-long")?;
    let q = &made(&place, &["--content-dedup"])?;
    let bodies = numbers(4);
    run_with(&["send", q, "--group", "a"], bodies.as_bytes())?;
    let received = run(&["receive", q, "--max", "100", "--delete"])?;
    expect(&received, 0, &bodies);
    Ok(())
}

#[test]
fn a_quota_is_waited_for() -> Outcome {
    let place = Place::new("fifo-quota")?;
    let q = &place.file("orders.fifo");
    let create = [
        "create",
        q,
        "--size",
        "8M",
        "--fifo",
        "--content-dedup",
        "--quota",
    ];
    expect(&run(&create)?, 0, "");
    let bodies = numbers(330);
    let started = Instant::now();
    let sent = run_with(&["send", q, "--group", "a"], bodies.as_bytes())?;
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    assert_eq!(text(&sent).lines().count(), 3300);
    let received = run(&["receive", q, "--max", "3300", "--delete"])?;
    expect(&received, 0, &bodies);
    // 330 calls: a second's worth at once, and the others at 300 a second.
    assert!(started.elapsed() >= Duration::from_millis(100));
    Ok(())
}
