//! The view of a cluster, as every store that several nodes share must keep it.
//!
//! Nodes that have the same store stand side by side here: what one does, the others see.

use super::{Broken, ContractBroken, Held, same};
use crate::{MemberRows, Members, StoreError, Swapped};
use futures::future::{BoxFuture, join_all};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often all want to be the next; every time one and only one may.
const ROUNDS: usize = 200;
/// How many want to be.
const CHANGERS: usize = 4;

type Nodes<'a> = &'a [&'a dyn Members];
type Run = for<'a> fn(Nodes<'a>) -> BoxFuture<'a, Held>;

macro_rules! list {
    ($($case:ident),+ $(,)?) => {
        &[$((concat!("members: ", stringify!($case)), |nodes| Box::pin($case(nodes)))),+]
    };
}

/// In this order: the first wants a view that nobody has changed.
const CASES: &[(&str, Run)] = list![
    the_first_change_is_of_version_0,
    a_change_is_refused_for_an_old_version,
    a_renewal_keeps_the_version,
    a_renewal_is_refused_for_an_old_version,
    a_row_that_was_taken_out_is_not_renewed,
    a_row_is_put_and_others_are_taken_as_one,
    a_name_that_is_put_and_taken_stays,
    a_view_may_end_empty_and_go_on,
    of_many_who_change_at_once_one_does,
    of_a_renewal_and_a_change_at_once_both_or_one_come_through,
];

