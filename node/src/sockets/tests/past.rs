//! What a room hears is written past the socket library where that is free, and nobody notices.

use super::*;
use serde_json::Value;

async fn hears(client: &mut Client) -> Value {
    loop {
        let (event, body) = client.event().await;
        if event == "update-typing-messages" {
            return body;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_hears_everything_in_order_whichever_way_it_went() {
    let mut node = Node::start().await;
    let (mut ada, id) = node.logged_in("ada").await;
    let sockets = node.edge.sockets();
    let mut said = 0;
    for _ in 0..50 {
        let begun = said;
        // More than the system takes at once: packets are cut, and others wait behind them.
        for _ in 0..24 {
            let text = "x".repeat(if said % 3 == 0 { 40_000 } else { 10 });
            let entries = [encoding::tests::entry(said, &text, true)];
            let packet = [sockets.encode(Event::TypingMessages(&entries))];
            if said % 7 == 0 {
                let connection = node.edge.0.registry.get(id).unwrap();
                connection.emit_through_the_library(&packet);
            } else if said % 7 == 1 {
                sockets.emit(id, &packet);
            } else {
                sockets.emit_to_room(&everybody(), &packet);
            }
            said += 1;
        }
        for number in begun..said {
            let body = hears(&mut ada).await;
            assert!(body.get(number.to_string()).is_some(), "{number}");
        }
    }
    let connection = node.edge.0.registry.get(id).unwrap();
    let through = connection.through_the_library();
    assert!(through < said, "{through} of {said}");
}

#[tokio::test]
async fn both_ways_say_the_same() {
    let mut node = Node::start().await;
    let (mut ada, id) = node.logged_in("ada").await;
    let sockets = node.edge.sockets();
    for text in [
        "he",
        "\"ένα\" \\ <b> 🙂",
        &"long ".repeat(30),
        &"x".repeat(70_000),
    ] {
        let entries = [encoding::tests::entry(1, text, true)];
        let packet = [sockets.encode(Event::TypingMessages(&entries))];
        let connection = node.edge.0.registry.get(id).unwrap();
        let before = connection.through_the_library();
        sockets.emit_to_room(&everybody(), &packet);
        let past = hears(&mut ada).await;
        assert_eq!(connection.through_the_library(), before);
        connection.emit_through_the_library(&packet);
        assert_eq!(hears(&mut ada).await, past);
        assert_eq!(connection.through_the_library(), before + 1);
    }
}
