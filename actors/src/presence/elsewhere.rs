//! Who is online on other nodes, and what they are told of this one.

use super::{HELD, Move, PresenceMessage, State};
use crate::channel::ChannelMessage;
use crate::cluster::{Online, Question, Word};
use crate::edge::{ConnectionId, Wants};
use crate::node::CONFIRM_TIMEOUT;
use cluster_config::{MemberState, NodeName};
use cql::{SignIn, SignInHash, UserId};
use ractor::RpcReplyPort;
use std::collections::HashSet;
use std::time::Duration;

impl State {
    /// A connection logs in: where its person is new here, the other nodes know before it is
    /// answered, so that whatever is said to the person finds this node.
    pub(super) fn come(
        &mut self,
        connection: ConnectionId,
        sign_in: SignIn,
        wants: Wants,
        reply: RpcReplyPort<()>,
    ) {
        let online = Online {
            user: sign_in.user,
            username: sign_in.username.clone(),
            sign_in: sign_in.hash,
        };
        let (_, connections) = self
            .own
            .entry(sign_in.hash)
            .or_insert_with(|| (online.clone(), 0));
        *connections += 1;
        if *connections > 1 || self.node.cluster.linked().is_empty() {
            return self.queue(Move::Login {
                connection,
                sign_in,
                wants,
                reply,
            });
        }
        self.announcing.insert(connection);
        let (node, myself) = (self.node.clone(), self.myself.clone());
        tokio::spawn(async move {
            let people = vec![online];
            node.ask_all(Question::Joined { people }, CONFIRM_TIMEOUT)
                .await;
            let _ = myself.cast(PresenceMessage::Known {
                connection,
                sign_in,
                wants,
                reply,
            });
        });
    }

    /// A connection of a sign-in has gone.
    pub(super) fn went(&mut self, hash: SignInHash) {
        let Some((_, connections)) = self.own.get_mut(&hash) else {
            return;
        };
        *connections -= 1;
        if *connections == 0 {
            self.own.remove(&hash);
            let sign_ins = vec![hash];
            self.node.tell_all(&Word::Parted { sign_ins });
        }
    }

    pub(super) fn everybody_here(&self) -> Vec<Online> {
        self.own
            .values()
            .map(|(online, _)| online.clone())
            .collect()
    }

    /// Those of a node that said that it goes have some time to come back on another.
    pub(super) fn parted(&mut self, node: NodeName, sign_ins: Vec<SignInHash>) {
        let map = self.node.cluster.map();
        let goes = map
            .view
            .member(node)
            .is_some_and(|member| member.state == MemberState::Draining);
        self.late(node, sign_ins, if goes { HELD } else { Duration::ZERO });
    }

    pub(super) fn late(&mut self, node: NodeName, sign_ins: Vec<SignInHash>, after: Duration) {
        if after.is_zero() {
            for sign_in in sign_ins {
                self.queue(Move::Parted { node, sign_in });
            }
        } else {
            self.myself
                .send_after(after, move || PresenceMessage::Late { node, sign_ins });
        }
    }

    pub(super) fn everybody(&mut self, node: NodeName, people: Vec<Online>) {
        let there: HashSet<SignInHash> = people.iter().map(|online| online.sign_in).collect();
        let gone: Vec<SignInHash> = self
            .node
            .roster()
            .on_node(node)
            .into_iter()
            .filter(|sign_in| !there.contains(sign_in))
            .collect();
        self.node.expect(node, &people);
        self.come_elsewhere(node, people);
        self.parted(node, gone);
    }

    /// Those who are expected come; people here are told when it is their turn.
    pub(super) fn come_elsewhere(&mut self, node: NodeName, people: Vec<Online>) {
        for online in people {
            self.person_on(online.user, node);
            self.queue(Move::Joined { node, online });
        }
    }

    pub(super) fn joined(&mut self, node: NodeName, online: &Online) {
        let is_member = self.node.cluster.map().view.member(node).is_some();
        let first = {
            let mut roster = self.node.roster_mut();
            roster.expect_no_more(node, online.user);
            is_member && roster.join_elsewhere(node, online)
        };
        if first {
            self.tell_joined(&online.username);
        }
        self.count();
    }

    pub(super) fn parted_elsewhere(&mut self, node: NodeName, sign_in: SignInHash) {
        let left = self.node.roster_mut().part_elsewhere(node, sign_in);
        self.left(left, sign_in);
    }

    /// The live privates of somebody who is new on a node are shown there.
    pub(super) fn person_on(&self, user: UserId, node: NodeName) {
        let privates = self.node.directory.privates().get(&user).cloned();
        for conversation in privates.into_iter().flatten() {
            let _ = self
                .node
                .directory
                .channels
                .tell_if_there(&conversation, ChannelMessage::PersonOn { node });
        }
    }
}
