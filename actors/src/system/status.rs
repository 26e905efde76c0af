//! What operators are shown of a node and of its cluster.

use super::System;
use cluster_config::{MemberState, NodeName, Shard};
use cql::Conversation;
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
        let members: Vec<serde_json::Value> = view
            .members
            .iter()
            .map(|member| {
                let owned = Shard::all()
                    .filter(|shard| map.placement.owner(*shard) == Some(member.name))
                    .count();
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
                    "shards": owned,
                })
            })
            .collect();
        let links: Vec<serde_json::Value> = node
            .cluster
            .figures()
            .into_iter()
            .map(|(name, figures)| {
                serde_json::json!({
                    "peer": name.to_string(),
                    "round_trip_us": figures.round_trip_us.load(Ordering::Relaxed),
                    "unacknowledged_bytes": figures.unacknowledged.load(Ordering::Relaxed),
                    "frames_dropped": figures.dropped.load(Ordering::Relaxed),
                })
            })
            .collect();
        serde_json::json!({
            "version": map.view.version,
            "node": node.name().to_string(),
            "lease": node.cluster.lease_holds(),
            "members": members,
            "links": links,
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
