//! A channel as a place for people to meet in a test.

use crate::{Login, Person, Target, Ting};

/// A channel, on a server.
#[derive(Debug, Clone)]
pub struct Room {
    ting: Ting,
    name: String,
}

impl Room {
    /// The channel of this name.
    pub fn of(ting: &Ting, name: &str) -> Room {
        Room {
            ting: ting.clone(),
            name: name.to_owned(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn ting(&self) -> &Ting {
        &self.ting
    }

    /// It, as a conversation.
    pub fn target(&self) -> Target {
        Target::channel(&self.name)
    }

    /// A person online here and nowhere else, whose client uses all there is.
    pub async fn person(&self, start: &str) -> Person {
        let login = Login::full().channels(&[&self.name]);
        Person::arrives(self, start, &login).await
    }

    /// A person whose client knows the seed's protocol alone; reading the history enters.
    pub async fn seed_person(&self, start: &str) -> Person {
        let person = Person::arrives(self, start, &Login::seed()).await;
        person.reads("").await;
        person
    }

    /// Several at once.
    pub async fn people<const N: usize>(&self, starts: [&str; N]) -> [Person; N] {
        let people = futures::future::join_all(starts.map(|start| self.person(start))).await;
        people
            .try_into()
            .unwrap_or_else(|_| panic!("as many people as names"))
    }
}
