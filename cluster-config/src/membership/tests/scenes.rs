//! Single faults, with the time the cluster takes over them.

use super::world::{Fault, StoreFault, World, ms};
use crate::membership::*;

/// Seeds differ in when pings, renewals and answers come.
const SEEDS: std::ops::Range<u64> = 1..9;

fn cluster(hosts: usize, seed: u64) -> World {
    let mut world = World::new(hosts, seed * 7_919);
    world.until(ms(6_000), "up", World::whole);
    world.run(ms(phase(seed)));
    world
}

/// Any instant of a renewal's period.
fn phase(seed: u64) -> u64 {
    4_000 + seed * 370 % 2_000
}

#[test]
fn members_that_start_at_once_all_come_up() {
    for seed in SEEDS {
        for hosts in 1..=5 {
            let mut world = World::new(hosts, seed);
            world.until(ms(5_000), "up", World::whole);
            assert_eq!(world.taken(), [], "{world}");
        }
    }
}

#[test]
fn all_killed_and_started_again_come_up() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        for host in 0..3 {
            world.begin(Fault::Kill(host));
        }
        world.run(ms(1_000));
        for host in 0..3 {
            world.end(&Fault::Kill(host));
        }
        world.until(ms(12_000), "up again", World::whole);
    }
}

#[test]
fn a_killed_member_is_put_out_in_two_seconds() {
    for seed in SEEDS {
        for (hosts, killed) in [(2, 0), (2, 1), (3, 0), (3, 1)] {
            let mut world = cluster(hosts, seed);
            let name = world.name(killed);
            world.begin(Fault::Kill(killed));
            world.until(ms(2_100), "out", |world| {
                world.taken() == [name] && world.settled()
            });
            assert_eq!(world.up().len(), hosts - 1);
        }
    }
}

#[test]
fn a_paused_member_is_put_out_and_comes_back_under_a_new_name() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        let name = world.name(0);
        world.begin(Fault::Pause(0));
        world.until(ms(6_500), "out", |world| world.taken() == [name]);
        world.run(ms(15_000));
        world.end(&Fault::Pause(0));
        world.until(ms(200), "put out", |world| world.standing(0).is_none());
        world.until(ms(4_000), "back", World::whole);
        assert_ne!(world.name(0), name);
        assert_eq!(world.taken(), [name], "{world}");
    }
}

#[test]
fn a_pause_that_pings_outlast_changes_nothing() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        let version = world.version();
        world.begin(Fault::Pause(2));
        world.run(ms(2_500));
        world.end(&Fault::Pause(2));
        world.run(ms(10_000));
        assert_eq!(world.version(), version, "{world}");
    }
}

#[test]
fn a_member_cut_off_from_the_others_goes_even_if_it_is_the_oldest() {
    for seed in SEEDS {
        for (hosts, lone) in [(3, 0), (3, 2), (5, 0)] {
            let mut world = cluster(hosts, seed);
            let others: Vec<usize> = (0..hosts).filter(|host| *host != lone).collect();
            for &other in &others {
                world.begin(Fault::CutBoth(lone, other));
            }
            world.until(ms(7_000), "settled", |world| {
                world.up() == others && world.settled()
            });
            world.run(ms(30_000));
            assert!(world.up() == others && world.settled(), "{world}");
            for &other in &others {
                world.end(&Fault::CutBoth(lone, other));
            }
            world.until(ms(40_000), "whole", World::whole);
        }
    }
}

#[test]
fn two_that_a_third_reaches_lose_the_younger_one_while_the_cut_lasts() {
    for seed in SEEDS {
        for cut in [
            Fault::Cut(0, 1),
            Fault::Cut(1, 0),
            Fault::CutBoth(0, 1),
            Fault::Deaf(0, 1),
        ] {
            let mut world = cluster(3, seed);
            let age = |host: &usize| (world.name(*host).since, *host);
            let younger = [0, 1].into_iter().max_by_key(age).unwrap();
            let stay = [1 - younger, 2];
            world.begin(cut.clone());
            world.until(ms(8_000), "settled", |world| {
                world.up().len() == 2 && world.settled()
            });
            if cut != Fault::Deaf(0, 1) {
                assert_eq!(world.up(), stay, "{cut:?}: {world}");
            }
            let version = world.version();
            world.run(ms(60_000));
            assert!(world.settled() && world.up().len() == 2, "{world}");
            assert!(
                world.version() <= version + 3,
                "nobody comes and goes: {world}"
            );
            world.end(&cut);
            world.until(ms(5_000), "whole", World::whole);
        }
    }
}

