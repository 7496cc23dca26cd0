//! Jobs. GitLab's documentation calls the event "job"; its payload says `build`.

use serde::Deserialize;

use super::read::{lenient, number, parse};
use super::{Decoded, Payload, Trigger, User};

/// A job changed its status. Chat services do not get this kind; CI observers take the raw JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    #[serde(rename = "build_id", deserialize_with = "number")]
    pub id: i64,
    #[serde(rename = "build_name", deserialize_with = "lenient")]
    pub name: String,
    #[serde(rename = "build_stage", deserialize_with = "lenient")]
    pub stage: String,
    #[serde(rename = "build_status", deserialize_with = "lenient")]
    pub status: String,
    #[serde(rename = "ref", deserialize_with = "lenient")]
    pub ref_name: String,
    #[serde(deserialize_with = "lenient")]
    pub tag: bool,
    #[serde(deserialize_with = "number")]
    pub pipeline_id: i64,
    pub user: Option<User>,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let job: Job = parse(json)?;
    Ok(Decoded {
        trigger: Some(Trigger::Job),
        subject: format!("job:{}", job.id),
        payload: Payload::Job(Box::new(job)),
    })
}
