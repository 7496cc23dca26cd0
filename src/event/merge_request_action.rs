//! What happened to a merge request, by the names that `merge_request_actions` uses.

/// Declares [`MergeRequestAction`]: a row for each action, in the order in which help texts list them.
macro_rules! actions {
    ($($(#[$about:meta])* $action:ident = $name:literal),* $(,)?) => {
        /// One thing that happened to a merge request. An update may be several of them at once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MergeRequestAction {
            $($(#[$about])* $action,)*
        }

        impl MergeRequestAction {
            /// Every action.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$action),*];

            /// The word for it in settings.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }
        }
    };
}

actions! {
    Open = "open",
    Close = "close",
    Reopen = "reopen",
    Merge = "merge",
    /// The last required approval, or any approval where none is required.
    Approved = "approved",
    /// The merge request had all approvals, and lost one.
    Unapproved = "unapproved",
    /// One of several approvals.
    Approval = "approval",
    Unapproval = "unapproval",
    /// Reviewers were asked or removed, or one of them reviewed it.
    Reviewers = "reviewers",
    Assignees = "assignees",
    /// It was marked as a draft or as ready.
    Draft = "draft",
    Title = "title",
    Labels = "labels",
    TargetBranch = "target_branch",
    /// New commits were pushed to its source branch.
    Commits = "commits",
    Description = "description",
}

impl MergeRequestAction {
    /// The action with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether GitLab's chat integrations notify of this action.
    pub const fn is_told_by_gitlab(self) -> bool {
        self as u32 <= Self::Reviewers as u32
    }
}

impl std::fmt::Display for MergeRequestAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
