use super::*;
use proptest::prelude::*;

fn name(user: u64) -> Username {
    Username::parse(&format!("user{user}")).unwrap()
}

fn sign_in(number: u8) -> SignInHash {
    SignInHash([number; 32])
}

#[test]
fn a_person_joins_with_the_first_connection_and_parts_with_the_last() {
    let mut roster = Roster::default();
    let (ada, phone, laptop) = (UserId(1), sign_in(1), sign_in(2));
    assert!(roster.add(ConnectionId(1), ada, &name(1), phone));
    assert!(!roster.add(ConnectionId(2), ada, &name(1), laptop));
    assert!(!roster.remove(ConnectionId(1)).unwrap().parted);
    assert!(!roster.is_connected(phone) && roster.is_connected(laptop));
    assert!(roster.remove(ConnectionId(2)).unwrap().parted);
    assert_eq!(roster.remove(ConnectionId(2)), None);
    assert!(!roster.is_online(ada));
}

#[test]
fn what_is_said_to_somebody_goes_where_they_are_expected_until_all_of_that_was_told() {
    let mut roster = Roster::default();
    let [here, there] = [1, 2].map(|slot| NodeName { slot, since: 0 });
    let online = Online {
        user: UserId(1),
        username: name(1),
        sign_in: sign_in(1),
    };
    let nodes = |roster: &Roster| roster.nodes_of(&[online.user], here).len();
    roster.join_elsewhere(there, &online);
    // Goes, comes back, and goes: each is told in its turn.
    roster.expect(there, online.user);
    roster.expect(there, online.user);
    assert!(roster.part_elsewhere(there, online.sign_in).unwrap().parted);
    assert_eq!(nodes(&roster), 1, "comes back");
    roster.expect_no_more(there, online.user);
    roster.join_elsewhere(there, &online);
    roster.part_elsewhere(there, online.sign_in);
    assert_eq!(nodes(&roster), 1, "and comes once more");
    roster.expect_no_more(there, online.user);
    assert_eq!(nodes(&roster), 0);
}

#[test]
fn of_who_comes_and_goes_within_a_tick_the_last_is_told() {
    let mut batch = PresenceBatch::default();
    batch.join(&name(1));
    batch.part(&name(2));
    batch.part(&name(1));
    batch.join(&name(2));
    batch.join(&name(3));
    batch.part(&name(1));
    let told = (vec![name(2), name(3)], vec![name(1)]);
    assert_eq!(batch.take(), Some(told));
    assert_eq!(batch.take(), None);
}

proptest! {
    #[test]
    fn joins_and_parts_tell_who_is_online(
        steps in prop::collection::vec((any::<bool>(), 0u64..8, 0u64..3), 0..120),
    ) {
        let mut roster = Roster::default();
        let mut batch = PresenceBatch::default();
        let (mut told, mut open) = (HashSet::new(), HashMap::new());
        let mut batched: HashSet<Username> = HashSet::new();
        // One who comes at any time begins with who is online then.
        let mut later: Vec<HashSet<Username>> = Vec::new();
        for (count, (comes, connection, user)) in steps.into_iter().enumerate() {
            if comes {
                let id = ConnectionId(connection);
                if open.contains_key(&id) {
                    continue;
                }
                open.insert(id, user);
                if roster.add(id, UserId(user), &name(user), sign_in(user as u8)) {
                    prop_assert!(told.insert(name(user)));
                    batch.join(&name(user));
                }
            } else if let Some(left) = roster.remove(ConnectionId(connection)) {
                open.remove(&ConnectionId(connection));
                if left.parted {
                    prop_assert!(told.remove(&left.username));
                    batch.part(&left.username);
                }
            }
            if count % 5 == 0 && let Some((joined, parted)) = batch.take() {
                for list in later.iter_mut().chain([&mut batched]) {
                    list.extend(joined.iter().cloned());
                    list.retain(|name| !parted.contains(name));
                }
            }
            later.push(roster.names().into_iter().collect());
            let online: HashSet<Username> = open.values().map(|user| name(*user)).collect();
            prop_assert_eq!(&online, &told);
            prop_assert_eq!(&online, &roster.names().into_iter().collect::<HashSet<_>>());
        }
        if let Some((joined, parted)) = batch.take() {
            for list in later.iter_mut().chain([&mut batched]) {
                list.extend(joined.iter().cloned());
                list.retain(|name| !parted.contains(name));
            }
        }
        for list in later.into_iter().chain([batched]) {
            prop_assert_eq!(&list, &told);
        }
    }
}
