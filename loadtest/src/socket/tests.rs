//! The client against a server of a few lines, written with the WebSocket library alone.

use std::{future::Future, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{packet::Packet, *};

type Socket = WebSocketStream<TcpStream>;

const LIMIT: Duration = Duration::from_secs(10);

/// Serves one connection, from its first packet on, and returns its address.
async fn serve<F, R>(then: F) -> String
where
    F: FnOnce(Socket) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        then(accept_async(stream).await.unwrap()).await;
    });
    format!("http://{address}")
}

/// Serves one connection with its namespace connected.
async fn serve_connected<F, R>(then: F) -> String
where
    F: FnOnce(Socket) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    serve(|mut socket| async move {
        say(
            &mut socket,
            r#"0{"sid":"e","upgrades":[],"pingInterval":6000,"pingTimeout":4000}"#,
        )
        .await;
        assert_eq!(hear(&mut socket).await, "40");
        say(&mut socket, r#"40{"sid":"s1"}"#).await;
        then(socket).await;
    })
    .await
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

async fn hear(socket: &mut Socket) -> String {
    socket
        .next()
        .await
        .unwrap()
        .unwrap()
        .into_text()
        .unwrap()
        .to_string()
}

/// Reads until the client has gone.
async fn outlast(mut socket: Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn events_arrive_in_order_with_their_arguments() {
    let url = serve_connected(|mut socket| async move {
        say(&mut socket, r#"42["join","ada"]"#).await;
        say(&mut socket, r#"42["message",{"text":"χαίρε \"you\""},2]"#).await;
        outlast(socket).await;
    })
    .await;
    let (sender, mut events) = connect(&url, &[]).await.unwrap();
    assert_eq!(sender.sid(), "s1");
    let join = events.next().await.unwrap();
    assert_eq!(
        (join.name.as_str(), join.args),
        ("join", vec![json!("ada")])
    );
    let message = events.next().await.unwrap();
    assert_eq!(
        message.args,
        vec![json!({"text": "χαίρε \"you\""}), json!(2)]
    );
    sender.close().await;
    assert_eq!(events.next().await, None);
    assert_eq!(events.closed().await, Closed::Ours);
}

#[tokio::test]
async fn emits_arrive_in_order_and_acknowledgements_find_who_asked() {
    let url = serve_connected(|mut socket| async move {
        assert_eq!(hear(&mut socket).await, r#"42["login",{"username":"ada"}]"#);
        let first = hear(&mut socket).await;
        let second = hear(&mut socket).await;
        assert_eq!(first, r#"420["enter",{"n":1}]"#);
        assert_eq!(second, r#"421["enter",{"n":2}]"#);
        // Answered in the other order.
        say(&mut socket, r#"431[{"for":2}]"#).await;
        say(&mut socket, r#"430[{"for":1}]"#).await;
        outlast(socket).await;
    })
    .await;
    let (sender, _events) = connect(&url, &[]).await.unwrap();
    sender
        .emit("login", json!({"username": "ada"}))
        .await
        .unwrap();
    let (one, two) = tokio::join!(
        sender.emit_with_ack("enter", json!({"n": 1}), LIMIT),
        sender.emit_with_ack("enter", json!({"n": 2}), LIMIT),
    );
    assert_eq!(
        (one.unwrap(), two.unwrap()),
        (json!({"for": 1}), json!({"for": 2}))
    );
}

#[tokio::test]
async fn a_missing_acknowledgement_has_a_limit_and_a_reason() {
    let url = serve_connected(|mut socket| async move {
        hear(&mut socket).await;
        hear(&mut socket).await;
        say(&mut socket, "41").await;
        outlast(socket).await;
    })
    .await;
    let (sender, events) = connect(&url, &[]).await.unwrap();
    let short = Duration::from_millis(20);
    let late = sender
        .emit_with_ack("enter", json!({}), short)
        .await
        .unwrap_err();
    assert_eq!(late.downcast_ref(), Some(&AckError::Late(short)));
    let closed = sender
        .emit_with_ack("enter", json!({}), LIMIT)
        .await
        .unwrap_err();
    assert_eq!(
        closed.downcast_ref(),
        Some(&AckError::Closed(Closed::Disconnected))
    );
    assert_eq!(events.closed().await, Closed::Disconnected);
    assert!(sender.emit("post", json!({})).await.is_err());
}

#[tokio::test]
async fn pings_are_answered_unless_reading_is_stopped() {
    let (told, mut asked) = tokio::sync::mpsc::channel(1);
    let url = serve_connected(|mut socket| async move {
        say(&mut socket, "2").await;
        assert_eq!(hear(&mut socket).await, "3");
        say(&mut socket, r#"42["answered"]"#).await;
        assert_eq!(hear(&mut socket).await, r#"42["stopped",0]"#);
        say(&mut socket, "2").await;
        say(&mut socket, r#"42["unread",1]"#).await;
        // The next thing heard is not the pong.
        assert_eq!(hear(&mut socket).await, r#"42["still stopped",0]"#);
        told.send(()).await.unwrap();
        assert_eq!(hear(&mut socket).await, "3");
        outlast(socket).await;
    })
    .await;
    let (sender, mut events) = connect(&url, &[]).await.unwrap();
    assert_eq!(events.next().await.unwrap().name, "answered");
    sender.stop_reading().await.unwrap();
    sender.emit("stopped", 0).await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(100), events.next())
            .await
            .is_err()
    );
    sender.emit("still stopped", 0).await.unwrap();
    asked.recv().await.unwrap();
    sender.read_again().await.unwrap();
    assert_eq!(events.next().await.unwrap().name, "unread");
}

#[tokio::test]
async fn headers_and_the_source_address_reach_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, from) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut head)
            .await
            .unwrap();
        (
            String::from_utf8_lossy(&head[..read]).to_lowercase(),
            from.ip(),
        )
    });
    let refused = Connect::to(&url)
        .unwrap()
        .header("Cookie", "ting_auth=1")
        .unwrap()
        .header("Origin", "http://elsewhere")
        .unwrap()
        .from([127, 0, 0, 3].into())
        .open()
        .await;
    assert!(refused.is_err());
    let (head, from) = server.await.unwrap();
    assert!(head.contains("\r\ncookie: ting_auth=1\r\n"), "{head}");
    assert!(head.contains("\r\norigin: http://elsewhere\r\n"), "{head}");
    assert_eq!(from.to_string(), "127.0.0.3");
}

#[tokio::test]
async fn a_refused_namespace_is_an_error_with_its_reason() {
    let url = serve(|mut socket| async move {
        say(
            &mut socket,
            r#"0{"sid":"e","pingInterval":6000,"pingTimeout":4000}"#,
        )
        .await;
        hear(&mut socket).await;
        say(&mut socket, r#"44{"message":"origin"}"#).await;
        outlast(socket).await;
    })
    .await;
    let error = connect(&url, &[]).await.unwrap_err();
    let refused = Closed::Refused(json!({"message": "origin"}));
    assert_eq!(error.downcast_ref(), Some(&refused));
}

#[tokio::test]
async fn the_end_is_reported_with_its_reason() {
    let url = serve_connected(|mut socket| async move {
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: "draining".into(),
        };
        socket.close(Some(frame)).await.unwrap();
        outlast(socket).await;
    })
    .await;
    let (_sender, events) = connect(&url, &[]).await.unwrap();
    assert_eq!(
        events.closed().await,
        Closed::Frame(1001, "draining".to_owned())
    );

    let url = serve_connected(|socket| async move { drop(socket) }).await;
    let (_sender, events) = connect(&url, &[]).await.unwrap();
    assert!(matches!(events.closed().await, Closed::Lost(_)));

    let url = serve_connected(|mut socket| async move {
        say(&mut socket, "nonsense").await;
        outlast(socket).await;
    })
    .await;
    let (_sender, events) = connect(&url, &[]).await.unwrap();
    assert_eq!(
        events.closed().await,
        Closed::Malformed("nonsense".to_owned())
    );
}

#[tokio::test]
async fn a_silent_server_is_noticed_after_the_time_it_named() {
    let url = serve(|mut socket| async move {
        say(
            &mut socket,
            r#"0{"sid":"e","pingInterval":30,"pingTimeout":20}"#,
        )
        .await;
        hear(&mut socket).await;
        say(&mut socket, r#"40{"sid":"s1"}"#).await;
        outlast(socket).await;
    })
    .await;
    let (_sender, events) = connect(&url, &[]).await.unwrap();
    assert_eq!(events.closed().await, Closed::Silent);
}

#[test]
fn packets_are_read_as_the_protocol_writes_them() {
    assert_eq!(
        packet::parse(r#"42["a"]"#),
        Some(Packet::Event(None, r#"["a"]"#))
    );
    assert_eq!(
        packet::parse(r#"4217["a",1]"#),
        Some(Packet::Event(Some(17), r#"["a",1]"#))
    );
    assert_eq!(packet::parse(r#"433[]"#), Some(Packet::Ack(3, "[]")));
    assert_eq!(packet::parse("2"), Some(Packet::Ping));
    for other in [
        "",
        "4",
        "42",
        "42a",
        "43[]",
        "42/ns,[]",
        "451-[]",
        "9",
        "4299999999999999999999[]",
    ] {
        assert_eq!(packet::parse(other), None, "{other}");
    }
    assert_eq!(
        packet::event_name(r#"["update-typing-messages",{}]"#),
        Some("update-typing-messages")
    );
    assert_eq!(packet::event_name(r#"["a\"b"]"#), None);
    assert_eq!(packet::event_name("[1]"), None);
}

#[test]
fn an_address_that_cannot_be_spoken_to_is_refused() {
    for url in ["https://127.0.0.1:1", "127.0.0.1", "http://"] {
        assert!(Connect::to(url).is_err(), "{url}");
    }
}
