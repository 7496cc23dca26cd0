//! The objects that GitLab's clients ask for first: the token's user, and the server's version.

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use crate::store::registry::{Access, Right, ScopeKey, StoredToken};

/// The version of Forgebell, in the form of a GitLab's.
/// Source: <https://docs.gitlab.com/api/metadata/>.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Metadata {
    pub version: &'static str,
    pub revision: &'static str,
    pub kas: Kas,
    /// Whether it is GitLab's Enterprise Edition.
    pub enterprise: bool,
}

/// GitLab's agent server for Kubernetes, which Forgebell does not have.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kas {
    pub enabled: bool,
    #[schema(required)]
    pub external_url: Option<&'static str>,
    #[schema(required)]
    pub external_k8s_proxy_url: Option<&'static str>,
    #[schema(required)]
    pub version: Option<&'static str>,
}

impl Metadata {
    pub const OURS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: "forgebell",
        kas: Kas { enabled: false, external_url: None, external_k8s_proxy_url: None, version: None },
        enterprise: false,
    };
}

/// A token as a user. Keys and their order are GitLab's; a text that Forgebell has no value for is blank, so that typed
/// clients can read it.
/// Source: <https://docs.gitlab.com/api/users/#get-the-current-user>.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct User {
    /// The token's number.
    pub id: i64,
    /// As GitLab names the bots of tokens: `project_42_bot_3`, `group_7_bot_3`; `bot_3` for a token of the instance.
    pub username: String,
    #[schema(required)]
    pub public_email: Option<&'static str>,
    /// The token's name.
    pub name: String,
    #[schema(pattern = "^active$")]
    pub state: &'static str,
    pub locked: bool,
    #[schema(required)]
    pub avatar_url: Option<&'static str>,
    /// Blank: the user has no page.
    pub web_url: &'static str,
    pub created_at: Moment,
    pub bio: &'static str,
    #[schema(required)]
    pub location: Option<&'static str>,
    pub linkedin: &'static str,
    pub twitter: &'static str,
    pub discord: &'static str,
    pub website_url: &'static str,
    pub github: &'static str,
    pub organization: &'static str,
    pub job_title: &'static str,
    #[schema(required)]
    pub pronouns: Option<&'static str>,
    pub bot: bool,
    #[schema(required)]
    pub work_information: Option<&'static str>,
    #[schema(required)]
    pub last_sign_in_at: Option<Moment>,
    pub confirmed_at: Moment,
    #[schema(required)]
    pub last_activity_on: Option<&'static str>,
    pub email: &'static str,
    pub theme_id: i64,
    pub color_scheme_id: i64,
    pub projects_limit: i64,
    #[schema(required)]
    pub current_sign_in_at: Option<Moment>,
    /// Always empty: a token has no login elsewhere.
    #[schema(value_type = Vec<Object>)]
    pub identities: [(); 0],
    pub can_create_group: bool,
    pub can_create_project: bool,
    pub two_factor_enabled: bool,
    pub external: bool,
    pub private_profile: bool,
    pub commit_email: &'static str,
    /// Whether the token may change everything.
    pub is_admin: bool,
}

impl User {
    /// The bot user of a token; `group` is the forge's number of the token's group, where it is known.
    pub(in crate::api) fn of_token(token: &StoredToken, group: Option<i64>) -> Self {
        let StoredToken { id, name, access: Access { reach, right }, created_at, .. } = token;
        let username = match (reach, group) {
            (ScopeKey::Project(project), _) => format!("project_{project}_bot_{id}"),
            (ScopeKey::Group(_), Some(group)) => format!("group_{group}_bot_{id}"),
            (ScopeKey::Group(_), None) => format!("group_bot_{id}"),
            (ScopeKey::Instance | ScopeKey::File(_), _) => format!("bot_{id}"),
        };
        Self {
            id: *id,
            username,
            public_email: None,
            name: name.clone(),
            state: "active",
            locked: false,
            avatar_url: None,
            web_url: "",
            created_at: Moment(*created_at),
            bio: "",
            location: None,
            linkedin: "",
            twitter: "",
            discord: "",
            website_url: "",
            github: "",
            organization: "",
            job_title: "",
            pronouns: None,
            bot: true,
            work_information: None,
            last_sign_in_at: None,
            confirmed_at: Moment(*created_at),
            last_activity_on: None,
            email: "",
            theme_id: 1,
            color_scheme_id: 1,
            projects_limit: 0,
            current_sign_in_at: None,
            identities: [],
            can_create_group: false,
            can_create_project: false,
            two_factor_enabled: false,
            external: false,
            private_profile: true,
            commit_email: "",
            is_admin: *reach == ScopeKey::Instance && *right == Right::Maintain,
        }
    }
}
