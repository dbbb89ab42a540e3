//! When a connection last got on, so that one that does not can be ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is known of a connection's progress: a byte read or written, or a request that begins or ends being handled.
pub(crate) struct Progress {
    begin: Instant,
    /// When it last got on, milliseconds since `begin`.
    last: AtomicU64,
    /// Requests that are being handled.
    handling: AtomicUsize,
}

impl Progress {
    /// A connection that begins.
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), last: AtomicU64::new(0), handling: AtomicUsize::new(0) }
    }

    fn note(&self) {
        let millis = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// A request is being handled until the answer is dropped: its handler may work without a byte for longer than a
    /// client may be silent.
    pub(crate) fn handling(self: &Arc<Self>) -> Handling {
        self.handling.fetch_add(1, Ordering::Relaxed);
        self.note();
        Handling(Arc::clone(self))
    }

    /// Returns when the connection has not got on for `idle`, or for `handling`, which is longer, while a request is
    /// being handled. One timer a connection, however many bytes pass.
    pub(crate) async fn stalls(&self, idle: Duration, handling: Duration) {
        loop {
            let last = self.begin + Duration::from_millis(self.last.load(Ordering::Relaxed));
            let limit = if self.handling.load(Ordering::Relaxed) == 0 { idle } else { handling };
            let left = limit.saturating_sub(last.elapsed());
            if left.is_zero() {
                return;
            }
            // Looked at again after `idle` at the latest: the shorter limit may hold by then.
            tokio::time::sleep(left.min(idle)).await;
        }
    }
}

/// A request that is being handled; see [`Progress::handling`].
pub(crate) struct Handling(Arc<Progress>);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.note();
        self.0.handling.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that notes its progress.
pub(crate) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Watched<S> {
    /// Notes the progress of `stream`.
    pub(crate) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }

    fn noted(&self, written: io::Result<usize>) -> io::Result<usize> {
        if matches!(written, Ok(1..)) {
            self.progress.note();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.progress.note();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.noted(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.noted(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
