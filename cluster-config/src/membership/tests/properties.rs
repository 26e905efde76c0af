//! What holds under any sequence of faults.

use super::world::{Fault, StoreFault, World, ms};
use proptest::prelude::*;

/// As many as fit in seconds; a long run sets the variable.
fn cases() -> u32 {
    let set = std::env::var("PROPTEST_CASES");
    set.ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

fn hosts() -> impl Strategy<Value = usize> {
    2usize..=5
}

/// Faults in which all hosts are treated alike.
fn store_fault() -> impl Strategy<Value = StoreFault> {
    prop_oneof![
        Just(StoreFault::Away),
        Just(StoreFault::Unheard),
        Just(StoreFault::Late),
        Just(StoreFault::ReadOnly),
        Just(StoreFault::Slow),
    ]
}

fn any_store_fault() -> impl Strategy<Value = StoreFault> {
    prop_oneof![5 => store_fault(), 1 => Just(StoreFault::Any)]
}

/// Any fault to hosts 0 to 4; those there are not are folded onto those there are.
fn fault() -> impl Strategy<Value = Fault> {
    let pair = || (0usize..5, 1usize..5).prop_map(|(one, next)| (one, (one + next) % 5));
    prop_oneof![
        2 => pair().prop_map(|(one, other)| Fault::Cut(one, other)),
        3 => pair().prop_map(|(one, other)| Fault::CutBoth(one, other)),
        1 => pair().prop_map(|(one, other)| Fault::Deaf(one, other)),
        4 => (0usize..5).prop_map(Fault::Pause),
        2 => (0usize..5).prop_map(Fault::Kill),
        1 => (0usize..5).prop_map(Fault::Drain),
        2 => (0usize..5, 0i64..300_000).prop_map(|(host, by)| Fault::Jump(host, by)),
        3 => (prop::option::weighted(0.7, 0usize..5), any_store_fault())
            .prop_map(|(host, fault)| Fault::Store(host, fault)),
    ]
}

fn fold(fault: Fault, hosts: usize) -> Option<Fault> {
    let fold = |host: usize| host % hosts;
    Some(match fault {
        Fault::Cut(one, other) if fold(one) != fold(other) => Fault::Cut(fold(one), fold(other)),
        Fault::CutBoth(one, other) if fold(one) != fold(other) => {
            Fault::CutBoth(fold(one), fold(other))
        }
        Fault::Deaf(one, other) if fold(one) != fold(other) => Fault::Deaf(fold(one), fold(other)),
        Fault::Cut(..) | Fault::CutBoth(..) | Fault::Deaf(..) => return None,
        Fault::Pause(host) => Fault::Pause(fold(host)),
        Fault::Kill(host) => Fault::Kill(fold(host)),
        Fault::Drain(host) => Fault::Drain(fold(host)),
        Fault::Jump(host, by) => Fault::Jump(fold(host), by),
        Fault::Store(host, fault) => Fault::Store(host.map(fold), fault),
    })
}

/// Faults with the milliseconds of their begin and their length.
fn schedule() -> impl Strategy<Value = Vec<(u64, u64, Fault)>> {
    prop::collection::vec((0u64..40_000, 100u64..20_000, fault()), 0..12)
}

fn play(world: &mut World, hosts: usize, schedule: Vec<(u64, u64, Fault)>) {
    let mut events: Vec<(u64, bool, Fault)> = Vec::new();
    for (begin, length, fault) in schedule {
        if let Some(fault) = fold(fault, hosts) {
            events.push((begin, true, fault.clone()));
            events.push((begin + length, false, fault));
        }
    }
    events.sort_by_key(|(at, ..)| *at);
    let mut now = 0;
    for (at, begins, fault) in events {
        world.run(ms(at - now));
        now = at;
        if begins {
            world.begin(fault);
        } else {
            world.end(&fault);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// The world checks after every step that at most one member at a time owns a shard by the
    /// newest version and holds a lease.
    #[test]
    fn whatever_happens_shards_have_one_owner_and_all_come_back(
        hosts in hosts(), seed: u64, early: bool, schedule in schedule(),
    ) {
        let mut world = World::new(hosts, seed);
        if !early {
            world.until(ms(15_000), "up", World::whole);
        }
        play(&mut world, hosts, schedule);
        world.until(ms(120_000), "whole", World::whole);
    }

    #[test]
    fn a_lasting_cut_ends_with_members_that_all_reach_each_other(
        hosts in hosts(),
        seed: u64,
        schedule in schedule(),
        cuts in prop::collection::vec(fault(), 1..6),
    ) {
        let mut world = World::new(hosts, seed);
        world.until(ms(15_000), "up", World::whole);
        for cut in cuts {
            let cut = fold(cut, hosts);
            if let Some(cut @ (Fault::Cut(..) | Fault::CutBoth(..) | Fault::Deaf(..))) = cut {
                world.begin(cut);
            }
        }
        let lasting = world.faults.clone();
        play(&mut world, hosts, schedule);
        for fault in &lasting {
            if !world.faults.contains(fault) {
                world.begin(fault.clone());
            }
        }
        world.until(ms(120_000), "settled", World::settled);
        world.run(ms(40_000));
        let version = world.version();
        world.run(ms(40_000));
        prop_assert!(world.settled() && world.version() == version, "{}", world);
    }

    /// A store that is away, slow or mute for all puts nobody out, however long.
    #[test]
    fn nobody_is_put_out_while_members_and_links_are_well(
        hosts in hosts(),
        seed: u64,
        faults in prop::collection::vec((100u64..15_000, 100u64..15_000, store_fault()), 0..6),
    ) {
        let mut world = World::new(hosts, seed);
        world.until(ms(15_000), "up", World::whole);
        let version = world.version();
        for (pause, length, fault) in faults {
            world.run(ms(pause));
            let fault = Fault::Store(None, fault);
            world.begin(fault.clone());
            world.run(ms(length));
            world.end(&fault);
        }
        world.until(ms(10_000), "whole", World::whole);
        prop_assert_eq!(world.taken(), []);
        prop_assert_eq!(world.version(), version);
    }
}
