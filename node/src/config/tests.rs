use super::*;
use proptest::prelude::*;
use std::io::Write;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Settings::load(Some(written.path()), environment).map_err(|error| error.to_string())
}

fn refused(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment).unwrap_err()
}

#[test]
fn nothing_needs_to_be_said() {
    let settings = Settings::load(None, []).unwrap();
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:8081");
    assert!(settings.secret.is_none() && settings.http.tls.is_none() && settings.otel.is_none());
    assert!(matches!(
        settings.store,
        StoreSettings::Embedded { path, retention: None } if path == Path::new("ting-data/ting.db")
    ));
}

#[test]
fn the_environment_wins_over_the_file() {
    let settings = load(
        "[http]\nlisten = \"127.0.0.1:1\"\norigins = [\"https://a.example\"]\n[limits]\nsends_burst = 7\n",
        &[
            ("TING_HTTP__LISTEN", "127.0.0.1:2"),
            ("TING_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
            ("TING_LIMITS__SIGN_INS_PER_MINUTE", "12"),
            ("TING_API__SECRET", "12345"),
            ("TING_WEB", "skip"),
            ("HOME", "/"),
        ],
    )
    .unwrap();
    assert_eq!(settings.http.listen.port(), 2);
    assert_eq!(
        settings.http.origins,
        Origins::parse(&["https://a.example"]).unwrap()
    );
    assert_eq!(
        settings.http.proxies,
        Proxies::parse(&["10.0.0.0/8", "192.0.2.1"]).unwrap()
    );
    assert_eq!(settings.limits.people.sends_burst, 7);
    assert_eq!(settings.limits.http.sign_ins_per_minute, 12);
    assert!(settings.secret.unwrap().is(b"12345"));
}

#[test]
fn an_unknown_key_is_named() {
    let unknown = "is not a key that Ting knows";
    for (file, key) in [
        ("[http]\nlisen = 1", "http.lisen"),
        ("[htp]\nlisten = 1", "htp"),
        ("[limits]\nsends = 1", "limits.sends"),
        ("[cluster]\nlisen = \"127.0.0.1:0\"", "cluster.lisen"),
    ] {
        assert_eq!(refused(file, &[]), format!("{key}: {unknown}"));
    }
    assert_eq!(
        refused("", &[("TING_STORE__PAHT", "x")]),
        format!("store.paht: {unknown}")
    );
}

#[test]
fn what_is_wrong_is_said_of_its_key() {
    for (file, begins) in [
        ("[http]\nlisten = \"here\"", "http.listen: "),
        ("[http]\nlisten = 5", "http.listen: "),
        ("[http]\norigins = [\"ting.example\"]", "http.origins: "),
        (
            "[http]\ntrusted_proxies = [\"me\"]",
            "http.trusted_proxies: ",
        ),
        (
            "[http]\ntls_key = \"k.pem\"",
            "http.tls_certificate: is missing",
        ),
        (
            "[http]\ntls_certificate = \"c.pem\"",
            "http.tls_key: is missing",
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:8080\"",
            "admin.listen: is the same",
        ),
        ("[store]\nkind = \"oracle\"", "store.kind: "),
        ("[store]\nnodes = [\"a\"]", "store.nodes: is for store.kind"),
        (
            "[store]\ntablets = true",
            "store.tablets: is for store.kind",
        ),
        ("[store]\nrack = \"r1\"", "store.rack: is for store.kind"),
        (
            "[store]\nmigrate = false",
            "store.migrate: is for store.kind",
        ),
        ("[store]\nmigrate = \"no\"", "store.migrate: "),
        ("[store]\nkind = \"cql\"", "store.nodes: name at least one"),
        (
            "[store]\nkind = \"cql\"\npath = \"x\"",
            "store.path: is for the embedded",
        ),
        ("[store]\nretention = \"soon\"", "store.retention: "),
        ("[store]\nretention = \"5m\"", "store.retention: "),
        (
            "[limits]\nsends_burst = 0",
            "limits.sends_burst: is at least 1",
        ),
        ("[limits]\nsends_burst = \"x\"", "limits.sends_burst: "),
        ("[log]\nfilter = \"=loud=\"", "log.filter: "),
        ("[log]\nformat = \"xml\"", "log.format: "),
        ("[otel]\nendpoint = \"collector\"", "otel.endpoint: "),
        ("[otel]\nendpoint = \"ftp://x\"", "otel.endpoint: "),
        ("[api]\nsecret = \"\"", "api.secret: is empty"),
        (
            "[api]\nsecret = \"a\"\nsecret_file = \"b\"",
            "api.secret: is given twice",
        ),
        (
            "[api]\nsecret_file = \"/nowhere/at/all\"",
            "api.secret_file: can't read",
        ),
        ("http = 3", "http: "),
        ("[http", "--config: "),
    ] {
        let told = refused(file, &[]);
        assert!(told.starts_with(begins), "{file:?} told {told:?}");
        assert!(!told.contains('\n'), "{told:?} is more than a sentence");
    }
    let told = refused("", &[("TING_LIMITS__SENDS_BURST", "many")]);
    assert_eq!(told, "limits.sends_burst: is not a whole number");
    let told = refused("", &[("TING_STORE__MIGRATE", "perhaps")]);
    assert_eq!(told, "store.migrate: is neither true nor false");
}

/// The settings of a database, with these variables.
fn database(environment: &[(&str, &str)]) -> cql::scylla::CqlSettings {
    let file = "[store]\nkind = \"cql\"\nnodes = [\"127.0.0.1:9042\"]\ndatacenter = \"dc1\"\n";
    match load(file, environment).unwrap().store {
        StoreSettings::Cql(settings) => settings,
        StoreSettings::Embedded { .. } => panic!("a database was asked for"),
    }
}

#[test]
fn a_database_is_migrated_and_knows_no_racks_unless_it_is_said() {
    let settings = database(&[]);
    assert!(settings.migrate && settings.rack.is_none() && settings.tablets.is_none());
    let settings = database(&[
        ("TING_STORE__TABLETS", "true"),
        ("TING_STORE__MIGRATE", " false "),
        ("TING_STORE__RACK", "rack1"),
    ]);
    assert_eq!(settings.tablets, Some(true));
    assert!(!settings.migrate);
    assert_eq!(settings.rack.as_deref(), Some("rack1"));
}

#[test]
fn a_secret_may_lie_in_a_file_of_its_own() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "s3cret").unwrap();
    let path = file.path().to_str().unwrap();
    let settings = load("", &[("TING_API__SECRET_FILE", path)]).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
    let secret = settings.secret.unwrap();
    assert!(secret.is(b"s3cret") && !secret.is(b"s3cre") && !secret.is(b""));
}

