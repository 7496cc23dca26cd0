//! Connections that wait for the next mail, and are closed in order when none comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::session::Session;

/// Waiting connections, the latest last.
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

    /// The one that was used last: the others may then grow old and go.
    pub(super) fn take(&self) -> Option<Session> {
        let mut waiting = self.waiting();
        loop {
            let (since, session) = waiting.sessions.pop()?;
            // One that is too old is as good as closed; dropping it closes it.
            if since.elapsed() < self.timeout {
                return Some(session);
            }
        }
    }

    /// Keeps a connection until its time is over.
    pub(super) fn keep(self: &Arc<Self>, session: Session) {
        let mut waiting = self.waiting();
        waiting.sessions.push((Instant::now(), session));
        if !waiting.watched {
            waiting.watched = true;
            #[expect(
                clippy::disallowed_methods,
                reason = "it only says goodbye: a stop that does not wait for it loses nothing"
            )]
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Those whose time is over, and when to look again; `None` where nothing is left to watch.
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
