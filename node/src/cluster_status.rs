//! `ting cluster status`: what a running node says of its cluster, as a table.

use anyhow::{Context, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the node may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks the node whose admin port this is.
pub fn of(admin: SocketAddr) -> anyhow::Result<String> {
    Ok(table(&ask(admin)?))
}

/// One request to a port of ours, so no client is needed for it: the answer ends with the
/// connection.
fn ask(admin: SocketAddr) -> anyhow::Result<Value> {
    let away = || format!("no node answers on {admin} (admin.listen)");
    let mut stream = TcpStream::connect_timeout(&admin, LIMIT).with_context(away)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET /cluster HTTP/1.0\r\nHost: {admin}\r\n\r\n").with_context(away)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(away)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(away)?;
    if head.split_whitespace().nth(1) != Some("200") {
        bail!("the node on {admin} is not ready: it waits for its store or its cluster");
    }
    serde_json::from_str(body).with_context(|| format!("{admin} is no admin port of ting"))
}

const HEAD: [&str; 10] = [
    "NODE",
    "STATE",
    "LEASE",
    "VIEW",
    "SHARDS",
    "ADDRESS",
    "RELEASE",
    "ROUND TRIP",
    "WINDOW",
    "DROPPED",
];

fn table(status: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let own = &status["node"];
    let mut rows = vec![HEAD.map(str::to_owned)];
    for member in status["members"].as_array().into_iter().flatten() {
        let mut links = status["links"].as_array().into_iter().flatten();
        let link = links.find(|link| link["peer"] == member["name"]);
        let [round_trip, window, dropped] = match link {
            _ if member["name"] == *own => ["(this node)", "", ""].map(str::to_owned),
            Some(link) => of_link(link),
            None => ["no link", "", ""].map(str::to_owned),
        };
        let lease = match member["lease"].as_bool() {
            Some(true) => "held",
            Some(false) => "none",
            None => "?",
        };
        let view = member["version"].as_u64();
        rows.push([
            text(&member["name"]),
            text(&member["state"]),
            lease.to_owned(),
            view.map_or("?".to_owned(), |view| view.to_string()),
            text(&member["shards"]),
            text(&member["address"]),
            text(&member["release"]),
            round_trip,
            window,
            dropped,
        ]);
    }
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut shown = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        shown.push_str(cells.join("  ").trim_end());
        shown.push('\n');
    }
    let lease = match (status["lease"] == true, status["lease_left_ms"].as_u64()) {
        (true, Some(left)) => format!(
            "holds its lease for {}.{} s",
            left / 1_000,
            left % 1_000 / 100
        ),
        (true, None) => "holds its lease".to_owned(),
        (false, _) => "holds no lease and acknowledges nothing".to_owned(),
    };
    let (version, epochs) = (&status["version"], &status["epochs"]);
    shown.push_str(&format!(
        "view {version}; this node {lease} and has begun {epochs} epochs\n"
    ));
    shown
}

/// Round trip, the part of the window that is in use, and frames dropped.
fn of_link(link: &Value) -> [String; 3] {
    let figure = |name: &str| link[name].as_u64().unwrap_or_default();
    let micros = figure("round_trip_us");
    let used = figure("unacknowledged_bytes") * 100 / figure("window_bytes").max(1);
    [
        format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
        format!("{used}%"),
        figure("frames_dropped").to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_stand_under_each_other() {
        let member = |name: &str, shards: u32, version: Option<u64>| {
            json!({
                "name": name, "state": "up", "shards": shards, "address": "10.0.0.1:7000",
                "release": "0.1.0", "lease": version.map(|_| true), "version": version,
            })
        };
        let status = json!({
            "version": 7, "node": "3-4d", "lease": true, "lease_left_ms": 4_270, "epochs": 31,
            "members": [
                member("3-4d", 300, Some(7)), member("12-4e", 324, Some(8)),
                member("5-4f", 400, None),
            ],
            "links": [{
                "peer": "12-4e", "round_trip_us": 1_042, "unacknowledged_bytes": 1_048_576,
                "window_bytes": 4_194_304, "frames_dropped": 2,
            }],
        });
        let lines: Vec<String> = table(&status).lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "NODE   STATE  LEASE  VIEW  SHARDS  ADDRESS        RELEASE  ROUND TRIP   WINDOW  DROPPED",
                "3-4d   up     held   7     300     10.0.0.1:7000  0.1.0    (this node)",
                "12-4e  up     held   8     324     10.0.0.1:7000  0.1.0    1.042 ms     25%     2",
                "5-4f   up     ?      ?     400     10.0.0.1:7000  0.1.0    no link",
                "view 7; this node holds its lease for 4.2 s and has begun 31 epochs",
            ]
        );
    }
}
