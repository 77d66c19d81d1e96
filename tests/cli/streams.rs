//! Streams in files and in engines: made, put to, read by time and place, shown, verified.

use std::fs;

use serde_json::Value;

use super::{Outcome, Place, expect, refused, run, run_with, stat};

pub fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each line of JSON that was printed.
pub fn lines(output: &std::process::Output) -> Result<Vec<Value>, serde_json::Error> {
    text(output).lines().map(serde_json::from_str).collect()
}

/// A stream in a file, made with these options.
pub fn made(place: &Place, options: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let s = place.file("telemetry.stream");
    let create = ["create", &s, "--size", "1M", "--stream"];
    expect(&run(&[&create[..], options].concat())?, 0, "");
    Ok(s)
}

/// Puts data quietly.
pub fn put(s: &str, key: &str, data: &[&str]) -> Outcome {
    let args = ["put", s, "--quiet", "--key", key];
    expect(&run(&[&args[..], data].concat())?, 0, "");
    Ok(())
}

/// Until records get a later time: that moves in ticks of up to 10 ms, and within one shards come
/// in the order of their numbers.
fn a_tick() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

#[test]
fn an_aggregate_is_taken_apart() -> Outcome {
    use ringmain::{Mapped, ProducerOptions, Stream, StreamProducer};
    let place = Place::new("stream-parts")?;
    let s = &made(&place, &[])?;
    let stream = Stream::open(Mapped::open(s)?)?;
    let mut producer = StreamProducer::new(&stream, ProducerOptions::new().aggregate(1000))?;
    for (key, data) in [("a", "one"), ("b", "two"), ("b", "three")] {
        producer.put(key, data.as_bytes())?;
    }
    producer.close(|outcome| assert!(outcome.result.is_ok()));
    stream.put("c", b"alone")?;
    expect(&run(&["tail", s])?, 0, "one\ntwo\nthree\nalone\n");
    expect(&run(&["tail", s, "--max", "2"])?, 0, "one\ntwo\n");
    let told = lines(&run(&["tail", s, "--json"])?)?;
    let keys: Vec<_> = told.iter().map(|line| &line["partition_key"]).collect();
    assert_eq!(keys, ["a", "b", "b", "c"]);
    let parts: Vec<_> = told.iter().map(|line| line["part"].as_u64()).collect();
    assert_eq!(parts, [Some(0), Some(1), Some(2), None]);
    assert_eq!(run(&["verify", s])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn records_go_in_and_come_out_and_stay() -> Outcome {
    let place = Place::new("stream")?;
    let s = &made(&place, &["--shards", "4", "--retention", "1h"])?;
    expect(&run(&["tail", s])?, 3, "");
    let output = run(&["put", s, "--key", "boiler-7", "81.5", "81.6"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output);
    let told: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!((told.len(), told[0].len()), (2, 2), "{told:?}");
    let (shard, first) = (told[0][0], told[0][1]);
    assert!(
        shard.starts_with("shardId-00000000000") && first.len() == 20,
        "{told:?}"
    );
    assert!(
        told[0][0] == told[1][0] && told[0][1] < told[1][1],
        "{told:?}"
    );
    a_tick();
    let output = run_with(
        &["put", s, "--json", "--key", "boiler-9"],
        b"64.0\n\n\xff\n64",
    )?;
    let put = lines(&output)?;
    assert_eq!(
        put.len(),
        4,
        "an empty line is a record, and so is one without its end"
    );
    assert_eq!(put[0]["sequence_number"].as_str().map(str::len), Some(20));

    let all = b"81.5\n81.6\n64.0\n\n\xff\n64\n";
    for _ in 0..2 {
        let output = run(&["tail", s])?;
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &all[..]));
    }
    expect(&run(&["tail", s, "--max", "2"])?, 0, "81.5\n81.6\n");
    expect(&run(&["tail", s, "--from", "latest"])?, 3, "");
    expect(
        &run(&["tail", s, "--shard", shard, "--max", "1"])?,
        0,
        "81.5\n",
    );
    let second = format!("sequence:{}", told[1][1]);
    let output = run(&["tail", s, "--from", &second, "--shard", shard, "--max", "1"])?;
    expect(&output, 0, "81.6\n");
    let ordered = text(&run(&["tail", s, "--order", "--max", "1"])?);
    assert_eq!(
        ordered,
        format!("{shard}\t{first}\tboiler-7\t81.5\n"),
        "and no colour"
    );

    let records = lines(&run(&["tail", s, "--json"])?)?;
    assert_eq!(records.len(), 6);
    assert_eq!(records[0]["partition_key"], "boiler-7");
    assert_eq!(records[0]["data"], "81.5");
    assert_eq!(records[0]["sequence_number"], first);
    assert_eq!(records[0]["shard"], shard);
    assert!(records[0]["arrived_ms"].as_u64() > Some(1_700_000_000_000));
    assert_eq!(records[4]["data_base64"], "/w==");
    assert_eq!(records[4].get("data"), None);
    Ok(())
}

#[test]
fn a_time_is_where_to_begin() -> Outcome {
    let place = Place::new("stream-time")?;
    let s = &made(&place, &["--shards", "2"])?;
    put(s, "a", &["one"])?;
    a_tick();
    put(s, "b", &["two"])?;
    let records = lines(&run(&["tail", s, "--json"])?)?;
    let ms = |n: usize| records[n]["arrived_ms"].as_u64().unwrap_or(0);
    assert!(ms(0) < ms(1), "{records:?}");
    expect(&run(&["tail", s, "--from", "time:1h"])?, 0, "one\ntwo\n");
    expect(
        &run(&["tail", s, "--from", "time:1970-01-01T00:00:00Z"])?,
        0,
        "one\ntwo\n",
    );
    expect(
        &run(&["tail", s, "--from", "time:2999-01-01T00:00:00Z"])?,
        3,
        "",
    );
    let time = |ms: u64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
        let since = time
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        // Within the day of the test: by `date`, which knows the calendar.
        let seconds = format!("@{}.{:03}", since.as_secs(), since.subsec_millis());
        let args = ["-u", "-d", &seconds, "+%Y-%m-%dT%H:%M:%S.%3NZ"];
        let output = std::process::Command::new("date").args(args).output()?;
        Ok::<_, std::io::Error>(format!(
            "time:{}",
            String::from_utf8_lossy(&output.stdout).trim()
        ))
    };
    expect(&run(&["tail", s, "--from", &time(ms(1))?])?, 0, "two\n");
    expect(&run(&["tail", s, "--from", &time(ms(1) + 1)?])?, 3, "");
    Ok(())
}

