//! The texts about mistakes.

use super::*;

#[test]
fn all_problems_of_all_files_are_reported_with_file_line_and_remedy() {
    let first = "\
[[integration]]
project = 'acme/rocket'
adapter = 'big-bell'
webhok = 'https://bells.example/s3cret'
volume = 12
notify_only_broken_pipelines = 'perhaps'
labels_to_be_notified_behavior = 'match_some'

[[integration]]
adapter = 'big-bel'

[[integration]]
group = 'acme'
project = 'acme/rocket'
adapter = 'horn'
lighthouse = 3.5
active = 2

[[integrations]]
";
    let second = "\
[[integration]]
project = 'rocket'
adapter = 'horn'
lighthouse = ' '
push_channel = '#dev'

[[project]]
default_branch = 'main'

[[project]]
path = '/acme/rocket'
protected_branch = ['main']

[integration.typo]
";
    let told = read_files(&[("a.toml", first), ("b.toml", second)]).unwrap_err();
    assert_eq!(
        lines(&told),
        "\
a.toml:1: big-bell of project acme/rocket: webhook: is missing; write webhook = \"https://bells.example/1\", or webhook_file = \"/run/secrets/NAME\"
a.toml:4: big-bell of project acme/rocket: webhok: unknown setting; did you mean `webhook`?
a.toml:6: big-bell of project acme/rocket: notify_only_broken_pipelines = \"perhaps\": is not true or false; write true or false
a.toml:7: big-bell of project acme/rocket: labels_to_be_notified_behavior = \"match_some\": is not included in the list; write \"match_any\" or \"match_all\"
a.toml:9: project: is missing; write project = \"acme/rocket\", or group = \"acme\", or instance = true
a.toml:10: adapter = \"big-bel\": unknown adapter; did you mean `big-bell`?
a.toml:13: horn: group: is set beside `project`; write a block for each
a.toml:16: horn: lighthouse: is a number with a fraction; write text, as in \"north\"
a.toml:17: horn: active = 2: is not true or false; write true or false
a.toml:19: integrations: unknown key; did you mean `integration`?
b.toml:2: horn: project = \"rocket\": is neither a project's full path nor its number; write the path without host or outer slashes, as in project = \"acme/rocket\", or project = 42
b.toml:4: horn: lighthouse = \" \": can't be blank; write lighthouse = \"north\"
b.toml:5: horn: push_channel: unknown setting; horn does not have it
b.toml:7: the [[project]] has neither path nor id; write path = \"acme/rocket\", or id = 42
b.toml:11: path = \"/acme/rocket\": is not a project's full path; write path = \"acme/rocket\", or id = 42
b.toml:12: protected_branch: unknown key; did you mean `protected_branches`?
b.toml:14: horn: typo: unknown setting; horn has lighthouse; `forgebell adapters horn` lists all settings
"
    );
}

#[test]
fn a_problem_across_fields_is_reported_with_its_line_and_value() {
    assert_eq!(
        problems(&bell("volume = 12")),
        "5: big-bell of project acme/rocket: volume = 12: can't exceed 11; write volume = 11\n"
    );
}

#[test]
fn a_setting_of_another_adapter_is_unknown_here() {
    assert_eq!(
        problems(&bell("lighthouse = 'north'")),
        "5: big-bell of project acme/rocket: lighthouse: unknown setting; it is a setting of horn, not of big-bell\n"
    );
}

#[test]
fn flags_and_channels_are_suggested_too() {
    let told = problems(&bell("incidents_events = true\nissues_channel = '#dev'\njob_channel = '#ci'"));
    assert_eq!(
        told,
        "5: big-bell of project acme/rocket: incidents_events: unknown setting; did you mean `incident_events`?
6: big-bell of project acme/rocket: issues_channel: unknown setting; did you mean `issue_channel`?
7: big-bell of project acme/rocket: job_channel: unknown setting; big-bell does not receive job events
"
    );
}

#[test]
fn the_same_adapter_twice_for_one_project_names_both_lines() {
    let again = bell("").replace("big-bell", "big_bell").replace("acme/rocket", "ACME/Rocket");
    let told = read_files(&[("a.toml", &bell("")), ("b.toml", &format!("\n{again}"))]).unwrap_err();
    assert_eq!(
        lines(&told),
        "b.toml:2: big-bell of project ACME/Rocket: is configured twice, first at a.toml:1; keep one of the two\n"
    );
}

