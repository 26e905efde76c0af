//! What viewers were shown, held against what was done.

use super::bounds::{AGREES, BACK, Calm, NEWS, SHOWN, over};
use super::{Acknowledged, Invariant, Violation};
use crate::log::{Event, Log, Parting, Text, What, Who};
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
    /// When this one was last told of somebody.
    told: HashMap<Who, Duration>,
}

/// All screens, as the log goes on.
pub struct Screens<'a> {
    log: &'a Log,
    acknowledged: &'a Acknowledged,
    sent_as: &'a HashMap<Text, usize>,
    screens: Vec<Screen>,
    /// What is typed: since when, and by whom.
    open: HashMap<u64, (Duration, Who)>,
    /// What is not to come back: since when, and how it came to that.
    abandoned: HashMap<u64, (Duration, Parting)>,
    /// Those of them that are on a screen still.
    lingering: HashSet<(u64, Who)>,
    unseen: HashSet<(u64, Who)>,
    online: BTreeSet<Who>,
    /// When each last came or went.
    changed: Vec<Duration>,
    disagreed: HashSet<(Who, Who)>,
    /// Where the first viewer was shown each text, and what each place says.
    placed: HashMap<Text, u64>,
    says: HashMap<u64, Text>,
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
            changed: vec![Duration::ZERO; log.people.len()],
            disagreed: HashSet::new(),
            placed: HashMap::new(),
            says: HashMap::new(),
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
                    && calm.is_late(BACK, closed, *at)
                {
                    let away = *at - closed;
                    add(Invariant::Away, None, None, format!("away for {away:?}"));
                }
                screen.came.get_or_insert(*at);
                screen.connected = Some(*at);
                screen.people = people.iter().copied().collect();
                screen.told.clear();
                self.online.insert(who);
                self.changed[who] = *at;
            }
            What::Closes | What::Leaves => {
                let screen = &mut self.screens[who];
                screen.connected = None;
                // Who leaves may be away for as long as one likes.
                screen.closed = (*what == What::Closes).then_some(*at);
                screen.live.clear();
                screen.ghosts.clear();
                self.lingering.retain(|(_, on)| *on != who);
                self.online.remove(&who);
                self.changed[who] = *at;
                self.open.retain(|_, (_, author)| *author != who);
            }
            What::Joins(other) | What::Parts(other) => {
                let screen = &mut self.screens[who];
                let changes = match *what {
                    What::Joins(_) => screen.people.insert(other),
                    _ => screen.people.remove(&other),
                };
                if changes {
                    screen.told.insert(other, *at);
                }
            }
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
                let place = *self.placed.entry(text).or_insert(id);
                let says = *self.says.entry(id).or_insert(text);
                if (place, says) != (id, text) {
                    let says = self.log.reads(says);
                    let said = format!(
                        "{id} {said:?}, where others see {says:?}, and this one as {place}"
                    );
                    add(Invariant::Disordered, Some(id), send, said);
                }
                let screen = &mut self.screens[who];
                let promised = send.and_then(|send| self.acknowledged.get(&send));
                if let Some(((since, _), came)) = promised.zip(screen.connected)
                    && live
                    && *since + NEWS < came
                {
                    let said = format!("{id} {said:?} is told as new by a connection of {came:?}");
                    add(Invariant::Stale, Some(id), send, said);
                }
                match screen.sent.insert(id, text) {
                    None => match promised {
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
                            if calm.is_late(
                                SHOWN,
                                (*since).max(screen.came.unwrap_or_default()),
                                *at,
                            ) =>
                        {
                            let late = *at - *since;
                            let said = format!("{id} {said:?} was shown {late:?} late");
                            add(Invariant::Unshown, Some(id), send, said);
                        }
                        _ => {}
                    },
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
                let on_its_way = |since: &Duration| !calm.is_late(SHOWN, *since, *at);
                if screen.read.get(&id).is_some_and(on_its_way) {
                    return;
                }
                if screen.sent.contains_key(&id) {
                    let said = format!("{id} was sent and is typed again: {said:?}");
                    add(Invariant::Resurrected, Some(id), None, said);
                }
                // What is told while a connection is made is noted when that is done.
                let ended = self.abandoned.get(&id).filter(|(since, _)| at >= since);
                if let Some((since, how)) = ended {
                    if screen.gone.contains(&id) {
                        let said = format!("{id} was taken away and is back: {said:?}");
                        add(Invariant::Resurrected, Some(id), None, said);
                    } else if calm.is_late(over(*how), *since, *at) {
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
            What::Abandons { id, how } => {
                self.open.remove(&id);
                self.abandoned.insert(id, (*at, how));
                let screens = self.screens.iter().enumerate();
                let on = screens.filter(|(_, screen)| screen.ghosts.contains(&id));
                self.lingering.extend(on.map(|(on, _)| (id, on)));
            }
            What::Wrong(ref wrong) => add(Invariant::Wrong, None, None, wrong.clone()),
            What::Leaks(ref leak) => add(Invariant::Leaked, None, None, leak.clone()),
            What::Asks(_) | What::Fails { .. } | What::Begins(..) | What::Ends(_) => {}
        }
    }

    /// Lists of who is online that were wrong until now were not so for long. It is asked before
    /// anything changes them.
    pub fn agree(&mut self, at: Duration, calm: &Calm, found: &mut Vec<Violation>) {
        let long = |since: Duration| at > since + AGREES;
        if !calm.is_long_since(at) {
            return;
        }
        for (who, screen) in self.screens.iter().enumerate() {
            if !screen.connected.is_some_and(long) {
                continue;
            }
            for other in screen.people.symmetric_difference(&self.online) {
                let told = screen.told.get(other).copied().unwrap_or_default();
                let watches = !self.log.people[who].watches.is_empty();
                if watches
                    && long(told.max(self.changed[*other]))
                    && self.disagreed.insert((who, *other))
                {
                    found.push(self.disagrees(who, *other, at));
                }
            }
        }
    }

    fn disagrees(&self, who: Who, other: Who, at: Duration) -> Violation {
        let [viewer, other_role] = [who, other].map(|who| &self.log.people[who].role);
        let is = match self.online.contains(&other) {
            true => "is online",
            false => "is not online any more",
        };
        Violation {
            invariant: Invariant::Disagreed,
            said: format!("{viewer}: was not told that {other_role} {is}"),
            id: None,
            send: None,
            who: Some(who),
            at,
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
        let Some((since, how)) = self.abandoned.get(&id).copied() else {
            return;
        };
        if calm.is_late(over(how), since, at) {
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
        let long = |since: Duration| calm.is_late(SHOWN, since, at);
        if !self.open.get(&id).is_some_and(|(since, _)| long(*since)) {
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
        for (who, screen) in self.screens.iter().enumerate() {
            if !self.log.people[who].watches.is_empty() && screen.connected.is_some() {
                let wrong = screen.people.symmetric_difference(&self.online);
                found.extend(wrong.map(|other| self.disagrees(who, *other, at)));
            }
        }
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

    /// Where viewers were shown this as sent, if they were.
    pub fn place_of(&self, text: Text) -> Option<u64> {
        self.placed.get(&text).copied()
    }
}

/// Whether a list of who is online may be another one, or may have to be another one, after this.
pub fn changes_lists(what: &What) -> bool {
    use What::*;
    matches!(
        what,
        Connects { .. } | Closes | Leaves | Joins(_) | Parts(_) | Begins(..)
    )
}