/// Runs every case over a view that nobody has changed yet; `nodes` see the same one. Names the
/// cases that it breaks.
pub async fn members_contract(nodes: &[&dyn Members]) -> Result<(), ContractBroken> {
    let mut broken = Vec::new();
    for (name, run) in CASES {
        if let Err(why) = run(nodes).await {
            broken.push((*name, why));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(ContractBroken(broken))
    }
}

async fn the_first_change_is_of_version_0(nodes: Nodes<'_>) -> Held {
    for node in nodes {
        let view = node.members().await?;
        same("a view nobody changed", view, MemberRows::default())?;
    }
    let renewed = nodes[0].renew(0, "a", "1").await?;
    same("renewed in no view", renewed, Swapped::Newer(0))?;
    let changed = nodes[0].change(1, Some(("a", "1")), &[]).await?;
    same("changed from ahead", changed, Swapped::Newer(0))?;
    let changed = nodes[0].change(0, Some(("a", "1")), &[]).await?;
    same("changed", changed, Swapped::Done)?;
    for node in nodes {
        same("the view", node.members().await?, view(1, &[("a", "1")]))?;
    }
    let changed = nodes[0].change(0, Some(("b", "1")), &[]).await?;
    same(
        "changed as if it were the first",
        changed,
        Swapped::Newer(1),
    )
}

async fn a_change_is_refused_for_an_old_version(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1")]).await?;
    let node = other(nodes);
    let changed = node.change(version, Some(("b", "1")), &[]).await?;
    same("changed", changed, Swapped::Done)?;
    let stale = nodes[0]
        .change(version, Some(("c", "1")), &names(&["a"]))
        .await?;
    same("of before", stale, Swapped::Newer(version + 1))?;
    let ahead = nodes[0].change(version + 5, Some(("c", "1")), &[]);
    same("from ahead", ahead.await?, Swapped::Newer(version + 1))?;
    let wanted = view(version + 1, &[("a", "1"), ("b", "1")]);
    same("the view", nodes[0].members().await?, wanted)
}

async fn a_renewal_keeps_the_version(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1"), ("b", "1")]).await?;
    for row in ["2", "3", "3"] {
        let renewed = nodes[0].renew(version, "a", row).await?;
        same("renewed", renewed, Swapped::Done)?;
        let wanted = view(version, &[("a", row), ("b", "1")]);
        same("the view", other(nodes).members().await?, wanted)?;
    }
    Ok(())
}

async fn a_renewal_is_refused_for_an_old_version(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1")]).await?;
    let changed = other(nodes).change(version, Some(("b", "1")), &[]).await?;
    same("changed", changed, Swapped::Done)?;
    let renewed = nodes[0].renew(version, "a", "2").await?;
    same("of before", renewed, Swapped::Newer(version + 1))?;
    let renewed = nodes[0].renew(version + 2, "a", "2").await?;
    same("from ahead", renewed, Swapped::Newer(version + 1))?;
    let wanted = view(version + 1, &[("a", "1"), ("b", "1")]);
    same("the view", nodes[0].members().await?, wanted)
}

async fn a_row_that_was_taken_out_is_not_renewed(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1"), ("b", "1")]).await?;
    let taken = other(nodes).change(version, None, &names(&["b"])).await?;
    same("taken out", taken, Swapped::Done)?;
    // By the version it knew, and by the one it read since.
    for known in [version, version + 1] {
        let renewed = nodes[0].renew(known, "b", "2").await?;
        same("renewed", renewed, Swapped::Newer(version + 1))?;
    }
    let never = nodes[0].renew(version + 1, "c", "1").await?;
    same("never put", never, Swapped::Newer(version + 1))?;
    let wanted = view(version + 1, &[("a", "1")]);
    same("the view", nodes[0].members().await?, wanted)
}

async fn a_row_is_put_and_others_are_taken_as_one(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1"), ("b", "1"), ("c", "1")]).await?;
    let refused = nodes[0]
        .change(version - 1, Some(("d", "1")), &names(&["a"]))
        .await?;
    same("of before", refused, Swapped::Newer(version))?;
    let wanted = view(version, &[("a", "1"), ("b", "1"), ("c", "1")]);
    same("nothing of it", other(nodes).members().await?, wanted)?;
    // Somebody who is not there may be taken out.
    let change = nodes[0]
        .change(version, Some(("d", "1")), &names(&["a", "b", "z"]))
        .await?;
    same("changed", change, Swapped::Done)?;
    let wanted = view(version + 1, &[("c", "1"), ("d", "1")]);
    same("all of it", other(nodes).members().await?, wanted)?;
    let change = nodes[0].change(version + 1, Some(("c", "2")), &[]);
    same("a row put anew", change.await?, Swapped::Done)?;
    let wanted = view(version + 2, &[("c", "2"), ("d", "1")]);
    same("the view", other(nodes).members().await?, wanted)
}

async fn a_name_that_is_put_and_taken_stays(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1"), ("b", "1")]).await?;
    let change = nodes[0]
        .change(version, Some(("a", "2")), &names(&["a", "b"]))
        .await?;
    same("changed", change, Swapped::Done)?;
    let wanted = view(version + 1, &[("a", "2")]);
    same("the view", other(nodes).members().await?, wanted)
}

async fn a_view_may_end_empty_and_go_on(nodes: Nodes<'_>) -> Held {
    let version = begin(nodes, &[("a", "1")]).await?;
    let change = nodes[0].change(version, None, &names(&["a"])).await?;
    same("the last one goes", change, Swapped::Done)?;
    let empty = other(nodes).members().await?;
    same("nobody", empty, view(version + 1, &[]))?;
    let change = other(nodes).change(version + 1, Some(("b", "1")), &[]);
    same("somebody comes", change.await?, Swapped::Done)?;
    let wanted = view(version + 2, &[("b", "1")]);
    same("the view", nodes[0].members().await?, wanted)
}

async fn of_many_who_change_at_once_one_does(nodes: Nodes<'_>) -> Held {
    let mut version = begin(nodes, &[]).await?;
    for round in 0..ROUNDS {
        let wishes = (0..CHANGERS).map(|n| async move {
            let name = format!("r{round}-{n}");
            let node = nodes[n % nodes.len()];
            (node.change(version, Some((&name, "1")), &[]).await, name)
        });
        let mut done = Vec::new();
        let mut unknown = false;
        for (changed, name) in join_all(wishes).await {
            match changed {
                Ok(Swapped::Done) => done.push(name),
                Ok(refused) => same("who came later", refused, Swapped::Newer(version + 1))?,
                // Nobody was told that it was done, and it may be done all the same.
                Err(StoreError::Unknown(_)) => unknown = true,
                Err(error) => return Err(error.into()),
            }
        }
        let now = nodes[round % nodes.len()].members().await?;
        if done.is_empty() && unknown {
            let counted = now.version == version || now.version == version + 1;
            same("counted once or not at all", counted, true)?;
        } else {
            same("how many did", done.len(), 1)?;
            same("the version", now.version, version + 1)?;
            same("whose row is there", now.rows.contains_key(&done[0]), true)?;
        }
        version = now.version;
        let of_this = format!("r{round}-");
        let rows = now.rows.keys().filter(|name| name.starts_with(&of_this));
        same("more than one row", rows.count() <= 1, true)?;
    }
    Ok(())
}

async fn of_a_renewal_and_a_change_at_once_both_or_one_come_through(nodes: Nodes<'_>) -> Held {
    let mut version = begin(nodes, &[("a", "0")]).await?;
    for round in 0..ROUNDS {
        let row = format!("{round}");
        let put = format!("{round} again");
        let (renewed, changed) = futures::join!(
            nodes[0].renew(version, "a", &row),
            other(nodes).change(version, Some(("a", &put)), &[]),
        );
        let now = other(nodes).members().await?;
        match renewed {
            // It was first, or was refused by the change; or nobody is told.
            Ok(_) | Err(StoreError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match changed {
            // It came last: a renewal is never over it.
            Ok(Swapped::Done) => same("the version", now.version, version + 1)?,
            Err(StoreError::Unknown(_)) => {}
            Ok(refused) => same("a change beside a renewal", refused, Swapped::Done)?,
            Err(error) => return Err(error.into()),
        }
        if now.version != version {
            same("the version", now.version, version + 1)?;
            same("the row", now.rows.get("a"), Some(&put))?;
        }
        version = now.version;
    }
    Ok(())
}

/// Sees to it that just these rows are there; answers the version.
async fn begin(nodes: Nodes<'_>, rows: &[(&str, &str)]) -> Result<u64, Broken> {
    let node = nodes[0];
    let MemberRows {
        mut version,
        rows: old,
    } = node.members().await?;
    let old: Vec<_> = old.into_keys().collect();
    let cleared = node.change(version, None, &old).await?;
    same("cleared", cleared, Swapped::Done)?;
    version += 1;
    for row in rows {
        let put = node.change(version, Some(*row), &[]).await?;
        same("put", put, Swapped::Done)?;
        version += 1;
    }
    Ok(version)
}

fn other<'a>(nodes: Nodes<'a>) -> &'a dyn Members {
    nodes[nodes.len() - 1]
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn view(version: u64, rows: &[(&str, &str)]) -> MemberRows {
    let rows = rows.iter();
    let rows: BTreeMap<_, _> = rows
        .map(|(name, row)| ((*name).to_owned(), (*row).to_owned()))
        .collect();
    MemberRows { version, rows }
}

/// A view in memory, for tests of what stands on one: clone the `Arc` around it for each node.
#[derive(Debug, Default)]
pub struct MemoryMembers(Mutex<MemberRows>);

impl MemoryMembers {
    fn swap(&self, version: u64, change: impl FnOnce(&mut MemberRows) -> bool) -> Swapped {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if view.version == version && change(&mut view) {
            Swapped::Done
        } else {
            Swapped::Newer(view.version)
        }
    }
}

#[async_trait::async_trait]
impl Members for MemoryMembers {
    async fn members(&self) -> Result<MemberRows, StoreError> {
        let view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(view.clone())
    }

    async fn renew(&self, version: u64, name: &str, row: &str) -> Result<Swapped, StoreError> {
        Ok(self.swap(version, |view| match view.rows.get_mut(name) {
            Some(there) => {
                row.clone_into(there);
                true
            }
            None => false,
        }))
    }

    async fn change(
        &self,
        version: u64,
        put: Option<(&str, &str)>,
        take: &[String],
    ) -> Result<Swapped, StoreError> {
        Ok(self.swap(version, |view| {
            for name in take {
                view.rows.remove(name);
            }
            if let Some((name, row)) = put {
                view.rows.insert(name.to_owned(), row.to_owned());
            }
            view.version += 1;
            true
        }))
    }
}
