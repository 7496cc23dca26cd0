//! Integrations: their keys and their order are GitLab's; after them come those that GitLab does not show.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::flags::{self, SHOWN, shown_last};
use super::{Moment, slugs};
use crate::adapters::Entry;
use crate::pipeline::addresses;
use crate::settings::{SmallMap, Value};
use crate::store::HealthRecord;

/// An integration as lists show it. The keys up to `inherited` are GitLab's, in GitLab's order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationBasic {
    #[serde(flatten)]
    pub head: IntegrationHead,
    #[serde(flatten)]
    pub tail: IntegrationTail,
}

/// An integration as it is shown alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Integration {
    #[serde(flatten)]
    pub head: IntegrationHead,
    /// Every setting of the service but its secrets: as it was set, else its default, else null.
    #[schema(value_type = Object)]
    pub properties: ShownProperties,
    #[serde(flatten)]
    pub tail: IntegrationTail,
}

/// What a person's word to resume an integration did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Resumed {
    /// The integration's name: its project or group, and its service.
    pub integration: String,
    /// How many holds ended.
    pub ended: usize,
}

/// An integration that was set, with what had no effect.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SavedIntegration {
    #[serde(flatten)]
    pub integration: Integration,
    /// Of `alerts`: the token with which monitoring systems report alerts. It is not shown again. An addition of Forgebell,
    /// left out for other services.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
    /// Parameters and values that were accepted, as GitLab accepts them, and have no effect. An addition of Forgebell,
    /// left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What GitLab shows of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationHead {
    /// Its number. It stays the same, also where a file configures it; one that only inherits has another once it is set.
    pub id: i64,
    pub title: &'static str,
    #[schema(schema_with = slugs)]
    pub slug: &'static str,
    /// Of one that inherits: when the default was made.
    pub created_at: Moment,
    pub updated_at: Moment,
    /// False also where all of its addresses are dead: see `switched_off`.
    pub active: bool,
    #[serde(flatten)]
    pub flags: GitLabFlags,
    /// Whether it follows a default of a group above or of the instance.
    pub inherited: bool,
}

/// What Forgebell shows beside that.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationTail {
    #[serde(flatten)]
    pub flags: FurtherFlags,
    /// The provisioning file that configures it; null where it was set by the API.
    #[schema(required)]
    pub origin: Option<String>,
    /// Its addresses that the service reported as dead. Nothing is sent to them, and messages wait.
    pub switched_off: Vec<DeadAddress>,
    /// Whether the service can be reached; null where it is not asked that, or was not since the settings were changed.
    #[schema(required)]
    pub health: Option<IntegrationHealth>,
    /// Of `alerts` and `prometheus` of a project: the path below this server's address that monitoring systems post alerts to.
    /// Absent where the project's path is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_path: Option<String>,
}

/// Whether a service can be reached: what it answered last. A tracker is asked after pushes, others by tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IntegrationHealth {
    pub reached: bool,
    /// Since when it has been so.
    pub since: Moment,
    /// When it was asked last.
    pub checked_at: Moment,
    /// What it answered, or why it was not reached.
    pub note: String,
}

impl IntegrationHealth {
    /// The health under settings that have not changed since `set_at`. Earlier answers say nothing about these
    /// settings.
    pub(in crate::api) fn of(record: &HealthRecord, set_at: Timestamp) -> Option<Self> {
        let HealthRecord { reached, note, since, checked_at, .. } = record;
        (*checked_at >= set_at).then(|| Self {
            reached: *reached,
            since: Moment((*since).max(set_at)),
            checked_at: Moment(*checked_at),
            note: note.clone(),
        })
    }
}

/// An address that the service reported as dead, or (without targets) settings that can't be used. A save, a successful test or a retry of a delivery ends that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeadAddress {
    /// The channels or other targets that it serves, as deliveries name them; the address's own is empty.
    pub targets: Vec<String>,
    /// What the service answered.
    pub reason: String,
    pub since: Moment,
}

impl From<addresses::DeadAddress> for DeadAddress {
    fn from(dead: addresses::DeadAddress) -> Self {
        Self { targets: dead.targets, reason: dead.reason, since: Moment(dead.since) }
    }
}

/// A list of event flags, all of which an object shows.
macro_rules! shown_flags {
    ($(#[$doc:meta])* $name:ident, $names:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Vec<(&'static str, bool)>);

        impl $name {
            /// The flags of an adapter's integration: as they were set, else as on a new one.
            pub(in crate::api) fn new(entry: &Entry, set: &SmallMap<String, bool>) -> Self {
                Self($names.into_iter().map(|flag| (flag, flags::is_on(entry, set, flag))).collect())
            }

            /// Whether a flag is on; `None` where it is none of these.
            pub(in crate::api) fn is_on(&self, flag: &str) -> Option<bool> {
                self.0.iter().find(|(name, _)| *name == flag).map(|(_, on)| *on)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().copied())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let flag = || ObjectBuilder::new().schema_type(Type::Boolean);
                let object = ObjectBuilder::new().schema_type(Type::Object);
                $names.into_iter().fold(object, |object, name| object.property(name, flag()).required(name)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

shown_flags!(
    /// The event flags that GitLab shows.
    GitLabFlags,
    SHOWN
);
shown_flags!(
    /// The event flags that GitLab accepts and does not show.
    FurtherFlags,
    shown_last()
);

/// Settings with their values, in the order of their declaration.
#[derive(Clone, Debug)]
pub struct ShownProperties(pub Vec<(Cow<'static, str>, Option<ShownValue>)>);

/// A setting's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ShownValue {
    Simple(Value),
    List(Vec<String>),
}

impl ShownValue {
    /// As a person would type it.
    pub fn as_text(&self) -> String {
        match self {
            Self::Simple(value) => value.as_text(),
            Self::List(items) => items.join(","),
        }
    }
}

impl Serialize for ShownProperties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
