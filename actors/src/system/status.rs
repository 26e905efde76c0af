//! What operators are shown of a node and of its cluster.

use super::System;
use crate::cluster::{Figures, WINDOW};
use cluster_config::{MemberState, NodeName, Shard};
use cql::Conversation;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl System {
    /// Which node owns a conversation, by the view that this one acts by.
    pub fn owner(&self, conversation: &Conversation) -> Option<String> {
        let map = self.node.cluster.map();
        let owner = map.placement.owner(Shard::of(&conversation.key()));
        owner.map(|owner| owner.to_string())
    }

    /// The members, owners and counts that `/cluster` shows.
    pub async fn status(&self) -> serde_json::Value {
        let (node, directory) = (&self.node, &self.node.directory);
        let (people, connections) = node.roster().counts();
        let map = node.cluster.map();
        let mut view = node.cluster.latest();
        if view.members.is_empty() {
            view = map.view.clone();
        }
        let figures: HashMap<NodeName, Arc<Figures>> = node.cluster.figures().into_iter().collect();
        // Of others this node knows what their last ping said.
        let said_by = |name: NodeName| {
            if name == node.name() {
                return Some((node.cluster.lease_holds(), map.view.version));
            }
            let figures = figures.get(&name)?;
            let version = figures.version.load(Ordering::Relaxed);
            (version > 0).then(|| (figures.lease.load(Ordering::Relaxed), version))
        };
        let members: Vec<serde_json::Value> = view
            .members
            .iter()
            .map(|member| {
                let said = said_by(member.name);
                let reaches: Vec<String> = member.reaches.iter().map(NodeName::to_string).collect();
                let going = node.is_draining() && member.name == node.name();
                let state = if going {
                    MemberState::Draining
                } else {
                    member.state
                };
                serde_json::json!({
                    "name": member.name.to_string(),
                    "state": state,
                    "address": member.address,
                    "release": member.release,
                    "renewals": member.renewals,
                    "reaches": reaches,
                    "lease": said.map(|(lease, _)| lease),
                    "version": said.map(|(_, version)| version),
                    "shards": map.placement.owned_by(member.name),
                })
            })
            .collect();
        let links: Vec<serde_json::Value> = figures
            .iter()
            .map(|(name, figures)| {
                serde_json::json!({
                    "peer": name.to_string(),
                    "round_trip_us": figures.round_trip_us.load(Ordering::Relaxed),
                    "unacknowledged_bytes": figures.unacknowledged.load(Ordering::Relaxed),
                    "window_bytes": WINDOW,
                    "frames_dropped": figures.dropped.load(Ordering::Relaxed),
                })
            })
            .collect();
        serde_json::json!({
            "version": map.view.version,
            "node": node.name().to_string(),
            "lease": node.cluster.lease_holds(),
            "lease_left_ms": node.cluster.lease_left().map(|left| left.as_millis() as u64),
            "members": members,
            "links": links,
            "epochs": node.cluster.epochs(),
            "waiting": node.cluster.waiting.count(),
            "conversations": directory.channels.count(),
            "typing_messages": directory.typing_messages.count(),
            "relays": directory.relays.count(),
            "sessions": directory.sessions.count(),
            "people_online": people,
            "connections": connections,
        })
    }
}
