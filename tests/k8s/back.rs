//! Promise F on Kubernetes, where two times add up: as long as the Service leads to pods that are
//! gone, which is Kubernetes', nobody can be sure of a new connection; what a client takes from
//! then on is Ting's.

use crate::log::{Log, What, Who};
use std::collections::HashMap;
use std::time::Duration;

/// How long a client may be away whose node has crashed, where new connections reach a live one.
pub const CRASH: Duration = Duration::from_secs(5);

/// The same of a client whose node is cut off: for most of it the client can't know.
pub const CUT: Duration = Duration::from_secs(20);

/// Pods that went, in the log's time.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// When.
    pub began: Duration,
    /// From when on the Service leads to live pods alone.
    pub led: Duration,
    /// Until when nothing else happens.
    pub until: Duration,
    /// How long a client may take.
    pub bound: Duration,
}

impl Loss {
    /// When everybody is to be back: in the time that is promised, and where that is over before
    /// the Service leads to live pods alone, in what a new connection may take from then on.
    fn due(&self) -> Duration {
        (self.began + self.bound).max(self.led + CRASH)
    }

    /// Who was not back in time, in words: connections, sends, and letters.
    pub fn late(&self, log: &Log) -> Vec<String> {
        let mut late = Vec::new();
        let in_time = |since: Duration, at: Option<Duration>| {
            let due = self.due().max(since + CRASH);
            at.unwrap_or_else(|| log.now()) <= due
        };
        let mut add = |who: Who, since: Duration, what: &str| {
            let role = &log.people[who].role;
            late.push(format!("{role}: {what} at {since:.1?}, and is late"));
        };
        let mut closed: HashMap<Who, Duration> = HashMap::new();
        let mut typed: HashMap<Who, Duration> = HashMap::new();
        for event in &log.events {
            let (Some(who), at) = (event.who, event.at) else {
                continue;
            };
            let judged = |since: &Duration| (self.began..self.until).contains(since);
            match event.what {
                What::Closes => {
                    if judged(&at) && at > self.due() {
                        add(who, at, "noticed the loss");
                    }
                    closed.insert(who, at);
                }
                What::Connects { .. } => {
                    let since = closed.remove(&who).filter(judged);
                    if let Some(since) = since.filter(|since| !in_time(*since, Some(at))) {
                        add(who, since, "lost a connection");
                    }
                }
                What::Asks(send) => {
                    let acknowledged = log.sends[send].acknowledged.map(|(at, ..)| at);
                    if judged(&at) && !in_time(at, acknowledged) {
                        add(who, at, "wanted to send");
                    }
                }
                What::Types { .. } => {
                    let since = typed.insert(who, at).filter(judged);
                    if let Some(since) = since.filter(|since| !in_time(*since, Some(at))) {
                        add(who, since, "typed the last letter");
                    }
                }
                _ => {}
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSS: Loss = Loss {
        began: seconds(100),
        led: seconds(102),
        until: seconds(160),
        bound: CRASH,
    };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Ada loses her connection and is back, types and types on, and sends; each from when to when.
    fn story([away, typing, sending]: [(u64, u64); 3]) -> Log {
        let mut log = Log::default();
        let ada = log.person("ada", "ada", &[], true);
        let (id, conversation) = (1, 0);
        log.add_at(seconds(away.0), Some(ada), What::Closes);
        let (node, people) = (0, vec![ada]);
        let connects = What::Connects { node, people };
        log.add_at(seconds(away.1), Some(ada), connects);
        for at in [typing.0, typing.1] {
            let types = What::Types { id, conversation };
            log.add_at(seconds(at), Some(ada), types);
        }
        let send = log.asks(ada, "hello", conversation, None);
        log.events.last_mut().unwrap().at = seconds(sending.0);
        let acknowledged = What::Acknowledged { send, id, node };
        log.add_at(seconds(sending.1), Some(ada), acknowledged);
        log
    }

    #[test]
    fn five_seconds_are_counted_from_when_the_service_leads_to_live_pods_alone() {
        let none: Vec<String> = Vec::new();
        assert_eq!(LOSS.late(&story([(101, 107); 3])), none);
        let late = LOSS.late(&story([(101, 108); 3]));
        let said = [
            "lost a connection",
            "typed the last letter",
            "wanted to send",
        ];
        assert_eq!(late.len(), said.len(), "{late:?}");
        for (late, said) in late.iter().zip(said) {
            assert!(late.starts_with(&format!("ada: {said}")), "{late}");
        }
    }

    #[test]
    fn what_is_promised_of_a_cut_is_no_longer_where_kubernetes_is_quick() {
        let cut = Loss { bound: CUT, ..LOSS };
        let slow = Loss {
            led: seconds(124),
            ..cut
        };
        for (loss, due) in [(cut, 120), (slow, 129)] {
            assert_eq!(loss.late(&story([(110, due); 3])).len(), 0, "{loss:?}");
            assert_eq!(loss.late(&story([(110, due + 1); 3])).len(), 3, "{loss:?}");
        }
    }

    #[test]
    fn who_notices_only_later_that_a_node_is_gone_is_late_too() {
        let late = LOSS.late(&story([(108, 109), (101, 102), (101, 102)]));
        assert_eq!(late.len(), 1, "{late:?}");
        assert!(late[0].starts_with("ada: noticed the loss"), "{late:?}");
        // What happens before and after is another's to judge.
        for at in [50, 160] {
            let late = LOSS.late(&story([(at, at + 30); 3]));
            assert_eq!(late.len(), 0, "{late:?}");
        }
    }
}
