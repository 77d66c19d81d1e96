//! Attributes and delays: in by `send`, out by `receive --json`, and each way to get them wrong.

use serde_json::json;

use super::{Outcome, Place, expect, json, refused, run, run_with, stat};

#[test]
fn attributes_go_in_and_come_out() -> Outcome {
    let place = Place::new("attributes")?;
    let q = &place.file("q.ring");
    let attributes = [
        "--attribute",
        "task=a=b:c",
        "--attribute",
        "price:number=12.50",
        "--attribute",
        "key:binary=yv4=",
        "--attribute",
        "de.umlaut:string=g\u{fc}n",
    ];
    let send = ["send", q, "--create", "--size", "1M", "17.png", "18.png"];
    expect(&run(&[&send[..], &attributes].concat())?, 0, "");
    let expected = json!({
        "task": {"type": "string", "value": "a=b:c"},
        "price": {"type": "number", "value": "12.50"},
        "key": {"type": "binary", "value": "yv4="},
        "de.umlaut": {"type": "string", "value": "g\u{fc}n"},
    });
    for body in ["17.png", "18.png"] {
        let found = json(&run(&["receive", q, "--json", "--delete"])?)?;
        assert_eq!(found["body"], body);
        assert_eq!(found["attributes"], expected);
        assert_eq!(found["receive_count"], 1);
    }
    // They are beside the body, not in it; and each line of standard input gets them.
    let lines = run_with(&[&["send", q][..], &attributes].concat(), b"one\ntwo\n")?;
    expect(&lines, 0, "");
    expect(&run(&["receive", q, "--delete"])?, 0, "one\n");
    let two = json(&run(&["receive", q, "--json"])?)?;
    assert_eq!(
        (&two["body"], &two["attributes"]),
        (&json!("two"), &expected)
    );
    Ok(())
}

#[test]
fn the_first_receive_is_remembered() -> Outcome {
    let place = Place::new("first")?;
    let q = &place.file("q.ring");
    let shape = ["--create", "--size", "1M", "--visibility", "50ms"];
    expect(&run(&[&["send", q, "x"][..], &shape].concat())?, 0, "");
    let receive = ["receive", q, "--json", "--wait", "20s"];
    let (first, second) = (json(&run(&receive)?)?, json(&run(&receive)?)?);
    assert_eq!(first["first_received_ms"], second["first_received_ms"]);
    assert_eq!(
        (&first["receive_count"], &second["receive_count"]),
        (&json!(1), &json!(2))
    );
    Ok(())
}

#[test]
fn a_delay_holds_messages_back() -> Outcome {
    let place = Place::new("delay")?;
    let q = &place.file("q.ring");
    let shape = ["--create", "--size", "1M", "--queue-delay", "10m"];
    expect(&run(&[&["send", q, "late"][..], &shape].concat())?, 0, "");
    expect(&run(&["send", q, "--delay", "0s", "now"])?, 0, "");
    let (late, here) = (stat(q)?["delayed"].clone(), stat(q)?["visible"].clone());
    assert_eq!((late, here), (json!(1), json!(1)));
    expect(&run(&["receive", q, "--max", "9"])?, 0, "now\n");
    expect(&run(&["send", q, "--delay", "50ms", "soon"])?, 0, "");
    let soon = run(&["receive", q, "--wait", "20s", "--delete"])?;
    expect(&soon, 0, "soon\n");
    refused(&run(&["purge", q, "--yes"])?, 0, "2 removed");
    Ok(())
}

#[test]
fn bad_attributes_are_refused_before_anything_is_made() -> Outcome {
    let place = Place::new("bad-attributes")?;
    let q = &place.file("q.ring");
    let twice = ["--attribute", "a=1", "--attribute", "a:number=2"].as_slice();
    let many: Vec<String> = (0..11).map(|n| format!("--attribute=a{n}=1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (args, words) in [
        (&["--attribute", "task"][..], "there is no `=`"),
        (&["--attribute", "task:text=x"], "there is no type `text`"),
        (&["--attribute", "task:text=x"], "NAME:binary=BASE64"),
        (&["--attribute", "key:binary=yv4"], "no base64 (as `yv4=`)"),
        (&["--attribute", "n:number=12x"], "a number is decimal"),
        (&["--attribute", "n:number=12x"], "at byte 2"),
        (&["--attribute", "n="], "a value has at least 1 byte"),
        (&["--attribute", "=x"], "a name has 1 to 256 characters"),
        (&["--attribute", "a b=x"], "a name has letters"),
        (&["--attribute", ".a=x"], "full stop"),
        (twice, "`a` twice"),
        (&many, "11 attributes; a message has at most 10"),
        (&["--delay", "soon"], "from 0s to 15m"),
    ] {
        let send = ["send", q, "--create", "--size", "1M", "x"];
        refused(&run(&[&send[..], args].concat())?, 2, words);
    }
    let late = ["send", q, "--create", "--delay", "901s", "x"];
    refused(&run(&late)?, 1, "901000; it must be 0 to 900000");
    assert!(!std::path::Path::new(q).exists());
    Ok(())
}

#[test]
fn attributes_count_against_the_limit() -> Outcome {
    let place = Place::new("sizes")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M", "--max-body", "100"])?;
    let max = stat(q)?["body_bytes_max"].as_u64().ok_or("no limit")? as usize;
    // 1 for the name, 6 for "String", 3 for the value.
    let send = ["send", q, "--attribute", "a=xyz"];
    let (fits, long) = ("b".repeat(max - 10), "c".repeat(max - 9));
    let words = format!("argument 2: body and attributes have {} bytes", max + 1);
    let sent = run(&[&send[..], &[&fits, &long]].concat())?;
    refused(&sent, 1, &words);
    let sent = run_with(&send, format!("{long}\n{fits}\n").as_bytes())?;
    let limit = max - 10;
    let words = format!("line 1: over the limit of {limit} bytes beside the attributes");
    refused(&sent, 1, &words);
    let both = format!("{fits}\n{fits}\n");
    expect(&run(&["receive", q, "--max", "9", "--delete"])?, 0, &both);
    let huge = format!("--attribute=a={}", "x".repeat(max));
    let words = format!("the attributes have {} bytes", max + 7);
    refused(&run(&["send", q, &huge, "x"])?, 1, &words);
    assert_eq!(stat(q)?["visible"], 0);
    Ok(())
}

#[test]
fn large_attributes_go_by_as_many_as_fit() -> Outcome {
    let place = Place::new("large")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "8M"])?;
    // Three of these are more than a batch may have.
    let attribute = format!("--attribute=a={}", "x".repeat(100_000));
    let input: String = (0..25).map(|n| format!("{n}\n")).collect();
    let sent = run_with(&["send", q, &attribute], input.as_bytes())?;
    expect(&sent, 0, "");
    let received = run(&["receive", q, "--max", "25", "--delete"])?;
    expect(&received, 0, &input);
    Ok(())
}
