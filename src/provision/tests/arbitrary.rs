//! Any files can be read without a panic.

use proptest::prelude::*;

use super::*;

fn any_value() -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        Just("true".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("'acme/rocket'".to_owned()),
        Just("'big-bell'".to_owned()),
        Just("'/run/secrets/bell'".to_owned()),
        any::<i128>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        any::<String>().prop_map(|text| format!("{text:?}")),
    ];
    simple.prop_recursive(2, 8, 4, |inner| {
        let list =
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        let table = inner.prop_map(|item| format!("{{ id = {item} }}"));
        prop_oneof![list, table]
    })
}

fn any_line() -> impl Strategy<Value = String> {
    let known = [
        "project",
        "group",
        "adapter",
        "active",
        "id",
        "path",
        "default_branch",
        "protected_branches",
        "webhook",
        "webhook_file",
        "username",
        "volume",
        "channel",
        "push_channel",
        "branches_to_be_notified",
        "notify_only_default_branch",
        "labels_to_be_notified",
        "labels_to_be_notified_behavior",
        "push_events",
        "commit_events",
        "lighthouse",
        "integration",
    ];
    let key = prop_oneof![
        8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<String>().prop_map(|key| format!("{key:?}")),
    ];
    prop_oneof![
        2 => Just("[[integration]]".to_owned()),
        1 => Just("[[project]]".to_owned()),
        8 => (key, any_value()).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        _ = read(&text);
    }

    #[test]
    fn no_toml_makes_it_panic_and_every_problem_has_its_place(lines in prop::collection::vec(any_line(), 0..24)) {
        let text = lines.join("\n");
        let told = match read(&text) {
            Ok(read) => read.warnings,
            Err(problems) => problems,
        };
        let last = text.lines().count().max(1) + 1;
        for problem in told {
            prop_assert!(problem.line.is_some_and(|line| (1..=last).contains(&line)), "{problem}");
            prop_assert_eq!(problem.to_string().lines().count(), 1, "{}", problem);
        }
    }

    #[test]
    fn fingerprints_tell_secrets_apart(a in "[a-z]{1,8}", b in "[a-z]{1,8}") {
        let print = |secret: &str| one(&bell("").replace("s3cret", secret)).fingerprint;
        prop_assert_eq!(a == b, print(&a) == print(&b));
    }
}
