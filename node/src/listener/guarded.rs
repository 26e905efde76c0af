//! A connection that ends when its switch is thrown or its client stops reading.
//!
//! Once it is over, reads and writes fail; on a socket, writes vanish instead. There it is the
//! reader who must notice: the socket library takes down a socket when reading fails, but one
//! whose writing fails first, in the middle of its opening, would be forgotten and never freed.

use super::peer::Peer;
use super::{Place, Times, metric};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

/// What can be guarded.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The connection beneath.
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A stream under its [`Peer`]'s switch.
pub struct Guarded<S: Stream> {
    stream: S,
    peer: Peer,
    times: Times,
    /// Made when a write first has to wait, so that most connections never pay for it.
    stall: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    _place: Place,
}

impl<S: Stream> Guarded<S> {
    /// Watches over a stream.
    pub(super) fn new(stream: S, peer: Peer, times: Times, place: Place) -> Self {
        Guarded {
            stream,
            peer,
            times,
            stall: None,
            is_waiting: false,
            _place: place,
        }
    }

    /// Looks at what became of a write: an error ends the connection, and so does waiting too long.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        vanished: T,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Ok(done)) => {
                self.is_waiting = false;
                Poll::Ready(Ok(done))
            }
            Poll::Ready(Err(_)) => {
                self.peer.end();
                self.over(vanished)
            }
            Poll::Pending => {
                self.peer.wake_writer_by(cx.waker());
                // It may have been ended between the look before and the waker's place.
                if self.peer.is_over() || self.is_stalled(cx) {
                    return self.over(vanished);
                }
                Poll::Pending
            }
        }
    }

    fn counted(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.peer.count_written(*bytes);
        }
    }

    fn over<T>(&self, vanished: T) -> Poll<io::Result<T>> {
        Poll::Ready(if self.peer.is_socket() {
            Ok(vanished)
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        })
    }

    fn is_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = if self.peer.is_socket() {
            self.times.socket_write_stall
        } else {
            self.times.write_stall
        };
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_waiting {
            self.is_waiting = true;
            stall.as_mut().reset(Instant::now() + limit);
        }
        let stalled = stall.as_mut().poll(cx).is_ready();
        if stalled {
            metrics::counter!(metric::STALLED).increment(1);
            self.peer.abort();
        }
        stalled
    }
}

impl<S: Stream> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        guarded.peer.wake_reader_by(cx.waker());
        if guarded.peer.is_over() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut guarded.stream).poll_read(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        if guarded.peer.is_over() {
            return guarded.over(bytes.len());
        }
        let written = Pin::new(&mut guarded.stream).poll_write(cx, bytes);
        guarded.counted(&written);
        guarded.watched(cx, written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        let bytes = parts.iter().map(|part| part.len()).sum();
        if guarded.peer.is_over() {
            return guarded.over(bytes);
        }
        let written = Pin::new(&mut guarded.stream).poll_write_vectored(cx, parts);
        guarded.counted(&written);
        guarded.watched(cx, written, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if guarded.peer.is_over() {
            return guarded.over(());
        }
        let flushed = Pin::new(&mut guarded.stream).poll_flush(cx);
        guarded.watched(cx, flushed, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if guarded.peer.is_over() {
            return guarded.over(());
        }
        let closed = Pin::new(&mut guarded.stream).poll_shutdown(cx);
        guarded.watched(cx, closed, ())
    }
}

impl<S: Stream> Drop for Guarded<S> {
    fn drop(&mut self) {
        if self.peer.is_aborted() {
            // Closing would leave the system to hold the unread bytes until the client takes
            // them, which may be never.
            let _ = self.stream.tcp().set_zero_linger();
        }
    }
}
