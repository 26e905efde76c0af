//! The database as its administrator has it, in as much of its protocol as one statement takes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Makes a role with a password, once the database knows its own administrator.
pub async fn makes_role(role: &str, password: &str) {
    let statement =
        format!("CREATE ROLE IF NOT EXISTS {role} WITH PASSWORD = '{password}' AND LOGIN = true");
    crate::kube::until("the database makes a role", || says(&statement).is_ok()).await;
}

/// One statement, said as administrator.
fn says(statement: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(tests::settings::database())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut startup = vec![0, 1];
    for word in ["CQL_VERSION", "3.0.0"] {
        startup.extend((word.len() as u16).to_be_bytes());
        startup.extend(word.as_bytes());
    }
    ask(&mut stream, 0x01, &startup)?;
    let login = b"\0cassandra\0cassandra";
    ask(&mut stream, 0x0F, &sized(login))?;
    // At consistency ONE, without anything else.
    ask(
        &mut stream,
        0x07,
        &[sized(statement.as_bytes()), vec![0, 1, 0]].concat(),
    )
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A frame of version 4, and the one that answers it, which is to be no error.
fn ask(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> io::Result<()> {
    let mut frame = vec![4, 0, 0, 0, opcode];
    frame.extend(sized(body));
    stream.write_all(&frame)?;
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    match head[4] {
        0 => Err(io::Error::other(
            String::from_utf8_lossy(&answer).into_owned(),
        )),
        _ => Ok(()),
    }
}
