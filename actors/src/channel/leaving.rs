//! How a conversation's actor ends: by itself when nobody needs it, or because another node owns
//! the conversation now.

use super::{ChannelMessage, State, StoreAnswer};
use crate::frame::{End, Ghost};
use crate::node::{Lives, STORE_TIMEOUT};
use crate::timeline::Known;
use crate::typing_message::TypingMessageMessage;
use cql::{Conversation, MessageId};
use std::time::Duration;

/// A released conversation ends a little after its last write, so that its answers are out.
const LINGER: Duration = Duration::from_secs(1);

/// In how young a life what the last owner says is taken in.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// In how young a life a relay that was not heard in time may still say what is being typed: about
/// as long as a link takes to come back. Erasing it meanwhile needs its author, whose word is known.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);

impl State {
    /// Out of the directory: whatever still comes is handed on.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.note_people(false);
        self.node
            .directory
            .channels
            .remove(&self.conversation, self.myself.get_id());
    }

    /// Another node owns this now: nothing new is begun, and when what is on its way to the store
    /// has arrived, the next owner may start.
    pub(super) fn release(&mut self) {
        self.flush_pending();
        self.leave();
        let mut opening = self.opening.take();
        if let Some(opening) = &mut opening {
            // It never served, and passes on what it was told.
            let ghosts = std::mem::take(&mut opening.ghosts);
            let ended = std::mem::take(&mut opening.ended);
            self.timeline.announced(ghosts, ended);
        }
        // What changed last may not have reached the relays when they announce what they keep.
        let ghosts: Vec<_> = self.timeline.ghosts().cloned().collect();
        // What was sent the next owner reads in the store.
        let ended = self.timeline.ended();
        let ended: Vec<_> = ended.filter(|(_, end)| *end != End::Sent).collect();
        self.tell_next(ghosts, ended);
        for message in opening.into_iter().flat_map(|opening| opening.waiting) {
            self.hand_on(message);
        }
        self.viewers.give_up_all();
        self.hand_on_what_waits();
        for id in self.timeline.ghosts().map(|ghost| ghost.entry.id) {
            let _ = self
                .node
                .directory
                .typing_messages
                .tell_if_there(&id, TypingMessageMessage::Release);
        }
        let (node, conversation) = (self.node.clone(), self.conversation.clone());
        let (outgoing, myself) = (self.outgoing.clone(), self.myself.clone());
        tokio::spawn(async move {
            // What takes longer is caught by the second read that is owed then.
            let _ = tokio::time::timeout(STORE_TIMEOUT, outgoing.arrived()).await;
            node.finished_with(&conversation);
            // Its typing messages end with it: those that were being sent have answered by now.
            tokio::time::sleep(LINGER).await;
            let _ = myself.drain();
        });
    }

    /// Says to the next owner what this one knows, if that is anything.
    fn tell_next(&self, ghosts: Vec<Ghost>, ended: Vec<(MessageId, End)>) {
        if !ghosts.is_empty() || !ended.is_empty() {
            let handed_over = ChannelMessage::HandedOver { ghosts, ended };
            self.node.tell_channel(&self.conversation, handed_over);
        }
    }

    /// What the last owner knew when it left; what comes when this life has long begun is older
    /// than what people have done since.
    pub(super) async fn handed_over(&mut self, ghosts: Vec<Ghost>, ended: Vec<(MessageId, End)>) {
        if self.began.elapsed() > HEARD_WITHIN {
            return;
        }
        self.take_in(ghosts, ended).await;
    }

    /// A relay that this life did not wait for: what it shows is not gone because of that, and
    /// what it knows to be over for good is not typed again.
    pub(super) async fn announced_late(
        &mut self,
        ghosts: Vec<Ghost>,
        ended: Vec<(MessageId, End)>,
    ) {
        let is_young = self.began.elapsed() <= ANNOUNCED_WITHIN;
        let ghosts = if is_young { ghosts } else { Vec::new() };
        let for_good = ended.into_iter().filter(|(_, end)| end.is_for_good());
        let ended = for_good.collect();
        self.take_in(ghosts, ended).await;
    }

    async fn take_in(&mut self, ghosts: Vec<Ghost>, ended: Vec<(MessageId, End)>) {
        for (id, end) in ended {
            // Its actor says that it is over.
            if !self.tell_over(id, end) {
                self.timeline.announced(Vec::new(), vec![(id, end)]);
            }
        }
        let known = |id| matches!(self.timeline.known(id), Known::Typing(_));
        let fresh = ghosts.iter().map(|ghost| ghost.entry.id);
        let fresh: Vec<MessageId> = fresh.filter(|id| !known(*id)).collect();
        self.timeline.announced(ghosts, Vec::new());
        self.start_announced(&fresh).await;
        self.show_what_was_sent();
        if self.timeline.has_changes() {
            self.changed(self.node.clock.now());
        }
    }

    /// Says to the actor of a message that it is over, if there is one.
    pub(super) fn tell_over(&self, id: MessageId, end: End) -> bool {
        let over = TypingMessageMessage::Over { end };
        let typing = &self.node.directory.typing_messages;
        typing.tell_if_there(&id, over).is_ok()
    }

    /// What reaches it after it left is said to whoever has the conversation now; what it asked
    /// for itself is of no use any more.
    pub(super) fn hand_on(&mut self, message: ChannelMessage) {
        match message {
            // A typing message took in the last of it before it was told.
            ChannelMessage::Typed {
                id,
                text,
                belongs,
                author_rev,
                ..
            } => {
                self.timeline.change(id, text, belongs, author_rev);
                if let Known::Typing(ghost) = self.timeline.known(id) {
                    self.tell_next(vec![ghost.clone()], Vec::new());
                }
            }
            ChannelMessage::Ended {
                id, end, answer, ..
            } => {
                self.tell_next(Vec::new(), vec![(id, end)]);
                if let Some(answer) = answer {
                    answer();
                }
            }
            // Relays catch up with the next owner; but of a private it tells none that it has not
            // heard of.
            ChannelMessage::Sent {
                message,
                author_rev,
                ..
            } if matches!(self.conversation, Conversation::Private(..))
                && self.node.lives(&self.conversation) != Lives::Here =>
            {
                self.note_sent(*message, author_rev);
                self.flush_pending();
            }
            // The next owner finds nothing there, and tells nobody that it is gone.
            ChannelMessage::Answered(StoreAnswer::Deleted {
                id,
                stood,
                deleted,
                reply,
                under_way,
            }) => {
                self.deleted(id, stood, deleted, reply);
                self.flush_pending();
                self.viewers.give_up_all();
                if self.timeline.was_deleted(id) {
                    self.tell_next(Vec::new(), vec![(id, End::Deleted)]);
                }
                drop(under_way);
            }
            ChannelMessage::Due(_) | ChannelMessage::Answered(_) => {}
            // It left because nobody needed it, and has nothing to finish.
            ChannelMessage::Release if self.outgoing.is_idle() => {
                self.node.finished_with(&self.conversation);
            }
            ChannelMessage::Release | ChannelMessage::HadByOthers => {}
            message => self.node.tell_channel(&self.conversation, message),
        }
    }

    /// Notes, or forgets, of whom this private is.
    pub(super) fn note_people(&self, alive: bool) {
        let Conversation::Private(one, other) = self.conversation else {
            return;
        };
        let mut privates = self.node.directory.privates();
        for user in [one, other] {
            if alive {
                let theirs = privates.entry(user).or_default();
                theirs.insert(self.conversation.clone());
            } else if let Some(theirs) = privates.get_mut(&user) {
                theirs.remove(&self.conversation);
                if theirs.is_empty() {
                    privates.remove(&user);
                }
            }
        }
    }
}
