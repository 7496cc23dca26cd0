//! A connection whose other end has to hear what it is told, in its time.
//!
//! Once the kernel has no room for more, the time runs until all is handed over. A little heard now and then does not put
//! it off: it would take many connections and few bytes to keep everybody else from the doors.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pub(super) struct Hearing<S> {
    stream: S,
    patience: Duration,
    /// Running while something waits to be heard.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Hearing<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, end: None }
    }

    /// What the other end took, or that its time is over.
    fn in_time<T>(&mut self, context: &mut Context<'_>, taken: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if taken.is_ready() {
            return taken;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(patience)));
        end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hearing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hearing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.in_time(context, taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Nothing waits any more: whoever writes flushes when all is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.end = None;
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

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_hears_nothing_is_hung_up_on() {
        let (near, _far) = duplex(64);
        let told = Hearing::new(near, PATIENCE).write_all(&[7; 1000]).await;
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hears_a_byte_a_second_is_hung_up_on_too() {
        let (near, mut far) = duplex(64);
        let mut near = Hearing::new(near, PATIENCE);
        let (told, ()) = tokio::join!(near.write_all(&[7; 1000]), async {
            for _ in 0..120 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = far.read_u8().await;
            }
        });
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hears_it_in_time_may_ask_again_and_again() {
        let (near, mut far) = duplex(64);
        let mut near = Hearing::new(near, PATIENCE);
        for _ in 0..5 {
            let mut heard = [0; 1000];
            let (told, ()) = tokio::join!(
                async {
                    near.write_all(&[7; 1000]).await?;
                    near.flush().await
                },
                async {
                    tokio::time::sleep(Duration::from_secs(50)).await;
                    far.read_exact(&mut heard).await.unwrap();
                }
            );
            told.unwrap();
        }
    }
}
