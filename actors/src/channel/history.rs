//! Reading a conversation, with what is being typed in it, and deleting from it.

use super::{State, StoreAnswer, entry};
use crate::edge::Entry;
use crate::frame::End;
use crate::requests::{History, TypingError, Unanswered};
use crate::timeline::Known;
use cql::{Message, MessageId, Page, Placed, Range, StoreError};
use ractor::RpcReplyPort;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Deletions whose outcome is not known; there are seldom any, and who made them repeats them.
const DELETING_MAX: usize = 256;

/// Readers who wait for the same part of the history, and what was sent since the first of them
/// asked: the store's answer may lack it.
#[derive(Default)]
pub struct Reading {
    pub(super) readers: Vec<RpcReplyPort<Result<History, Unanswered>>>,
    pub(super) sent_meanwhile: Vec<Message>,
}

impl State {
    pub(super) fn history(
        &mut self,
        range: Range,
        reply: RpcReplyPort<Result<History, Unanswered>>,
    ) {
        // Who has no lease may not know of what another owner has taken in.
        let cached = if self.owes_second_read || !self.node.cluster.lease_holds() {
            None
        } else {
            self.tail.page(range)
        };
        if let Some(mut page) = cached {
            self.leave_out_deleted(&mut page);
            let _ = reply.send(Ok(self.with_ghosts(page, range)));
            return;
        }
        let readers = &mut self.reading.entry(range).or_default().readers;
        readers.push(reply);
        // Whoever asks for the same meanwhile gets the same answer.
        if readers.len() > 1 {
            return;
        }
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        self.ask(
            async move { store.history(&conversation, range).await },
            move |page| StoreAnswer::Page { range, page },
        );
    }

    pub(super) fn page(&mut self, range: Range, page: Result<Page, StoreError>) {
        let reading = self.reading.remove(&range).unwrap_or_default();
        let answer = page.map_err(|_| Unanswered).map(|page| {
            self.show_found(&page);
            let sent = reading.sent_meanwhile;
            let mut page = self.tail.freshen(page, range, &sent);
            self.leave_out_deleted(&mut page);
            self.with_ghosts(page, range)
        });
        for reader in reading.readers {
            let _ = reader.send(answer.clone());
        }
    }

    /// What was read before it was deleted.
    pub(super) fn leave_out_deleted(&self, page: &mut Page) {
        page.messages
            .retain(|message| !self.timeline.was_deleted(message.id));
    }

    /// What turns out to be in the store while it is shown as a ghost was sent.
    fn show_found(&mut self, page: &Page) {
        let found: Vec<Message> = page
            .messages
            .iter()
            .filter(|message| matches!(self.timeline.known(message.id), Known::Typing(_)))
            .cloned()
            .collect();
        for message in found {
            self.note_sent(message, 0);
            self.changed(self.node.clock.now());
        }
    }

    fn with_ghosts(&self, page: Page, range: Range) -> History {
        let oldest = page
            .messages
            .last()
            .map(|message| message.id)
            .filter(|_| page.more);
        let within = |id: MessageId| {
            range.before.is_none_or(|before| id < before)
                && range.after.is_none_or(|after| id > after)
                && oldest.is_none_or(|oldest| id > oldest)
        };
        let mut entries: BTreeMap<MessageId, Entry> = self
            .timeline
            .ghosts()
            .filter(|ghost| within(ghost.entry.id))
            .map(|ghost| (ghost.entry.id, ghost.entry.clone()))
            .collect();
        for message in &page.messages {
            entries.insert(message.id, entry(message, self.target_of(message)));
        }
        let more = page.more || entries.len() > range.limit;
        let entries = entries.into_values().rev().take(range.limit).collect();
        History { entries, more }
    }

    pub(super) fn delete(&mut self, id: MessageId, reply: RpcReplyPort<Result<(), TypingError>>) {
        if let Known::Ended {
            end: End::Erased | End::Deleted,
            ..
        } = self.timeline.known(id)
        {
            let _ = reply.send(Err(TypingError::NotFound));
            return;
        }
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        let now = self.node.clock.now();
        let under_way = self.outgoing.begin();
        // Also if there is no answer in time: what stood there is asked for but once.
        let stood = Arc::new(OnceLock::new());
        let found = stood.clone();
        self.ask(
            async move {
                match store.placed(id).await? {
                    Placed::Message(message) if message.conversation != conversation => {
                        return Ok(());
                    }
                    Placed::Message(message) => drop(found.set(*message)),
                    Placed::Ended(_) | Placed::Nothing => {}
                }
                // Also where nothing stands yet: it may be on its way.
                store.end_message(&conversation, id, now).await?;
                Ok(())
            },
            move |deleted| StoreAnswer::Deleted {
                id,
                stood: stood.get().cloned().map(Box::new),
                deleted,
                reply,
                under_way,
            },
        );
    }

    pub(super) fn deleted(
        &mut self,
        id: MessageId,
        stood: Option<Box<Message>>,
        deleted: Result<(), StoreError>,
        reply: RpcReplyPort<Result<(), TypingError>>,
    ) {
        if let Some(stood) = stood {
            self.deleting.insert(id, *stood);
        }
        if deleted.is_err() || !self.node.may_acknowledge(&self.conversation) {
            // Whoever repeats it finds nothing there, and viewers are to be told all the same.
            while self.deleting.len() > DELETING_MAX {
                self.deleting.pop_first();
            }
            let _ = reply.send(Err(Unanswered.into()));
            return;
        }
        let stood = self.deleting.remove(&id);
        let sent_since = self.tail.remove(id);
        let was_typed = matches!(self.timeline.known(id), Known::Typing(_));
        if let Some(message) = stood.or(sent_since) {
            let target = self.target_of(&message);
            self.timeline.delete_sent(entry(&message, target));
        } else if was_typed {
            self.tell_over(id, End::Deleted);
            self.timeline.end(id, End::Deleted, true, 0);
        } else {
            let _ = reply.send(Err(TypingError::NotFound));
            return;
        }
        self.answer_when_seen(Some(Box::new(move || drop(reply.send(Ok(()))))));
    }
}
