//! Settings of a queue: made, changed while it lives, shown.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Outcome, Place, RINGMAIN, expect, json, refused, run, stat};

#[test]
fn a_queue_is_made_with_settings() -> Outcome {
    let place = Place::new("settings")?;
    let q = &place.file("q.ring");
    let settings = ["--visibility", "5m", "--retention", "1h", "--delay", "2s"];
    expect(
        &run(&[&["create", q, "--size", "1M"][..], &settings].concat())?,
        0,
        "",
    );
    let other = &place.file("other.ring");
    let settings = [
        "--visibility",
        "5m",
        "--retention",
        "1h",
        "--queue-delay",
        "2s",
    ];
    expect(
        &run(&[
            &["send", other, "--create", "--size", "1M", "x"][..],
            &settings,
        ]
        .concat())?,
        0,
        "",
    );
    // One that is there keeps its settings.
    let again = ["send", other, "--create", "--retention", "2h", "x"];
    expect(&run(&again)?, 0, "");
    for path in [q, other] {
        let found = stat(path)?;
        let expected = json!([300_000, 3_600_000, 2000]);
        assert_eq!(
            json!([
                found["visibility_ms"],
                found["retention_ms"],
                found["delay_ms"]
            ]),
            expected
        );
    }
    Ok(())
}

#[test]
fn settings_are_changed_for_all() -> Outcome {
    let place = Place::new("set")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let mut sender = Command::new(RINGMAIN)
        .args(["send", q])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = sender.stdin.take().ok_or("no input")?;
    std::io::Write::write_all(&mut input, b"before\n")?;
    let received = run(&["receive", q, "--wait", "20s", "--delete"])?;
    expect(&received, 0, "before\n");

    let set = run(&["set", q, "--visibility", "5m", "--delay", "1m"])?;
    expect(&set, 0, "visibility 30s -> 5m\ndelay 0s -> 1m\n");
    let set = run(&["set", q, "--delay", "60s", "--retention", "90s"])?;
    expect(&set, 0, "retention 4days -> 1m 30s\ndelay 1m, as it was\n");
    let set = run(&["set", q, "--delay", "15m", "--visibility", "0s", "--json"])?;
    let expected = json!({
        "visibility_ms": {"old": 300_000, "new": 0},
        "delay_ms": {"old": 60_000, "new": 900_000},
    });
    assert_eq!(json(&set)?, expected);

    // Who had it open before goes by the new delay.
    std::io::Write::write_all(&mut input, b"after\n")?;
    drop(input);
    assert!(sender.wait()?.success());
    let found = stat(q)?;
    assert_eq!(
        (&found["delayed"], &found["visible"]),
        (&json!(1), &json!(0))
    );
    Ok(())
}

#[test]
fn settings_out_of_range_change_nothing() -> Outcome {
    let place = Place::new("set-range")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let before = stat(q)?;
    for (args, code, words) in [
        (["--visibility", "12h 1ms"], 1, "must be 0 to 43200000"),
        (["--retention", "59s"], 1, "must be 60000 to 1209600000"),
        (["--retention", "15d"], 1, "must be 60000 to 1209600000"),
        (["--delay", "901s"], 1, "must be 0 to 900000"),
        (["--visibility", "soon"], 2, "from 0s to 12h"),
        (["--retention", "4"], 2, "from 1m to 14days"),
        (["--delay", "-1s"], 2, "--delay"),
        (["--delay", "1 fortnight"], 2, "from 0s to 15m"),
        (["--max-body", "5"], 2, "--max-body"),
    ] {
        let output = run(&[&["set", q][..], &args].concat())?;
        refused(&output, code, words);
        // The good one beside it is not taken either.
        let mixed = run(&[&["set", q, "--json"][..], &args].concat())?;
        expect(&mixed, code, "");
    }
    let mixed = ["set", q, "--visibility", "5s", "--delay", "16m"];
    refused(&run(&mixed)?, 1, "delay (ms) is 960000");
    refused(&run(&["set", q])?, 2, "--visibility");
    assert_eq!(stat(q)?, before);
    Ok(())
}

