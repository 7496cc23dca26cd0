//! The problems that stop the pipeline, for `/readyz`. Dispatch and the writer of outcomes report them here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pipeline's condition. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Condition(Arc<Mutex<Problems>>);

#[derive(Debug, Default)]
struct Problems {
    /// Why events of a source can't be stored, by source.
    dispatch: BTreeMap<&'static str, String>,
    /// Set while outcomes of attempts are not written: `Ok` is a remark, `Err` is the reason why no attempt starts.
    outcomes: Option<Result<String, String>>,
    /// The number of events that were set aside since the start, because the store refused a value in them.
    refused: u64,
}

impl Condition {
    /// `None` while the pipeline works. `Some` is a remark for people; the pipeline works nevertheless.
    ///
    /// # Errors
    /// The reason why the pipeline does not work.
    pub fn check(&self) -> Result<Option<String>, String> {
        let Problems { dispatch, outcomes, refused } = &*self.lock();
        let stuck = dispatch.iter().map(|(source, why)| format!("events from {source} wait: {why}"));
        let stopped = outcomes.as_ref().and_then(|said| said.as_ref().err().cloned());
        let stuck: Vec<_> = stuck.chain(stopped).collect();
        if !stuck.is_empty() {
            return Err(stuck.join("; "));
        }
        let aside = (*refused > 0).then(|| {
            format!(
                "{refused} events since the start are in quarantine, because the store does not take them"
            )
        });
        let remark = outcomes.as_ref().and_then(|said| said.as_ref().ok().cloned());
        let remarks: Vec<_> = remark.into_iter().chain(aside).collect();
        Ok((!remarks.is_empty()).then(|| format!("ok; {}", remarks.join("; "))))
    }

    /// Notes why events of a source can't be stored; `None` when they can be stored again.
    pub(super) fn dispatch(&self, source: &'static str, problem: Option<String>) {
        let mut problems = self.lock();
        match problem {
            Some(why) => drop(problems.dispatch.insert(source, why)),
            None => drop(problems.dispatch.remove(source)),
        }
    }

    /// Notes that outcomes are not written: a remark while attempts go on, an error when no attempt starts, `None` when
    /// all outcomes are written.
    pub(super) fn outcomes(&self, said: Result<Option<String>, String>) {
        self.lock().outcomes = said.transpose();
    }

    /// Counts an event that was set aside because the store refused it.
    pub(super) fn refused(&self) {
        self.lock().refused += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Problems> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stuck_is_named_until_it_works_again() {
        let condition = Condition::default();
        assert_eq!(condition.check(), Ok(None));
        condition.dispatch("http", Some("no right".to_owned()));
        condition.outcomes(Err("3 outcomes wait".to_owned()));
        assert_eq!(condition.check(), Err("events from http wait: no right; 3 outcomes wait".to_owned()));
        condition.dispatch("http", None);
        condition.outcomes(Ok(Some("1 outcome waits".to_owned())));
        assert_eq!(condition.check(), Ok(Some("ok; 1 outcome waits".to_owned())));
        condition.outcomes(Ok(None));
        assert_eq!(condition.check(), Ok(None));
    }

    #[test]
    fn a_refused_event_is_said_and_stops_nothing() {
        let condition = Condition::default();
        condition.refused();
        let said = condition.check().unwrap().unwrap();
        assert!(said.starts_with("ok; 1 events") && said.contains("quarantine"), "{said}");
    }
}