#[test]
fn lines_have_keys_of_their_own() -> Outcome {
    let place = Place::new("stream-keys")?;
    let s = &made(&place, &["--shards", "8"])?;
    let log = b"10:00 boiler-7 81.5\n10:01 boiler-9 64.0\nno field\n10:02 boiler-7 81.7\n";
    let fields = r"^\S+ (\S+) \S+$";
    let output = run_with(&["put", s, "--quiet", "--key-regex", fields], log)?;
    refused(&output, 1, "line 3: no key is found");
    let file = place.file("log");
    fs::write(&file, log)?;
    let args = [
        "put", s, "--quiet", "--file", &file, "--lines", "--key", "else",
    ];
    let output = run(&[&args[..], &["--key-regex", fields]].concat())?;
    expect(&output, 0, "");
    let records = lines(&run(&["tail", s, "--json"])?)?;
    let mut keys: Vec<&str> = records
        .iter()
        .filter_map(|r| r["partition_key"].as_str())
        .collect();
    keys.sort_unstable();
    let sevens = ["boiler-7"; 4];
    assert_eq!(keys, [&sevens[..], &["boiler-9"; 2], &["else"]].concat());
    let of = |key: &str| {
        let of = records.iter().filter(|r| r["partition_key"] == key);
        of.map(|r| r["shard"].clone()).collect::<Vec<_>>()
    };
    let shards = of("boiler-7");
    assert!(shards.iter().all(|shard| *shard == shards[0]), "{shards:?}");

    let bad = run(&["put", s, "--key-regex", "(x", "x"])?;
    refused(&bad, 2, "unclosed group");
    // Without a group, all that it finds.
    expect(
        &run(&["put", s, "--quiet", "--key-regex", "[0-9]+", "whole 77"])?,
        0,
        "",
    );
    let records = lines(&run(&["tail", s, "--json"])?)?;
    let whole = records.iter().find(|record| record["data"] == "whole 77");
    assert_eq!(
        whole.map(|record| &record["partition_key"]),
        Some(&"77".into())
    );
    refused(&run(&["put", s, "x"])?, 2, "--key");
    let output = run_with(&["put", s, "--key-regex", "(?-u)^(.*) "], b"\xff\xfe x\n")?;
    refused(&output, 1, "not UTF-8");
    let long = format!("{} x", "k".repeat(257));
    refused(
        &run(&["put", s, "--key-regex", "^(.*) ", &long])?,
        1,
        "argument 1:",
    );
    refused(&run(&["put", s, "--key", "", "x"])?, 1, "1 to 256");
    assert_eq!(
        lines(&run(&["tail", s, "--json"])?)?.len(),
        8,
        "nothing of it was put"
    );
    Ok(())
}