#[test]
fn what_went_through_is_counted() -> Outcome {
    let place = Place::new("counts")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    assert_eq!(stat(q)?["oldest_age_ms"], Value::Null);
    expect(&run(&["send", q, "a", "b", "c"])?, 0, "");
    expect(&run(&["send", q, "d", "--delay", "10m"])?, 0, "");
    assert!(stat(q)?["oldest_age_ms"].is_u64());
    expect(&run(&["receive", q, "--delete"])?, 0, "a\n");
    expect(&run(&["receive", q, "--max", "5"])?, 0, "b\nc\n");
    let found = stat(q)?;
    let expected = json!({
        "visible": 0, "in_flight": 2, "delayed": 1,
        "sent": 4, "received": 3, "deleted": 1, "purged": 0, "expired": 0, "damaged": 0,
        "slots_free": found["slots"].as_u64().ok_or("no slots")? - 3,
    });
    for (name, value) in expected.as_object().ok_or("no object")? {
        assert_eq!(&found[name], value, "{name}");
    }
    assert!(found["empty_receives"].as_u64() >= Some(1));
    assert_eq!(found.get("sent_per_s"), None, "one look knows no rate");
    refused(&run(&["purge", q, "--yes"])?, 0, "3 removed");
    assert_eq!(stat(q)?["purged"], 3);

    let text = String::from_utf8(run(&["stat", q])?.stdout)?;
    for (name, value) in [
        ("delayed", "0"),
        ("oldest age", "none"),
        ("sent", "4"),
        ("purged", "3"),
        ("visibility", "30s"),
        ("retention", "4days"),
        ("delay", "0s"),
    ] {
        let shown = text.lines().any(|line| {
            let rest = line.strip_prefix(name).map(str::trim);
            rest == Some(value)
        });
        assert!(shown, "{name} {value} is not in\n{text}");
    }
    Ok(())
}

#[test]
fn watching_shows_rates() -> Outcome {
    let place = Place::new("watch")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let watch = |json: &[&str]| {
        Command::new(RINGMAIN)
            .args([&["stat", q, "--watch"], json].concat())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut watcher = watch(&["--json"])?;
    let mut lines = BufReader::new(watcher.stdout.take().ok_or("no output")?).lines();
    let mut next = || -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_str(&lines.next().ok_or("it ended")??)?)
    };
    assert_eq!(next()?.get("sent_per_s"), None);
    expect(&run(&["send", q, "a", "b", "c"])?, 0, "");
    expect(
        &run(&["receive", q, "--max", "2", "--delete"])?,
        0,
        "a\nb\n",
    );
    // A look may fall between them: all there was shows up over a few looks.
    let mut sums = [0.0; 3];
    for _ in 0..20 {
        let found = next()?;
        for (sum, name) in sums
            .iter_mut()
            .zip(["sent_per_s", "received_per_s", "deleted_per_s"])
        {
            *sum += found[name].as_f64().ok_or("no rate")?;
        }
        if found["deleted"] == 2 {
            break;
        }
    }
    assert!(sums.iter().all(|sum| *sum > 0.0), "{sums:?}");
    drop(lines);
    // Its reader went away: that is no error.
    assert_eq!(watcher.wait()?.code(), Some(0));

    let mut watcher = watch(&[])?;
    let lines = BufReader::new(watcher.stdout.take().ok_or("no output")?).lines();
    let mut rate = lines
        .map_while(Result::ok)
        .filter(|line| line.starts_with("sent") && line.ends_with("/s"));
    assert!(rate.next().is_some(), "people see rates too");
    drop(rate);
    assert_eq!(watcher.wait()?.code(), Some(0));
    Ok(())
}
