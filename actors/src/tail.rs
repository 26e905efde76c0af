//! The newest messages of a conversation, kept by its owner: most reads are of these.
//!
//! Contiguous: every message of the store at or above [`Tail::reaches`] is in it. Pure.

use cql::{Message, MessageId, Page, Range};
use std::collections::BTreeMap;

/// More than two default pages; beyond that the store is asked.
pub const TAIL_LENGTH: usize = 256;

/// The newest messages, without a gap.
#[derive(Debug, Default)]
pub struct Tail {
    messages: BTreeMap<MessageId, Message>,
    reaches: Option<MessageId>,
    whole: bool,
}

impl Tail {
    /// Starts from the newest page of the store, keeping what was sent meanwhile.
    pub fn load(&mut self, newest: Page) {
        self.whole = !newest.more;
        self.reaches = if self.whole {
            Some(MessageId::default())
        } else {
            newest.messages.last().map(|oldest| oldest.id)
        };
        self.messages.extend(
            newest
                .messages
                .into_iter()
                .map(|message| (message.id, message)),
        );
        self.shorten();
    }

    /// From here on nothing is missing; none before it was loaded.
    pub fn reaches(&self) -> Option<MessageId> {
        self.reaches
    }

    /// A message was sent.
    pub fn insert(&mut self, message: Message) {
        self.messages.insert(message.id, message);
        self.shorten();
    }

    /// A message was deleted.
    pub fn remove(&mut self, id: MessageId) -> Option<Message> {
        self.messages.remove(&id)
    }

    /// A message, if it is among the newest.
    pub fn get(&self, id: MessageId) -> Option<&Message> {
        self.messages.get(&id)
    }

    /// What it has at that place or above, in id order.
    pub fn since(&self, from: MessageId) -> impl Iterator<Item = &Message> {
        self.messages.range(from..).map(|(_, message)| message)
    }

    /// The highest place in it.
    pub fn last(&self) -> MessageId {
        self.messages
            .last_key_value()
            .map(|(id, _)| *id)
            .unwrap_or_default()
    }

    /// The newest of a range, if the whole answer is here.
    pub fn page(&self, range: Range) -> Option<Page> {
        let reaches = self.reaches?;
        let mut messages: Vec<Message> = self
            .between(range)
            .take(range.limit + 1)
            .map(|(_, message)| message.clone())
            .collect();
        let enough = messages.len() > range.limit;
        let whole = self.whole || range.after.is_some_and(|after| after.0 + 1 >= reaches.0);
        if !enough && !whole {
            return None;
        }
        messages.truncate(range.limit);
        Some(Page {
            messages,
            more: enough,
        })
    }

    /// Adds to a page of the store what was sent since it was read, as far as it is kept here, or
    /// was noted.
    pub fn freshen(&self, mut page: Page, range: Range, noted: &[Message]) -> Page {
        let mut messages: BTreeMap<MessageId, Message> = page
            .messages
            .drain(..)
            .map(|message| (message.id, message))
            .collect();
        let oldest = if page.more {
            messages.keys().next().copied()
        } else {
            None
        };
        let kept = self.between(range).map(|(_, message)| message);
        let noted = noted.iter().filter(|message| within(range, message.id));
        for message in kept.chain(noted) {
            if oldest.is_none_or(|oldest| message.id > oldest) {
                messages.insert(message.id, message.clone());
            }
        }
        page.more |= messages.len() > range.limit;
        page.messages = messages.into_values().rev().take(range.limit).collect();
        page
    }

    fn between(&self, range: Range) -> impl Iterator<Item = (&MessageId, &Message)> {
        self.messages
            .iter()
            .rev()
            .skip_while(move |(id, _)| range.before.is_some_and(|before| **id >= before))
            .take_while(move |(id, _)| range.after.is_none_or(|after| **id > after))
    }

    fn shorten(&mut self) {
        // Before it is loaded it holds only what was sent since, which may not be forgotten: a
        // page that is being read from the store may lack it.
        if self.reaches.is_none() {
            return;
        }
        while self.messages.len() > TAIL_LENGTH {
            self.messages.pop_first();
            self.whole = false;
            self.reaches = self.messages.keys().next().copied();
        }
        let reaches = self.reaches.unwrap_or_default();
        self.messages = self.messages.split_off(&reaches);
    }
}

fn within(range: Range, id: MessageId) -> bool {
    let before = range.before.is_none_or(|before| id < before);
    before && range.after.is_none_or(|after| id > after)
}

#[cfg(test)]
#[path = "tail/tests.rs"]
mod tests;