#[test]
fn a_file_is_one_record_and_a_hash_chooses_the_shard() -> Outcome {
    let place = Place::new("stream-file")?;
    let s = &made(&place, &["--shards", "2", "--max-data", "1000"])?;
    let file = place.file("picture");
    fs::write(&file, [7; 1000])?;
    let first = ["put", s, "--key", "k", "--hash", "0", "--file", &file];
    let told = text(&run(&first)?);
    assert!(told.starts_with("shardId-000000000000\t"), "{told}");
    let last = [
        "put",
        s,
        "--key",
        "k",
        "--hash",
        "0xffffffffffffffffffffffffffffffff",
    ];
    let told = text(&run(&[&last[..], &["x"]].concat())?);
    assert!(told.starts_with("shardId-000000000001\t"), "{told}");
    for bad in ["", "g", "+1", &"0".repeat(33).replace('0', "f")] {
        refused(
            &run(&["put", s, "--key", "k", "--hash", bad, "x"])?,
            2,
            "hexadecimal",
        );
    }
    let found = run(&["tail", s, "--shard", "0"])?;
    assert_eq!(found.stdout, [&[7; 1000][..], b"\n"].concat());
    let whole = run_with(
        &["put", s, "--quiet", "--key", "k", "--file", "-"],
        b"a\nb\n",
    )?;
    expect(&whole, 0, "");
    let records = lines(&run(&["tail", s, "--json"])?)?;
    assert!(
        records.iter().any(|record| record["data"] == "a\nb\n"),
        "{records:?}"
    );
    // What is too long is refused with the limit; the others are put.
    fs::write(&file, [7; 1001])?;
    let long = run(&["put", s, "--key", "k", "--file", &file])?;
    refused(&long, 1, "over the limit of 1000 bytes");
    let input = format!("short\n{}\nalso short\n", "x".repeat(1001));
    let output = run_with(&["put", s, "--quiet", "--key", "k"], input.as_bytes())?;
    refused(&output, 1, "line 2: over the limit of 1000 bytes");
    refused(
        &run(&["put", s, "--key", "k", &"x".repeat(1001)])?,
        1,
        "1000",
    );
    let records = lines(&run(&["tail", s, "--json"])?)?;
    assert_eq!(records.len(), 5);
    let none = place.file("none");
    refused(
        &run(&["put", s, "--key", "k", "--file", &none])?,
        1,
        "No such file",
    );
    refused(
        &run(&["put", s, "--key", "k", "--file", &none, "x"])?,
        2,
        "cannot be used",
    );
    Ok(())
}

