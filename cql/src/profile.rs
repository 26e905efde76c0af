//! Who a person is beyond the name: what `PATCH /users/<username>` sets.

use crate::{Millis, UserId, Username};
use serde::{Deserialize, Serialize};

/// A person known to Ting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The person, whatever the name.
    pub id: UserId,
    /// The name, as it is shown.
    pub username: Username,
    /// Argon2's string; none for a name without a password, which is free again after two weeks.
    pub password_hash: Option<String>,
    /// What else is known.
    pub profile: Profile,
    /// The last use of the name, to within a day.
    pub last_seen: Millis,
}

impl User {
    /// A name without a password is released after this long unused, in milliseconds: two weeks.
    pub const RELEASED_AFTER: Millis = 14 * 24 * 3_600_000;
    /// Uses closer together than this, in milliseconds, are not written: a day.
    pub const SEEN_GRAIN: Millis = 24 * 3_600_000;

    /// Whether another may take the name.
    pub fn is_released(&self, now: Millis) -> bool {
        self.password_hash.is_none() && now - self.last_seen > Self::RELEASED_AFTER
    }
}

/// What a person has told of oneself; all of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Where mail reaches the person.
    pub email: Option<Email>,
    /// The day of birth.
    pub birthday: Option<Birthday>,
    /// Given only if not `-`.
    pub gender: Gender,
}

/// Why a part of a profile is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not of the form it should have.
    #[error("not of the form it should have")]
    Invalid,
    /// Longer than may be kept.
    #[error("longer than may be kept")]
    Length,
    /// A day that has not been yet.
    #[error("a day that has not been yet")]
    Future,
}

/// An e-mail address by RFC 5321, in a domain that has a name, at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Looks at its form; nobody is written to.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        if text.len() > 254 {
            return Err(ProfileError::Length);
        }
        let options = email_address::Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        email_address::EmailAddress::parse_with_options(text, options)
            .map(|address| Email(address.to_string()))
            .map_err(|_| ProfileError::Invalid)
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A real day, from 1900-01-01 to yesterday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Birthday(jiff::civil::Date);

impl Birthday {
    /// Reads `YYYY-MM-DD`; `now` says what is past.
    pub fn parse(text: &str, now: Millis) -> Result<Self, ProfileError> {
        let digits = |range: std::ops::Range<usize>| {
            text.get(range)
                .is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
        };
        let shape = text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
        if !shape || text.as_bytes()[4] != b'-' || text.as_bytes()[7] != b'-' {
            return Err(ProfileError::Invalid);
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| ProfileError::Invalid)?;
        if date.year() < 1900 {
            return Err(ProfileError::Invalid);
        }
        if date >= day(now) {
            return Err(ProfileError::Future);
        }
        Ok(Birthday(date))
    }

    /// Whole years lived.
    pub fn age(self, now: Millis) -> u32 {
        let today = day(now);
        let had_it = (today.month(), today.day()) >= (self.0.month(), self.0.day());
        let years = i32::from(today.year()) - i32::from(self.0.year()) - i32::from(!had_it);
        u32::try_from(years).unwrap_or(0)
    }
}

impl std::fmt::Display for Birthday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn day(now: Millis) -> jiff::civil::Date {
    let now = jiff::Timestamp::from_millisecond(now).unwrap_or(jiff::Timestamp::MAX);
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// As a person chooses to be addressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gender {
    /// `male`
    #[serde(rename = "male")]
    Male,
    /// `female`
    #[serde(rename = "female")]
    Female,
    /// `-`: not given.
    #[default]
    #[serde(rename = "-")]
    NotGiven,
}

impl Gender {
    /// One of the three words.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        match text {
            "male" => Ok(Gender::Male),
            "female" => Ok(Gender::Female),
            "-" => Ok(Gender::NotGiven),
            _ => Err(ProfileError::Invalid),
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Gender::Male => "male",
            Gender::Female => "female",
            Gender::NotGiven => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-22T00:00:00Z
    const NOW: Millis = 1_795_305_600_000;

