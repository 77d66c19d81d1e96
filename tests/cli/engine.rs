//! Queues of an engine: `DIR/NAME` where a verb takes a file, and the verbs for engines alone.

use serde_json::{Value, json};

use super::{Outcome, Place, expect, refused, run, run_with};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn object(args: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&run(args)?.stdout)?)
}

#[test]
fn a_queue_of_an_engine_is_used_by_name() -> Outcome {
    let place = Place::new("engine")?;
    let dir = place.file("q");
    let (jobs, dead) = (format!("{dir}/jobs"), format!("{dir}/jobs-dead"));
    refused(&run(&["list", &dir])?, 1, "");
    expect(&run(&["init", &dir])?, 0, "");
    refused(&run(&["init", &dir])?, 1, "exists");
    expect(&run(&["create", &dead, "--bytes", "1M"])?, 0, "");
    let create = [
        "create",
        &jobs,
        "--bytes",
        "1M",
        "--dead-letters",
        "jobs-dead",
        "--max-receives",
        "2",
        "--tag",
        "team=blue",
    ];
    expect(&run(&create)?, 0, "");
    refused(&run(&create)?, 1, "exists");
    expect(&run(&["list", &dir])?, 0, "jobs\njobs-dead\n");
    expect(
        &run(&["list", &dir, "--prefix", "jobs-"])?,
        0,
        "jobs-dead\n",
    );
    expect(&run(&["list", &dir, "--prefix", "x"])?, 0, "");
    expect(&run(&["send", &jobs, "one", "two"])?, 0, "");
    expect(&run(&["receive", &jobs, "--delete"])?, 0, "one\n");
    assert_eq!(object(&["stat", &jobs, "--json"])?["visible"], 1);
    expect(
        &run(&["set", &jobs, "--visibility", "0s", "--json"])?,
        0,
        "{\"visibility_ms\":{\"old\":30000,\"new\":0}}\n",
    );
    let described = object(&["describe", &jobs, "--json"])?;
    assert_eq!(described["dead_letters"], "jobs-dead");
    assert_eq!(described["max_receives"], 2);
    assert_eq!(described["tags"], json!({"team": "blue"}));
    assert_eq!(
        object(&["describe", &dead, "--json"])?["sources"],
        json!(["jobs"])
    );
    // Twice received, and not deleted: the third receive moves it.
    for _ in 0..2 {
        expect(&run(&["receive", &jobs])?, 0, "two\n");
    }
    expect(&run(&["receive", &jobs])?, 3, "");
    let letter = object(&["peek", &dead, "--json"])?;
    assert_eq!(
        (&letter["body"], &letter["source"]),
        (&json!("two"), &json!("jobs"))
    );
    expect(&run(&["purge", &dead, "--yes"])?, 0, "");
    refused(&run(&["purge", &dead, "--yes"])?, 1, "less than 60 s ago");
    Ok(())
}

#[test]
fn tags_deletions_and_verifications() -> Outcome {
    let place = Place::new("engine-verbs")?;
    let dir = place.file("q");
    let queue = format!("{dir}/orders");
    expect(&run(&["init", &dir])?, 0, "");
    expect(&run(&["create", &queue, "--size", "1M"])?, 0, "");
    expect(&run(&["tag", &queue, "a=1", "b=2=3"])?, 0, "");
    expect(&run(&["untag", &queue, "a", "never"])?, 0, "");
    let described = object(&["describe", &queue, "--json"])?;
    assert_eq!(described["tags"], json!({"b": "2=3"}));
    assert!(text(&run(&["describe", &queue])?).contains("b=2=3"));
    refused(&run(&["tag", &queue, "novalue"])?, 2, "KEY=VALUE");
    refused(&run(&["verify", &dir])?, 0, "1 queues, 0 findings");
    refused(&run(&["verify", &queue])?, 0, "sound");
    std::fs::write(format!("{dir}/stray.txt"), b"x")?;
    let found = run(&["verify", &dir, "--json"])?;
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found).contains("stray.txt"), "{}", text(&found));
    expect(&run(&["delete-queue", &queue, "--yes"])?, 0, "");
    refused(&run(&["delete-queue", &queue, "--yes"])?, 1, "no queue");
    refused(&run(&["stat", &queue])?, 1, "no queue");
    refused(&run(&["describe", &place.file("plain")])?, 1, "DIR/NAME");
    let plain = place.file("plain.ring");
    refused(&run(&["create", &plain, "--tag", "a=b"])?, 1, "engine");
    expect(&run(&["send", &queue, "--create", "made"])?, 0, "");
    expect(&run(&["peek", &queue])?, 0, "made\n");
    Ok(())
}

