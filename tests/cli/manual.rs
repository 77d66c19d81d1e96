//! Completions and manual pages: each names the verbs, and none those of the demo's children.

use std::fs;
use std::process::{Command, Stdio};

use super::{Outcome, Place, RINGMAIN, expect, refused, run, run_with};

const VERBS: [&str; 34] = [
    "create",
    "send",
    "receive",
    "put",
    "follow",
    "tail",
    "shards",
    "split",
    "merge",
    "consumers",
    "register-consumer",
    "deregister-consumer",
    "delete",
    "release",
    "extend",
    "stat",
    "set",
    "purge",
    "peek",
    "redrive",
    "init",
    "list",
    "describe",
    "delete-queue",
    "delete-stream",
    "tag",
    "untag",
    "verify",
    "top",
    "demo",
    "bench",
    "completions",
    "man",
    "--version",
];

#[test]
fn completions_know_the_verbs() -> Outcome {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell])?;
        let text = String::from_utf8(output.stdout.clone())?;
        expect(&output, 0, &text);
        for verb in VERBS {
            let word = verb.trim_start_matches('-');
            assert!(text.contains(word), "{shell}: {verb}");
        }
        for option in ["visibility", "queue-delay", "attribute"] {
            assert!(text.contains(option), "{shell}: {option}");
        }
        assert!(!text.contains("demo-worker"), "{shell}");
    }
    refused(&run(&["completions", "csh"])?, 2, "bash");
    refused(&run(&["completions"])?, 2, "<SHELL>");
    Ok(())
}

#[test]
fn bash_completes_a_verb() -> Outcome {
    let script = run(&["completions", "bash"])?.stdout;
    let ask = b"\nCOMP_WORDS=(ringmain se) COMP_CWORD=1\n_ringmain ringmain se ringmain\n\
        echo \"${COMPREPLY[@]}\"\n";
    let input = [&script[..], ask].concat();
    let place = Place::new("bash")?;
    let file = place.file("ask.sh");
    fs::write(&file, input)?;
    match Command::new("bash")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
    {
        // A machine without bash has nothing to complete.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        output => expect(&output?, 0, "send set\n"),
    }
    Ok(())
}

#[test]
fn the_manual_has_a_page_for_each_verb() -> Outcome {
    let output = run(&["man"])?;
    let page = String::from_utf8(output.stdout.clone())?;
    expect(&output, 0, &page);
    assert!(page.contains(".TH ringmain 1"), "{page}");
    assert!(page.contains("Exit status: 0 done"), "{page}");
    let place = Place::new("man")?;
    expect(&run(&["man", "--dir", &place.0.to_string_lossy()])?, 0, "");
    let mut pages = Vec::new();
    for entry in fs::read_dir(&place.0)? {
        pages.push(entry?.file_name().to_string_lossy().into_owned());
    }
    pages.sort();
    let verbs = VERBS.iter().filter(|verb| !verb.starts_with('-'));
    let mut expected: Vec<String> = verbs.map(|verb| format!("ringmain-{verb}.1")).collect();
    expected.push("ringmain.1".to_owned());
    expected.sort();
    assert_eq!(pages, expected);
    let set = fs::read_to_string(place.file("ringmain-set.1"))?;
    assert!(
        set.contains("retention") && set.contains("1m to 14d"),
        "{set}"
    );
    let missing = &place.file("no/such");
    refused(&run(&["man", "--dir", missing])?, 1, missing);
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Outcome {
    for args in [&["man"][..], &["completions", "zsh"]] {
        let mut child = Command::new(RINGMAIN)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()?;
        drop(child.stdout.take());
        assert_eq!(child.wait()?.code(), Some(0), "{args:?}");
    }
    expect(
        &run_with(&["--version"], b"")?,
        0,
        concat!("ringmain ", env!("CARGO_PKG_VERSION"), "\n"),
    );
    Ok(())
}
