//! `restrict_to_branch`: the branches whose pushes a tracker gets.
//!
//! The setting is a list of exact names, separated by commas. Blank means every branch. GitLab once compared parts of
//! names, so that `master` passed a list with `mastermind`.

use crate::event::Push;
use crate::settings::FieldError;

const FIELD: &str = "restrict_to_branch";

/// The treatment of white space in the list. Git allows no white space in a branch's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spaces {
    /// All of it is taken out, also within a name.
    Removed,
    /// White space around the names is removed.
    Trimmed,
}

/// Why the push's branch is not on the list; `None` if it is.
pub(super) fn left_out(list: Option<&str>, spaces: Spaces, push: &Push) -> Option<String> {
    let list = list.filter(|list| !list.trim().is_empty())?;
    let branch = push.short_ref();
    let is_named = names(list, spaces).iter().any(|name| name == branch);
    (!is_named).then(|| format!("the branch `{branch}` is not in `{FIELD}` ({FIELD} = {list})"))
}

/// A list that is not blank and names nothing lets no push pass.
pub(super) fn warnings(list: Option<&str>, spaces: Spaces) -> Vec<FieldError> {
    let names_nothing = list.is_some_and(|list| !list.trim().is_empty() && names(list, spaces).is_empty());
    let warning =
        || FieldError::new(FIELD, "names no branch, so no push passes; leave it blank for all branches");
    names_nothing.then(warning).into_iter().collect()
}

fn names(list: &str, spaces: Spaces) -> Vec<String> {
    let name = |part: &str| match spaces {
        Spaces::Removed => part.split_whitespace().collect(),
        Spaces::Trimmed => part.trim().to_owned(),
    };
    list.split(',').map(name).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::changed_push;
    use crate::event::Payload;

    fn passes(list: &str, spaces: Spaces, branch: &str) -> bool {
        let event = changed_push(|push| push["ref"] = format!("refs/heads/{branch}").into());
        let Payload::Push(push) = &event.payload else { panic!("no push") };
        left_out(Some(list), spaces, push).is_none()
    }

    #[test]
    fn only_exact_names_pass() {
        for spaces in [Spaces::Removed, Spaces::Trimmed] {
            for blank in ["", "  ", "\n"] {
                assert!(passes(blank, spaces, "any/branch"));
            }
            let list = "main, release/1.0 ,\nmastermind";
            for named in ["main", "release/1.0", "mastermind"] {
                assert!(passes(list, spaces, named), "{named}");
            }
            for other in ["master", "mai", "Main", "release", "1.0", "maint", "main,release/1.0"] {
                assert!(!passes(list, spaces, other), "{other}");
            }
            assert!(!passes(",", spaces, "main"));
        }
    }

    #[test]
    fn white_space_within_a_name_is_taken_out_or_stays() {
        assert!(passes("ma in", Spaces::Removed, "main"));
        assert!(!passes("ma in", Spaces::Trimmed, "main"));
    }

    #[test]
    fn a_list_of_nothing_is_warned_of_and_the_reason_names_branch_and_list() {
        let warned = |list| warnings(Some(list), Spaces::Trimmed).len();
        assert_eq!((warned(" , "), warned(""), warned("main")), (1, 0, 0));
        let event = changed_push(|push| push["ref"] = "refs/heads/topic".into());
        let Payload::Push(push) = &event.payload else { panic!("no push") };
        let why = left_out(Some("main, next"), Spaces::Removed, push);
        assert_eq!(
            why.as_deref(),
            Some("the branch `topic` is not in `restrict_to_branch` (restrict_to_branch = main, next)")
        );
    }
}