#[test]
fn a_full_shard_refuses_or_gives_way() -> Outcome {
    let place = Place::new("stream-full")?;
    let s = &made(&place, &["--segment", "64K"])?;
    let input = format!("{}\n", "x".repeat(1000)).repeat(2000);
    let file = &place.file("input");
    fs::write(file, input)?;
    let args = ["put", s, "--quiet", "--key", "k", "--lines", "--file", file];
    let output = run(&args)?;
    refused(
        &output,
        4,
        "its shard is full of records within the retention",
    );
    let kept = text(&run(&["tail", s])?).lines().count();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains(&format!("; {kept} put")), "{kept}: {words}");
    assert!((300..1000).contains(&kept), "{kept}");

    fs::remove_file(s)?;
    made(&place, &["--evict", "--segment", "64K"])?;
    expect(&run(&args)?, 0, "");
    let figures = stat(s)?;
    assert!(figures["evicted_segments"].as_u64() > Some(0), "{figures}");
    let kept = text(&run(&["tail", s])?).lines().count();
    assert!((300..1000).contains(&kept), "{kept}");
    Ok(())
}

#[test]
fn bad_command_lines_say_what_is_wrong() -> Outcome {
    let place = Place::new("stream-bad")?;
    let file = &place.file("s");
    let create =
        |more: &[&str]| run(&[&["create", file, "--size", "1M", "--stream"], more].concat());
    refused(&create(&["--fifo"])?, 2, "cannot be used with");
    refused(&create(&["--visibility", "5s"])?, 2, "cannot be used with");
    refused(&create(&["--max-body", "5"])?, 2, "cannot be used with");
    refused(&create(&["--tag", "a=b"])?, 1, "of an engine");
    refused(&create(&["--shards", "0"])?, 1, "1 to 1024");
    refused(&create(&["--shards", "1025"])?, 1, "1 to 1024");
    refused(&create(&["--readers", "4097"])?, 1, "1 to 4096");
    refused(&create(&["--retention", "999ms"])?, 1, "1000");
    refused(
        &create(&["--retention", "x"])?,
        2,
        "of a stream, 1s to 365days",
    );
    refused(&create(&["--segment", "1"])?, 1, "4096");
    refused(&create(&["--max-data", "16M"])?, 1, "max_data");
    refused(&create(&["--shards", "1024"])?, 1, "");
    assert!(!fs::exists(file)?, "nothing half-made stays");
    refused(&run(&["create", file, "--evict"])?, 2, "--stream");
    refused(&run(&["create", file, "--shards", "2"])?, 2, "--stream");

    expect(&create(&["--shards", "2"])?, 0, "");
    put(file, "k", &["x"])?;
    for from in [
        "new",
        "time:",
        "time:yesterday",
        "sequence:x",
        "sequence:-1",
    ] {
        refused(&run(&["tail", file, "--from", from])?, 2, "--from");
    }
    refused(
        &run(&["tail", file, "--from", "sequence:1"])?,
        2,
        "write --shard",
    );
    let far = [
        "tail",
        file,
        "--shard",
        "0",
        "--from",
        "sequence:99999999999999999",
    ];
    refused(&run(&far)?, 1, "sequence number");
    refused(
        &run(&["tail", file, "--shard", "2"])?,
        1,
        "`ringmain shards` shows the 2",
    );
    refused(
        &run(&["tail", file, "--shard", "first"])?,
        2,
        "shardId-000000000000",
    );
    refused(&run(&["tail", file, "--max", "0"])?, 2, "--max");
    refused(
        &run(&["tail", file, "--json", "--order"])?,
        2,
        "cannot be used with",
    );
    refused(&run(&["tail", &place.file("none")])?, 1, "none");
    let other = &place.file("text");
    fs::write(other, "text")?;
    for verb in ["tail", "shards", "stat", "verify"] {
        refused(&run(&[verb, other])?, 1, "not a ringmain region");
    }
    refused(&run(&["delete-stream", file])?, 1, "DIR/NAME");
    Ok(())
}

