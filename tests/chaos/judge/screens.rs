//! What viewers were shown, held against what was done.

use super::{AGREES, Acknowledged, Calm, HEALTHY, Invariant, Violation};
use crate::log::{Event, Log, Text, What, Who};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// One person's screen, over all connections.
#[derive(Debug, Default)]
struct Screen {
    /// What was shown as sent.
    sent: HashMap<u64, Text>,
    /// What this connection was shown as sent, as it happened.
    live: HashSet<u64>,
    /// What of it only a history has shown so far, and since when: that is ahead of what is told
    /// live, and clients drop what they know.
    read: HashMap<u64, Duration>,
    /// What is shown as being typed.
    ghosts: HashSet<u64>,
    /// What this person was shown as taken away, since its author typed in it last.
    gone: HashSet<u64>,
    /// When there was a connection for the first time.
    came: Option<Duration>,
    /// Since when there is a connection.
    connected: Option<Duration>,
    /// Since when there is none, if there was one.
    closed: Option<Duration>,
    /// Who is online, as far as this one was told.
    people: BTreeSet<Who>,
}

/// All screens, as the log goes on.
pub struct Screens<'a> {
    log: &'a Log,
    acknowledged: &'a Acknowledged,
    sent_as: &'a HashMap<Text, usize>,
    screens: Vec<Screen>,
    /// What is typed: since when, and by whom.
    open: HashMap<u64, (Duration, Who)>,
    /// What is not to come back: since when.
    abandoned: HashMap<u64, Duration>,
    /// Those of them that are on a screen still.
    lingering: HashSet<(u64, Who)>,
    unseen: HashSet<(u64, Who)>,
    online: BTreeSet<Who>,
}

impl<'a> Screens<'a> {
    pub fn of(
        log: &'a Log,
        acknowledged: &'a Acknowledged,
        sent_as: &'a HashMap<Text, usize>,
    ) -> Self {
        Screens {
            log,
            acknowledged,
            sent_as,
            screens: log.people.iter().map(|_| Screen::default()).collect(),
            open: HashMap::new(),
            abandoned: HashMap::new(),
            lingering: HashSet::new(),
            unseen: HashSet::new(),
            online: BTreeSet::new(),
        }
    }

