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

fn table(status: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let own = &status["node"];
    let mut rows = vec![
        [
            "NODE",
            "STATE",
            "SHARDS",
            "ADDRESS",
            "RELEASE",
            "ROUND TRIP",
        ]
        .map(str::to_owned),
    ];
    for member in status["members"].as_array().into_iter().flatten() {
        let links = status["links"].as_array().into_iter().flatten();
        let link = links
            .filter(|link| link["peer"] == member["name"])
            .find_map(|link| link["round_trip_us"].as_u64());
        let round_trip = match link {
            _ if member["name"] == *own => "(this node)".to_owned(),
            Some(micros) => format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
            None => "no link".to_owned(),
        };
        rows.push([
            text(&member["name"]),
            text(&member["state"]),
            text(&member["shards"]),
            text(&member["address"]),
            text(&member["release"]),
            round_trip,
        ]);
    }
    let mut widths = [0; 6];
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
    let lease = if status["lease"] == true {
        "holds its lease"
    } else {
        "holds no lease and acknowledges nothing"
    };
    shown.push_str(&format!("view {}; this node {lease}\n", status["version"]));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_stand_under_each_other() {
        let member = |name: &str, shards: u32| json!({"name": name, "state": "up", "shards": shards, "address": "10.0.0.1:7000", "release": "0.1.0"});
        let status = json!({
            "version": 7, "node": "3-4d", "lease": true,
            "members": [member("3-4d", 500), member("12-4e", 524)],
            "links": [{"peer": "12-4e", "round_trip_us": 1_042}],
        });
        let lines: Vec<String> = table(&status).lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "NODE   STATE  SHARDS  ADDRESS        RELEASE  ROUND TRIP",
                "3-4d   up     500     10.0.0.1:7000  0.1.0    (this node)",
                "12-4e  up     524     10.0.0.1:7000  0.1.0    1.042 ms",
                "view 7; this node holds its lease",
            ]
        );
    }
}
