use super::*;
use proptest::prelude::*;

fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

fn can_both_exist(one: &str, other: &str) -> bool {
    let other = user(other).skeletons();
    !user(one)
        .skeletons()
        .iter()
        .any(|skeleton| other.contains(skeleton))
}

#[test]
fn names_are_refused_for_the_first_reason_that_holds() {
    assert_eq!(Username::parse(""), Err(NameError::Empty));
    assert_eq!(Username::parse(&"é".repeat(21)), Err(NameError::Length));
    assert_eq!(Username::parse("é"), Err(NameError::Chars));
    for wrong in ["a b", "a<b", "ж", "a\0", "\u{0387}", "\u{03A2}", "ï"] {
        assert_eq!(Username::parse(wrong), Err(NameError::Chars), "{wrong:?}");
    }
}

#[test]
fn letters_digits_symbols_and_greek_make_names() {
    for right in [
        "a",
        "Ada_9",
        "Διονύσης",
        "ΐΰΆΈΊΌΏώ",
        "[x]{y}|'\"`;:",
        "λ.,/?~!@#$%^&*()-_",
        "=+\\",
    ] {
        assert_eq!(user(right).as_str(), right);
    }
    assert_eq!(user(&"λ".repeat(20)).as_str().chars().count(), 20);
}

#[test]
fn a_name_is_counted_after_nfc() {
    let decomposed = "α\u{0301}".repeat(20);
    assert_eq!(user(&decomposed).as_str(), "ά".repeat(20));
}

#[test]
fn names_that_look_alike_cannot_both_exist() {
    for (one, other) in [
        ("ada", "ADA"),
        ("Hλιας", "Ηλιας"),
        ("ΗΛΙΑΣ", "ηλιας"),
        ("nικος", "ηικος"),
        ("viv", "νιν"),
        ("ABEZHIKMNOPTYX", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"),
        ("αkο", "ako"),
    ] {
        assert!(!can_both_exist(one, other), "{one} {other}");
    }
    for (one, other) in [("vick", "nick"), ("hat", "nat"), ("ada", "adb"), ("ά", "α")] {
        assert!(can_both_exist(one, other), "{one} {other}");
    }
}

#[test]
fn a_channel_of_dots_alone_has_no_path() {
    assert_eq!(ChannelName::parse(".."), Err(NameError::Chars));
    assert_eq!(ChannelName::parse(""), Err(NameError::Empty));
    assert_eq!(ChannelName::parse(&"a".repeat(21)), Err(NameError::Length));
    assert_eq!(ChannelName::parse("λ"), Err(NameError::Chars));
    assert_eq!(ChannelName::parse("a/b"), Err(NameError::Chars));
    assert_eq!(ChannelName::parse(".a-b_C9.").unwrap().as_str(), ".a-b_C9.");
}

proptest! {
    #[test]
    fn whatever_is_typed_is_parsed_or_refused(text in any::<String>()) {
        if let Ok(name) = Username::parse(&text) {
            prop_assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
            prop_assert!((1..=20).contains(&name.as_str().chars().count()));
        }
        if let Ok(name) = ChannelName::parse(&text) {
            prop_assert_eq!(name.as_str(), text);
        }
    }
}