    /// What happens next.
    pub fn sees(&mut self, event: &Event, calm: &Calm, found: &mut Vec<Violation>) {
        let Event { at, who, what } = event;
        let Some(who) = *who else { return };
        let role = &self.log.people[who].role;
        let mut add = |invariant, id, send, said: String| {
            found.push(Violation {
                invariant,
                said: format!("{role}: {said}"),
                id,
                send,
                who: Some(who),
                at: *at,
            });
        };
        match *what {
            What::Connects { ref people, .. } => {
                let screen = &mut self.screens[who];
                if let Some(closed) = screen.closed.take()
                    && *at > closed + HEALTHY
                    && !calm.excuses(*at)
                {
                    let away = *at - closed;
                    add(Invariant::Away, None, None, format!("away for {away:?}"));
                }
                screen.came.get_or_insert(*at);
                screen.connected = Some(*at);
                screen.people = people.iter().copied().collect();
                self.online.insert(who);
            }
            What::Closes => {
                let screen = &mut self.screens[who];
                screen.connected = None;
                screen.closed = Some(*at);
                screen.live.clear();
                screen.ghosts.clear();
                self.lingering.retain(|(_, on)| *on != who);
                self.online.remove(&who);
                self.open.retain(|_, (_, author)| *author != who);
            }
            What::Joins(other) => drop(self.screens[who].people.insert(other)),
            What::Parts(other) => drop(self.screens[who].people.remove(&other)),
            What::Sent {
                id,
                conversation,
                text,
                live,
            } => {
                let said = self.log.reads(text);
                let send = self.sent_as.get(&text).copied();
                if self.is_strange(who, conversation) {
                    add(Invariant::Leaked, Some(id), send, format!("{id} {said:?}"));
                }
                self.leaves(id, who, *at, calm, &mut add);
                let screen = &mut self.screens[who];
                match screen.sent.insert(id, text) {
                    None => {
                        let promised = send.and_then(|send| self.acknowledged.get(&send));
                        match promised {
                            _ if send.is_none() => {
                                let said = format!("{id} {said:?} was never sent");
                                add(Invariant::Retold, Some(id), send, said);
                            }
                            Some((_, place)) if *place != id => {
                                let said = format!("{id} {said:?} was acknowledged as {place}");
                                add(Invariant::Retold, Some(id), send, said);
                            }
                            // Who comes later is not late.
                            Some((since, _))
                                if *at
                                    > (*since).max(screen.came.unwrap_or_default()) + HEALTHY
                                    && !calm.excuses(*at) =>
                            {
                                let late = *at - *since;
                                let said = format!("{id} {said:?} was shown {late:?} late");
                                add(Invariant::Unshown, Some(id), send, said);
                            }
                            _ => {}
                        }
                    }
                    Some(before) if before != text => {
                        let before = self.log.reads(before);
                        let said = format!("{id} was {before:?} and then {said:?}");
                        add(Invariant::Retold, Some(id), send, said);
                    }
                    Some(_) if live && screen.live.contains(&id) => {
                        let said = format!("{id} {said:?} was shown twice");
                        add(Invariant::Twice, Some(id), send, said);
                    }
                    Some(_) => {}
                }
                if live {
                    screen.live.insert(id);
                    screen.read.remove(&id);
                } else {
                    screen.read.entry(id).or_insert(*at);
                }
            }
            What::Ghost {
                id,
                conversation,
                text,
            } => {
                let said = self.log.reads(text);
                if self.is_strange(who, conversation) {
                    let said = format!("{id} being typed: {said:?}");
                    add(Invariant::Leaked, Some(id), None, said);
                }
                let screen = &mut self.screens[who];
                let on_its_way = |since: &Duration| *at <= *since + HEALTHY || calm.excuses(*at);
                if screen.read.get(&id).is_some_and(on_its_way) {
                    return;
                }
                if screen.sent.contains_key(&id) {
                    let said = format!("{id} was sent and is typed again: {said:?}");
                    add(Invariant::Resurrected, Some(id), None, said);
                }
                // What is told while a connection is made is noted when that is done.
                let over = self.abandoned.get(&id).filter(|since| *at >= **since);
                if let Some(since) = over {
                    if screen.gone.contains(&id) {
                        let said = format!("{id} was taken away and is back: {said:?}");
                        add(Invariant::Resurrected, Some(id), None, said);
                    } else if *at > *since + HEALTHY && !calm.excuses(*at) {
                        let late = *at - *since;
                        let said = format!("{id} {said:?} is typed {late:?} after its end");
                        add(Invariant::Outlived, Some(id), None, said);
                    }
                    self.lingering.insert((id, who));
                }
                screen.ghosts.insert(id);
            }
            What::Gone { id } => {
                self.leaves(id, who, *at, calm, &mut add);
                let screen = &mut self.screens[who];
                screen.gone.insert(id);
                if let Some(text) = screen.sent.remove(&id) {
                    let text = self.log.reads(text);
                    let said = format!("{id} {text:?} was sent and is erased");
                    add(Invariant::Retold, Some(id), None, said);
                }
            }
            What::Types { id, conversation } => {
                self.open.entry(id).or_insert((*at, who));
                for screen in &mut self.screens {
                    screen.gone.remove(&id);
                }
                self.is_seen(id, conversation, *at, calm, found);
            }
            What::Acknowledged { id, .. } => drop(self.open.remove(&id)),
            What::Abandons { id } => {
                self.open.remove(&id);
                self.abandoned.insert(id, *at);
                let screens = self.screens.iter().enumerate();
                let on = screens.filter(|(_, screen)| screen.ghosts.contains(&id));
                self.lingering.extend(on.map(|(on, _)| (id, on)));
            }
            What::Wrong(ref wrong) => add(Invariant::Wrong, None, None, wrong.clone()),
            What::Leaks(ref leak) => add(Invariant::Leaked, None, None, leak.clone()),
            What::Asks(_) | What::Fails { .. } | What::Begins(_) | What::Ends(_) => {}
        }
    }

