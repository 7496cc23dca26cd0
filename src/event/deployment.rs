//! Deployments.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number_or_none};
use super::{Decoded, Payload, SharedStr, Trigger, User};

/// A deployment started or ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// `running`, `success`, `failed`, `canceled`, `blocked`, `approved`, `rejected`; other words are shown as they are.
    #[serde(deserialize_with = "lenient")]
    pub status: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub environment: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub environment_external_url: Option<SharedStr>,
    #[serde(deserialize_with = "number_or_none")]
    pub deployable_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub deployable_url: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub short_sha: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub commit_url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub commit_title: SharedStr,
    /// The branch or tag; older releases of the forge omit it.
    #[serde(rename = "ref", deserialize_with = "lenient")]
    pub ref_name: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub user_url: SharedStr,
    /// Who started it.
    pub user: Option<User>,
    /// Who approved or rejected it. Later events of the deployment may still name them.
    approver: Option<User>,
    #[serde(deserialize_with = "lenient")]
    approval: Approval,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Approval {
    #[serde(deserialize_with = "lenient")]
    comment: SharedStr,
}

/// What an approver decided.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    pub is_approved: bool,
    pub approver: Option<&'a User>,
    pub comment: &'a str,
}

impl Deployment {
    /// The decision that this event is about; `None` where it is about the deployment itself.
    pub fn decision(&self) -> Option<Decision<'_>> {
        let is_approved = match self.status.as_str() {
            "approved" => true,
            "rejected" => false,
            _ => return None,
        };
        Some(Decision { is_approved, approver: self.approver.as_ref(), comment: &self.approval.comment })
    }

    /// The user who caused the event.
    pub(super) fn actor(&self) -> Option<&User> {
        match self.decision() {
            Some(decision) => decision.approver,
            None => self.user.as_ref(),
        }
    }
}

impl Body for Deployment {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        Ok(Decoded {
            trigger: Some(Trigger::Deployment),
            subject: format!("deployment:{}", self.environment),
            payload: Payload::Deployment(Box::new(self)),
        })
    }
}
