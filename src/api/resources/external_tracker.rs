//! The tracker of a project's issues, where they are not in the forge.

use serde::Serialize;
use utoipa::ToSchema;

use super::slugs;

/// The external issue tracker of a project.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExternalTracker {
    #[schema(schema_with = slugs)]
    pub tracker: &'static str,
    /// What people call it.
    pub title: String,
    /// The project's page.
    #[schema(required)]
    pub project_url: Option<String>,
    /// The page at which people write a new issue; null where the tracker has none.
    #[schema(required)]
    pub new_issue_url: Option<String>,
}

/// An issue of an external tracker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExternalIssue {
    /// As it was asked for.
    pub reference: String,
    pub url: String,
    #[schema(schema_with = slugs)]
    pub tracker: &'static str,
    /// What people call the tracker.
    pub title: String,
}
