//! Bad input: each has its message and its status, and changes nothing.

use std::fs;
use std::path::Path;

use super::{Outcome, Place, expect, refused, run, run_with, stat};

#[test]
fn lines_that_cannot_be_messages_are_told_by_number() -> Outcome {
    let place = Place::new("lines")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M", "--max-body", "1000"])?;
    let max = stat(q)?["body_bytes_max"].as_u64().ok_or("no limit")? as usize;
    let mut input = b"first\n\n".to_vec();
    input.extend(vec![b'x'; max + 1]);
    input.extend(b"\n\n");
    input.extend(vec![b'y'; max]);
    input.extend(b"\nlast");
    let output = run_with(&["send", q], &input)?;
    refused(
        &output,
        1,
        &format!("line 3: over the limit of {max} bytes"),
    );
    refused(&output, 1, "line 2 is empty");
    refused(&output, 1, "2 empty lines skipped");
    let received = run(&["receive", q, "--max", "9", "--delete"])?;
    expect(&received, 0, &format!("first\n{}\nlast\n", "y".repeat(max)));
    expect(&run_with(&["send", q], b"\n")?, 0, "");
    refused(&run(&["send", q, "", "fine"])?, 1, "argument 1: ");
    refused(
        &run(&["send", q, "fine", &"x".repeat(max + 1)])?,
        1,
        "argument 2: ",
    );
    assert_eq!(stat(q)?["visible"], 2);
    Ok(())
}

#[test]
fn bad_files_are_refused_and_left_alone() -> Outcome {
    let place = Place::new("bad")?;
    let missing = &place.file("missing.ring");
    for verb in ["send", "receive", "delete", "release", "stat", "purge"] {
        refused(&run(&[verb, missing])?, 1, missing);
    }
    refused(&run(&["set", missing, "--delay", "1s"])?, 1, missing);
    let receipt = &"0".repeat(48);
    refused(&run(&["extend", missing, receipt, "1s"])?, 1, missing);
    assert!(!Path::new(missing).exists());

    let foreign = &place.file("foreign.ring");
    fs::write(foreign, "a letter to a friend\n".repeat(1000))?;
    let before = fs::read(foreign)?;
    for args in [
        vec!["send", foreign, "x"],
        vec!["receive", foreign],
        vec!["stat", foreign],
    ] {
        refused(&run(&args)?, 1, foreign);
    }
    refused(&run(&["send", foreign, "--create", "x"])?, 1, foreign);
    refused(&run(&["create", foreign])?, 1, "exists");
    assert_eq!(fs::read(foreign)?, before);

    let empty = &place.file("empty.ring");
    fs::write(empty, "")?;
    refused(&run(&["receive", empty])?, 1, empty);
    refused(
        &run(&["create", &place.file("no/such/directory/q.ring")])?,
        1,
        "no such",
    );
    refused(&run(&["stat", &place.0.to_string_lossy()])?, 1, "");
    Ok(())
}

#[test]
fn a_cut_file_is_refused() -> Outcome {
    let place = Place::new("cut")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    fs::File::options().write(true).open(q)?.set_len(300_000)?;
    refused(&run(&["receive", q])?, 1, q);
    Ok(())
}

#[test]
fn options_out_of_range_are_refused() -> Outcome {
    let place = Place::new("range")?;
    let q = &place.file("q.ring");
    for (args, code) in [
        (["--size", "0"], 1),
        (["--size", "100"], 1),
        (["--size", "8E"], 1),
        (["--visibility", "13h"], 1),
        (["--retention", "59s"], 1),
        (["--retention", "15d"], 1),
        (["--delay", "901s"], 1),
        (["--max-body", "0"], 1),
        (["--size", "many"], 2),
        (["--size", "-1"], 2),
        (["--visibility", "soon"], 2),
        (["--retention", "long"], 2),
        (["--delay", "3"], 2),
    ] {
        let output = run(&[&["create", q][..], &args].concat())?;
        refused(&output, code, "");
        assert!(!output.stderr.is_empty());
        assert!(!Path::new(q).exists(), "{args:?} left a file");
    }
    for args in [
        &["send", q, "--rate", "0"][..],
        &["receive", q, "--max", "0"],
        &["demo", "--seconds", "0"],
        &["receive", q, "--receipt", "--json"],
        &["receive", q, "--receipt", "--delete"],
        &["set", q],
        &["extend", q],
        &["completions", "csh"],
        &["frobnicate"],
        &[],
    ] {
        refused(&run(args)?, 2, "");
    }
    expect(
        &run(&["--version"])?,
        0,
        concat!("ringmain ", env!("CARGO_PKG_VERSION"), "\n"),
    );
    let help = String::from_utf8(run(&["--help"])?.stdout)?;
    assert!(
        help.contains("Exit status: 0 done, 1 failed, 2 usage, 3 no message"),
        "{help}"
    );
    assert!(!help.contains("demo-worker"), "{help}");
    Ok(())
}

#[test]
fn a_file_that_may_only_be_read_is_refused() -> Outcome {
    let place = Place::new("read-only")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let mut permissions = fs::metadata(q)?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(q, permissions)?;
    let output = run(&["send", q, "x"])?;
    if rustix::process::geteuid().is_root() {
        // Root may write anything: there is nothing to refuse.
        expect(&output, 0, "");
    } else {
        refused(&output, 1, "denied");
    }
    Ok(())
}
