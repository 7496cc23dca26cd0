//! Rows whose integration is not there, or not active, by what this node knows. Another node may know better: what was
//! set there a moment ago is here a moment later. So before such a row is cancelled, the catalogue is read anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::Work;
use crate::pipeline::board::{Job, Left};
use crate::pipeline::writer::Word;
use crate::store::DeliveryId;

/// How long a row waits for the catalogue to be read.
const SOON: SignedDuration = SignedDuration::from_millis(100);
/// More than are in doubt at once in any ordinary case: those beyond are asked about again.
const MOST: usize = 10_000;

/// How far the reading has come.
const READING: u8 = 0;
const READ: u8 = 1;
const FAILED: u8 = 2;

/// The rows in doubt, each with how far the reading for it has come.
#[derive(Default)]
pub(super) struct Doubts(HashMap<DeliveryId, Arc<AtomicU8>>);

impl Work {
    /// Whether what this node knows of the row's integration is certain by now. If not, the row goes back, and the
    /// catalogue is read.
    pub(super) fn is_certain(&mut self, job: &Job, now: Timestamp) -> bool {
        let id = job.delivery.id;
        match self.doubts.0.get(&id).map(|state| state.load(Ordering::Acquire)) {
            Some(READ) => {
                self.doubts.0.remove(&id);
                return true;
            }
            Some(READING) => {}
            _ => self.read_catalog(id),
        }
        self.say(Word::Release(id));
        let back = self.board.left(&job.delivery, Left::Waits(now + SOON), now);
        self.give_back(back);
        false
    }

    fn read_catalog(&mut self, id: DeliveryId) {
        if self.doubts.0.len() >= MOST {
            self.doubts.0.clear(); // rows that other nodes took over meanwhile
        }
        let state = Arc::new(AtomicU8::new(READING));
        self.doubts.0.insert(id, Arc::clone(&state));
        let catalog = Arc::clone(&self.parts.attempts.catalog);
        self.parts.tasks.spawn(async move {
            match catalog.refresh().await {
                Ok(()) => state.store(READ, Ordering::Release),
                Err(error) => {
                    warn!(%error, "cannot read the integrations; what seems to have none waits");
                    state.store(FAILED, Ordering::Release);
                }
            }
        });
    }
}