    /// Who is online changes now, or a fault begins or ends: lists that had time are to be right.
    pub fn agree(&self, at: Duration, found: &mut Vec<Violation>) {
        for (who, screen) in self.screens.iter().enumerate() {
            let watches = !self.log.people[who].watches.is_empty();
            if watches && screen.connected.is_some() && screen.people != self.online {
                let roles = |set: BTreeSet<&Who>| -> Vec<&str> {
                    let roles = set.iter().map(|who| self.log.people[**who].role.as_str());
                    roles.collect()
                };
                let missing = roles(self.online.difference(&screen.people).collect());
                let strange = roles(screen.people.difference(&self.online).collect());
                found.push(Violation {
                    invariant: Invariant::Disagreed,
                    said: format!(
                        "{}: not told that {missing:?} are online, nor that {strange:?} are not",
                        self.log.people[who].role
                    ),
                    id: None,
                    send: None,
                    who: Some(who),
                    at,
                });
            }
        }
    }

    fn is_strange(&self, who: Who, conversation: usize) -> bool {
        !self.log.conversations[conversation].admits(&self.log.people[who].name)
    }

    /// A ghost goes from a screen: not too late.
    fn leaves(
        &mut self,
        id: u64,
        who: Who,
        at: Duration,
        calm: &Calm,
        add: &mut impl FnMut(Invariant, Option<u64>, Option<usize>, String),
    ) {
        self.screens[who].ghosts.remove(&id);
        if !self.lingering.remove(&(id, who)) {
            return;
        }
        let since = self.abandoned.get(&id).copied().unwrap_or(at);
        if at > since + HEALTHY && !calm.excuses(at) {
            let late = at - since;
            let said = format!("{id} was shown {late:?} after its end");
            add(Invariant::Outlived, Some(id), None, said);
        }
    }

    /// What is typed for a while is on the screens of all who had as long.
    fn is_seen(
        &mut self,
        id: u64,
        conversation: usize,
        at: Duration,
        calm: &Calm,
        found: &mut Vec<Violation>,
    ) {
        let long = |since: Duration| at > since + HEALTHY;
        if calm.excuses(at) || !self.open.get(&id).is_some_and(|(since, _)| long(*since)) {
            return;
        }
        for (who, screen) in self.screens.iter().enumerate() {
            let person = &self.log.people[who];
            if person.watches.contains(&conversation)
                && screen.connected.is_some_and(long)
                && !screen.ghosts.contains(&id)
                && self.unseen.insert((id, who))
            {
                found.push(Violation {
                    invariant: Invariant::Unseen,
                    said: format!("{}: {id} is typed and not shown", person.role),
                    id: Some(id),
                    send: None,
                    who: Some(who),
                    at,
                });
            }
        }
    }

    /// Nothing more happens.
    pub fn end(&mut self, at: Duration, found: &mut Vec<Violation>) {
        self.agree(at, found);
        let mut add = |invariant, id, send, who: Who, said: String| {
            found.push(Violation {
                invariant,
                said: format!("{}: {said}", self.log.people[who].role),
                id,
                send,
                who: Some(who),
                at,
            });
        };
        for (who, screen) in self.screens.iter().enumerate() {
            let person = &self.log.people[who];
            if person.watches.is_empty() {
                continue;
            }
            for (send, (_, id)) in self.acknowledged {
                let it = &self.log.sends[*send];
                if person.watches.contains(&it.conversation) && !screen.sent.contains_key(id) {
                    let said = format!("{id} {:?} was never shown", self.log.reads(it.text));
                    add(Invariant::Unshown, Some(*id), Some(*send), who, said);
                }
            }
            for id in &screen.ghosts {
                let said = format!("{id} is shown as typed at the end");
                add(Invariant::Outlived, Some(*id), None, who, said);
            }
            if screen.closed.is_some() {
                let said = "is not back at the end".to_owned();
                add(Invariant::Away, None, None, who, said);
            }
        }
    }

    /// Whether lists of who is online had the time they need, before this happens.
    pub fn had_time(&self, event: &Event, calm: &Calm) -> bool {
        let changes = matches!(
            event.what,
            What::Connects { .. } | What::Closes | What::Begins(_)
        );
        changes && calm.active == 0 && event.at > calm.change + AGREES
    }
}
