//! Ten thousand packets that nobody would send, and requests and polls beside them: never a 500,
//! never a panic, and nobody else is disturbed.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use std::time::Duration;
use tests::{
    Room, Ting,
    raw::{self, RawSocket},
    size,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

/// The packets that are changed, all of them well formed.
const PACKETS: &[&str] = &[
    "40",
    "40{\"token\":\"x\"}",
    "41",
    "2",
    "3",
    "2probe",
    "5",
    "6",
    "42[\"login\",{\"username\":\"ada\",\"ting_auth\":\"x\",\"channels\":[\"ting\"],\"resume\":true}]",
    "420[\"enter\",{\"type\":\"channel\",\"target\":\"ting\"}]",
    "421[\"leave\",{\"type\":\"user\",\"target\":\"ada\"}]",
    "422[\"post-message\",{\"type\":\"channel\",\"target\":\"ting\",\"text\":\"hello\",\"typing\":true,\"key\":\"k\"}]",
    "42[\"patch-message\",{\"type\":\"channel\",\"target\":\"ting\",\"text\":\"x\",\"typing\":false,\"messageid\":12345,\"rev\":3,\"claim\":\"AAAA\"}]",
    "451-[\"post-message\",{\"_placeholder\":true,\"num\":0}]",
    "4599[\"x\"]",
    "43[null]",
    "44{\"message\":\"no\"}",
    "42/other,[\"login\",{}]",
    "bAAECAw==",
];

/// What clients 2.x post when they poll, as text: packets behind their lengths.
const LENGTHS: &[&str] = &[
    "1:2",
    "2:401:2",
    "6:2probe1:5",
    "24:42[\"enter\",{\"type\":\"x\"}]1:2",
    "3:4𝕊3:4ab",
    "2:4𝕊x",
    "10:b4AAECAw==",
];

/// And as bytes: text or not, the digits of a length, the end of it, a packet.
const LENGTHS_IN_BYTES: &[&[u8]] = &[
    b"\x00\x01\xff2",
    b"\x00\x02\xff40\x00\x01\xff2",
    b"\x00\x05\xff4\xf0\x9d\x95\x8a\x00\x01\xff2",
    b"\x01\x05\xff\x04\x01\x02\x03\x04",
    b"\x01\x01\x00\xff\x04\x01\x02\x03\x04\x05\x06\x07\x08\x09",
];

/// The requests that are changed.
const REQUESTS: &[&str] = &[
    "GET /restapi/v1/messages/channel/ting?lim=10&before=5 HTTP/1.1\r\nHost: x\r\nCookie: ting_auth=abc\r\n\r\n",
    "GET /restapi/v1/channels?name=ting HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /restapi/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"username\":\"ada\"}",
    "POST /restapi/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 25\r\n\r\nusername=ada&password=x%20",
    "PATCH /restapi/v1/users/ada HTTP/1.1\r\nHost: x\r\nCookie: ting_auth=abc\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"birthday\":\"1990-01-01\"}",
    "PATCH /api/v1/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"messageid\":12.5",
    "GET /socket.io/?EIO=4&transport=polling&t=abc HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\n42[\"login\"]",
    "GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /channel/ting HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\nRange: bytes=0-10\r\n\r\n",
    "DELETE /restapi/v1/messages/123 HTTP/1.1\r\nHost: x\r\nAuthorization: secret\r\n\r\n",
];

/// What is put in somewhere.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xf0\x9f\x99",
    "λ🙂\u{202e}".as_bytes(),
    b"%00",
    b"%ff",
    b"../",
    b"\r\n",
    b"99999999999999999999999999",
    b"-1",
    b"1e309",
    b"null",
    b"{}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"",
    b"\\ud800",
    b"\\u0000",
    b"{\"a\":",
    b",",
    b";",
    b"=",
    b"&",
    b"'",
    b"<script>",
    b"/",
    b"?",
];

