//! Each scenario as a command, at small size, against a server without faults.

use std::{path::Path, process::Output};

use futures::{StreamExt, stream};
use tokio::process::Command;

use crate::fake::{Fake, Planted};

/// Sizes that a busy machine carries, and limits that it keeps.
const SMALL: &[&str] = &[
    "--typists",
    "3",
    "--viewers",
    "10",
    "--keys",
    "25",
    "--time",
    "8",
    "--late",
    "20000",
    "--stalled-max",
    "99",
    "--lag",
    "2000",
    "--wait-share",
    "1",
];

/// How often a run is tried that finds the machine too busy to tell.
const TRIES: usize = 4;

/// How many runs go on at once; a small machine carries no more.
const RUNS: usize = 4;

async fn run(fake: &Fake, scenario: &str, arguments: &[&str]) -> Output {
    let mut tries = 1;
    loop {
        let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args([scenario, "--url", &fake.url])
            .args(SMALL)
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        if tries == TRIES || output.status.code() != Some(2) {
            return output;
        }
        tries += 1;
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_is_one_command() {
    let scenarios: &[(&str, &[&str])] = &[
        ("sentence", &[]),
        ("rooms", &["--conversations", "3"]),
        ("privates", &["--conversations", "5"]),
        ("crowd", &["--viewers", "60", "--processes", "3"]),
        ("join-storm", &["--viewers", "30", "--client", "seed"]),
        ("reconnect-storm", &["--viewers", "20"]),
        ("presence-churn", &["--pace", "4"]),
        ("history", &["--pace", "20"]),
        ("login-flood", &["--pace", "4"]),
        ("slow-viewers", &["--slow", "3"]),
        ("sends", &["--senders", "3"]),
        ("soak", &[]),
    ];
    let runs = scenarios.iter().map(|(scenario, arguments)| async move {
        let fake = Fake::start(Planted::Nothing);
        let output = run(&fake, scenario, arguments).await;
        let text = text(&output);
        let passed = output.status.code() == Some(0) && text.contains("PASSED");
        (!passed).then(|| format!("{scenario}: {:?}\n{text}", output.status))
    });
    let runs = stream::iter(runs).buffer_unordered(RUNS);
    let wrong: Vec<String> = runs.filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn reports_and_thresholds_are_goose_s_too() {
    let fake = Fake::start(Planted::Nothing);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("deep/report");
    let report = report.to_str().unwrap();
    let impossible = [
        "--report",
        report,
        "--",
        "--threshold",
        "max<1us for WS delivery final",
    ];
    let output = run(&fake, "sentence", &impossible).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("threshold max<1us"), "{text}");
    let read = |name: &str| std::fs::read_to_string(Path::new(report).join(name)).unwrap();
    let delivery: serde_json::Value = serde_json::from_str(&read("delivery.json")).unwrap();
    assert_eq!(delivery["verdict"]["worth"], "broken");
    assert_eq!(delivery["viewers"]["joined"], 10);
    let plot = read("latency.html");
    assert!(plot.contains("<polyline") && !plot.contains("src=") && !plot.contains("href="));
    let goose = read("goose.html");
    for name in [
        "update",
        "send",
        "delivery direct",
        "fan-out complete",
        "join",
    ] {
        assert!(goose.contains(name), "goose's report lacks {name}");
    }
    assert!(read("goose.md").contains("delivery direct"));
}

#[tokio::test]
async fn a_test_plan_of_goose_s_leads_the_run() {
    let fake = Fake::start(Planted::Nothing);
    let output = run(&fake, "sentence", &["--", "--test-plan", "4,1s;4,8s;0,1s"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[tokio::test]
async fn what_can_t_be_run_is_an_error() {
    let nobody = ["sentence", "--url", "http://127.0.0.1:1"];
    let nonsense = ["sentence", "--viewers", "many"];
    let silent = ["sentence", "--typists", "0"];
    for arguments in [nobody.as_slice(), &nonsense, &silent] {
        let command = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(arguments)
            .output();
        let output = command.await.unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(!output.stderr.is_empty());
    }
}
