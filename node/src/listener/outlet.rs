//! The way out of a plain connection, which two may use: the library that serves it, and those
//! who have a packet for many sockets.
//!
//! The library hands each packet to a task of its socket's, which costs more than the write
//! itself. So what many get is written past it, at once, where nothing of the library's is under
//! way; where something is, or the system takes no more, it goes through the library and waits
//! its turn there. What the system took only a part of is finished before anything else.

use super::frames::Frames;
use super::guarded::Stream;
use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection and what is under way on it.
#[derive(Debug)]
pub struct Outlet {
    stream: TcpStream,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    is_socket: bool,
    frames: Frames,
    /// Of what was written past the library, what the system has not taken yet.
    rest: Vec<u8>,
    /// The library's writer, when it waits for that rest: the system wakes one only, whoever
    /// asked it last, and that may be the library's reader.
    writer: Option<Waker>,
}

/// What became of a write past the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It is on its way.
    Written,
    /// It is, and its rest waits for the system; whoever reads the connection is to be woken.
    Begun,
    /// Nothing was written: it has to go through the library.
    NotNow,
}

impl Outlet {
    /// A connection that was accepted.
    pub fn new(stream: TcpStream) -> Self {
        Outlet {
            stream,
            under_way: Mutex::default(),
        }
    }

    /// From here on it is a WebSocket's, whose frames are read along.
    pub fn becomes_socket(&self) {
        self.lock().is_socket = true;
    }

    /// Writes whole frames, if the library has written so many events and nothing is under way.
    pub fn write_past(&self, events: u64, frames: &[u8]) -> Past {
        let Ok(mut under_way) = self.under_way.try_lock() else {
            return Past::NotNow;
        };
        if !under_way.rest.is_empty() || !under_way.frames.is_between(events) {
            return Past::NotNow;
        }
        match self.stream.try_write(frames) {
            Ok(written) if written == frames.len() => Past::Written,
            Ok(written) => {
                under_way.rest.extend_from_slice(&frames[written..]);
                Past::Begun
            }
            // What else it may be, the library will find too.
            Err(_) => Past::NotNow,
        }
    }

    /// Goes on with the rest of what was written past the library.
    fn finish(&self, under_way: &mut UnderWay, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !under_way.rest.is_empty() {
            let written = ready!(self.poll_write(&under_way.rest, cx))?;
            under_way.rest.drain(..written);
        }
        under_way.rest.shrink_to_fit();
        Poll::Ready(Ok(()))
    }

    /// The same for the library's writer, which is not to be forgotten.
    fn finish_first(&self, cx: &mut Context<'_>) -> Poll<io::Result<MutexGuard<'_, UnderWay>>> {
        let mut under_way = self.lock();
        if self.finish(&mut under_way, cx)?.is_pending() {
            under_way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(under_way))
    }

    fn poll_write(&self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_read(&self, buffer: &mut ReadBuf<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }

    /// Nothing panics while it is held, and if it did, the value would still be whole.
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library's end of it.
#[derive(Debug)]
pub struct Plain(pub Arc<Outlet>);

impl Stream for Plain {
    fn tcp(&self) -> &TcpStream {
        &self.0.stream
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outlet = &self.0;
        let mut under_way = outlet.lock();
        if !under_way.rest.is_empty() && outlet.finish(&mut under_way, cx)?.is_ready() {
            under_way.writer.take().iter().for_each(Waker::wake_by_ref);
        }
        drop(under_way);
        outlet.poll_read(buffer, cx)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outlet = &self.0;
        let mut under_way = ready!(outlet.finish_first(cx))?;
        let written = ready!(outlet.poll_write(bytes, cx))?;
        if under_way.is_socket {
            under_way.frames.read(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish_first(cx).map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        drop(ready!(self.0.finish_first(cx))?);
        Poll::Ready(SockRef::from(&self.0.stream).shutdown(Shutdown::Write))
    }
}
