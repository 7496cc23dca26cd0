//! The reading side of a connection, below hyper. It enforces the line endings of RFC 9112 and a time limit for heads.
//!
//! hyper takes a lone line feed for the end of a line. A proxy in front may not. Then both disagree about where a
//! request ends: a header for one is a request for the other. So [`HeadReader`] refuses line feeds without a carriage
//! return in heads and trailers: it hands a NUL to hyper in their place, which hyper answers with 400. The standard
//! permits either: <https://www.rfc-editor.org/rfc/rfc9112#section-2.2>.
//!
//! Only heads and trailers are checked. Where a head begins is known from the framing of the body before it, as hyper
//! understood that ([`Exchange::take_framing`]); a read never hands more to hyper than the current head or body, and
//! keeps the bytes after it for the next read.
//!
//! A client that does not send a head within its time is disconnected. The time begins with the connection, or when the
//! previous answer was written. It does not run while a request is under way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::chunks::{Chunks, Progress};
use super::exchange::{Exchange, Framing};
use super::patience::Deadline;

/// A stream, and the function that returns how long its other end may take now.
pub(super) struct HeadReader<S, F> {
    stream: S,
    allowed: F,
    exchange: Exchange,
    mode: Mode,
    /// The bytes that were read beyond the current head or body.
    kept: BytesMut,
    /// Runs while the connection waits for a head.
    deadline: Option<Deadline>,
}

/// The part of a request that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Head(Lines),
    /// The head is complete, and hyper has not yet said how its body is framed.
    AfterHead,
    Length(u64),
    Chunked(Chunks),
    /// hyper will refuse the bytes that it got.
    Refused,
}

/// Where in a head the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    /// The last byte was a carriage return.
    cr: bool,
    /// The line has bytes.
    in_line: bool,
    /// A line that is not blank came before. Blank lines before the request line do not count.
    began: bool,
}

impl Mode {
    const START: Self = Self::Head(Lines { cr: false, in_line: false, began: false });

    /// How many bytes of a piece may be handed on now. The rest must wait until hyper reports the framing.
    fn follow(&mut self, piece: &mut [u8]) -> usize {
        match self {
            Self::Head(lines) => match lines.follow(piece) {
                Progress::Ended(at) => {
                    *self = Self::AfterHead;
                    at
                }
                Progress::BareLf(at) => {
                    piece[at] = 0;
                    *self = Self::Refused;
                    piece.len()
                }
                Progress::Within | Progress::Invalid => piece.len(),
            },
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::START;
                }
                taken
            }
            Self::Chunked(chunks) => match chunks.follow(piece) {
                Progress::Ended(at) => {
                    *self = Self::START;
                    at
                }
                Progress::BareLf(at) => {
                    piece[at] = 0;
                    *self = Self::Refused;
                    piece.len()
                }
                Progress::Invalid => {
                    *self = Self::Refused;
                    piece.len()
                }
                Progress::Within => piece.len(),
            },
            Self::AfterHead | Self::Refused => piece.len(),
        }
    }
}

impl Lines {
    fn follow(&mut self, piece: &[u8]) -> Progress {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                b'\n' if !self.cr => return Progress::BareLf(at),
                b'\n' if !self.in_line && self.began => return Progress::Ended(at + 1),
                b'\n' => *self = Self { began: self.began || self.in_line, ..Self::default() },
                b'\r' => self.cr = true,
                _ => *self = Self { cr: false, in_line: true, ..*self },
            }
        }
        Progress::Within
    }
}

impl<S, F: Fn() -> Duration> HeadReader<S, F> {
    pub(super) fn new(stream: S, allowed: F, exchange: Exchange) -> Self {
        Self { stream, allowed, exchange, mode: Mode::START, kept: BytesMut::new(), deadline: None }
    }

