//! Keeps this node in the view: asks of the store what [`Membership`] wants asked, tells it what
//! the links reach, and lets the node act by each newer view.
//!
//! The rules are all in [`Membership`]; this adds the time, the store and the links.

use super::Word;
use super::envelope::Received;
use super::links::Links;
use super::peer::{self, Figures, Peer, PeerMessage, Wire};
use crate::locks::write;
use crate::node::Node;
use cluster_config::{Answer, Ask, MemberState, Membership, NodeName, Standing, View};
use cql::{MemberRows, Members, Millis, Swapped};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How long a question to the store may take; a lease that is asked for so late is short.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the other side has to dial again before a lost link means that it is unreachable.
const DIALLED_AGAIN: Duration = Duration::from_millis(500);

/// Pause between attempts to make a link.
const DIAL_AGAIN: Duration = Duration::from_millis(500);

/// Batches of one member that came before its link was known here; a moment's worth.
const EARLY_MAX: usize = 1_000;

/// What a member does, as metrics name it.
const STATES: [(MemberState, &str); 3] = [
    (MemberState::Joining, "joining"),
    (MemberState::Up, "up"),
    (MemberState::Draining, "draining"),
];

/// What the keeper is told.
pub enum KeeperMessage {
    /// The time for the next step has come.
    Step,
    /// The store has answered.
    Answered { answer: Answer },
    /// Somebody acts by this version.
    Newer { version: u64 },
    /// Somebody shows the view as it is now.
    Shown { view: View },
    /// Somebody is not in the view that may be in a newer one.
    Look,
    /// A link is there.
    LinkUp { node: NodeName, wire: Arc<dyn Wire> },
    /// Somebody said something before this node knew of the link.
    Early { received: Received },
    /// What carried a link has ended.
    Disconnected { node: NodeName, session: ActorId },
    /// A link does not answer.
    LinkDown { node: NodeName, link: ActorId },
    /// A member was dialled in vain.
    NotReached { node: NodeName },
    /// A lost link had its time to come back.
    Lost { node: NodeName },
    /// Asked: hand everything over; answered when the view says so.
    Drain { reply: RpcReplyPort<()> },
    /// Asked: leave the view.
    Leave { reply: RpcReplyPort<()> },
    /// Breaks the actor.
    #[cfg(test)]
    Break,
}

impl ractor::Message for KeeperMessage {}

/// What it starts with.
pub struct Arguments {
    pub node: Arc<Node>,
    pub membership: Membership,
    pub links: Option<Arc<dyn Links>>,
}

/// The actor.
pub struct Keeper;

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<KeeperMessage>,
    membership: Membership,
    links: Option<Arc<dyn Links>>,
    carried: HashMap<NodeName, Option<ActorId>>,
    /// Whom the links reach; one that was lost a moment ago still counts.
    reached: BTreeSet<NodeName>,
    dialling: HashMap<NodeName, Instant>,
    early: HashMap<NodeName, Vec<Received>>,
    /// Whether this node has changed the view and nobody was told.
    changing: bool,
    step: Option<JoinHandle<Result<(), ractor::MessagingErr<KeeperMessage>>>>,
    draining: Vec<RpcReplyPort<()>>,
    leaving: Vec<RpcReplyPort<()>>,
    standing: Option<Standing>,
}

impl Actor for Keeper {
    type Msg = KeeperMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<KeeperMessage>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            node,
            membership,
            links,
        } = arguments;
        let _ = myself.cast(KeeperMessage::Step);
        Ok(State {
            node,
            myself,
            membership,
            links,
            carried: HashMap::new(),
            reached: BTreeSet::new(),
            dialling: HashMap::new(),
            early: HashMap::new(),
            changing: false,
            step: None,
            draining: Vec::new(),
            leaving: Vec::new(),
            standing: None,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<KeeperMessage>,
        message: KeeperMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let at = state.node.cluster.at();
        match message {
            KeeperMessage::Step => state.node.cluster.waiting.expire(Instant::now()),
            KeeperMessage::Answered { answer } => state.answered(at, answer),
            KeeperMessage::Newer { version } => state.membership.told(version),
            KeeperMessage::Shown { view } => state.membership.shown(view),
            KeeperMessage::Look => {
                let next = state.membership.view().version + 1;
                state.membership.told(next);
            }
            KeeperMessage::LinkUp { node, wire } => state.link_up(node, wire).await?,
            KeeperMessage::Early { received } => state.early(received),
            KeeperMessage::Disconnected { node, session } => state.disconnected(node, session),
            KeeperMessage::LinkDown { node, link } => state.link_down(node, link),
            KeeperMessage::NotReached { node } | KeeperMessage::Lost { node } => {
                if !state.carried.contains_key(&node) {
                    state.reached.remove(&node);
                }
            }
            KeeperMessage::Drain { reply } => {
                state.membership.drain();
                state.draining.push(reply);
            }
            KeeperMessage::Leave { reply } => {
                state.membership.leave();
                state.leaving.push(reply);
            }
            #[cfg(test)]
            KeeperMessage::Break => panic!("broken on purpose"),
        }
        state.go_on();
        Ok(())
    }
}

