//! A connection whose other end has to read the written bytes within a time limit.
//!
//! The time starts when the kernel's send buffer is full, and ends when everything is written and flushed. A client that
//! reads a little now and then does not extend it: otherwise a few bytes on many connections would keep all other clients
//! out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::patience::Deadline;

/// A stream, and the function that returns how long its other end may take now.
pub(super) struct WriteTimeout<S, F> {
    stream: S,
    allowed: F,
    /// Runs while bytes wait to be read by the other end.
    deadline: Option<Deadline>,
}

impl<S, F: Fn() -> Duration> WriteTimeout<S, F> {
    pub(super) fn new(stream: S, allowed: F) -> Self {
        Self { stream, allowed, deadline: None }
    }

    /// The result of a write, or `TimedOut` if the other end has not read in time.
    fn within_timeout<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Deadline::start((self.allowed)()));
        deadline.poll(context, &self.allowed).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for WriteTimeout<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn() -> Duration + Unpin> AsyncWrite for WriteTimeout<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_timeout(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.within_timeout(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Ends the time: hyper flushes when it has written everything.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.deadline = None;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (near, _far) = duplex(64);
        let written = WriteTimeout::new(near, || TIMEOUT).write_all(&[7; 1000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_a_byte_a_second_is_disconnected_too() {
        let (near, mut far) = duplex(64);
        let mut near = WriteTimeout::new(near, || TIMEOUT);
        let (written, ()) = tokio::join!(near.write_all(&[7; 1000]), async {
            for _ in 0..120 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = far.read_u8().await;
            }
        });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_in_time_may_send_further_requests() {
        let (near, mut far) = duplex(64);
        let mut near = WriteTimeout::new(near, || TIMEOUT);
        for _ in 0..5 {
            let mut read = [0; 1000];
            let (written, ()) = tokio::join!(
                async {
                    near.write_all(&[7; 1000]).await?;
                    near.flush().await
                },
                async {
                    tokio::time::sleep(Duration::from_secs(50)).await;
                    far.read_exact(&mut read).await.unwrap();
                }
            );
            written.unwrap();
        }
    }
}
