//! Parsing of Markdown.

use proptest::prelude::*;

use super::writer::DEEPEST_QUOTE;
use super::*;
use crate::message::markup::{ALL, check};
use crate::message::{Limit, Markup, Span};

const PROJECT: &str = "https://forge.example/acme/web";
const BASE: Base<'_> = Base {
    page_url: "https://forge.example/acme/web/-/issues/3",
    project_url: PROJECT,
    project_path: "acme/web",
    default_branch: "main",
};

fn markdown(text: &str) -> String {
    Markup::Mattermost.render(&prose(text, &BASE))
}

fn plain(text: &str) -> String {
    Markup::Plain.render(&prose(text, &BASE))
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
fn links_lead_somewhere_or_show_where_they_would_lead() {
    assert_eq!(plain("[log](/uploads/1f/error.log)"), format!("log ({PROJECT}/uploads/1f/error.log)"));
    assert_eq!(plain("![screenshot](/uploads/1f/a b.png)"), "![screenshot](/uploads/1f/a b.png)");
    assert_eq!(plain("![](/uploads/1f/a.png)"), format!("image ({PROJECT}/uploads/1f/a.png)"));
    assert_eq!(
        plain("[![build](https://ci.example/b.svg)](https://ci.example)"),
        "build (https://ci.example)"
    );
    assert_eq!(
        plain("[y](docs/a.md) [z](#note_1) ![p](p.png)"),
        format!(
            "y ({PROJECT}/-/blob/main/docs/a.md) z ({PROJECT}/-/issues/3#note_1) p ({PROJECT}/-/raw/main/p.png)"
        )
    );
    assert_eq!(plain("[x](javascript:alert(1)) [y](irc://a.example/ops)"), "x y (irc://a.example/ops)");
    assert_eq!(
        plain("[](https://a.example/x) [](docs/a.md)"),
        format!("https://a.example/x {PROJECT}/-/blob/main/docs/a.md")
    );
    assert_eq!(markdown("<mail@a.example>"), "[mail@a.example](mailto:mail@a.example)");
    let without_project = prose("![a](/uploads/x.png) [b](c.md) [#d](#d)", &Base::default());
    assert_eq!(Markup::Plain.render(&without_project), "a (/uploads/x.png) b (c.md) #d");
}

/// CommonMark would read the stars and underscores of these addresses as marks.
#[test]
fn bare_addresses_keep_their_marks() {
    let address = |text: &str| prose(text, &BASE).plain_text();
    for same in
        ["https://a.example/*x*/_y_", "see https://a.example/**x**y and z", "https://a.example/~~x~~z, ok"]
    {
        assert_eq!(address(same), same);
    }
    assert_eq!(markdown("**https://a.example/x** *b*"), "**[https://a.example/x](https://a.example/x)** *b*");
    assert_eq!(markdown("https://a.example/x *b*"), "https://a.example/x *b*");
    assert_eq!(
        markdown("[https://a.example](https://b.example)*c*"),
        "[https://a.example](https://b.example)*c*"
    );
    assert_eq!(address("https://a.example/?a=1&amp;b=2"), "https://a.example/?a=1&b=2");
}

#[test]
fn attributes_of_pictures_are_not_text() {
    let picture = format!("p ({PROJECT}/uploads/1f/p.png)");
    for attributes in ["{width=900 height=506}", "{width=60%}", "{.float-right width=\"50%\"}", "{#id}"] {
        assert_eq!(plain(&format!("![p](/uploads/1f/p.png){attributes}")), picture);
        assert_eq!(plain(&format!("![p](/uploads/1f/p.png){attributes}, ok")), format!("{picture}, ok"));
    }
    for words in ["{not attributes}", "{}", "{width=60%", " {width=60%}", "\n{width=60%}"] {
        assert_eq!(plain(&format!("![p](/uploads/1f/p.png){words}")), format!("{picture}{words}"));
    }
    assert_eq!(plain("[a](https://a.example/x)"), "a (https://a.example/x)");
}

#[test]
fn what_gitlab_adds_to_markdown_is_read() {
    assert_eq!(plain("a\n\n[[_TOC_]]\n\nb\n\n[toc]\n\nc"), "a\n\nb\n\nc");
    assert_eq!(plain("see [TOC] there"), "see [TOC] there");
    assert_eq!(markdown("---\na: b\n---\n\nc"), "```\na: b\n```\nc");
    assert_eq!(markdown("a\n>>>\nb\n\n- c\n>>>\nd"), "a\n> b\n> \n> • c\n\nd");
    assert_eq!(markdown("> [!note]\n> be *careful*"), "> **Note**\n> be *careful*");
    assert_eq!(markdown("> [!WARNING] Data deletion\n> a"), "> **Warning: Data deletion**\n> a");
    assert_eq!(markdown(">>> [!tip]\na\n\nb\n>>>"), "> **Tip**\n> a\n> \n> b");
    assert_eq!(markdown("> [!todo]\n> a"), "> \\[!todo\\]\n> a");
    assert_eq!(
        plain("a[^1] b[^long]\n\n[^1]: One.\n[^long]: Two."),
        "a[1] b[long]\n\n[1]: One.\n\n[long]: Two."
    );
    assert_eq!(plain("a[^none]"), "a[^none]");
    assert_eq!(plain("- [x] a\n- [ ] b\n- [~] c"), "• ☑ a\n• ☐ b\n• ☒ c");
    assert_eq!(markdown("$`E=mc^2`$ and $a_1*b*$ and $5"), "`E=mc^2` and $a\\_1\\*b\\*$ and $5");
    assert_eq!(plain("$$\na\n$$"), "$$\na\n$$");
    assert_eq!(plain("costs $5 or 6$ *now*"), "costs $5 or 6$ now");
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
fn html_is_read_as_its_markdown() {
    assert_eq!(
        plain("<!-- template:\nhints -->\n\nHello<br>there, <b>you</b> and Vec<T>"),
        "Hello\nthere, you and Vec<T>"
    );
    let details = "<details>\n<summary>Log</summary>\n\n```\nboom\n```\n\n</details>";
    assert_eq!(plain(details), "Log\nboom");
    assert_eq!(plain("<script>alert(1)</script>"), "<script>alert(1)</script>");
    assert_eq!(plain("<!-- never closed"), "");
    assert_eq!(markdown("a <b>b</b> <i>c</i> <del>d</del> <kbd>e</kbd>"), "a **b** *c* ~~d~~ `e`");
    assert_eq!(markdown("<div align=\"center\"><b>a</b> &amp; b</div>\n\nc"), "**a** & b\n\nc");
    assert_eq!(plain("10<sup>6</sup> H<sub>2</sub>O"), "10⁶ H2O");
    assert_eq!(
        plain("<p>a</p><p>b</p><hr><ol><li>c</li><li>d</li></ol>e"),
        "a\n\nb\n\n———\n\n1. c\n2. d\n\ne"
    );
    assert_eq!(markdown("<ul>\n<li>a</li>\n<li>b</li>\n</ul>"), "• a\n• b");
    assert_eq!(
        markdown("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"),
        "**a** \\| **b**\n1 \\| 2"
    );
    assert_eq!(
        plain("<table>\n<tr>\n<td>\n\na\n\n</td>\n<td>\n\nb\n\n</td>\n</tr>\n</table>\n\nc\nd"),
        "a\n\nb\n\nc\nd"
    );
    assert_eq!(markdown("<blockquote>a\n\n*b*</blockquote>\n\nc"), "> a\n> \n> *b*\n\nc");
    assert_eq!(markdown("<pre><code>a\n  &lt;b\n</code></pre>"), "```\na\n  <b\n```");
    assert_eq!(markdown("<code>see [x](https://a.example)</code> y"), "`see x (https://a.example)` y");
    assert_eq!(markdown("- <code>a\n  ```\n  b\n  ```"), "• `a`\n```\nb\n```");
}

#[test]
fn pictures_and_links_in_html_keep_their_addresses() {
    assert_eq!(plain("<img src=x onerror=alert(1)>"), format!("image ({PROJECT}/-/raw/main/x)"));
    assert_eq!(
        plain("<img src=\"/uploads/1f/a.png\" alt=\"shot\" width=\"600\">"),
        format!("shot ({PROJECT}/uploads/1f/a.png)")
    );
    assert_eq!(
        plain("see <a href='https://a.example/x'>the <b>page</b></a>."),
        "see the page (https://a.example/x)."
    );
    assert_eq!(plain("<a href=\"docs/a.md\">a</a>"), format!("a ({PROJECT}/-/blob/main/docs/a.md)"));
    assert_eq!(plain("<a href=\"javascript:alert(1)\">a</a> <a name=\"top\"></a>b"), "a b");
    assert_eq!(
        plain("<a href=\"https://a.example\"><img src=\"b.png\" alt=\"c\"></a>"),
        "c (https://a.example)"
    );
    assert_eq!(
        plain("<a href=\"https://a.example\">\n\n![c](https://b.example/c.png)\n\n</a>"),
        "https://a.example\n\nc (https://b.example/c.png)"
    );
    assert_eq!(
        plain("<video src=\"/uploads/1f/a.mp4\"></video>"),
        format!("video ({PROJECT}/uploads/1f/a.mp4)")
    );
    assert_eq!(
        plain("<a href=\"https://a.example\">never closed\n\nb"),
        "never closed (https://a.example)\n\nb"
    );
    assert_eq!(markdown("<b>never closed\n\nb"), "**never closed**\n\nb");
}

#[test]
fn huge_and_deeply_nested_texts_are_bounded() {
    let endless = "word ".repeat(200_000);
    let text = prose(&endless, &BASE);
    assert!(text.plain_text().chars().count() <= LONGEST + 1);
    assert!(text.plain_text().ends_with('…'));
    for deep in [
        ">",
        "> - ",
        "[",
        "*",
        "**a ",
        "- ",
        "`",
        "<b>",
        "![",
        "|a",
        "<!--",
        "&#",
        "<b",
        "<a href='x'>",
        "<ul><li>",
        "<blockquote>",
        ">>>\n",
        "<pre>",
        "$",
        "[^a]",
        "https://a/*",
        "<img alt='",
    ] {
        let text = prose(&deep.repeat(100_000), &BASE);
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
                "![c](/uploads/d)", "<details>", "<!--", "-->", "| x | y |\n|--|--|\n", "# ", "***\n", "<", "&", "\\", "- [ ] ", ">>>\n", "[!note]", "[^1]", "[^1]: ", "---\n", "$", "$$", "{width=1}", "[TOC]\n",
                "<a href='/x'>", "</a>", "<b>", "</b>", "<code>", "</code>", "<pre>", "</pre>", "<li>", "<ul>", "</ul>", "<blockquote>",
                "</blockquote>", "<td>", "<img src=y alt='z'>", "https://a.example/*b", "[~] ", "<br>", "@all", "<!channel>", "<@U1>", "<script>", "|", "\u{202e}", "\u{7}", "](", "<a href='javascript:x'>", "<sup>", "~", "_", "\r\n", "&amp;", "&lt;", "é", "👩‍👩‍👧",
            ]),
            0..40,
        )
    ) {
        let source = pieces.concat();
        let text = prose(&source, &BASE);
        prop_assert!(deepest(&text) <= DEEPEST_QUOTE);
        for span in &text.0 {
            match span {
                Span::Link { text, url, .. } => {
                    prop_assert!(!text.is_empty() && url.starts_with("https://"));
                }
                Span::Text { text, .. } => prop_assert!(!text.contains("\n\n\n"), "{:?}", text),
                Span::Reference { .. } | Span::Code(_) | Span::CodeBlock(_) | Span::Quote(_) => {}
            }
        }
        for markup in ALL {
            let rendered = markup.render(&text);
            prop_assert!(rendered.len() < 100 * source.len() + 1000, "{} of {}", rendered.len(), source.len());
            check(markup, &rendered);
            check(markup, &markup.render_within(&text, Limit::Chars(60)));
        }
    }

    /// Words survive, whatever markup is around them.
    #[test]
    fn words_are_not_dropped(
        marks in proptest::collection::vec(
            proptest::sample::select(vec![
                "", " ", "\n", "\n\n", "> ", "- ", "1. ", "*", "**", "~~", "# ", "| ", "<b>", "</b>", "<p>", "<div>", "</div>", "<td>",
                "<ul><li>", "</li>", "<blockquote>", "</blockquote>", "<details>", "<summary>", ">>>\n", "> [!note] ", "[^1]: ",
                "[TOC]\n\n", "---\n", "$", "`", "<code>", "</code>", "<pre>", "</pre>", "https://a.example/*", "{width=1}", "[x](y)",
                "<a href='/x'>", "</a>", "[~] ", "\\",
            ]),
            1..20,
        )
    ) {
        let numbered = marks.iter().enumerate();
        let source = numbered.fold(String::new(), |source, (n, mark)| format!("{source}{mark}word{n}"));
        let told = prose(&source, &BASE).plain_text();
        for n in 0..marks.len() {
            // Without a space before it, a word may be the attribute of a tag or the name of an address.
            prop_assert!(told.contains(&format!("word{n}")), "word{} of {:?} is not in {:?}", n, source, told);
        }
    }
}
