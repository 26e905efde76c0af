//! What every store must do, as cases that run over any of them.
//!
//! A test of a store opens it and calls [`store_contract`]; a harness that reports case by case
//! goes through [`cases`]. Every case uses fresh ids and random names, so a store may hold other
//! data already, and what a case leaves behind is in nobody's way. A case never lets a store
//! believe that time has passed for others: it writes what is old instead.
//!
//! A store that several nodes share keeps their view too: [`members_contract`].
//!
//! Run it once at a time on one store: two runs could take the same slot.

mod bench;
mod channels;
mod history;
mod inbox;
mod keys;
mod members;
mod messages;
mod names;
mod old_names;
mod sign_ins;
mod slots;
mod unread;
mod users;

pub use bench::Bench;
pub use members::{MemoryMembers, members_contract};

use crate::{Store, StoreError};
use futures::future::BoxFuture;

/// How much of everything; a slow store gets by with less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// How many wish for the same thing at the same time.
    pub competitors: usize,
    /// How many messages a history is paged through with.
    pub messages: usize,
}

impl Default for Scale {
    fn default() -> Self {
        Scale {
            competitors: 1_000,
            messages: 500,
        }
    }
}

/// One thing that every store must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Subject and sentence: `names: of_many_who_wish_one_name_one_gets_it`.
    pub name: &'static str,
    run: for<'a> fn(&'a Bench<'a>) -> BoxFuture<'a, Held>,
}

impl Case {
    /// Says whether the store does it.
    pub async fn run(&self, bench: &Bench<'_>) -> Held {
        (self.run)(bench).await
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Whether the contract was held.
pub type Held = Result<(), Broken>;

/// What a store did otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It gave another answer.
    #[error("{what}: got {got}, wanted {wanted}")]
    Answer {
        /// What was asked.
        what: String,
        /// What it answered.
        got: String,
        /// What it should have.
        wanted: String,
    },
    /// It gave none.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All cases that a store has broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store breaks its contract:{}", listed(.0))]
pub struct ContractBroken(pub Vec<(&'static str, Broken)>);

fn listed(broken: &[(&'static str, Broken)]) -> String {
    broken
        .iter()
        .map(|(case, broken)| format!("\n  {case}: {broken}"))
        .collect()
}

/// Every case, in an order in which the first that breaks says most.
pub fn cases() -> Vec<Case> {
    [
        channels::CASES,
        slots::CASES,
        names::CASES,
        old_names::CASES,
        users::CASES,
        sign_ins::CASES,
        messages::CASES,
        history::CASES,
        inbox::CASES,
        unread::CASES,
        keys::CASES,
    ]
    .concat()
}

/// Runs every case over the store, one after the other; names those that it breaks.
pub async fn store_contract(store: &dyn Store, scale: Scale) -> Result<(), ContractBroken> {
    let mut broken = Vec::new();
    for case in cases() {
        let held = match Bench::new(store, scale).await {
            Ok(bench) => case.run(&bench).await,
            Err(error) => Err(error),
        };
        if let Err(why) = held {
            broken.push((case.name, why));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(ContractBroken(broken))
    }
}

/// Lists functions of a subject as cases that bear their names.
macro_rules! list_cases {
    ($subject:literal: $($case:ident),+ $(,)?) => {
        pub(super) const CASES: &[$crate::contract::Case] = &[
            $($crate::contract::Case {
                name: concat!($subject, ": ", stringify!($case)),
                run: |bench| Box::pin($case(bench)),
            }),+
        ];
    };
}
use list_cases;

/// Breaks the case unless the answer is the wanted one.
fn same<T: std::fmt::Debug + PartialEq>(what: &str, got: T, wanted: T) -> Held {
    if got == wanted {
        return Ok(());
    }
    Err(Broken::Answer {
        what: what.to_owned(),
        got: format!("{got:?}"),
        wanted: format!("{wanted:?}"),
    })
}

#[cfg(test)]
#[path = "contract/tests.rs"]
mod tests;
