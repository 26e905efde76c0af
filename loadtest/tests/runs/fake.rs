//! A small server of Ting's protocol: right, unless one fault is planted in it.
//!
//! It runs on a thread of its own, so that a generator that stands still does not stop it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

mod world;

pub use world::Planted;
use world::World;

/// Keys are gathered for so long.
const TICK: Duration = Duration::from_millis(30);

/// A server that ends when this is dropped.
pub struct Fake {
    pub url: String,
    _end: oneshot::Sender<()>,
}

type Shared = Arc<Mutex<World>>;

impl Fake {
    /// Starts a server with this fault.
    pub fn start(planted: Planted) -> Self {
        let (opened, address) = std::sync::mpsc::channel::<SocketAddr>();
        let (end, ended) = oneshot::channel::<()>();
        let shared = Arc::new(Mutex::new(World::new(planted)));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                opened.send(listener.local_addr().unwrap()).unwrap();
                tokio::spawn(tick(Arc::clone(&shared)));
                tokio::select! {
                    served = axum::serve(listener, routes(shared)) => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Fake {
            url: format!("http://{}", address.recv().unwrap()),
            _end: end,
        }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

fn routes(world: Shared) -> Router {
    Router::new()
        .route("/restapi/v1/sessions", post(sign_in))
        .route(
            "/restapi/v1/channels",
            post(|| async { StatusCode::NO_CONTENT }),
        )
        .route("/api/v1/message", post(begin).patch(update))
        .route("/api/v1/messages/{kind}/{target}", get(history))
        .route("/socket.io/", get(upgrade))
        .with_state(world)
}

async fn tick(world: Shared) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        lock(&world).flush();
    }
}

async fn sign_in(State(world): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    let username = body["username"].as_str().unwrap();
    let token = lock(&world).sign_in(username);
    Json(json!({ "username": username, "ting_auth": token }))
}

fn who(world: &Shared, headers: &HeaderMap) -> Result<String, StatusCode> {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    lock(world).of_token(token).ok_or(StatusCode::FORBIDDEN)
}

async fn begin(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let username = who(&world, &headers)?;
    let id = lock(&world).begin(&username, &body);
    Ok(Json(
        json!({ "messageid": id, "claim": format!("claim-{id}") }),
    ))
}

async fn update(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<StatusCode, StatusCode> {
    let username = who(&world, &headers)?;
    Ok(lock(&world).update(&username, &body))
}

async fn history(
    State(world): State<Shared>,
    headers: HeaderMap,
    Path((kind, target)): Path<(String, String)>,
    Query(query): Query<std::collections::HashMap<String, u64>>,
) -> Result<Response, StatusCode> {
    let username = who(&world, &headers)?;
    let mut world = lock(&world);
    let rows = world.history(&username, &kind, &target, &query);
    Ok(([("ting-more", rows.1.to_string())], Json(rows.0)).into_response())
}

async fn upgrade(State(world): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| serve(world, socket))
}

/// Speaks Engine.IO and socket.io with one connection.
async fn serve(world: Shared, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let opening = json!({
        "sid": "e", "upgrades": [], "pingInterval": 60_000, "pingTimeout": 60_000,
    });
    let (out, mut outgoing) = mpsc::unbounded_channel::<String>();
    out.send(format!("0{opening}")).unwrap();
    let writing = tokio::spawn(async move {
        while let Some(text) = outgoing.recv().await {
            if sink.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    });
    let mut number = None;
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        if text.as_str() == "40" {
            let _ = out.send(r#"40{"sid":"s"}"#.to_owned());
        } else if let Some(event) = text.strip_prefix("42") {
            let (name, argument): (String, Value) = serde_json::from_str(event).unwrap();
            assert_eq!(name, "login");
            number = lock(&world).log_in(&argument, out.clone());
        } else if text.as_str() == "41" {
            break;
        }
    }
    if let Some(number) = number {
        lock(&world).leave(number);
    }
    writing.abort();
}
