//! How a conversation begins to serve: what the store has, what the relays kept, and what its
//! people are called.

use super::{ChannelMessage, Due, RELOAD_AFTER, State, StoreAnswer, begin_epoch};
use crate::edge::Target;
use crate::frame::{End, Ghost};
use crate::relay::RelayMessage;
use crate::tail::{TAIL_LENGTH, Tail};
use cluster_config::{NodeName, Shard};
use cql::{Conversation, Message, MessageId, Page, Range, StoreError, UserId, Username};
use std::collections::HashSet;
use tokio::time::Instant;

/// What it waits for before it serves.
pub struct Opening {
    pub(super) newest: bool,
    /// The nodes whose relays have not said yet what they kept.
    pub(super) silent: HashSet<NodeName>,
    pub(super) ghosts: Vec<Ghost>,
    pub(super) ended: Vec<(MessageId, End)>,
    pub(super) waiting: Vec<ChannelMessage>,
}

impl State {
    /// Has the relays of all nodes say what they kept, and catch up; gives the nodes that will.
    pub(super) fn ask_relays(&self) -> Vec<NodeName> {
        let linked = self.node.cluster.linked().into_iter();
        let nodes = linked.chain([self.node.name()]);
        let asked = nodes.filter(|node| self.tell_relay(*node, RelayMessage::OwnerChanged).is_ok());
        asked.collect()
    }

    /// Another node may have owned this meanwhile: what it wrote is read, now and when the last
    /// of it has arrived, and relays that followed it follow this node again.
    pub(super) fn had_by_others(&mut self) {
        self.epoch = begin_epoch(&self.node);
        // It may lack what the other sent, and hold what the other deleted.
        self.tail = Tail::default();
        self.owes_second_read = true;
        self.began = Instant::now();
        self.load();
        let shard = Shard::of(&self.conversation.key());
        let now = Instant::now();
        let owed = self.node.cluster.shards.owed_until(shard, now);
        self.myself.send_after(owed.unwrap_or(now) - now, || {
            ChannelMessage::Due(Due::ReadAgain)
        });
        if self.opening.is_none() {
            self.ask_relays();
        }
    }

    /// Asks for the newest messages.
    pub(super) fn load(&mut self) {
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        let range = Range {
            before: None,
            after: None,
            limit: TAIL_LENGTH,
        };
        let asked = async move {
            let page = store.history(&conversation, range).await?;
            let mut names = Vec::new();
            if let Conversation::Private(one, other) = conversation {
                for user in [one, other] {
                    names.extend(store.user(user).await?.map(|user| (user.id, user.username)));
                }
            }
            Ok((page, names))
        };
        self.ask(asked, StoreAnswer::Newest);
    }

    pub(super) fn newest(&mut self, newest: Result<(Page, Vec<(UserId, Username)>), StoreError>) {
        match newest {
            Ok((mut page, names)) => {
                self.leave_out_deleted(&mut page);
                self.names.extend(names);
                self.names_read = true;
                let sent = page
                    .messages
                    .iter()
                    .map(|message| message.datetime_sent)
                    .max();
                self.outgoing.next(sent.unwrap_or(0));
                let serves = self.opening.is_none();
                let low = self.timeline.low();
                let unseen = |message: &&Message| {
                    serves && message.id >= low && self.tail.get(message.id).is_none()
                };
                let unseen: Vec<Message> = page.messages.iter().filter(unseen).cloned().collect();
                self.tail.load(page);
                self.timeline.saw(self.tail.last());
                self.show_what_was_sent();
                // It served without knowing of these: relays that have shown them don't again.
                for message in unseen {
                    self.note_sent(message, 0);
                }
                if self.timeline.has_changes() && serves {
                    self.changed(self.node.clock.now());
                }
            }
            Err(_) => {
                self.myself
                    .send_after(RELOAD_AFTER, || ChannelMessage::Due(Due::Reload));
            }
        }
        if let Some(opening) = &mut self.opening {
            opening.newest = true;
        }
    }

    /// What is shown as a ghost and turns out to be in the store is sent.
    pub(super) fn show_what_was_sent(&mut self) {
        let found: Vec<Message> = self
            .timeline
            .ghosts()
            .filter_map(|ghost| self.tail.get(ghost.entry.id).cloned())
            .collect();
        for message in found {
            self.note_sent(message, 0);
            self.changed(self.node.clock.now());
        }
    }

    /// Serves once it knows what there is; gives what waited for that.
    pub(super) async fn open(&mut self) -> Vec<ChannelMessage> {
        let Some(opening) = self
            .opening
            .take_if(|opening| opening.newest && opening.silent.is_empty())
        else {
            return Vec::new();
        };
        self.timeline.announced(opening.ghosts, opening.ended);
        self.began = Instant::now();
        let ghosts: Vec<_> = self.timeline.ghosts().map(|ghost| ghost.entry.id).collect();
        self.start_announced(&ghosts).await;
        self.show_what_was_sent();
        if self.timeline.has_changes() {
            self.changed(self.node.clock.now());
        }
        opening.waiting
    }

    /// The people of a private are known by who types in it, though the store be away.
    pub(super) fn note_names(
        &mut self,
        author: Option<UserId>,
        username: &Username,
        target: &Target,
    ) {
        let (Conversation::Private(..), Target::User(name)) = (&self.conversation, target) else {
            return;
        };
        if let Some((author, other)) = author.zip(author.and_then(|it| self.conversation.other(it)))
        {
            self.names.entry(author).or_insert_with(|| username.clone());
            self.names.entry(other).or_insert_with(|| name.clone());
        }
    }

    /// Whether it is not known yet what the people of this private are called.
    pub(super) fn lacks_names(&self) -> bool {
        let is_private = matches!(self.conversation, Conversation::Private(..));
        is_private && !self.names_read && self.names.len() < 2
    }

    /// Where a message is shown to go.
    pub(super) fn target_of(&self, message: &Message) -> Target {
        match (&self.conversation, message.author) {
            (Conversation::Channel(name), _) => Target::Channel(name.clone()),
            (private, author) => {
                let other = author.and_then(|author| private.other(author));
                let name = other.and_then(|other| self.names.get(&other));
                // Somebody who was deleted has no name any more, and nobody to see it.
                Target::User(name.unwrap_or(&message.username).clone())
            }
        }
    }
}