    /// Whether the time for a head is over.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.exchange.is_waiting() {
            return Poll::Pending;
        }
        let deadline = self.deadline.get_or_insert_with(|| Deadline::start((self.allowed)()));
        deadline.poll(context, &self.allowed).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, F: Fn() -> Duration + Unpin> AsyncRead for HeadReader<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.mode == Mode::AfterHead {
            let Some(framing) = this.exchange.take_framing() else { return this.poll_deadline(context) };
            this.deadline = None;
            this.mode = match framing {
                Framing::Length(0) => Mode::START,
                Framing::Length(length) => Mode::Length(length),
                Framing::Chunked => Mode::Chunked(Chunks::START),
            };
        }
        let before = buffer.filled().len();
        if this.kept.is_empty() {
            match Pin::new(&mut this.stream).poll_read(context, buffer) {
                Poll::Ready(read) => read?,
                Poll::Pending => return this.poll_deadline(context),
            }
            let piece = &mut buffer.filled_mut()[before..];
            let taken = this.mode.follow(piece);
            this.kept.extend_from_slice(&piece[taken..]);
            buffer.set_filled(before + taken);
        } else {
            let size = this.kept.len().min(buffer.remaining());
            buffer.put_slice(&this.kept[..size]);
            let taken = this.mode.follow(&mut buffer.filled_mut()[before..]);
            this.kept.advance(taken);
            buffer.set_filled(before + taken);
            if this.kept.is_empty() {
                this.kept = BytesMut::new(); // gives the memory back
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, F: Fn() -> Duration + Unpin> AsyncWrite for HeadReader<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written everything. From then on, the time for the next head runs.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.exchange.flushed() {
            self.deadline = None;
            // The time has just begun, so the result does not matter; the poll registers this task for wake-up.
            let _ = self.poll_deadline(context);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that hyper gets, where each head is followed by a body with this framing; `|` marks the end of each
    /// read.
    fn handed_on(bytes: &str, framings: &[Framing], piece: usize) -> String {
        let mut framings = framings.iter().copied();
        let (mut mode, mut text) = (Mode::START, String::new());
        let mut rest = bytes.as_bytes().to_vec();
        while !rest.is_empty() {
            if mode == Mode::AfterHead {
                mode = match framings.next().expect("a framing for each head") {
                    Framing::Length(0) => Mode::START,
                    Framing::Length(length) => Mode::Length(length),
                    Framing::Chunked => Mode::Chunked(Chunks::START),
                };
            }
            let size = piece.min(rest.len());
            let before = mode;
            let taken = mode.follow(&mut rest[..size]);
            text.push_str(std::str::from_utf8(&rest[..taken]).unwrap());
            if mode == Mode::AfterHead || (mode == Mode::START && !matches!(before, Mode::Head(_))) {
                text.push('|');
            }
            rest.drain(..taken);
        }
        text
    }

    const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[test]
    fn heads_and_bodies_are_handed_on_one_by_one_however_they_come() {
        let all = format!("\r\n{POST}a\nb{POST}{POST}2\r\n\n\n\r\n0\r\n\r\n{POST}");
        let framings = [Framing::Length(3), Framing::Length(0), Framing::Chunked];
        let expected = format!("\r\n{POST}|a\nb|{POST}|{POST}|2\r\n\n\n\r\n0\r\n\r\n|{POST}|");
        for piece in [1, 2, 3, 7, 30, 31, 1000] {
            assert_eq!(handed_on(&all, &framings, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_bare_line_feed_in_a_head_becomes_a_byte_that_no_head_may_have() {
        for (bad, expected) in [
            ("GET / HTTP/1.1\nhost: x\r\n\r\n", "GET / HTTP/1.1\0host: x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nhost: x\ny: z\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\0y: z\r\n\r\n"),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n", "GET / HTTP/1.1\r\nhost: x\r\n\0"),
            ("\nGET / HTTP/1.1\r\n", "\0GET / HTTP/1.1\r\n"),
        ] {
            assert_eq!(handed_on(bad, &[], 1000), expected);
        }
    }

    #[test]
    fn one_after_a_body_is_found_too() {
        let two = format!("{POST}{{\n}}GET / HTTP/1.1\nhost: x\r\n\r\n");
        let expected = format!("{POST}|{{\n}}|GET / HTTP/1.1\0host: x\r\n\r\n");
        assert_eq!(handed_on(&two, &[Framing::Length(3)], 1000), expected);
    }
}
