//! Idle connections to the relay. They are kept for the next mail, and closed with `QUIT` after a timeout.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::session::Session;

/// Idle connections, the most recently used last.
pub(super) struct Idle {
    timeout: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    sessions: Vec<(Instant, Session)>,
    /// Whether a task that closes expired connections runs.
    watched: bool,
}

impl Idle {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the most recently used connection, so that the others can expire.
    pub(super) fn take(&self) -> Option<Session> {
        let mut waiting = self.waiting();
        loop {
            let (since, session) = waiting.sessions.pop()?;
            // The relay may have closed an expired connection. Dropping it closes it here as well.
            if since.elapsed() < self.timeout {
                return Some(session);
            }
        }
    }

    /// Keeps a connection until its timeout.
    pub(super) fn keep(self: &Arc<Self>, session: Session) {
        let mut waiting = self.waiting();
        waiting.sessions.push((Instant::now(), session));
        if !waiting.watched {
            waiting.watched = true;
            #[expect(
                clippy::disallowed_methods,
                reason = "it only closes idle connections: a stop that does not wait for it loses nothing"
            )]
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// The expired connections, and the time of the next check; `None` if no connection is left.
    fn over(&self) -> (Vec<Session>, Option<Instant>) {
        let mut waiting = self.waiting();
        let now = Instant::now();
        let young = waiting.sessions.iter().position(|(since, _)| *since + self.timeout > now);
        let end = young.unwrap_or(waiting.sessions.len());
        let old = waiting.sessions.drain(..end).map(|(_, session)| session).collect();
        let next = waiting.sessions.first().map(|(since, _)| *since + self.timeout);
        waiting.watched = next.is_some();
        (old, next)
    }
}

async fn watch(idle: Weak<Idle>) {
    loop {
        let Some((old, next)) = idle.upgrade().map(|idle| idle.over()) else { return };
        for session in old {
            session.quit().await;
        }
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}
