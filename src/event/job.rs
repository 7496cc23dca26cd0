//! Jobs. GitLab's documentation calls the event "job"; its payload says `build`.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number};
use super::{Decoded, Payload, SharedStr, Trigger, User};

/// A job changed its status. Chat services do not get this kind; CI observers take the raw JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    #[serde(rename = "build_id", deserialize_with = "number")]
    pub id: i64,
    #[serde(rename = "build_name", deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(rename = "build_stage", deserialize_with = "lenient")]
    pub stage: SharedStr,
    #[serde(rename = "build_status", deserialize_with = "lenient")]
    pub status: SharedStr,
    #[serde(rename = "ref", deserialize_with = "lenient")]
    pub ref_name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub tag: bool,
    #[serde(deserialize_with = "number")]
    pub pipeline_id: i64,
    pub user: Option<User>,
}

impl Body for Job {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        Ok(Decoded {
            trigger: Some(Trigger::Job),
            subject: format!("job:{}", self.id),
            payload: Payload::Job(Box::new(self)),
        })
    }
}
