//! Streams as they are shown: figures, rates, shards, names in an engine, damage.

use std::fs;

use serde_json::{Value, json};

use super::streams::{lines, made, put, text};
use super::{Outcome, Place, expect, json, refused, run, stat};

#[test]
fn figures_and_shards_are_shown() -> Outcome {
    let place = Place::new("stream-stat")?;
    let options = [
        "--shards",
        "3",
        "--retention",
        "90s",
        "--evict",
        "--readers",
        "9",
    ];
    let s = &made(&place, &options)?;
    let figures = stat(s)?;
    assert_eq!(
        (&figures["stream"], &figures["shards"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(
        (&figures["bytes"], &figures["oldest_ms"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(figures["latest_ms"], Value::Null);
    put(s, "a", &["one", "two"])?;
    let figures = stat(s)?;
    assert_eq!(figures["bytes"], 128);
    assert_eq!(figures["retention_ms"], 90_000);
    assert_eq!(
        (&figures["full"], &figures["readers_max"]),
        (&json!("evict"), &json!(9))
    );
    assert_eq!(figures["positions"].as_array().map(Vec::len), Some(3));
    assert!(figures["oldest_ms"].as_u64() <= figures["latest_ms"].as_u64());
    assert!(figures["oldest_ms"].as_u64() > Some(1_700_000_000_000));
    assert_eq!(figures["readers"], 0, "nobody reads: not even this");
    let shown = text(&run(&["stat", s])?);
    let row = |name: &str, end: &str| {
        let line = shown.lines().find(|line| line.starts_with(name));
        assert!(
            line.is_some_and(|line| line.ends_with(end)),
            "{name}: {shown}"
        );
    };
    row("kind", " stream");
    row("retention", " 1m 30s");
    row("when full", " evict");
    row("latest", "Z");

    let shards = lines(&run(&["shards", s, "--json"])?)?;
    assert_eq!(shards.len(), 3);
    assert_eq!(shards[0]["starting_hash_key"], "0".repeat(32));
    assert_eq!(shards[2]["ending_hash_key"], "f".repeat(32));
    let edge = |n: usize, key: &str| {
        let digits = shards[n][key].as_str().unwrap_or_default();
        u128::from_str_radix(digits, 16)
    };
    for n in 0..2 {
        let (end, next) = (
            edge(n, "ending_hash_key")?,
            edge(n + 1, "starting_hash_key")?,
        );
        assert_eq!(end + 1, next, "without gap and overlap");
    }
    let held: u64 = shards
        .iter()
        .filter_map(|shard| shard["bytes"].as_u64())
        .sum();
    assert_eq!(held, 128);
    let table = text(&run(&["shards", s])?);
    assert!(
        table.contains("FIRST HASH") && table.lines().count() == 4,
        "{table}"
    );
    assert!(table.contains("shardId-000000000002"), "{table}");
    Ok(())
}

#[test]
fn rates_are_counted_between_looks() -> Outcome {
    let place = Place::new("stream-watch")?;
    let s = &made(&place, &["--shards", "2"])?;
    let mut watch = std::process::Command::new(super::RINGMAIN)
        .args(["stat", s, "--watch", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let stdout = watch.stdout.take().ok_or("no output")?;
    let mut looks = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let mut look = || -> Result<Value, Box<dyn std::error::Error>> {
        let line = looks.next().ok_or("it ended")??;
        Ok(serde_json::from_str(&line)?)
    };
    assert_eq!(look()?.get("put_records_per_s"), None);
    put(s, "a", &["1"; 50])?;
    put(s, "c", &["2"; 50])?;
    let mut records = 0.0;
    for _ in 0..5 {
        let look = look()?;
        let rate = look["put_records_per_s"].as_f64().ok_or("no rate")?;
        let bytes = look["put_bytes_per_s"].as_f64().ok_or("no rate")?;
        assert!(
            (bytes - 64.0 * rate).abs() < 64.0,
            "one granule each: {look}"
        );
        records += rate;
        if records > 50.0 {
            break;
        }
    }
    watch.kill()?;
    watch.wait()?;
    assert!(
        (80.0..=101.0).contains(&records),
        "{records} in looks a second apart"
    );
    Ok(())
}

#[test]
fn one_of_an_engine_is_used_by_name() -> Outcome {
    let place = Place::new("stream-engine")?;
    let dir = place.file("e");
    expect(&run(&["init", &dir])?, 0, "");
    let (s, q) = (&format!("{dir}/plant.north"), &format!("{dir}/jobs"));
    let options = [
        "--stream",
        "--size",
        "1M",
        "--shards",
        "2",
        "--tag",
        "plant=north",
    ];
    let create = [&["create", s.as_str()], &options[..]].concat();
    expect(&run(&create)?, 0, "");
    refused(&run(&create)?, 1, "exists");
    expect(&run(&["create", q, "--size", "1M"])?, 0, "");
    refused(
        &run(&["create", q, "--size", "1M", "--stream"])?,
        1,
        "exists",
    );
    let twin = format!("{dir}/twin");
    expect(&run(&["create", &twin, "--size", "1M", "--stream"])?, 0, "");
    refused(&run(&["create", &twin, "--size", "1M"])?, 1, "exists");
    put(s, "a", &["one"])?;
    expect(&run(&["tail", s])?, 0, "one\n");
    assert_eq!(stat(s)?["shards"], 2);
    assert_eq!(lines(&run(&["shards", s, "--json"])?)?.len(), 2);

    expect(&run(&["list", &dir])?, 0, "jobs\nplant.north\ntwin\n");
    expect(&run(&["list", &dir, "--queues"])?, 0, "jobs\n");
    expect(
        &run(&["list", &dir, "--streams", "--prefix", "p"])?,
        0,
        "plant.north\n",
    );
    let listed = lines(&run(&["list", &dir, "--json"])?)?;
    assert_eq!(listed[1], json!({"name": "plant.north", "kind": "stream"}));
    assert_eq!(listed[0], json!({"name": "jobs", "kind": "queue"}));
    expect(&run(&["tag", s, "cost=7"])?, 0, "");
    expect(&run(&["untag", s, "plant"])?, 0, "");
    let described = json(&run(&["describe", s, "--json"])?)?;
    assert_eq!(described["tags"], json!({"cost": "7"}));
    assert_eq!(
        (&described["stream"], &described["shards"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(
        (&described["bytes"], &described["held_bytes"]),
        (&json!(1 << 20), &json!(64))
    );
    let described = text(&run(&["describe", s])?);
    assert!(described.contains("kind             stream"), "{described}");
    refused(
        &run(&["verify", &dir])?,
        0,
        "1 queues, 2 streams, 0 findings",
    );
    refused(&run(&["verify", s])?, 0, "sound, 1 records");

    let rows = lines(&run(&["top", &dir, "--once", "--json"])?)?;
    assert_eq!((rows.len(), &rows[0]["name"]), (3, &json!("jobs")));
    assert_eq!(
        (&rows[1]["name"], &rows[1]["stream"]),
        (&json!("plant.north"), &json!(true))
    );
    assert_eq!(
        (&rows[1]["bytes"], &rows[1]["put_records_per_s"]),
        (&json!(64), &json!(0.0))
    );
    let table = text(&run(&["top", &dir, "--once"])?);
    assert!(
        table.contains("VISIBLE") && table.contains("FILLED"),
        "{table}"
    );

    // Each verb says what it has found instead.
    for verb in ["put", "tail", "shards"] {
        let more: &[&str] = if verb == "put" {
            &["--key", "k", "x"]
        } else {
            &[]
        };
        let output = run(&[&[verb, q], more].concat())?;
        refused(&output, 1, "a standard queue; a stream was expected");
        refused(
            &run(&[&[verb, &format!("{dir}/none")], more].concat())?,
            1,
            "no stream",
        );
    }
    for verb in ["receive", "peek", "purge", "send"] {
        let output = run(&[verb, &twin])?;
        refused(&output, 1, "a stream; a standard queue was expected");
    }
    refused(&run(&["delete-queue", &twin, "--yes"])?, 1, "a stream");
    refused(&run(&["delete-stream", q, "--yes"])?, 1, "a standard queue");
    refused(&run(&["stat", &format!("{dir}/none")])?, 1, "no queue");
    refused(&run(&["stat", &format!("{dir}/no.ne")])?, 1, "no stream");
    expect(&run(&["delete-stream", s, "--yes"])?, 0, "");
    refused(&run(&["delete-stream", s, "--yes"])?, 1, "no stream");
    refused(&run(&["tail", s])?, 1, "no stream");
    expect(&run(&["list", &dir, "--streams"])?, 0, "twin\n");
    Ok(())
}

#[test]
fn a_damaged_record_is_found_and_passed_over() -> Outcome {
    let place = Place::new("stream-damage")?;
    let s = &made(&place, &[])?;
    put(s, "k", &["first one", "second one", "third one"])?;
    let mut bytes = fs::read(s)?;
    let at = bytes.windows(10).position(|window| window == b"second one");
    bytes[at.ok_or("it is there")?] ^= 1;
    fs::write(s, bytes)?;
    let output = run(&["tail", s])?;
    refused(&output, 1, "fails its checksum");
    assert_eq!(text(&output), "first one\nthird one\n");
    let output = run(&["verify", s, "--json"])?;
    refused(&output, 1, "2 records sound, 1 damaged");
    let found = lines(&output)?;
    assert_eq!(found.len(), 1);
    let file = found[0]["file"].as_str().unwrap_or_default();
    assert!(file.starts_with("shardId-000000000000 0"), "{found:?}");
    Ok(())
}

#[test]
fn shards_on_demand_are_split_by_what_is_put() -> Outcome {
    let place = Place::new("stream-demand")?;
    let s = &place.file("demand.stream");
    let create = ["create", s, "--stream", "--size", "8M", "--on-demand"];
    expect(&run(&create)?, 0, "");
    let before = stat(s)?;
    assert_eq!(
        (&before["on_demand"], &before["shards"]),
        (&json!(true), &json!(4))
    );
    assert_eq!(
        (&before["max_shards"], &before["wanted_shards"]),
        (&json!(16), &json!(4))
    );
    let file = &place.file("input");
    let input: String = (0..12_000).map(|n| format!("{n}\n")).collect();
    fs::write(file, &input)?;
    let args = [
        "put",
        s,
        "--quiet",
        "--key-regex",
        "(.*)",
        "--lines",
        "--file",
        file,
    ];
    expect(&run(&args)?, 0, "");
    let after = stat(s)?;
    let figure = |name: &str| after[name].as_u64().unwrap_or_default();
    assert!(figure("peak_records_per_s") > 3000, "{after}");
    assert!(
        figure("wanted_shards") > 6 && figure("shards") > 6,
        "{after}"
    );
    let mut found: Vec<_> = text(&run(&["tail", s])?)
        .lines()
        .map(str::to_owned)
        .collect();
    found.sort_by_key(|line| line.parse::<u32>().ok());
    assert!(found.iter().eq(input.lines()), "each is there, once");
    refused(
        &run(&["create", &place.file("q"), "--on-demand"])?,
        2,
        "--stream",
    );
    Ok(())
}

#[test]
fn a_quota_is_waited_for() -> Outcome {
    let place = Place::new("stream-quota")?;
    let s = &place.file("quota.stream");
    let create = ["create", s, "--stream", "--size", "8M", "--provisioned"];
    expect(&run(&create)?, 0, "");
    let file = &place.file("input");
    let input: String = (0..2500).map(|n| format!("{n}\n")).collect();
    fs::write(file, &input)?;
    let begun = std::time::Instant::now();
    let args = ["put", s, "--quiet", "--key", "k", "--lines", "--file", file];
    expect(&run(&args)?, 0, "");
    let took = begun.elapsed().as_millis();
    assert!(took >= 1000, "{took} ms for 2500 records at 1000 a second");
    expect(&run(&["tail", s])?, 0, &input);
    assert_eq!(stat(s)?["quota"], true);
    refused(
        &run(&["create", &place.file("q"), "--provisioned"])?,
        2,
        "--stream",
    );
    Ok(())
}

/// `md5sum` says of `boiler-7` that it begins with 5c, and of `a` that it begins with 0c.
#[test]
fn md5_places_as_kinesis_does() -> Outcome {
    let place = Place::new("stream-md5")?;
    let s = &made(&place, &["--shards", "16", "--placement", "md5"])?;
    for (key, shard) in [("boiler-7", 5), ("a", 0)] {
        let told = text(&run(&["put", s, "--key", key, "81.5"])?);
        assert!(
            told.starts_with(&format!("shardId-{shard:012}\t")),
            "{told}"
        );
    }
    // Lines that are followed go the same way.
    let log = &place.file("log");
    fs::write(log, "boiler-7 one\na two\n")?;
    let output = run(&["follow", log, s, "--key-regex", r"^(\S+) ", "--once"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let of = |shard: &str| run(&["tail", s, "--shard", shard]);
    expect(&of("5")?, 0, "81.5\nboiler-7 one\n");
    expect(&of("0")?, 0, "81.5\na two\n");
    assert_eq!(stat(s)?["placement"], "md5");
    assert!(text(&run(&["stat", s])?).contains("md5"));
    let other = &place.file("other");
    expect(&run(&["create", other, "--stream"])?, 0, "");
    assert_eq!(stat(other)?["placement"], "xxh3");
    let queue = &place.file("q");
    let md5 = ["--placement", "md5"];
    refused(
        &run(&[&["create", queue][..], &md5].concat())?,
        2,
        "--stream",
    );
    let none = ["--stream", "--placement", "sha1"];
    refused(&run(&[&["create", queue][..], &none].concat())?, 2, "xxh3");
    Ok(())
}
