//! The view: who is a member, and in which state.

use crate::{Member, MemberState, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The members, as of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Counts the changes; of two views the higher one holds.
    pub version: u64,
    /// Who is counted, in any order.
    pub members: Vec<Member>,
}

/// Why rows are no view.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// One can't be read.
    #[error("the row of member {name} can't be read: {error}")]
    Unreadable {
        /// Under which name it is kept.
        name: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// One is kept under a name that is not the one it says.
    #[error("the row of member {name} says it is {says}")]
    Misnamed {
        /// Under which name it is kept.
        name: String,
        /// Which name it says.
        says: NodeName,
    },
}

impl View {
    /// The view of a node that is alone: constant.
    pub fn alone(name: NodeName) -> Self {
        View {
            version: 1,
            members: vec![Member::new(name, MemberState::Up)],
        }
    }

    /// The view as a shared store keeps it: a row for each member, by its name.
    pub fn from_rows(version: u64, rows: &BTreeMap<String, String>) -> Result<Self, RowError> {
        let members = rows
            .iter()
            .map(|(name, row)| {
                let name = name.clone();
                match serde_json::from_str::<Member>(row) {
                    Err(error) => Err(RowError::Unreadable { name, error }),
                    Ok(member) if member.name.to_string() != name => {
                        let says = member.name;
                        Err(RowError::Misnamed { name, says })
                    }
                    Ok(member) => Ok(member),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(View { version, members })
    }

    /// The member of that name, if it is counted.
    pub fn member(&self, name: NodeName) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Who may own: the members that are up; if none is, those draining.
    pub fn owners(&self) -> impl Iterator<Item = &Member> {
        let any_up = self
            .members
            .iter()
            .any(|member| member.state == MemberState::Up);
        let state = if any_up {
            MemberState::Up
        } else {
            MemberState::Draining
        };
        self.members
            .iter()
            .filter(move |member| member.state == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        let name = NodeName { slot: 3, since: 77 };
        Member {
            address: "198.18.0.3:7000".to_owned(),
            fingerprint: crate::Fingerprint([9; 32]),
            renewals: 12,
            reaches: [NodeName { slot: 4, since: 80 }].into(),
            now: 1_234_567,
            envelope: 1,
            release: "0.1.0".to_owned(),
            ..Member::new(name, MemberState::Up)
        }
    }

    fn rows(name: &str, row: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), row.to_owned())].into()
    }

    #[test]
    fn a_view_is_read_from_the_rows_its_members_wrote() {
        let rows = rows("3-4d", &member().row());
        let view = View::from_rows(5, &rows).unwrap();
        assert_eq!(view.version, 5);
        assert_eq!(view.members, [member()]);
        assert_eq!(View::from_rows(0, &BTreeMap::new()).unwrap().members, []);
    }

    #[test]
    fn a_row_of_an_earlier_or_later_release_is_read_too() {
        let row = r#"{"name":"3-4d","state":"up","weight":2,"hat":{"is":"red"}}"#;
        let view = View::from_rows(5, &rows("3-4d", row)).unwrap();
        let expected = Member {
            weight: 2,
            ..Member::new(member().name, MemberState::Up)
        };
        assert_eq!(view.members, [expected]);
    }

    #[test]
    fn a_row_that_is_broken_or_misplaced_is_named() {
        let broken = View::from_rows(5, &rows("3-4d", "{")).unwrap_err();
        assert!(
            broken
                .to_string()
                .starts_with("the row of member 3-4d can't")
        );
        let misplaced = View::from_rows(5, &rows("3-4e", &member().row())).unwrap_err();
        assert_eq!(
            misplaced.to_string(),
            "the row of member 3-4e says it is 3-4d"
        );
    }
}
