//! What everybody did and saw: one list of events, with times of one clock.

mod progress;

use progress::Progress;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tests::Target;
use tokio::time::Instant;

/// A person, by the order in which they came.
pub type Who = usize;

/// A text, by the order in which it was met; equal texts are one.
pub type Text = usize;

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A message is to be in the history: asked for the first time.
    Asks(usize),
    /// It is acknowledged, with its place, by a node.
    Acknowledged { send: usize, id: u64, node: usize },
    /// An attempt came to nothing: refused with this status, or 0 where there was no answer.
    Fails { send: usize, status: u16 },
    /// A letter typed is acknowledged.
    Types { id: u64, conversation: usize },
    /// What was typed there is over and is not to come back.
    Abandons { id: u64, how: Parting },
    /// A connection is made, and shown who is online.
    Connects { node: usize, people: Vec<Who> },
    /// A connection is over, and its person didn't want that.
    Closes,
    /// A person ends the own connection.
    Leaves,
    /// One is told that somebody comes online.
    Joins(Who),
    /// One is told that somebody goes offline.
    Parts(Who),
    /// A message is shown as sent, `live` or by the history.
    Sent {
        id: u64,
        conversation: usize,
        text: Text,
        live: bool,
    },
    /// A message is shown as being typed.
    Ghost {
        id: u64,
        conversation: usize,
        text: Text,
    },
    /// A message is shown as not there any more.
    Gone { id: u64 },
    /// A fault begins.
    Begins(String, Kind),
    /// It ends.
    Ends(String),
    /// What the protocol doesn't allow for.
    Wrong(String),
    /// What belongs to two people is where others can read it.
    Leaks(String),
}

/// How what was typed comes to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Its author erases it, or ends the connection.
    Clean,
    /// The author's connection ends by itself, and the author doesn't come back for it.
    Lost,
}

/// What a fault does to those who are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nodes end, others serve: whoever was connected there notices at once.
    Crash,
    /// Any other: it may take a while to notice, or there may be nobody who serves.
    Other,
}

/// Something that happened; `who` did it or was shown it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Since the log began.
    pub at: Duration,
    /// To whom; faults happen to nobody.
    pub who: Option<Who>,
    /// What.
    pub what: What,
}

/// Somebody of the log.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The name on the server.
    pub name: String,
    /// Who that is, to be read.
    pub role: String,
    /// What is watched.
    pub watches: Vec<usize>,
    /// Whether sends or letters of theirs are waited for.
    pub acts: bool,
}

/// A channel, or what two people have between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Conversation {
    /// By its name.
    Channel(String),
    /// By the names of its two people, in order.
    Private(String, String),
}

impl Conversation {
    /// Between these two.
    pub fn between(one: &str, other: &str) -> Conversation {
        let (first, last) = if one < other {
            (one, other)
        } else {
            (other, one)
        };
        Conversation::Private(first.to_owned(), last.to_owned())
    }

    /// Whether this person may know of it.
    pub fn admits(&self, name: &str) -> bool {
        match self {
            Conversation::Channel(_) => true,
            Conversation::Private(one, other) => name == one || name == other,
        }
    }

    /// How this person names it.
    pub fn seen_by(&self, name: &str) -> Target {
        match self {
            Conversation::Channel(channel) => Target::channel(channel),
            Conversation::Private(one, other) if one == name => Target::user(other),
            Conversation::Private(one, _) => Target::user(one),
        }
    }
}

/// A message that somebody wanted in the history.
#[derive(Debug, Clone)]
pub struct Send {
    /// Its text, which no other has.
    pub text: Text,
    /// Where.
    pub conversation: usize,
    /// The place it had reserved, if somebody typed it.
    pub reserved: Option<u64>,
    /// When it was asked for first.
    pub asked: Duration,
    /// When, with which place, and by which node it was acknowledged.
    pub acknowledged: Option<(Duration, u64, usize)>,
}

/// The log of one story.
#[derive(Debug, Clone)]
pub struct Log {
    /// When it began.
    pub began: Instant,
    /// Who is in it.
    pub people: Vec<Person>,
    /// Where they talk.
    pub conversations: Vec<Conversation>,
    /// What was to be sent.
    pub sends: Vec<Send>,
    /// What happened.
    pub events: Vec<Event>,
    texts: Vec<Arc<str>>,
    text_ids: HashMap<Arc<str>, Text>,
    progress: Progress,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            began: Instant::now(),
            people: Vec::new(),
            conversations: Vec::new(),
            sends: Vec::new(),
            events: Vec::new(),
            texts: Vec::new(),
            text_ids: HashMap::new(),
            progress: Progress::default(),
        }
    }
}

