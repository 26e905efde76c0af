//! Each planted fault is found by its name, and nothing is found where nothing is planted.

use std::time::Duration;

use futures::future::join_all;
use loadtest::{
    attack,
    outcome::Outcome,
    plan::{Client, Plan},
    scenario::{Options, Scenario},
    script::Rhythm,
    verdict::{Verdict, Worth},
};

use crate::fake::{Fake, Planted};

/// Far above what a busy machine makes of a small run, and below the pause before a send.
const LATE: Duration = Duration::from_secs(4);

/// A small run of a scenario against this server, with time for a busy machine.
pub fn plan(fake: &Fake, scenario: Scenario, arguments: &[&str]) -> Plan {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    let line = [
        "test",
        "--url",
        &fake.url,
        "--typists",
        "3",
        "--viewers",
        "6",
        "--time",
        "9",
    ];
    let line = line.into_iter().chain(arguments.iter().copied());
    let options = <Line as clap::Parser>::parse_from(line).options;
    let mut plan = scenario.plan(&options).unwrap();
    plan.rhythm = Rhythm {
        keys_per_second: 6.0,
        keys_min: 22,
        keys_max: 26,
        pause: LATE + Duration::from_millis(500),
        gap: Duration::from_millis(200),
        erased_percent: 0,
    };
    plan.limits.late = LATE;
    plan.limits.settle = LATE;
    plan.limits.stall = LATE / 2;
    plan.limits.join = Duration::from_secs(20);
    plan.limits.lag = LATE / 2;
    plan.limits.canary = LATE / 2;
    plan.limits.wait_share = 1.0;
    plan
}

/// How often a run is tried that finds the machine too busy to tell.
const TRIES: usize = 4;

/// Runs until the machine has kept up, for what it could not tell is no answer.
async fn judge(planted: Planted, plan: impl Fn(&Fake) -> Plan) -> (Outcome, Verdict) {
    let mut tries = 1;
    loop {
        let fake = Fake::start(planted);
        let outcome = attack::run(plan(&fake), &[], None).await.unwrap();
        let verdict = Verdict::of(&outcome);
        let busy = |what: &str| what.contains("woke late") || what.contains("stood still");
        if tries == TRIES || !verdict.findings.iter().any(|finding| busy(&finding.what)) {
            return (outcome, verdict);
        }
        tries += 1;
    }
}

/// One fault, where it is planted, and how it is to be found.
struct Case {
    planted: Planted,
    scenario: Scenario,
    arguments: &'static [&'static str],
    change: fn(&mut Plan),
    worth: Worth,
    finding: &'static str,
}

fn case(planted: Planted, finding: &'static str) -> Case {
    Case {
        planted,
        scenario: Scenario::Sentence,
        arguments: &[],
        change: |_| {},
        worth: Worth::Broken,
        finding,
    }
}

async fn wrong(case: Case) -> Option<String> {
    let (_, verdict) = judge(case.planted, |fake| {
        let mut plan = plan(fake, case.scenario, case.arguments);
        (case.change)(&mut plan);
        plan
    })
    .await;
    let found = verdict
        .findings
        .iter()
        .any(|finding| finding.what.contains(case.finding));
    let right = verdict.worth == case.worth && found;
    (!right).then(|| format!("{:?}: {verdict:#?}", case.planted))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_is_found() {
    let cases = vec![
        case(Planted::LostFinal, "1 deliveries missing"),
        case(Planted::LostLastUpdate, "deliveries later than"),
        case(Planted::SwappedPair, "1 deliveries out of order"),
        case(Planted::GhostAfterEnd, "1 ghosts after their end"),
        case(Planted::DoubledMessage, "1 doubled deliveries"),
        case(Planted::TruncatedText, "1 texts that nobody typed"),
        case(Planted::Vanished, "1 vanished messages"),
        case(Planted::Stall(LATE * 3 / 4), "stalled seconds"),
        case(Planted::ForgottenSend, "1 acknowledged messages lost"),
        case(Planted::StoredTwice, "1 messages doubled in the history"),
        case(Planted::LostConnection, "1 connections lost for no reason"),
        Case {
            change: |plan| plan.limits.join = Duration::from_secs(5),
            worth: Worth::Invalid,
            ..case(Planted::NeverJoins, "1 of 6 viewers never joined")
        },
        Case {
            change: |plan| plan.rhythm.erased_percent = 100,
            ..case(Planted::StoredErased, "1 erased messages in the history")
        },
        Case {
            scenario: Scenario::Privates,
            arguments: &["--conversations", "3"],
            ..case(Planted::Foreign, "to someone outside the conversation")
        },
        Case {
            scenario: Scenario::PresenceChurn,
            arguments: &["--pace", "2"],
            ..case(Planted::UntoldPart, "joins and parts never told")
        },
    ];
    let wrong: Vec<String> = join_all(cases.into_iter().map(wrong))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_planted_nothing_is_found() {
    let runs = [
        (Client::Web, Scenario::Sentence, 0),
        (Client::Seed, Scenario::Sentence, 50),
        (Client::Web, Scenario::Privates, 50),
        (Client::Seed, Scenario::Privates, 0),
    ];
    let runs = runs.map(|(client, scenario, erased_percent)| async move {
        let (outcome, verdict) = judge(Planted::Nothing, |fake| {
            let mut plan = plan(fake, scenario, &["--conversations", "1"]);
            plan.client = client;
            plan.rhythm.erased_percent = erased_percent;
            plan
        })
        .await;
        assert_eq!(verdict.findings, vec![], "{client:?} {scenario:?}");
        assert_eq!(verdict.worth, Worth::Passed);
        let counts = outcome.tally.counts;
        assert_eq!(
            counts.expected,
            counts.direct + counts.superseded + counts.last
        );
        // Six viewers are owed each step of three messages.
        assert!(counts.expected >= 6 * 3 * 23, "{counts:?}");
        assert_eq!(outcome.fan_out.count() * 6, counts.expected);
        if erased_percent == 0 {
            assert_eq!(outcome.kept.kept, outcome.messages);
            let told = if client == Client::Web {
                0
            } else {
                outcome.messages
            };
            let watchers = if scenario == Scenario::Privates { 3 } else { 6 };
            assert_eq!(counts.announced, told * watchers);
        }
    });
    join_all(runs).await;
}