#[test]
fn a_secret_is_not_told_with_what_is_wrong() {
    let told = refused("[api]\nsecret = s3cret", &[]);
    assert!(!told.contains("s3cret"), "{told:?}");
}

#[test]
fn a_time_of_days_or_weeks_is_understood() {
    let settings = load("[store]\nretention = \"2 weeks\"", &[]).unwrap();
    assert!(matches!(
        settings.store,
        StoreSettings::Embedded { retention: Some(time), .. } if time.as_secs() == 14 * 86_400
    ));
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused_in_one_sentence(text in "\\PC{0,80}") {
        if let Err(told) = load(&text, &[]) {
            prop_assert!(!told.is_empty());
        }
    }
}

#[test]
fn a_cluster_needs_a_shared_store_and_an_address_to_dial() {
    let cql = "[store]\nkind = \"cql\"\nnodes = [\"127.0.0.1:9042\"]\ndatacenter = \"dc1\"\n";
    let listens = "[cluster]\nlisten = \"127.0.0.1:7946\"\n";
    assert!(refused(listens, &[]).starts_with("cluster.listen: needs a store that nodes share"));
    let everywhere = format!("{cql}[cluster]\nlisten = \"0.0.0.0:7946\"\n");
    assert!(refused(&everywhere, &[]).starts_with("cluster.advertise: is missing"));
    for address in ["nowhere", ":7946", "host:0", "host:seven"] {
        let file = format!("{cql}{listens}advertise = \"{address}\"\n");
        assert!(
            refused(&file, &[]).starts_with("cluster.advertise: must be"),
            "{address}"
        );
    }
    let alone = format!("{cql}[cluster]\nadvertise = \"host:7946\"\n");
    assert!(refused(&alone, &[]).starts_with("cluster.advertise: is for a node that others reach"));
    let good = format!("{everywhere}advertise = \"ting-0.example:7946\"\n");
    assert!(load(&good, &[]).is_ok());
}
