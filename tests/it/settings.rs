//! Settings: what is refused before a port opens, and in which words.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};
use tests::{
    Settings, Ting,
    keyspaces::Keyspace,
    process::{Ended, command, run_to_end},
};

fn ting(directory: &Path, env: &[(&str, &str)]) -> Command {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    command(directory, env.iter().map(|(name, value)| (name, value)))
}

fn with_file(toml: &str, arguments: &[&str]) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ting.toml");
    std::fs::write(&file, toml).unwrap();
    run_to_end(
        ting(directory.path(), &[])
            .arg("--config")
            .arg(file)
            .args(arguments),
    )
}

#[test]
fn what_cannot_be_is_refused_with_the_keys_name_and_code_2() {
    for (toml, named) in [
        ("http.port = 8080", "port"),
        ("nothing = 1", "nothing"),
        ("[htpp]\nlisten = '127.0.0.1:0'", "htpp"),
        ("http.listen = 'nowhere'", "listen"),
        ("http.listen = 8080", "listen"),
        ("admin.listen = ''", "listen"),
        ("http.origins = ['not an origin']", "origins"),
        ("http.trusted_proxies = ['somewhere']", "trusted_proxies"),
        ("store.kind = 'paper'", "kind"),
        ("log.format = 'prose'", "format"),
        ("limits.sends_per_second = 'many'", "sends_per_second"),
        ("limits.nothing = 1", "nothing"),
        ("http.tls_certificate = '/cert.pem'", "tls_"),
        ("store.kind = 'cql'", "nodes"),
        ("[http", "ting.toml"),
    ] {
        for arguments in [&["serve"][..], &["check"]] {
            let ended = with_file(toml, arguments);
            assert_eq!(
                ended.code,
                Some(2),
                "{toml:?} {arguments:?}: {}",
                ended.said
            );
            assert!(
                ended.said.contains(named),
                "{toml:?} {arguments:?}: {}",
                ended.said
            );
            assert!(!ended.said.contains("listening"), "{}", ended.said);
            assert!(!ended.said.contains("panicked"), "{}", ended.said);
        }
    }
}

#[test]
fn the_environment_overrides_and_is_checked_as_well() {
    let directory = tempfile::tempdir().unwrap();
    for (variable, value, named) in [
        ("TING_HTTP__PORT", "8080", "port"),
        ("TING_HTTP__LISTEN", "nowhere", "listen"),
        ("TING_LOG__FORMAT", "prose", "format"),
        ("TING_NOTHING__AT_ALL", "1", "nothing"),
    ] {
        let ended = run_to_end(ting(directory.path(), &[(variable, value)]).arg("check"));
        assert_eq!(ended.code, Some(2), "{variable}: {}", ended.said);
        assert!(
            ended.said.to_lowercase().contains(named),
            "{variable}: {}",
            ended.said
        );
    }
}

#[test]
fn a_node_that_may_not_migrate_ends_and_says_who_does() {
    if !tests::settings::is_cql() {
        println!("skipped: there is no database in this run");
        return;
    }
    let keyspace = Keyspace::fresh();
    let toml = Settings::default()
        .with_keyspace(keyspace.name())
        .set("store.migrate", "false")
        .toml();
    let ended = with_file(&toml, &["serve"]);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("`ting migrate`"), "{}", ended.said);
}

#[test]
fn a_file_that_is_not_there_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.toml");
    let ended = run_to_end(ting(directory.path(), &[]).arg("--config").arg(&missing));
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("missing.toml"), "{}", ended.said);
}

#[test]
fn check_says_yes_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_to_end(ting(directory.path(), &[]).arg("check"));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn it_tells_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_to_end(ting(directory.path(), &[]).arg("--version"));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.starts_with("ting "), "{}", ended.said);
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let read_only = directory.path().join("read-only");
    std::fs::create_dir(&read_only).unwrap();
    std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o500)).unwrap();
    let mut places = vec![file.join("ting.db"), "/proc/ting-data/ting.db".into()];
    // Nothing is read-only to root.
    if std::fs::write(read_only.join("try"), "").is_err() {
        places.push(read_only.join("ting.db"));
    }
    for place in places {
        let place = place.to_string_lossy();
        let env = [
            ("TING_STORE__PATH", &*place),
            ("TING_HTTP__LISTEN", "127.0.0.1:0"),
            ("TING_ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        let ended = run_to_end(&mut ting(directory.path(), &env));
        assert_eq!(ended.code, Some(2), "{place}: {}", ended.said);
        assert!(ended.said.contains("store.path"), "{place}: {}", ended.said);
        assert!(!ended.said.contains("listening"), "{}", ended.said);
    }
    std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_damaged_store_is_refused_and_not_changed() {
    if tests::settings::skips_embedded("what is damaged is the embedded file") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("ting.db");
    let damaged = b"this was never a database, but it may be somebody's diary".repeat(100);
    std::fs::write(&place, &damaged).unwrap();
    let path = place.to_string_lossy();
    let env = [
        ("TING_STORE__PATH", &*path),
        ("TING_HTTP__LISTEN", "127.0.0.1:0"),
        ("TING_ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let ended = run_to_end(&mut ting(directory.path(), &env));
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    assert!(ended.said.contains("ting.db"), "{}", ended.said);
    assert_eq!(std::fs::read(&place).unwrap(), damaged);
}

#[test]
fn a_port_that_is_taken_is_refused_by_its_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let env = [
        ("TING_HTTP__LISTEN", address.as_str()),
        ("TING_ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let ended = run_to_end(&mut ting(directory.path(), &env));
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    assert!(ended.said.contains(&address), "{}", ended.said);
}

#[tokio::test]
async fn a_secret_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{}\n", tests::SECRET)).unwrap();
    let settings = Settings::default().without("api.secret");
    let settings = settings.text("api.secret_file", &file.to_string_lossy());
    let ting = Ting::with(settings).await;
    let path = "/restapi/v1/sessions/nobody";
    ting.get(path).privileged().await.refused(403, "forbidden");
    ting.get(path).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn serve_is_what_ting_alone_does_and_migrate_may_come_before() {
    if tests::settings::skips_embedded("the file that is migrated is the embedded one") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("data/ting.db");
    let path = place.to_string_lossy();
    let migrated =
        run_to_end(ting(directory.path(), &[("TING_STORE__PATH", &path)]).arg("migrate"));
    assert_eq!(migrated.code, Some(0), "{}", migrated.said);
    assert!(place.is_file());
    let ting = Ting::with(Settings::default().text("store.path", &path)).await;
    ting.get("/restapi/v1/channels/ting").await.is(200);
}

/// Through a shell that sets a limit of descriptors first.
fn limited(limit: &str) -> Settings {
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    Settings::default()
        .set("limits.connections", "1000")
        .through(&["sh", "-c", &script])
}

#[tokio::test]
async fn descriptors_are_allowed_as_far_as_connections_need_them() {
    let ting = Ting::with(limited("-Sn 256")).await;
    let limits = format!("/proc/{}/limits", ting.process().pid());
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    let soft: u64 = soft.unwrap().parse().unwrap();
    assert!(soft >= 1_000 + 512, "{limits}");
}

#[tokio::test]
async fn a_limit_of_descriptors_below_what_connections_need_is_told() {
    let ting = Ting::with(limited("-n 256")).await;
    let told = ting
        .process()
        .wait_for_log("a lack of descriptors", 0, |line| {
            line["level"] == "WARN" && line["descriptors.allowed"] == 256
        });
    assert_eq!(told.unwrap()["descriptors.wanted"], 1_512);
}
