//! Working through a queue from a shell: receive with receipts, work, then delete, release, extend.

use std::process::{Command, Stdio};

use super::{Outcome, Place, RINGMAIN, expect, json, refused, run, run_with, stat};

/// Receives one message; its receipt and its body.
fn receive(q: &str) -> Result<(String, String), Box<dyn std::error::Error>> {
    let output = run(&["receive", q, "--receipt", "--wait", "20s"])?;
    let line = String::from_utf8(output.stdout)?;
    let (receipt, body) = line
        .trim_end()
        .split_once('\t')
        .ok_or_else(|| format!("no receipt: {line:?}"))?;
    Ok((receipt.to_owned(), body.to_owned()))
}

#[test]
fn receipts_delete_release_and_extend() -> Outcome {
    let place = Place::new("receipts")?;
    let q = &place.file("q.ring");
    expect(&run(&["create", q, "--size", "1M"])?, 0, "");
    expect(&run(&["send", q, "a\tb"])?, 0, "");
    let (first, body) = receive(q)?;
    assert_eq!((first.len(), body.as_str()), (48, "a\tb"));
    expect(&run(&["receive", q])?, 3, "");

    expect(&run(&["release", q, &first])?, 0, "");
    refused(&run(&["release", q, &first])?, 1, "not in flight");
    refused(&run(&["extend", q, &first, "1m"])?, 1, "not in flight");
    let (second, _) = receive(q)?;
    for verb in ["delete", "release"] {
        let stale = run(&[verb, q, &first])?;
        refused(&stale, 1, &format!("{first}: the receipt is stale"));
    }
    refused(&run(&["extend", q, &first, "1m"])?, 1, &first);
    assert_eq!(stat(q)?["in_flight"], 1);

    // A new timeout holds from now on: a short one lets it come back.
    expect(&run(&["extend", q, &second, "20ms"])?, 0, "");
    let (third, _) = receive(q)?;
    expect(&run(&["extend", q, &third, "11h"])?, 0, "");
    refused(&run(&["extend", q, &third, "13h"])?, 1, "must be 0 to");
    expect(&run(&["delete", q, &third])?, 0, "");
    expect(&run(&["delete", q, &third])?, 0, "");
    assert_eq!(
        (&stat(q)?["in_flight"], &stat(q)?["deleted"]),
        (&0.into(), &1.into())
    );
    Ok(())
}

#[test]
fn one_bad_receipt_stops_no_other() -> Outcome {
    let place = Place::new("one-bad")?;
    let q = &place.file("q.ring");
    let other = &place.file("other.ring");
    for path in [q, other] {
        expect(
            &run(&["send", path, "--create", "--size", "1M", "x"])?,
            0,
            "",
        );
    }
    let ((foreign, _), (own, _)) = (receive(other)?, receive(q)?);
    let both = run(&["delete", q, &foreign, &own])?;
    refused(
        &both,
        1,
        &format!("{foreign}: the receipt is another queue's"),
    );
    assert_eq!(
        (&stat(q)?["deleted"], &stat(other)?["deleted"]),
        (&1.into(), &0.into())
    );
    // What is no receipt at all is a mistake on the command line, and a bad line in a pipe.
    for bad in ["", "x", &own[1..], &format!("{own}0"), &"g".repeat(48)] {
        for verb in ["delete", "release"] {
            refused(&run(&[verb, q, &own, bad])?, 2, "not a receipt");
        }
        refused(&run(&["extend", q, bad, "1m"])?, 2, "not a receipt");
    }
    refused(&run(&["extend", q, &own])?, 2, "DURATION");
    refused(&run(&["extend", q, &own, "soon"])?, 2, "from 0s to 12h");
    let long = "0".repeat(100_000);
    let lines = format!("{foreign}\nnonsense\n\n{long}\n");
    let piped = run_with(&["release", other], lines.as_bytes())?;
    for words in ["line 2: not a receipt", "line 3: not", "line 4: not"] {
        refused(&piped, 1, words);
    }
    assert_eq!(stat(other)?["visible"], 1, "the good line was taken");
    Ok(())
}

#[test]
fn receipts_go_through_a_pipe() -> Outcome {
    let place = Place::new("receipt-pipe")?;
    let q = &place.file("q.ring");
    let input: String = (0..1234).map(|n| format!("{n}\n")).collect();
    let send = ["send", q, "--create", "--size", "1M"];
    expect(&run_with(&send, input.as_bytes())?, 0, "");
    let script = r#""$0" receive "$1" --receipt --max 9999 | cut -f1 | "$0" delete "$1""#;
    let pipe = Command::new("sh")
        .args(["-c", script, RINGMAIN, q])
        .stdin(Stdio::null())
        .output()?;
    expect(&pipe, 0, "");
    let found = stat(q)?;
    assert_eq!(
        (&found["deleted"], &found["sent"]),
        (&1234.into(), &1234.into())
    );
    expect(&run_with(&["delete", q], b"")?, 0, "");
    Ok(())
}

#[test]
fn a_shell_script_works_through_a_queue() -> Outcome {
    let place = Place::new("script")?;
    let q = &place.file("q.ring");
    let send = ["send", q, "--create", "--size", "1M"];
    expect(&run_with(&send, b"good 1\nbad  2\ngood 3\n")?, 0, "");
    // The loop of docs/cli.md.
    let script = r#"
        tab=$(printf '\t')
        "$0" receive "$1" --receipt --max 3 | while IFS=$tab read -r receipt body; do
            case $body in
                good*) echo "$body" && "$0" delete "$1" "$receipt" ;;
                *) "$0" release "$1" "$receipt" ;;
            esac
        done"#;
    let worked = Command::new("sh")
        .args(["-c", script, RINGMAIN, q])
        .stdin(Stdio::null())
        .output()?;
    expect(&worked, 0, "good 1\ngood 3\n");
    let left = json(&run(&["receive", q, "--json"])?)?;
    assert_eq!(
        (&left["body"], &left["receive_count"]),
        (&"bad  2".into(), &2.into())
    );
    // JSON has the receipt too.
    let receipt = left["receipt"].as_str().ok_or("no receipt")?;
    expect(&run(&["delete", q, receipt])?, 0, "");
    assert_eq!(stat(q)?["deleted"], 3);
    Ok(())
}
