//! What would become of a logged event by the settings of now.

use bytes::Bytes;
use jiff::Timestamp;

use super::state;
use crate::catalog::Catalog as _;
use crate::config::Config;
use crate::pipeline::dispatch::verdicts;
use crate::pipeline::explain::heed;
use crate::pipeline::then_and_now::{ThenAndNow, compare};
use crate::store::{EventRecord, Store};

/// What would become of a logged event by the settings of now.
pub(super) enum Now {
    Compared(Vec<ThenAndNow>),
    /// Why the result is unknown.
    Unknown(String),
}

impl Now {
    pub(super) fn compared(&self) -> Option<&[ThenAndNow]> {
        match self {
            Self::Compared(both) => Some(both),
            Self::Unknown(_) => None,
        }
    }
}

/// Compares the past result of a logged event with the result under current settings.
pub(super) async fn by_todays_settings(
    store: &dyn Store,
    config: &Config,
    record: &EventRecord,
    raw: Option<Bytes>,
    now: Timestamp,
) -> anyhow::Result<Now> {
    let Some(raw) = raw else {
        return Ok(Now::Unknown(
            "what would become of it now is not known, because its JSON is not kept: `forgebell explain FILE` answers for the \
             JSON in a file"
                .to_owned(),
        ));
    };
    let (snapshot, holds) = state::view(config, now).await?;
    let event = match snapshot.decode(record.id.clone(), record.occurred_at, raw) {
        Ok(event) => event,
        Err(error) => return Ok(Now::Unknown(format!("this version does not understand it: {error}"))),
    };
    let mut verdicts = verdicts(&event, &snapshot, &holds, now);
    heed(&mut verdicts, &event, &config.operator, store, now).await?;
    Ok(Now::Compared(compare(record, &verdicts)))
}