impl Log {
    /// How long it has gone on.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Somebody new.
    pub fn person(&mut self, name: &str, role: &str, watches: &[usize], acts: bool) -> Who {
        assert!(self.people.len() < 64, "a screen is a bit of 64");
        self.people.push(Person {
            name: name.to_owned(),
            role: role.to_owned(),
            watches: watches.to_vec(),
            acts,
        });
        self.people.len() - 1
    }

    /// Who has this name, if the log knows.
    pub fn who(&self, name: &str) -> Option<Who> {
        self.people.iter().position(|person| person.name == name)
    }

    /// A conversation, by what an event says of it.
    pub fn conversation(&mut self, conversation: Conversation) -> usize {
        let known = self.conversations.iter().position(|it| *it == conversation);
        known.unwrap_or_else(|| {
            self.conversations.push(conversation);
            self.conversations.len() - 1
        })
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.text_ids.get(text) {
            return *known;
        }
        let text: Arc<str> = text.into();
        self.text_ids.insert(text.clone(), self.texts.len());
        self.texts.push(text);
        self.texts.len() - 1
    }

    /// What it says.
    pub fn reads(&self, text: Text) -> &str {
        &self.texts[text]
    }

    /// Somebody wants this in the history.
    pub fn asks(
        &mut self,
        who: Who,
        text: &str,
        conversation: usize,
        reserved: Option<u64>,
    ) -> usize {
        let text = self.text(text);
        self.sends.push(Send {
            text,
            conversation,
            reserved,
            asked: self.now(),
            acknowledged: None,
        });
        self.add(Some(who), What::Asks(self.sends.len() - 1));
        self.sends.len() - 1
    }

    /// Something happens now.
    pub fn add(&mut self, who: Option<Who>, what: What) {
        self.add_at(self.now(), who, what);
    }

    /// Something has happened.
    pub fn add_at(&mut self, at: Duration, who: Option<Who>, what: What) {
        if let What::Acknowledged { send, id, node } = what {
            self.sends[send].acknowledged = Some((at, id, node));
        }
        if let Some(who) = who {
            self.progresses(at, who, &what);
        }
        self.events.push(Event { at, who, what });
    }

    /// All of it as lines, to be looked at.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for (who, person) in self.people.iter().enumerate() {
            let _ = writeln!(lines, "person {who}: {} {:?}", person.role, person.name);
        }
        for (at, conversation) in self.conversations.iter().enumerate() {
            let _ = writeln!(lines, "conversation {at}: {conversation:?}");
        }
        for event in &self.events {
            let _ = writeln!(lines, "{}", self.line(event));
        }
        lines
    }

    /// An event, to be read.
    pub fn line(&self, event: &Event) -> String {
        let who = event.who.map_or("", |who| &self.people[who].role);
        let at = event.at.as_secs_f64();
        let text = match event.what {
            What::Sent { text, .. } | What::Ghost { text, .. } => self.reads(text),
            What::Asks(send) => self.reads(self.sends[send].text),
            _ => "",
        };
        format!("{at:10.3} {who}: {:?} {text}", event.what)
    }

    /// Keeps the log where people look after a failed run.
    pub fn keep(&self, name: &str) -> std::io::Result<PathBuf> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(".logs");
        std::fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{}.events", name.replace([' ', '/'], "-")));
        std::fs::write(&path, self.lines())?;
        Ok(path)
    }
}

/// A log that everybody writes.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Log>>);

impl Shared {
    /// To write or read.
    pub fn open(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault begins now.
    pub fn begins(&self, fault: &str, kind: Kind) -> Instant {
        self.open().add(None, What::Begins(fault.to_owned(), kind));
        Instant::now()
    }

    /// It ends now.
    pub fn ends(&self, fault: &str) -> Instant {
        self.open().add(None, What::Ends(fault.to_owned()));
        Instant::now()
    }

    /// Looks every so often until nothing is waited for any more; keeps the log if that takes too
    /// long.
    pub async fn waits(
        &self,
        what: &str,
        (every, patience): (Duration, Duration),
        waits: impl Fn() -> Vec<String>,
    ) {
        let until = Instant::now() + patience;
        loop {
            let waits = waits();
            if waits.is_empty() {
                return;
            }
            if Instant::now() > until {
                let kept = self.open().keep(what);
                panic!("{what}: not within {patience:?}: {waits:#?}; the log is kept: {kept:?}");
            }
            tokio::time::sleep(every).await;
        }
    }
}