#[test]
fn a_peek_receives_nothing() -> Outcome {
    let place = Place::new("peek")?;
    let file = place.file("q.ring");
    let q = file.as_str();
    expect(&run(&["create", q, "--size", "1M"])?, 0, "");
    expect(&run(&["peek", q])?, 3, "");
    expect(&run_with(&["send", q], b"one\ntwo\nthree\n")?, 0, "");
    expect(&run(&["send", q, "--delay", "10m", "later"])?, 0, "");
    for _ in 0..3 {
        expect(&run(&["peek", q, "--max", "2"])?, 0, "one\ntwo\n");
    }
    let received = run(&["receive", q, "--receipt"])?;
    assert!(
        text(&received).ends_with("\tone\n"),
        "received once, by this alone"
    );
    let lines = text(&run(&["peek", q, "--json"])?);
    let states: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).map(|line| line["state"].clone()))
        .collect::<Result<_, _>>()?;
    let count = |word: &str| states.iter().filter(|state| *state == word).count();
    assert_eq!(
        (count("visible"), count("in flight"), count("delayed")),
        (2, 1, 1)
    );
    Ok(())
}

#[test]
fn dead_letters_are_redriven() -> Outcome {
    let place = Place::new("engine-redrive")?;
    let dir = place.file("q");
    let (jobs, dead) = (format!("{dir}/jobs"), format!("{dir}/dead"));
    expect(&run(&["init", &dir])?, 0, "");
    expect(&run(&["create", &dead, "--bytes", "1M"])?, 0, "");
    let policy = [
        "--dead-letters",
        "dead",
        "--max-receives",
        "1",
        "--visibility",
        "0s",
    ];
    let create = [&["create", jobs.as_str(), "--bytes", "1M"], &policy[..]].concat();
    expect(&run(&create)?, 0, "");
    let set = |more: &[&str]| run(&[&["set", jobs.as_str()], more].concat());
    let told = "dead letters dead -> none\n";
    expect(&set(&["--no-dead-letters"])?, 0, told);
    refused(&set(&["--dead-letters", "dead"])?, 2, "--max-receives");
    let none = ["--dead-letters", "none", "--max-receives", "1"];
    refused(&set(&none)?, 1, "no queue of that name");
    let told = "dead letters none -> dead, after 1 receives\n";
    let dead_letters = ["--dead-letters", "dead", "--max-receives", "1"];
    expect(&set(&dead_letters)?, 0, told);
    let no_source = "no queue's queue of dead letters";
    refused(&run(&["redrive", &jobs])?, 1, no_source);
    refused(&run(&["redrive", &dead, "--rate", "501"])?, 2, "501");
    refused(&run(&["redrive", &dead, "--to", "none"])?, 1, "gone");
    refused(&run(&["redrive", &dead, "--cancel"])?, 1, "under way");
    refused(&run(&["redrive", &dead, "--resume"])?, 1, "under way");
    expect(&run(&["send", &jobs, "one", "two", "three"])?, 0, "");
    for _ in 0..3 {
        run(&["receive", &jobs])?;
    }
    expect(&run(&["receive", &jobs])?, 3, "");
    let told = "dead to their sources: completed, 3 of 3 moved\n";
    expect(&run(&["redrive", &dead])?, 0, told);
    expect(&run(&["redrive", &dead, "--status"])?, 0, told);
    expect(&run(&["redrive", &dir, "--resume"])?, 0, "");
    assert_eq!(object(&["stat", &jobs, "--json"])?["visible"], 3);
    let again = object(&["redrive", &dead, "--to", "jobs", "--json"])?;
    assert_eq!(
        (&again["state"], &again["moved"], &again["destination"]),
        (&json!("completed"), &json!(0), &json!("jobs"))
    );
    Ok(())
}
