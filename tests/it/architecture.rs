//! `ARCHITECTURE.md` names files and what is in them: both must exist.

use std::fs;
use std::path::Path;

/// What is wrong with a text that names files: files that do not exist, and names that the file before them does not
/// define.
fn mistakes(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut mistakes = Vec::new();
    for item in items(text) {
        let mut file: Option<(&str, String)> = None;
        for code in item.split('`').skip(1).step_by(2) {
            if code.starts_with("src/") {
                file = read(code).map(|content| (code, content));
                if file.is_none() {
                    mistakes.push(format!("there is no file `{code}`"));
                }
            } else if code.chars().all(|c| c.is_alphanumeric() || c == '_')
                && let Some((path, content)) = &file
                && !defines(content, code)
            {
                mistakes.push(format!("`{path}` defines no `{code}`"));
            }
        }
    }
    mistakes
}

/// Paragraphs and list items: a name belongs to the last file before it in the same item.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = vec![String::new()];
    for line in text.lines() {
        let start = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        if start.is_empty() || start.starts_with("- ") || start.starts_with(". ") || start.starts_with('#') {
            items.push(String::new());
        }
        let item = items.last_mut().expect("there is one");
        item.push_str(line);
        item.push('\n');
    }
    items
}

fn defines(content: &str, name: &str) -> bool {
    const KEYWORDS: [&str; 7] = ["struct", "enum", "trait", "fn", "type", "static", "const"];
    content.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|code| {
        let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        words.windows(2).any(|pair| KEYWORDS.contains(&pair[0]) && pair[1] == name)
    })
}

#[test]
fn every_file_and_name_in_the_architecture_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the page is part of the repository");
    let files = text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("src/")).count();
    assert!(files > 20, "the page names its files in backticks: {files}");
    let mistakes = mistakes(&text, |file| fs::read_to_string(root.join(file)).ok());
    assert!(mistakes.is_empty(), "ARCHITECTURE.md is out of date:\n{}", mistakes.join("\n"));
}

#[test]
fn a_missing_file_and_a_missing_name_are_reported() {
    let text = "1. `src/a.rs` `A` and `b`, not `B`; `acme/rocket`.\n2. `src/gone.rs` `A`, then `src/a.rs`\n   `C`.\n- `A`";
    let read = |file: &str| (file == "src/a.rs").then(|| "pub struct A; // struct B\nfn b() {}".to_owned());
    let expected =
        ["`src/a.rs` defines no `B`", "there is no file `src/gone.rs`", "`src/a.rs` defines no `C`"];
    assert_eq!(mistakes(text, read), expected);
}