    /// By the rule of the calendar, without a library.
    fn days_of(year: u32, month: u32) -> u32 {
        let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100);
        match month {
            2 if is_leap || year.is_multiple_of(400) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    proptest! {
        #[test]
        fn a_birthday_is_taken_exactly_if_the_calendar_has_it(
            year in 1_850..2_100_u32,
            month in 0..15_u32,
            day in 0..34_u32,
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let is_real = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
            let expected = match (year, month, day) {
                (year, ..) if !is_real || year < 1_900 => Err(ProfileError::Invalid),
                date if date >= (2_026, 11, 22) => Err(ProfileError::Future),
                _ => Ok(text.clone()),
            };
            let parsed = Birthday::parse(&text, NOW);
            prop_assert_eq!(parsed.map(|birthday| birthday.to_string()), expected);
            if let Ok(birthday) = parsed {
                let years = 2_026 - year;
                let age = birthday.age(NOW);
                prop_assert_eq!(age, years - u32::from((month, day) > (11, 22)));
            }
        }

        #[test]
        fn a_birthday_has_one_spelling(
            text in prop_oneof![".{0,12}", "[0-9+-]{4}[-+/]?[0-9]{1,2}-[0-9]{1,2}.?"],
            now: Millis,
        ) {
            if let Ok(birthday) = Birthday::parse(&text, now) {
                prop_assert_eq!(birthday.to_string(), text);
            }
        }

        #[test]
        fn an_address_is_kept_as_it_was_given(
            text in prop_oneof![
                any::<String>(),
                "[a-zA-Z0-9.+\"λ <>-]{0,12}@[a-z0-9.λ\\[\\]:-]{0,12}[.]?[a-z]{0,4}",
                "[a-z]{60,66}@[a-z]{60,64}[.][a-z]{50,64}[.][a-z]{50,64}",
            ],
        ) {
            match Email::parse(&text) {
                Ok(email) => {
                    prop_assert_eq!(email.as_str(), &text);
                    prop_assert!(text.len() <= 254);
                    let (name, domain) = text.rsplit_once('@').unwrap_or_default();
                    prop_assert!(!name.is_empty() && domain.contains('.'), "{text}");
                }
                Err(error) => {
                    prop_assert_eq!(error == ProfileError::Length, text.len() > 254);
                    prop_assert!(error != ProfileError::Future);
                }
            }
        }

        #[test]
        fn a_gender_is_one_of_three_words(
            text in prop_oneof![".{0,8}", "(?i)(male|female|-){1,2} ?"],
        ) {
            match Gender::parse(&text) {
                Ok(gender) => prop_assert_eq!(gender.as_str(), text),
                Err(error) => {
                    prop_assert_eq!(error, ProfileError::Invalid);
                    prop_assert!(!["male", "female", "-"].contains(&text.as_str()));
                }
            }
        }
    }

    #[test]
    fn a_birthday_is_a_real_day_of_the_past() {
        for right in ["1900-01-01", "2000-02-29", "2026-11-21"] {
            assert_eq!(Birthday::parse(right, NOW).unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "1899-12-31",
            "2001-02-29",
            "2000-2-9",
            "2000-13-01",
            "20000101",
            "2000-01-01T00",
        ] {
            assert_eq!(
                Birthday::parse(wrong, NOW),
                Err(ProfileError::Invalid),
                "{wrong}"
            );
        }
        assert_eq!(
            Birthday::parse("2026-11-22", NOW),
            Err(ProfileError::Future)
        );
        assert_eq!(
            Birthday::parse("2999-01-01", NOW),
            Err(ProfileError::Future)
        );
    }

    #[test]
    fn a_year_is_counted_on_the_birthday() {
        assert_eq!(Birthday::parse("2000-11-22", NOW).unwrap().age(NOW), 26);
        assert_eq!(Birthday::parse("2000-11-23", NOW).unwrap().age(NOW), 25);
    }

    #[test]
    fn an_address_has_two_sides() {
        assert_eq!(
            Email::parse("ada@example.org").unwrap().as_str(),
            "ada@example.org"
        );
        for wrong in [
            "",
            "ada",
            "ada@",
            "@example.org",
            "Ada <ada@example.org>",
            "a b@example.org",
            "ada@[]",
        ] {
            assert_eq!(Email::parse(wrong), Err(ProfileError::Invalid), "{wrong}");
        }
        assert_eq!(
            Email::parse(&format!("a@{}.org", "b".repeat(250))),
            Err(ProfileError::Length)
        );
    }
}
