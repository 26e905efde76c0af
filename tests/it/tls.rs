//! TLS by a certificate of one's own.

use serde_json::json;
use std::{path::Path, process::Command};
use tests::{Settings, Ting, names};

/// Has OpenSSL make a certificate for this name.
fn certify(directory: &Path, name: &str) -> bool {
    let path = |file: &str| directory.join(file).to_string_lossy().into_owned();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", &format!("subjectAltName=DNS:{name}")])
        .args([
            "-keyout",
            &path("key.pem"),
            "-out",
            &path("certificate.pem"),
        ])
        .output();
    made.is_ok_and(|made| made.status.success())
}

/// A client that trusts this certificate alone, and takes `name` for the server's address.
fn client(ting: &Ting, directory: &Path, name: &str) -> reqwest::Client {
    let certificate = std::fs::read(directory.join("certificate.pem")).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(reqwest::Certificate::from_pem(&certificate).unwrap())
        .resolve(name, ting.address().parse().unwrap())
        .timeout(tests::LIMIT)
        .build()
        .unwrap()
}

fn port(ting: &Ting) -> String {
    ting.address().rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure_and_a_new_certificate_is_read_on_sighup() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        certify(directory.path(), "one.example"),
        "the tests need the command openssl"
    );
    let file = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let settings = Settings::default()
        .text("http.tls_certificate", &file("certificate.pem"))
        .text("http.tls_key", &file("key.pem"));
    let ting = Ting::with(settings).await;
    let sign_in = async |name: &str| {
        let url = format!("https://{name}:{}/restapi/v1/sessions", port(&ting));
        let post = json!({ "username": names::unique("ada") });
        client(&ting, directory.path(), name)
            .post(url)
            .json(&post)
            .send()
            .await
    };
    let answer = sign_in("one.example").await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_lowercase();
    assert!(cookie.contains("; secure"), "{cookie}");
    assert!(cookie.contains("; httponly"), "{cookie}");
    // Without TLS nobody is answered there.
    assert!(
        ting.get("/restapi/v1/channels/ting")
            .try_send()
            .await
            .is_err()
    );
    assert!(certify(directory.path(), "two.example"));
    ting.process().signal("HUP");
    tests::within_limit("the new certificate", async {
        while sign_in("two.example").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    // One that can't be read changes nothing.
    std::fs::write(directory.path().join("broken.pem"), "nonsense").unwrap();
    std::fs::rename(file("certificate.pem"), file("kept.pem")).unwrap();
    std::fs::copy(file("broken.pem"), file("certificate.pem")).unwrap();
    let from = ting.process().log().len();
    ting.process().signal("HUP");
    let process = ting.clone();
    let told = tokio::task::spawn_blocking(move || {
        let warned = |line: &serde_json::Value| line["level"] == "WARN" || line["level"] == "ERROR";
        process.process().wait_for_log("a warning", from, warned)
    });
    told.await.unwrap().unwrap();
    std::fs::rename(file("kept.pem"), file("certificate.pem")).unwrap();
    assert_eq!(sign_in("two.example").await.unwrap().status(), 200);
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_before_a_port_opens() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.pem");
    std::fs::write(&broken, "nonsense").unwrap();
    let path = broken.to_string_lossy().into_owned();
    let env = [
        ("TING_HTTP__TLS_CERTIFICATE".to_owned(), path.clone()),
        ("TING_HTTP__TLS_KEY".to_owned(), path),
        ("TING_HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("TING_ADMIN__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
    ];
    let env = env.iter().map(|(name, value)| (name, value));
    let ended = tests::process::run_to_end(&mut tests::process::command(directory.path(), env));
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("tls_certificate"), "{}", ended.said);
    assert!(!ended.said.contains("listening"), "{}", ended.said);
}
