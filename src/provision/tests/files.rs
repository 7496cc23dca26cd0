//! Folders, files and their permissions.

use super::*;
use crate::catalog::PermittedHosts;
use crate::provision::{Config, load};

fn slack(project: i64) -> String {
    format!(
        "[[integration]]\nproject = {project}\nadapter = 'slack'\nwebhook = 'https://hooks.example/s3cret'\n"
    )
}

#[test]
fn folders_are_read_in_order_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("b.toml"), slack(2)).unwrap();
    std::fs::write(path("a.toml"), slack(1)).unwrap();
    std::fs::write(path(".a.toml.swp.toml"), "not TOML").unwrap();
    std::fs::write(path("problems.txt"), "not TOML").unwrap();
    std::fs::create_dir(path("c.toml")).unwrap();

    let files = vec![folder.path().to_owned(), path("a.toml")];
    let read = load(&Config { files }, &UrlPolicy::allow_all()).unwrap();
    let ids: Vec<_> = read.each().iter().map(|integration| integration.id.to_string()).collect();
    assert_eq!(ids, ["1:slack", "2:slack"]);

    assert_eq!(read.into_snapshot().len(), 2);
}

#[test]
fn a_missing_file_is_reported_with_all_other_problems() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "oops = 1").unwrap();
    let none = folder.path().join("none.toml");

    let told = load(&Config { files: vec![folder.path().to_owned(), none.clone()] }, &UrlPolicy::allow_all())
        .unwrap_err();
    assert_eq!(told.len(), 2, "{}", lines(&told));
    assert!(told[1].to_string().starts_with(&format!("{}: can't be read: ", none.display())), "{}", told[1]);
}

#[test]
fn an_empty_folder_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let read = load(&Config { files: vec![folder.path().to_owned()] }, &UrlPolicy::allow_all()).unwrap();
    assert_eq!(read.warnings.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_readable_secrets_file_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (text, secret) = (folder.path().join("a.toml"), folder.path().join("secret"));
    std::fs::write(&secret, "https://hooks.example/s3cret").unwrap();
    let warnings = |content: &str, mode: u32| {
        std::fs::write(&text, content).unwrap();
        std::fs::set_permissions(&text, PermissionsExt::from_mode(mode)).unwrap();
        load(&Config { files: vec![text.clone()] }, &UrlPolicy::allow_all()).unwrap().warnings.len()
    };
    assert_eq!(warnings(&slack(1), 0o644), 1);
    assert_eq!(warnings(&slack(1), 0o640), 0);
    let in_file = "[[integration]]\nproject = 1\nadapter = 'slack'\nwebhook_file = 'secret'\n";
    assert_eq!(warnings(in_file, 0o644), 0, "no secret stands in it");
}

#[test]
fn settings_of_the_section_are_checked_by_name() {
    let config: Config = toml::from_str("files = ['/etc/forgebell/integrations.d']").unwrap();
    assert_eq!(config.files, [PathBuf::from("/etc/forgebell/integrations.d")]);
    assert!(toml::from_str::<Config>("file = []").is_err());
}

#[test]
fn a_forbidden_address_is_a_warning_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let off = slack(2).replace("adapter", "active = false\nadapter");
    std::fs::write(&file, format!("{}{off}", slack(1))).unwrap();
    let blocks =
        |url: &url::Url| (url.host_str() == Some("hooks.example")).then_some("Requests are not allowed");
    let blocks = UrlPolicy::new(blocks, PermittedHosts::new());
    let read = load(&Config { files: vec![file.clone()] }, &blocks).unwrap();
    let told: Vec<_> =
        read.warnings.iter().map(ToString::to_string).filter(|told| told.contains("webhook:")).collect();
    let place = format!("{}:4: slack of project 1: webhook", file.display());
    let words = "is blocked: Requests are not allowed; `wire.allow_networks` can permit it";
    assert_eq!(told, [format!("{place}: {words}")], "an inactive integration makes no calls");
    assert_eq!(read.integrations.len(), 2, "the others are read all the same");
}
