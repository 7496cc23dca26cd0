//! What a build service says of a commit.

/// The answer to "what became of the build?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    pub state: BuildState,
    /// The build's page, for people. It contains no secret.
    pub page: Option<String>,
}

/// The state of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// The service does not know the build yet, or the build waits.
    Pending,
    Running,
    Success,
    /// It passed, and some jobs failed that may fail.
    SuccessWithWarnings,
    Failed,
    Canceled,
    Skipped,
}

impl BuildState {
    const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Success,
        Self::SuccessWithWarnings,
        Self::Failed,
        Self::Canceled,
        Self::Skipped,
    ];

    /// The state in one word, as GitLab's pipelines have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::SuccessWithWarnings => "success-with-warnings",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
        }
    }

    /// The state that has this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the service will not change it any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}