/// Changes something about one of these, and often more than one thing.
fn changed(rng: &mut StdRng, of: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let one = of.choose(rng).unwrap();
    let mut bytes = one.as_ref().to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => {
                let until = rng.random_range(at..=bytes.len());
                bytes.drain(at..until);
            }
            4 => {
                let until = rng.random_range(at..=bytes.len());
                let part = bytes[at..until].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let part = vec![*b"x[{\"".choose(rng).unwrap(); rng.random_range(1..2_000)];
                bytes.splice(at..at, part);
            }
            _ => {
                let piece = PIECES.choose(rng).unwrap().iter().copied();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Two people who type and read until the fuzzing is over; how often.
async fn others_go_on(room: Room, mut over: watch::Receiver<bool>) -> usize {
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let mut typed = 0;
    let ghost = ada.types("0").await;
    while !*over.borrow_and_update() {
        typed += 1;
        ada.goes_on(&ghost, &typed.to_string()).await;
        bob.sees(&ghost, &typed.to_string()).await;
    }
    ada.sends(&ghost, "through all of it").await;
    bob.sees_sent(&ghost, "through all of it").await;
    typed
}

/// Sends changed packets on raw sockets, some of which are logged in.
async fn packets(ting: Ting, mut rng: StdRng, count: usize) {
    let mut sent = 0;
    while sent < count {
        let (name, auth) = ting.signs_in("fuzz").await;
        let login = json!({ "username": name, "ting_auth": auth });
        let socket = match rng.random_range(0..4) {
            0 => RawSocket::open(&ting.address()).await,
            _ => RawSocket::logged_in(&ting.address(), &login).await,
        };
        // A socket may be refused while many others are being ended.
        let Ok(socket) = socket else { continue };
        let (mut hears, mut says) = socket.into_stream().into_split();
        let drops = tokio::spawn(async move {
            let mut part = [0; 4096];
            while let Ok(1..) = hears.read(&mut part).await {}
        });
        for _ in 0..40 {
            let packet = changed(&mut rng, PACKETS);
            let first = if rng.random_range(0..10) > 0 {
                0x81
            } else {
                rng.random()
            };
            let mut frame = raw::frame(first, &packet);
            // The frame itself is not as it should be, now and then.
            if rng.random_range(0..20) == 0 {
                let at = rng.random_range(0..frame.len());
                frame[at] ^= rng.random::<u8>();
            }
            sent += 1;
            let written = timeout(Duration::from_secs(5), says.write_all(&frame)).await;
            if !matches!(written, Ok(Ok(()))) || drops.is_finished() {
                break;
            }
        }
        drops.abort();
    }
}

/// Sends changed requests.
async fn requests(ting: Ting, mut rng: StdRng, count: usize) {
    for _ in 0..count {
        let request = changed(&mut rng, REQUESTS);
        // What is no whole request yet is waited for; it is left after a moment.
        let said = raw::exchange(&ting.address(), &request, Duration::from_millis(20)).await;
        let said = String::from_utf8_lossy(&said);
        let status = raw::status(&said);
        let request = String::from_utf8_lossy(&request);
        assert!(
            status < 500 || status == 505,
            "{request:?} is answered by {said:?}"
        );
    }
}

/// Sends changed payloads by polling, as old and new clients do.
async fn polls(ting: Ting, mut rng: StdRng, count: usize) {
    let mut session: Option<(u8, String)> = None;
    for _ in 0..count {
        let Some((version, sid)) = &session else {
            let version = rng.random_range(3..=4);
            let path = format!("/socket.io/?EIO={version}&transport=polling");
            let opened = ting.get(&path).await;
            if opened.status == 200 {
                let open = &opened.text[opened.text.find('{').unwrap()..];
                let open: serde_json::Value = serde_json::from_str(open).unwrap();
                session = open["sid"].as_str().map(|sid| (version, sid.to_owned()));
            }
            continue;
        };
        let text = "text/plain;charset=UTF-8";
        let (kind, payload) = match (version, rng.random_bool(0.5)) {
            (4, _) => (text, changed(&mut rng, PACKETS)),
            (_, true) => (text, changed(&mut rng, LENGTHS)),
            (_, false) => (
                "application/octet-stream",
                changed(&mut rng, LENGTHS_IN_BYTES),
            ),
        };
        let path = format!("/socket.io/?EIO={version}&transport=polling&sid={sid}");
        let answer = ting.post(&path).body(kind, payload).await;
        assert!(answer.status < 500, "{}: {}", answer.status, answer.text);
        if answer.status != 200 {
            session = None;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_packets_that_nobody_would_send_disturb_nobody() {
    let count = size("TING_TEST_FUZZ", 10_000);
    let seed = size("TING_TEST_SEED", rand::rng().random::<u32>() as usize) as u64;
    println!("TING_TEST_SEED={seed}");
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let (over, is_over) = watch::channel(false);
    let others = tokio::spawn(others_go_on(room.clone(), is_over));
    let rng = |part: u64| StdRng::seed_from_u64(seed.wrapping_add(part));
    let fuzzing: Vec<_> = (0..4)
        .map(|part| {
            // All packets on sockets; of the others, which take longer, a third as many.
            let packets = packets(ting.clone(), rng(part), count.div_ceil(4));
            let requests = requests(ting.clone(), rng(part + 10), count / 16);
            let polls = polls(ting.clone(), rng(part + 20), count / 40);
            tokio::spawn(async move { tokio::join!(packets, requests, polls) })
        })
        .collect();
    for part in fuzzing {
        part.await.unwrap();
    }
    over.send_replace(true);
    let typed = others.await.unwrap();
    println!("{typed} letters were typed and seen meanwhile");
    assert!(typed > 0);
    ting.get("/restapi/v1/channels/ting").await.is(200);
    // Whether it panicked is looked at when the server is dropped.
}