#[test]
fn a_number_and_a_path_are_one_project_if_the_facts_say_so() {
    let by_number = bell("").replace("'acme/rocket'", "42");
    let both = format!("{}{by_number}", bell(""));
    assert_eq!(problems(&both), "", "nothing says that they are the same project");

    let told = problems(&format!("{both}[[project]]\nid = 42\npath = 'Acme/Rocket'"));
    assert!(told.contains("5: big-bell of project 42: is configured twice"), "{told}");
}

#[test]
fn a_stop_ends_the_reading_before_the_next_block() {
    let block = |project: i64| {
        format!("[[integration]]\nproject = {project}\nadapter = 'big-bell'\nwebhook_file = 'secret'\n")
    };
    let text: String = (1..=10).map(block).collect();
    let (stop, count) = (CancellationToken::new(), std::cell::Cell::new(0));
    let read_secret = |_: &Path| {
        count.set(count.get() + 1);
        if count.get() == 3 {
            stop.cancel();
        }
        Ok("https://bells.example/1".to_owned())
    };
    let context = ReadContext {
        adapters: TABLE,
        read_secret: &read_secret,
        url_policy: &UrlPolicy::allow_all(),
        stop: &stop,
    };
    let problems = read_all(context, &[(PathBuf::from("a.toml"), text)]).finish(Vec::new()).unwrap_err();
    assert_eq!(count.get(), 3, "no block after the third is read");
    assert_eq!(lines(&problems), "a.toml:13: reading stopped here, because the process is stopping\n");
}

#[test]
fn repeated_facts_are_a_problem() {
    let told = problems("[[project]]\nid = 1\n[[project]]\npath = 'a/b'\n[[project]]\nid = 2\npath = 'A/b'");
    assert_eq!(
        told,
        "5: is configured twice, first at 3; write all facts of a project into one [[project]]\n"
    );
}

#[test]
fn broken_toml_keeps_its_line_and_the_other_files_are_still_read() {
    let broken =
        "[[integration]]\nproject = 'acme/rocket'\nwebhook = \"https://bells.example/s3cret\nadapter = \n";
    let told = read_files(&[("a.toml", broken), ("b.toml", "[[integration]]\n")]).unwrap_err();

    assert_eq!((told[0].file.to_str(), told[0].line), (Some("a.toml"), Some(3)));
    assert!(told[0].problem.starts_with("not TOML: "), "{}", told[0]);
    assert!(told.iter().any(|problem| problem.file == Path::new("b.toml")), "{}", lines(&told));
    assert!(!lines(&told).contains("s3cret"), "{}", lines(&told));
}

/// A file of several parts: each is parsed alone.
#[test]
fn a_large_file_is_read_as_a_small_one_is() {
    let block = |number: usize, more: &str| {
        let block = bell(more).replace("acme/rocket", &format!("acme/rocket-{number}"));
        format!("{block}# {}\n", "x".repeat(100))
    };
    let large = |odd: &str| -> String {
        (0..3_000).map(|number| block(number, if number == 2_000 { odd } else { "" })).collect()
    };
    let lines_before = 2_000 * 5;
    let read_all = read(&large("")).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    assert_eq!((read_all.integrations.len(), read_all.warnings.len()), (3_000, 0));
    // A line that looks like a table within a text.
    let names = (0..20_000).map(|_| "\n[[integration]]").collect::<String>();
    let text = read(&large(&format!("username = \"\"\"{names}\"\"\"\n"))).expect("it is valid");
    assert_eq!(text.integrations.len(), 3_000);
    let told = problems(&large("volume = 12\n"));
    assert!(
        told.starts_with(&format!("{}: ", lines_before + 5)) && told.contains("can't exceed 11"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    let alone = problems(&block(0, "volume =\n"));
    let (line, message) = alone.split_once(':').expect("it has a line");
    let line = line.parse::<usize>().expect("a number") + lines_before;
    assert!(message.contains("not TOML"), "{message}");
    assert_eq!(problems(&large("volume =\n")), format!("{line}:{message}"));
    let twice = large("").replace("rocket-2999'", "rocket-0'");
    assert!(problems(&twice).contains("is configured twice"), "{}", problems(&twice));
}