impl State {
    /// Everything that follows from what is known now.
    fn go_on(&mut self) {
        self.follow();
        self.membership.links(self.reached.clone());
        self.membership.now(self.node.clock.now());
        let at = self.node.cluster.at();
        if let Some(ask) = self.membership.step(at) {
            self.ask(ask);
        }
        // Before it may acknowledge: its own time is not below what others have written.
        let highest = self.membership.highest_now();
        self.node.clock.not_before(highest);
        let settled = self.membership.settled_now().unwrap_or(Millis::MIN);
        self.node.cluster.settled.store(settled, Ordering::Relaxed);
        // What the last answer gave holds for the view that is acted by now.
        self.node.cluster.set_lease(self.membership.lease_until());
        if self.membership.stranded(at) {
            self.node
                .cluster
                .go_out("this node reaches neither the store nor the others");
        }
        self.dial();
        let wait = self.membership.wake().saturating_sub(at);
        let wait = wait.clamp(Duration::from_millis(5), DIAL_AGAIN);
        let next = self.myself.send_after(wait, || KeeperMessage::Step);
        if let Some(before) = self.step.replace(next) {
            before.abort();
        }
    }

    /// Acts by the view that was read last.
    fn follow(&mut self) {
        let view = self.membership.view();
        for (state, label) in STATES {
            let members = view.members.iter().filter(|member| member.state == state);
            metrics::gauge!("ting_members", "state" => label).set(members.count() as f64);
        }
        *write(&self.node.cluster.latest) = view.clone();
        if view.version > self.node.cluster.version() {
            debug!(version = view.version, members = view.members.len(), "view");
            let view = view.clone();
            let gone: Vec<NodeName> = self
                .carried
                .keys()
                .filter(|name| view.member(**name).is_none())
                .copied()
                .collect();
            let word = Word::NewView {
                version: view.version,
                view: Some(view.clone()),
            };
            self.node.apply_view(view);
            for name in gone {
                // It may not reach the store, and learns it from this alone.
                self.node.tell_node(name, word.clone());
                self.end_link(name);
            }
            self.reached.retain(|name| self.carried.contains_key(name));
            self.early
                .retain(|name, _| self.membership.view().member(*name).is_some());
        }
        let standing = self.membership.standing();
        if self.standing.as_ref() != Some(&standing) {
            info!(standing = ?standing, "member");
            match standing {
                Standing::PutOut => {
                    self.node
                        .cluster
                        .go_out("the others go on without this node");
                }
                Standing::Draining => self.draining.drain(..).for_each(|reply| {
                    let _ = reply.send(());
                }),
                Standing::Left => self.leaving.drain(..).for_each(|reply| {
                    let _ = reply.send(());
                }),
                _ => {}
            }
            self.node.cluster.standing.send_replace(standing.clone());
            self.standing = Some(standing);
        }
        if self.standing == Some(Standing::Draining) {
            self.draining
                .drain(..)
                .for_each(|reply| drop(reply.send(())));
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.changing = matches!(ask, Ask::Change { .. });
        let (node, myself) = (self.node.clone(), self.myself.clone());
        tokio::spawn(async move {
            let answer = match node.store.members() {
                Some(members) => put(members, node.name(), ask).await,
                None => Answer::Failed,
            };
            let _ = myself.cast(KeeperMessage::Answered { answer });
        });
    }

    fn answered(&mut self, at: Duration, answer: Answer) {
        let changed = self.changing && matches!(answer, Answer::Done);
        self.changing = false;
        self.membership.answered(at, answer);
        if changed {
            let view = self.membership.view().clone();
            self.node.tell_all(&Word::NewView {
                version: view.version,
                view: Some(view),
            });
        }
    }

    async fn link_up(
        &mut self,
        name: NodeName,
        wire: Arc<dyn Wire>,
    ) -> Result<(), ActorProcessingErr> {
        if self.membership.view().member(name).is_none() {
            // Put out while the link was made.
            wire.end();
            return Ok(());
        }
        let session = wire.session();
        let figures = Arc::new(Figures::default());
        let arguments = peer::Arguments {
            node: self.node.clone(),
            name,
            wire,
            figures: figures.clone(),
        };
        let (actor, _) = Peer::spawn(None, Peer, arguments).await?;
        for received in self.early.remove(&name).unwrap_or_default() {
            let _ = actor.cast(PeerMessage::Received(received));
        }
        self.carried.insert(name, session);
        self.reached.insert(name);
        if let Some(before) = self.node.add_peer(name, actor, figures) {
            let _ = before.cast(PeerMessage::End);
            self.node.lost_answers_of(name);
        }
        info!(peer = %name, "link");
        self.node.link_up(name);
        Ok(())
    }

    fn early(&mut self, received: Received) {
        match self.node.cluster.peer(received.from) {
            Some(peer) => drop(peer.cast(PeerMessage::Received(received))),
            None if self.membership.view().member(received.from).is_some() => {
                let early = self.early.entry(received.from).or_default();
                if early.len() < EARLY_MAX {
                    early.push(received);
                }
            }
            None => {}
        }
    }

    /// What carried a link has ended: it is dialled once more before the member counts as
    /// unreachable.
    fn disconnected(&mut self, name: NodeName, session: ActorId) {
        if self.carried.get(&name) != Some(&Some(session)) {
            return;
        }
        self.end_link(name);
        info!(peer = %name, "link lost");
        self.myself
            .send_after(DIALLED_AGAIN, move || KeeperMessage::Lost { node: name });
    }

    fn link_down(&mut self, name: NodeName, link: ActorId) {
        let current = self.node.cluster.peer(name);
        if current.is_some_and(|peer| peer.get_id() == link) {
            self.end_link(name);
            self.reached.remove(&name);
        }
    }

    fn end_link(&mut self, name: NodeName) {
        self.carried.remove(&name);
        if let Some(peer) = self.node.remove_peer(name) {
            let _ = peer.cast(PeerMessage::End);
        }
        self.node.lost_answers_of(name);
    }

    /// Dials every member that there is no link with and that is to be dialled from here.
    fn dial(&mut self) {
        let Some(links) = &self.links else { return };
        let me = self.node.name();
        let now = Instant::now();
        let view = self.membership.view();
        if view.member(me).is_none() {
            return;
        }
        for member in &view.members {
            let wanted = member.name > me
                && !member.address.is_empty()
                && !self.carried.contains_key(&member.name);
            let tried = self.dialling.get(&member.name);
            if wanted && tried.is_none_or(|at| now.duration_since(*at) >= DIAL_AGAIN) {
                self.dialling.insert(member.name, now);
                links.dial(&self.node, member.clone());
            }
        }
        self.dialling.retain(|name, _| view.member(*name).is_some());
    }
}

/// Asks the store.
async fn put(members: &dyn Members, me: NodeName, ask: Ask) -> Answer {
    let asked = async {
        match ask {
            Ask::Read => members.members().await.map(|rows| view_of(&rows)),
            Ask::Renew { version, row } => members
                .renew(version, &me.to_string(), &row.row())
                .await
                .map(swapped),
            Ask::Change { version, put, take } => {
                let put = put.map(|member| (member.name.to_string(), member.row()));
                let put = put
                    .as_ref()
                    .map(|(name, row)| (name.as_str(), row.as_str()));
                let take: Vec<String> = take.iter().map(NodeName::to_string).collect();
                members.change(version, put, &take).await.map(swapped)
            }
        }
    };
    match tokio::time::timeout(STORE_TIMEOUT, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            debug!(error = %error, "the view could not be kept up");
            Answer::Failed
        }
        Err(_) => Answer::Failed,
    }
}

fn swapped(swapped: Swapped) -> Answer {
    match swapped {
        Swapped::Done => Answer::Done,
        Swapped::Newer(version) => Answer::Newer(version),
    }
}

fn view_of(rows: &MemberRows) -> Answer {
    match View::from_rows(rows.version, &rows.rows) {
        Ok(view) => Answer::Rows(view),
        Err(error) => {
            warn!(error = %error, "the view can't be read");
            Answer::Failed
        }
    }
}
