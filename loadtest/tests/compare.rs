//! The comparison as a command, at small size, with real servers.

// A test that meets an error is to fail.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// How often it is tried on a machine that is too busy to tell.
const TRIES: usize = 4;

#[test]
#[ignore = "installs other servers with npm, and needs a ting that TING_BIN names"]
fn every_server_runs_the_sentence_test() {
    let ting = std::env::var_os("TING_BIN").expect("TING_BIN names a built ting");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("compare.json");
    for tries in 1.. {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(["compare", "--viewers", "10", "--typists", "3"])
            .args(["--keys", "25", "--time", "8", "--stalled-max", "99"])
            .args(["--late", "20000", "--lag", "2000", "--wait-share", "1"])
            .arg("--ting")
            .arg(std::path::absolute(&ting).unwrap())
            .arg("--report")
            .arg(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        if tries < TRIES && output.status.code() == Some(2) {
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{text}{errors}");
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
        for row in json.as_array().unwrap() {
            assert_eq!(row["verdict"]["worth"], "passed", "{row}");
            assert!(row["figures"]["p99_ms"].as_f64().unwrap() > 0.0, "{row}");
        }
        assert_eq!(json.as_array().unwrap().len(), 5, "{text}");
        return;
    }
}
