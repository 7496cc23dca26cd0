//! A project has at most one active issue tracker. These tests read real adapters.

use std::path::{Path, PathBuf};

use crate::provision::{Problem, Provisioned, read};

fn tracker(scope: &str, slug: &str, more: &str) -> String {
    format!(
        "[[integration]]\n{scope}\nadapter = '{slug}'\nproject_url = 'https://t.example/p'\n\
         issues_url = 'https://t.example/:id'\nnew_issue_url = 'https://t.example/new'\n{more}\n"
    )
}

fn files(blocks: &[String]) -> Result<Provisioned, Vec<Problem>> {
    let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
    read(&[(PathBuf::from("a.toml"), blocks.concat())], &no_secrets)
}

fn problem(blocks: &[String]) -> String {
    let problems = files(blocks).expect_err("two trackers");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

const ROCKET: &str = "project = 'acme/rocket'";

#[test]
fn a_second_active_tracker_of_a_project_is_an_error_that_names_the_first() {
    let both = [tracker(ROCKET, "redmine", ""), tracker(ROCKET, "bugzilla", "")];
    assert_eq!(
        problem(&both),
        "a.toml:8: bugzilla of project acme/rocket: is another active issue tracker of a project that uses redmine, see \
         a.toml:1; only one can be active at a time; write active = false in one of the two"
    );
    let numbered = "[[project]]\nid = 42\npath = 'acme/rocket'\n".to_owned();
    let by_number = tracker("project = 42", "ewm", "");
    assert!(problem(&[numbered, tracker(ROCKET, "redmine", ""), by_number]).contains("ewm of project 42"));
}

#[test]
fn one_that_is_off_or_of_another_scope_is_none() {
    for blocks in [
        [tracker(ROCKET, "redmine", ""), tracker(ROCKET, "bugzilla", "active = false")],
        [tracker(ROCKET, "redmine", ""), tracker("project = 'acme/web'", "bugzilla", "")],
        [tracker("group = 'acme'", "redmine", ""), tracker("group = 'acme'", "bugzilla", "")],
        [tracker("instance = true", "redmine", ""), tracker("instance = true", "bugzilla", "")],
        [tracker("instance = true", "redmine", ""), tracker(ROCKET, "bugzilla", "")],
    ] {
        assert_eq!(files(&blocks).expect("valid files").integrations.len(), 2);
    }
}