/// Many shards, and records that are longer than what is read ahead: by time over all of them.
#[test]
fn shards_are_merged_by_time() -> Outcome {
    let place = Place::new("stream-merge")?;
    let s = &place.file("wide.stream");
    let create = ["create", s, "--size", "64M", "--stream", "--shards", "7"];
    expect(&run(&create)?, 0, "");
    for round in 0..4 {
        let mut input = String::new();
        for n in 0..40 {
            let long = "x".repeat(if n % 10 == 3 { 100_000 } else { 10 });
            input.push_str(&format!("key-{n} {round} {long}\n"));
        }
        let args = ["put", s, "--quiet", "--key-regex", r"^(\S+)"];
        expect(&run_with(&args, input.as_bytes())?, 0, "");
        a_tick();
    }
    let records = lines(&run(&["tail", s, "--json"])?)?;
    assert_eq!(records.len(), 160);
    let times: Vec<u64> = records
        .iter()
        .filter_map(|r| r["arrived_ms"].as_u64())
        .collect();
    assert!(times.is_sorted() && times.len() == 160, "{times:?}");
    let shards = records.iter().map(|r| r["shard"].to_string());
    assert!(shards.collect::<std::collections::BTreeSet<_>>().len() > 3);
    for n in 0..40 {
        let of = records
            .iter()
            .filter(|r| r["partition_key"] == format!("key-{n}"));
        let rounds = of.filter_map(|r| r["data"].as_str()?.split(' ').nth(1)?.parse().ok());
        assert_eq!(rounds.collect::<Vec<u32>>(), [0, 1, 2, 3], "of key {n}");
    }
    let some = text(&run(&["tail", s, "--max", "37"])?);
    assert_eq!(some.lines().count(), 37);
    // The reader of a pipe goes away.
    let mut tail = std::process::Command::new(super::RINGMAIN)
        .args(["tail", s])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    drop(tail.stdout.take());
    assert_eq!(tail.wait()?.code(), Some(0));
    Ok(())
}

