//! Packets in the order of their rooms, so many a tick: a catch-up must not fill the queues of
//! sockets.

use crate::edge::{Packet, Room};
use std::collections::VecDeque;

/// Packets that one socket gets in one tick; a socket's queue holds a few ticks.
const PACKETS_PER_TICK: usize = 64;

/// What one tick emits.
pub type Tick = Vec<(Room, Vec<Packet>)>;

/// What is to be emitted, now and later.
#[derive(Debug, Default)]
pub struct Ticks(VecDeque<Tick>);

impl Ticks {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds packets of a room, behind those that it has to get already.
    pub fn add(&mut self, room: &Room, packets: Vec<Packet>) {
        let has = |tick: &Tick| tick.iter().any(|(known, _)| known == room);
        let mut place = self.0.iter().rposition(has).unwrap_or(0);
        for packet in packets {
            loop {
                if self.0.len() == place {
                    self.0.push_back(Vec::new());
                }
                let tick = &mut self.0[place];
                match tick.iter_mut().find(|(known, _)| known == room) {
                    Some((_, full)) if full.len() == PACKETS_PER_TICK => place += 1,
                    Some((_, packets)) => break packets.push(packet),
                    None => break tick.push((room.clone(), vec![packet])),
                }
            }
        }
    }

    /// What the next tick emits.
    pub fn next(&mut self) -> Option<Tick> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn packets(from: usize, to: usize) -> Vec<Packet> {
        let body = |n: usize| serde_json::value::to_raw_value(&n).unwrap();
        let packet = |n| Packet {
            event: "n",
            body: Arc::from(body(n)),
        };
        (from..to).map(packet).collect()
    }

    fn numbers(ticks: &mut Ticks, room: &Room) -> Vec<Vec<usize>> {
        let mut numbers = Vec::new();
        while let Some(tick) = ticks.next() {
            let (_, packets) = tick.into_iter().find(|(known, _)| known == room).unwrap();
            let told = packets
                .iter()
                .map(|packet| packet.body.get().parse().unwrap());
            numbers.push(told.collect());
        }
        numbers
    }

    #[test]
    fn what_is_too_much_for_a_tick_waits_and_what_follows_fills_it_up() {
        let (one, other) = (Room(Arc::from("one")), Room(Arc::from("other")));
        let mut ticks = Ticks::default();
        ticks.add(&one, packets(0, 100));
        ticks.add(&other, packets(0, 1));
        ticks.add(&one, packets(100, 130));
        let told = numbers(&mut ticks, &one);
        assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 2]);
        assert_eq!(told.concat(), (0..130).collect::<Vec<_>>(), "in order");
        ticks.add(&other, packets(1, 3));
        assert_eq!(numbers(&mut ticks, &other), [[1, 2]]);
    }
}
