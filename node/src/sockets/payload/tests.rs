use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(event: &str, argument: Value) -> Result<Inbound, Refusal> {
    Inbound::read(&json!([event, argument]).to_string())
}

#[test]
fn a_seed_client_names_itself_and_its_token() {
    let read = read("login", json!({"username": "ada", "ting_auth": "abc"}));
    let Ok(Inbound::Login(login)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(
        (login.username.as_str(), login.ting_auth.as_deref()),
        ("ada", Some("abc"))
    );
    assert_eq!(
        (login.channels.clone(), login.wants()),
        (None, Wants::default())
    );
}

#[test]
fn a_client_says_what_it_wants_to_hear() {
    let read = read(
        "login",
        json!({
            "username": "ada", "channels": ["ting"], "presence": "batched", "messages": false,
            "resume": true, "unheard-of": 1,
        }),
    );
    let Ok(Inbound::Login(login)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(login.channels, Some(vec!["ting".to_owned()]));
    let wants = Wants {
        messages: false,
        batched_presence: true,
        resume: true,
    };
    assert_eq!(login.wants(), wants);
}

#[test]
fn a_message_begins_and_goes_on() {
    let post = read(
        "post-message",
        json!({"type": "channel", "target": "ting", "text": "h"}),
    );
    let expected = Post {
        r#type: "channel".into(),
        target: "ting".into(),
        text: "h".into(),
        typing: None,
        key: None,
    };
    assert_eq!(post, Ok(Inbound::Post(expected)));
    let patch = read(
        "patch-message",
        json!({
            "type": "user", "target": "bob", "text": "he", "typing": false, "messageid": 7,
            "rev": 2, "claim": "c",
        }),
    );
    let expected = Patch {
        messageid: MessageId(7),
        r#type: "user".into(),
        target: "bob".into(),
        text: "he".into(),
        typing: false,
        rev: Some(2),
        claim: Some("c".into()),
    };
    assert_eq!(patch, Ok(Inbound::Patch(expected)));
}

#[test]
fn wrong_input_is_told_from_unreadable_input() {
    for packet in [
        "",
        "[]",
        "[1]",
        "{}",
        "null",
        "[\"login\"",
        "[\"unheard-of\",{}]",
    ] {
        assert_eq!(Inbound::read(packet), Err(Refusal::MALFORMED), "{packet}");
    }
    for argument in [json!(null), json!("ada"), json!([]), json!(["ada", "abc"])] {
        assert_eq!(
            read("login", argument.clone()),
            Err(Refusal::MALFORMED),
            "{argument}"
        );
    }
    for argument in [
        json!({"username": 1}),
        json!({"username": "ada", "channels": "ting"}),
        json!({"username": "ada", "channels": vec!["ting"; 51]}),
        json!({"username": "ada", "presence": "never"}),
        json!({"username": "ada", "messages": "no"}),
    ] {
        assert_eq!(
            read("login", argument.clone()),
            Err(Refusal::INVALID),
            "{argument}"
        );
    }
    let post = |key: &str| {
        read(
            "post-message",
            json!({"type": "user", "target": "b", "text": "h", "key": key}),
        )
    };
    assert!(post(&"λ".repeat(64)).is_ok());
    assert_eq!(post(&"λ".repeat(65)), Err(Refusal::INVALID));
    assert_eq!(post(""), Err(Refusal::INVALID));
    let patch = |key: &str, value: &Value| {
        let mut patch =
            json!({"type": "user", "target": "b", "text": "h", "typing": true, "messageid": 7});
        patch[key] = value.clone();
        read("patch-message", patch)
    };
    for key in ["messageid", "rev"] {
        for right in [json!(7), json!((1_u64 << 53) - 1)] {
            assert!(patch(key, &right).is_ok(), "{key} {right}");
        }
        for wrong in [json!(-1), json!("7"), json!(1.5), json!(1_u64 << 53)] {
            assert_eq!(patch(key, &wrong), Err(Refusal::INVALID), "{key} {wrong}");
        }
    }
    assert!(patch("rev", &json!(null)).is_ok());
    assert_eq!(patch("messageid", &json!(null)), Err(Refusal::INVALID));
}

#[test]
fn what_is_null_is_not_given() {
    let post = json!({"type": "channel", "target": "ting", "text": "h"});
    let mut nulls = post.clone();
    nulls["typing"] = json!(null);
    nulls["key"] = json!(null);
    let given = read("post-message", post);
    assert!(given.is_ok());
    assert_eq!(read("post-message", nulls), given);
}

#[test]
fn debug_shows_neither_text_nor_token() {
    for (event, argument) in [
        ("login", json!({"username": "a", "ting_auth": "secret"})),
        (
            "post-message",
            json!({"type": "user", "target": "b", "text": "secret"}),
        ),
        (
            "patch-message",
            json!({"type": "user", "target": "b", "text": "secret", "typing": true, "messageid": 1}),
        ),
    ] {
        let read = read(event, argument).unwrap();
        assert!(!format!("{read:?}").contains("secret"), "{read:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let keys = prop_oneof![
        prop::sample::select(vec![
            "username",
            "ting_auth",
            "channels",
            "presence",
            "messages",
            "resume",
            "type",
            "target",
            "text",
            "typing",
            "key",
            "messageid",
            "rev",
            "claim",
        ])
        .prop_map(str::to_owned),
        ".{0,5}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(
        event in prop_oneof![
            prop::sample::select(vec!["login", "enter", "leave", "post-message", "patch-message"])
                .prop_map(str::to_owned),
            ".{0,10}",
        ],
        arguments in prop::collection::vec(any_json(), 0..3),
    ) {
        let mut packet = vec![Value::from(event)];
        packet.extend(arguments);
        if let Err(refusal) = Inbound::read(&Value::from(packet).to_string()) {
            prop_assert_eq!(refusal.status, 400);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(packet in ".{0,200}") {
        let _ = Inbound::read(&packet);
    }
}