/// One that follows sees what is put while it waits, over a split and a merge, in the order of the
/// key; and ends when it is asked to.
#[test]
fn what_comes_later_is_followed() -> Outcome {
    use std::io::BufRead;
    let place = Place::new("stream-follow")?;
    let s = &made(&place, &["--shards", "2", "--max-shards", "8"])?;
    put(s, "k", &["0"])?;
    let mut follow = std::process::Command::new(super::RINGMAIN)
        .args(["tail", s, "--follow"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let stdout = follow.stdout.take().ok_or("no output")?;
    let mut lines = std::io::BufReader::new(stdout).lines();
    let mut next = move || lines.next().unwrap_or(Ok("it ended".to_owned()));
    assert_eq!(next()?, "0");
    put(s, "k", &["1"])?;
    assert_eq!(next()?, "1");
    let shard = |output: &std::process::Output| {
        let shards = text(output);
        shards.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let children = shard(&run(&["split", s, "0"])?);
    assert_eq!(children, ["shardId-000000000002", "shardId-000000000003"]);
    let more = shard(&run(&[
        "split",
        s,
        "1",
        "--at",
        &format!("c{}", "0".repeat(31)),
    ])?);
    put(s, "k", &["2"])?;
    assert_eq!(next()?, "2");
    let merged = run(&["merge", s, &children[1], &more[0], "--json"])?;
    let merged: Value = serde_json::from_slice(&merged.stdout)?;
    assert_eq!(merged["children"].as_array().map(Vec::len), Some(1));
    let data: Vec<String> = (3..50).map(|n| n.to_string()).collect();
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    put(s, "k", &data)?;
    for wanted in data {
        assert_eq!(next()?, wanted);
    }
    // SAFETY: the process is this test's own child.
    assert_eq!(unsafe { libc::kill(follow.id() as i32, libc::SIGTERM) }, 0);
    assert_eq!(follow.wait()?.code(), Some(0));
    let all: String = (0..50).map(|n| format!("{n}\n")).collect();
    expect(&run(&["tail", s])?, 0, &all);
    Ok(())
}

#[test]
fn a_follower_ends_with_its_reader_and_with_its_shard() -> Outcome {
    let place = Place::new("stream-ends")?;
    let s = &made(&place, &["--max-shards", "3"])?;
    put(s, "k", &["one"])?;
    let mut follow = std::process::Command::new(super::RINGMAIN)
        .args(["tail", s, "--follow"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    drop(follow.stdout.take());
    assert_eq!(follow.wait()?.code(), Some(0));
    expect(&run(&["tail", s, "--follow", "--max", "1"])?, 0, "one\n");
    expect(
        &run(&["split", s, "shardId-000000000000"])?,
        0,
        "shardId-000000000001\nshardId-000000000002\n",
    );
    expect(&run(&["tail", s, "--follow", "--shard", "0"])?, 0, "one\n");
    let shards = lines(&run(&["shards", s, "--json"])?)?;
    assert_eq!(
        (&shards[0]["state"], &shards[1]["state"]),
        (&"closed".into(), &"open".into())
    );
    assert_eq!(shards[1]["parent"], "shardId-000000000000");
    assert_eq!(shards[0]["children"][1], "shardId-000000000002");
    assert!(shards[0]["ending_sequence_number"].is_string());
    assert_eq!(shards[1]["ending_sequence_number"], Value::Null);
    let figures = stat(s)?;
    assert_eq!(
        (&figures["shards"], &figures["closed_shards"]),
        (&2.into(), &1.into())
    );
    // Refusals.
    refused(&run(&["split", s, "0"])?, 1, "closed already");
    refused(&run(&["split", s, "9"])?, 1, "no shard 9");
    refused(&run(&["split", s, "1", "--at", "0"])?, 1, "not inside");
    refused(&run(&["split", s, "1", "--at", "x"])?, 2, "hexadecimal");
    refused(&run(&["split", s, "1"])?, 1, "all 3 places");
    refused(&run(&["merge", s, "1", "1"])?, 1, "no neighbours");
    refused(&run(&["merge", s, "0", "1"])?, 1, "closed already");
    refused(&run(&["merge", s, "1"])?, 2, "ADJACENT");
    refused(
        &run(&[
            "create",
            &place.file("x"),
            "--stream",
            "--shards",
            "3",
            "--max-shards",
            "2",
        ])?,
        1,
        "3 to 1024",
    );
    Ok(())
}

/// A child's record waits for what was claimed in its parent before the split.
#[test]
fn a_child_is_read_behind_its_parent() -> Outcome {
    use ringmain::{Mapped, Stream};
    use std::io::BufRead;
    let place = Place::new("stream-behind")?;
    let s = &made(&place, &["--max-shards", "3"])?;
    let stream = Stream::open(Mapped::open(s)?)?;
    let mut claim = stream.claim("k", 6)?;
    run(&["split", s, "0"])?;
    put(s, "k", &["later"])?;
    let mut follow = std::process::Command::new(super::RINGMAIN)
        .args(["tail", s, "--follow"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let stdout = follow.stdout.take().ok_or("no output")?;
    let mut lines = std::io::BufReader::new(stdout).lines();
    // It has found both shards by then, and would have written what is in the child.
    std::thread::sleep(std::time::Duration::from_millis(400));
    claim.copy_from_slice(b"sooner");
    claim.commit()?;
    for wanted in ["sooner", "later"] {
        assert_eq!(lines.next().transpose()?.as_deref(), Some(wanted));
    }
    follow.kill()?;
    follow.wait()?;
    Ok(())
}