#[test]
fn a_slow_store_makes_nobody_take_another_for_dead() {
    for seed in SEEDS {
        for lone in [0, 1, 2] {
            let mut world = cluster(3, seed);
            world.begin(Fault::Store(None, StoreFault::Slow));
            let others: Vec<usize> = (0..3).filter(|host| *host != lone).collect();
            for &other in &others {
                world.begin(Fault::CutBoth(lone, other));
            }
            world.until(ms(15_000), "settled", |world| {
                world.up() == others && world.current()
            });
        }
    }
}

#[test]
fn halves_that_cannot_reach_each_other_leave_one_of_them() {
    for seed in SEEDS {
        let mut world = cluster(4, seed);
        for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            world.begin(Fault::CutBoth(one, other));
        }
        world.until(ms(10_000), "settled", |world| {
            world.settled() && world.up().len() == 2
        });
        assert!([vec![0, 1], vec![2, 3]].contains(&world.up()), "{world}");
    }
}

#[test]
fn a_member_without_the_store_is_put_out_and_told_so_by_its_peers() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        let name = world.name(1);
        world.begin(Fault::Store(Some(1), StoreFault::Away));
        world.until(ms(8_300), "out", |world| world.taken() == [name]);
        world.until(ms(1_000), "told", |world| {
            world.standing(1) != Some(Standing::Up)
        });
        assert_eq!(world.up(), [0, 2], "{world}");
        world.end(&Fault::Store(Some(1), StoreFault::Away));
        world.until(ms(20_000), "back", World::whole);
    }
}

#[test]
fn a_store_that_is_only_read_makes_nobody_silent() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        let version = world.version();
        // It is written for an instant in between, too short for all to renew.
        for length in [1_700, 9_900, 8_000] {
            let fault = Fault::Store(None, StoreFault::ReadOnly);
            world.begin(fault.clone());
            world.run(ms(length));
            world.end(&fault);
            world.run(ms(100));
        }
        world.until(ms(3_000), "settled", World::settled);
        assert_eq!(
            (world.version(), world.taken()),
            (version, &[][..]),
            "{world}"
        );
    }
}

#[test]
fn an_outage_of_the_store_that_is_shorter_than_a_lease_costs_none() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        world.begin(Fault::Store(None, StoreFault::Away));
        world.run(ms(2_500));
        world.end(&Fault::Store(None, StoreFault::Away));
        for _ in 0..40 {
            world.run(ms(100));
            assert!(world.settled(), "{world}");
        }
    }
}

#[test]
fn whoever_drains_hands_over_and_goes_without_being_put_out() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        world.begin(Fault::Drain(0));
        world.until(ms(600), "handed over", |world| {
            world.up() == [1, 2] && world.current()
        });
        assert_eq!(world.standing(0), Some(Standing::Draining));
        world.until(ms(3_500), "gone", |world| world.standing(0).is_none());
        world.until(ms(500), "settled", World::settled);
        assert_eq!(world.taken(), [], "{world}");
        world.end(&Fault::Drain(0));
        world.until(ms(5_000), "whole", World::whole);
    }
}

#[test]
fn all_can_be_restarted_one_after_the_other() {
    for seed in SEEDS {
        let mut world = cluster(3, seed);
        for host in 0..3 {
            world.begin(Fault::Drain(host));
            world.until(ms(4_000), "gone", |world| world.standing(host).is_none());
            world.end(&Fault::Drain(host));
            world.until(ms(4_000), "whole", World::whole);
        }
        assert_eq!((world.taken(), world.put_outs), (&[][..], 0), "{world}");
    }
}

#[test]
fn a_node_alone_with_its_store_drains_and_starts_again() {
    let mut world = World::new(1, 3);
    world.addresses[0] = String::new();
    world.until(ms(1_000), "up", World::whole);
    world.begin(Fault::Kill(0));
    world.end(&Fault::Kill(0));
    world.until(ms(8_000), "up after a crash", World::whole);
    world.begin(Fault::Drain(0));
    world.until(ms(4_000), "gone", |world| world.standing(0).is_none());
    world.end(&Fault::Drain(0));
    world.until(ms(1_000), "up after leaving", World::whole);
}

#[test]
fn a_node_without_a_listener_does_not_get_into_a_cluster() {
    let mut world = World::new(3, 5);
    world.addresses[2] = String::new();
    world.run(ms(20_000));
    let up = world.up();
    assert!(up == [0, 1] || up == [2], "{world}");
    assert!(!world.refusals.is_empty() && world.settled(), "{world}");
}
