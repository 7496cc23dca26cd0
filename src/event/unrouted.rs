//! Kinds that no integration takes (in GitLab, only webhooks get them). They are read only as far as needed to
//! recognise and count them; then they are dropped on purpose.

use serde::Deserialize;

use super::read::{lenient, object, parse};
use super::{Decoded, Payload, Trigger};

/// A release was created, changed or deleted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Release {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub tag: String,
    #[serde(deserialize_with = "lenient")]
    pub url: String,
    #[serde(deserialize_with = "lenient")]
    pub action: String,
}

/// A feature flag was turned on or off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FeatureFlag {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub active: bool,
}

/// An emoji reaction was added or removed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Emoji {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub action: String,
}

/// A milestone was created, closed or reopened.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Milestone {
    #[serde(deserialize_with = "lenient")]
    pub iid: i64,
    #[serde(deserialize_with = "lenient")]
    pub title: String,
}

/// An access token is about to expire.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccessToken {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub expires_at: String,
}

/// A member joined, left, requested access, or changed role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Member {
    #[serde(deserialize_with = "lenient")]
    pub event_name: String,
    #[serde(deserialize_with = "lenient")]
    pub user_username: String,
    #[serde(deserialize_with = "lenient")]
    pub group_path: String,
}

/// A subgroup or project was created or removed in a group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupChange {
    #[serde(deserialize_with = "lenient")]
    pub event_name: String,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Raw<T> {
    #[serde(deserialize_with = "object")]
    object_attributes: T,
}

pub(super) fn release(json: &str, _: &str) -> Result<Decoded, String> {
    let release: Release = parse(json)?;
    Ok(unrouted(format!("release:{}", release.tag), Payload::Release(release)))
}

pub(super) fn feature_flag(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw::<FeatureFlag> { object_attributes: flag } = parse(json)?;
    Ok(unrouted(format!("feature_flag:{}", flag.name), Payload::FeatureFlag(flag)))
}

pub(super) fn emoji(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw::<Emoji> { object_attributes: emoji } = parse(json)?;
    Ok(unrouted("emoji".to_owned(), Payload::Emoji(emoji)))
}

pub(super) fn milestone(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw::<Milestone> { object_attributes: milestone } = parse(json)?;
    Ok(unrouted(format!("milestone:{}", milestone.iid), Payload::Milestone(milestone)))
}

pub(super) fn access_token(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw::<AccessToken> { object_attributes: token } = parse(json)?;
    Ok(unrouted("access_token".to_owned(), Payload::AccessToken(token)))
}

pub(super) fn member(json: &str, _: &str) -> Result<Decoded, String> {
    let member: Member = parse(json)?;
    Ok(unrouted(format!("member:{}", member.user_username), Payload::Member(member)))
}

pub(super) fn group_change(json: &str, _: &str) -> Result<Decoded, String> {
    let change: GroupChange = parse(json)?;
    Ok(unrouted(format!("group:{}", change.name), Payload::GroupChange(change)))
}

/// A job's archived log. The JSON is not read here; one integration sends it unchanged.
pub(super) fn archive_trace() -> Decoded {
    let trigger = Some(Trigger::ArchiveTrace);
    Decoded { trigger, ..unrouted("archive_trace".to_owned(), Payload::ArchiveTrace) }
}

fn unrouted(subject: String, payload: Payload) -> Decoded {
    Decoded { trigger: None, subject, payload }
}

/// `user_add_to_group`, `user_access_request_denied_for_project` …
pub(super) fn is_member_event(event_name: &str) -> bool {
    event_name.starts_with("user_")
        && (event_name.contains("_group") || event_name.contains("_team") || event_name.contains("_project"))
}

/// `subgroup_create`, `project_destroy` …
pub(super) fn is_group_event(event_name: &str) -> bool {
    let of_a_group = ["subgroup_", "project_", "group_"].iter().any(|of| event_name.starts_with(of));
    let done = ["_create", "_destroy", "_rename", "_transfer", "_update"]
        .iter()
        .any(|done| event_name.ends_with(done));
    of_a_group && done
}
