//! Parsing of Markdown.

use proptest::prelude::*;

use super::*;
use crate::message::Markup;

const PROJECT: &str = "https://forge.example/acme/web";

fn markdown(text: &str) -> String {
    Markup::Mattermost.render(&prose(text, PROJECT))
}

fn plain(text: &str) -> String {
    Markup::Plain.render(&prose(text, PROJECT))
}

#[test]
fn styles_code_and_links_are_parsed() {
    let text = "Have **a look** at *this*, ~~not~~ `that`: [the issue](https://forge.example/i/1 \"title\").";
    assert_eq!(
        markdown(text),
        "Have **a look** at *this*, ~~not~~ `that`: [the issue](https://forge.example/i/1)."
    );
    assert_eq!(markdown("***all*** of **it *is* bold**"), "***all*** of **it** ***is*** **bold**");
    assert_eq!(markdown("a\\*b\\* &amp; c"), "a\\*b\\* & c");
    assert_eq!(
        plain("see <https://a.example/x> and https://b.example/y_z_"),
        "see https://a.example/x and https://b.example/y_z_"
    );
}

#[test]
fn only_web_addresses_become_links() {
    assert_eq!(plain("[log](/uploads/1f/error.log)"), format!("log ({PROJECT}/uploads/1f/error.log)"));
    assert_eq!(plain("![screenshot](/uploads/1f/a b.png)"), "![screenshot](/uploads/1f/a b.png)");
    assert_eq!(
        plain("![screenshot](</uploads/1f/a b.png>){width=60%}"),
        format!("screenshot ({PROJECT}/uploads/1f/a%20b.png){{width=60%}}")
    );
    assert_eq!(plain("![](/uploads/1f/a.png)"), format!("image ({PROJECT}/uploads/1f/a.png)"));
    assert_eq!(
        plain("[![build](https://ci.example/b.svg)](https://ci.example)"),
        "build (https://ci.example)"
    );
    assert_eq!(plain("[x](javascript:alert(1)) [y](docs/a.md) [z](#note_1)"), "x y z");
    assert_eq!(Markup::Plain.render(&prose("![a](/uploads/x.png)", "")), "a");
}

#[test]
fn blocks_become_lines() {
    let text = "# Steps\n\n1. one\n2. two\n   - deep\n\n     still deep\n3. three\n\n- [x] done\n- [ ] open\n\n***\n\nend";
    assert_eq!(
        plain(text),
        "Steps\n1. one\n2. two\n\u{2003}◦ deep\nstill deep\n3. three\n\n• ☑ done\n• ☐ open\n\n———\n\nend"
    );
    assert_eq!(markdown("# Steps\nthen"), "**Steps**\nthen");
    assert_eq!(markdown("one\ntwo  \nthree\n\n\nfour"), "one\ntwo\nthree\n\nfour");
    assert_eq!(
        markdown("before\n\n```rust\nlet x = 1;\n\n  y\n```\n\nafter"),
        "before\n```\nlet x = 1;\n\n  y\n```\nafter"
    );
    assert_eq!(markdown("> quoted\n> > deeper\n\nmine"), "> quoted\n> > deeper\n\nmine");
    assert_eq!(plain("| a | b |\n|---|:-:|\n| 1 | **2** |\n| x \\| y |\n"), "a | b\n1 | 2\nx | y | ");
    assert_eq!(markdown("| a | b |\n|---|---|\n| 1 | 2 |"), "**a \\| b**\n1 \\| 2");
}

#[test]
fn html_becomes_plain_text() {
    assert_eq!(
        plain("<!-- template:\nhints -->\n\nHello<br>there, <b>you</b> and Vec<T>"),
        "Hello\nthere, you and Vec<T>"
    );
    let details = "<details>\n<summary>Log</summary>\n\n```\nboom\n```\n\n</details>";
    assert_eq!(plain(details), "Log\nboom");
    assert_eq!(plain("<script>alert(1)</script>"), "<script>alert(1)</script>");
    assert_eq!(plain("<img src=x onerror=alert(1)>"), "");
    assert_eq!(plain("<!-- never closed"), "");
}

#[test]
fn huge_and_deeply_nested_texts_are_bounded() {
    let endless = "word ".repeat(200_000);
    let text = prose(&endless, PROJECT);
    assert!(text.plain_text().chars().count() <= LONGEST + 1);
    assert!(text.plain_text().ends_with('…'));
    for deep in [">", "> - ", "[", "*", "**a ", "- ", "`", "<b>", "![", "|a", "<!--", "&#"] {
        let text = prose(&deep.repeat(100_000), PROJECT);
        assert!(text.plain_text().chars().count() <= 3 * LONGEST, "{deep}");
        Markup::Slack.render_within(&text, crate::message::Limit::Chars(4000));
    }
}

fn deepest(text: &Text) -> usize {
    let depth = |span: &Span| if let Span::Quote(inner) = span { 1 + deepest(inner) } else { 0 };
    text.0.iter().map(depth).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any Markdown becomes a text that is not nested too deep, has only web links, and has no run of empty lines.
    #[test]
    fn any_markdown_is_parsed(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "a", " ", "\n", "\n\n", "> ", "- ", "1. ", "    ", "```\n", "`", "*", "**", "~~", "[a](", "https://b.example)",
                "![c](/uploads/d)", "<details>", "<!--", "-->", "| x | y |\n|--|--|\n", "# ", "***\n", "<", "&", "\\", "- [ ] ",
            ]),
            0..40,
        )
    ) {
        let text = prose(&pieces.concat(), PROJECT);
        prop_assert!(deepest(&text) <= DEEPEST_QUOTE);
        for span in &text.0 {
            match span {
                Span::Link { text, url, .. } => {
                    prop_assert!(!text.is_empty() && url.starts_with("https://"));
                }
                Span::Text { text, .. } => prop_assert!(!text.contains("\n\n\n"), "{:?}", text),
                Span::Code(_) | Span::CodeBlock(_) | Span::Quote(_) => {}
            }
        }
    }
}
