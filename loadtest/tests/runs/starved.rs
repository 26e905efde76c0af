//! A generator that can't keep up says so, and never calls the server slow.

use std::time::Duration;

use loadtest::{
    attack,
    scenario::Scenario,
    verdict::{Verdict, Worth},
};

use crate::{
    fake::{Fake, Planted},
    faults::plan,
};

#[tokio::test(flavor = "current_thread")]
async fn a_starved_generator_makes_the_run_invalid() {
    let fake = Fake::start(Planted::Nothing);
    let mut plan = plan(&fake, Scenario::Sentence, &["--p99", "1"]);
    plan.limits.lag = Duration::from_millis(50);
    plan.limits.canary = Duration::from_millis(50);
    // Blocks the only thread that typists and viewers have, most of the time.
    let hog = tokio::spawn(async {
        loop {
            std::thread::sleep(Duration::from_millis(300));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let outcome = attack::run(plan, &[], None).await.unwrap();
    hog.abort();
    let verdict = Verdict::of(&outcome);
    assert_eq!(verdict.worth, Worth::Invalid, "{verdict:#?}");
    assert_eq!(verdict.exit_code(), 2);
    // The threshold that it broke is told, and is not what decides.
    let told = |what: &str| {
        verdict
            .findings
            .iter()
            .any(|finding| finding.what.contains(what))
    };
    assert!(told("typists woke late") && told("p99 is"), "{verdict:#?}");
}
