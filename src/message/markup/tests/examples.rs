//! Rendering: examples.

use crate::message::{Limit, Markup, Span, Style, Text};

const SLACK: Markup = Markup::Slack;
const MATTERMOST: Markup = Markup::Mattermost;
const MARKDOWN: Markup = Markup::Markdown;
const IRC: Markup = Markup::Irc { colors: false };

fn words(words: &str) -> Text {
    Text::new().plain(words)
}

#[test]
fn slack_text_has_three_escapes_and_look_alikes_where_a_style_could_begin() {
    let rendered = |text: &str| SLACK.render(&words(text));
    assert_eq!(rendered("a < b && c > d"), "a &lt; b &amp;&amp; c &gt; d");
    assert_eq!(rendered("<!channel> <@U1>"), "&lt;!channel&gt; &lt;@U1&gt;");
    assert_eq!(rendered("snake_case and a*b"), "snake_case and a*b");
    assert_eq!(rendered("*all* _the_ ~things~ `now`"), "∗all∗ ˍtheˍ ∼things∼ ˋnowˋ");
    assert_eq!(rendered("Add __init__.py"), "Add ˍˍinitˍˍ.py");
    assert_eq!(rendered("> quoted?"), "\u{ad}&gt; quoted?");
    assert_eq!(rendered("ping @here"), "ping @\u{200b}here");
    assert_eq!(rendered("mail root@forge.example"), "mail root@forge.example");
    assert_eq!(rendered("see https://a.example/x_y_."), "see <https://a.example/x_y>ˍ.");
}

#[test]
fn links_survive_markup_in_their_text_and_address() {
    let link = |markup: Markup, text: &str, url: &str| markup.render(&Text::new().link(text, url));
    let url = "https://forge.example/a/-/commits/x?a=1&b=2";
    assert_eq!(link(SLACK, "a|b>c", url), "<https://forge.example/a/-/commits/x?a=1&amp;b=2|a∣b&gt;c>");
    assert_eq!(link(MATTERMOST, "[WIP] a", url), format!("[\\[WIP\\] a]({url})"));
    assert_eq!(link(MATTERMOST, "a [b", url), format!("[a (b]({url})"));
    assert_eq!(
        link(Markup::Html, "a<b", url),
        "<a href=\"https://forge.example/a/-/commits/x?a=1&amp;b=2\">a&lt;b</a>"
    );
    assert_eq!(link(Markup::Plain, "issue #1", url), format!("issue #1 ({url})"));
    assert_eq!(link(IRC, "issue\n#1", url), format!("issue #1 ({url})"));
    assert_eq!(link(SLACK, "x", "javascript:alert(1)"), "x");
    assert_eq!(link(SLACK, "", "https://a.example/"), "<https://a.example/>");
    assert_eq!(link(MARKDOWN, "x", "https://a.example/(y)z w"), "[x](https://a.example/(y)z%20w)");
    let image = Text::new().plain("look!").link("x", "https://a.example/");
    assert_eq!(MARKDOWN.render(&image), "look\\![x](https://a.example/)");
}

#[test]
fn markdown_text_is_escaped_where_it_would_be_markup() {
    let mattermost = |text: &str| MATTERMOST.render(&words(text));
    assert_eq!(mattermost("# no heading"), "\\# no heading");
    assert_eq!(mattermost("fixes #23 and #tag"), "fixes #23 and #\u{200b}tag");
    assert_eq!(mattermost("1. one\n- two\n> three"), "1\\. one\n\\- two\n&gt; three");
    assert_eq!(mattermost("C:\\Users\\*"), "C:\\Users\\\\\\*");
    assert_eq!(mattermost("Vec<T> & R&D &lt;"), "Vec&lt;T&gt; & R&D &amp;lt;");
    assert_eq!(
        mattermost("@all ~town root@forge.example"),
        "@\u{200b}all \\~\u{200b}town root@forge.example"
    );
    assert_eq!(mattermost("    four spaces"), "four spaces");
    assert_eq!(mattermost("Title\n==="), "Title\n\u{200b}===");
    assert_eq!(mattermost("a|b"), "a\\|b");
    assert_eq!(mattermost("https://a.example/x_y, ok"), "https://a.example/x_y, ok");
    assert_eq!(
        mattermost("https://a.example/_x_y*z"),
        "[https://a.example/\\_x\\_y\\*z](https://a.example/_x_y*z)"
    );
    assert_eq!(
        mattermost("https://a.example/x_ y"),
        "[https://a.example/x](https://a.example/x)\\_ y",
        "the mark behind it would be read as a part of it"
    );
    let discord = |text: &Text| Markup::Discord.render(text);
    assert_eq!(discord(&words("https://a.example/_x_y*z")), "<https://a.example/_x_y*z>");
    assert_eq!(
        discord(&Text::new().link("See https://a.example/x", "https://b.example/")),
        "[See https://\u{200b}a.example/x](https://b.example/)",
        "Discord makes no link of words with an address in them"
    );
    assert_eq!(MARKDOWN.render(&words("<@1> &amp;\nnext")), "\\<@\u{200b}1> \\&amp;  \nnext");
}

#[test]
fn styles_work_or_are_left_out() {
    let bold = |before: &str, inner: &str, after: &str| {
        let text = Text::new().plain(before).bold(inner).plain(after);
        [SLACK, MATTERMOST, Markup::Html].map(|markup| markup.render(&text))
    };
    assert_eq!(bold("a ", "b", " c"), ["a *b* c", "a **b** c", "a <b>b</b> c"]);
    assert_eq!(bold("a ", " b ", "c")[..2], ["a  *b* c", "a  **b** c"]);
    assert_eq!(bold("这是", "粗体", "文字")[..2], ["这是\u{200b}*粗体*\u{200b}文字", "这是**粗体**文字"]);
    assert_eq!(bold("a", "(b)", "c")[..2], ["a\u{200b}*(b)*\u{200b}c", "a(b)c"]);
    assert_eq!(bold("", "one\n\ntwo", "")[..2], ["*one*\n\n*two*", "**one**\n\n**two**"]);
    let all = Style { bold: true, italic: true, strike: true };
    let text = Text::new().styled("x", all);
    assert_eq!(SLACK.render(&text), "*_~x~_*");
    assert_eq!(MATTERMOST.render(&text), "~~***x***~~");
    assert_eq!(Markup::Irc { colors: true }.render(&Text::new().bold("x").plain("1")), "\u{2}x\u{f}1");
}

#[test]
fn text_cannot_end_code() {
    let code = |markup: Markup, code: &str| markup.render(&Text::new().code(code));
    assert_eq!(code(SLACK, "a`b *c* <d>"), "`aˋb *c* &lt;d&gt;`");
    assert_eq!(code(MATTERMOST, "a`b"), "``a`b``");
    assert_eq!(code(MATTERMOST, "`"), "`` ` ``");
    assert_eq!(code(MATTERMOST, "Map<A|B> <!here>"), "`Map<A∣B> <\u{200b}!here>`");
    assert_eq!(code(MATTERMOST, "sort < a | uniq | wc"), "`sort < a | uniq | wc`");
    assert_eq!(code(Markup::Html, "<b>"), "<code>&lt;b&gt;</code>");
    let block = Text(vec![
        Span::CodeBlock("a\n```\nb\n".into()),
        Span::Text { text: "\nthen".into(), style: Style::PLAIN },
    ]);
    assert_eq!(MATTERMOST.render(&block), "```\na\n`\u{200b}`\u{200b}`\nb\n```\nthen");
    assert_eq!(SLACK.render(&block), "```\na\nˋˋˋ\nb\n```\nthen");
    assert_eq!(Markup::Plain.render(&block), "a\n```\nb\nthen");
    assert_eq!(IRC.render(&block), "a ``` b then");
    assert_eq!(SLACK.render(&Text::new().plain("a").code("b").code("c")), "a\u{200b}`b`\u{200b}`c`");
}

#[test]
fn each_line_of_a_quote_is_marked() {
    let text = Text(vec![
        Span::Quote(Text(vec![Span::Text { text: "one\n\ntwo".into(), style: Style::PLAIN }])),
        Span::Text { text: "mine".into(), style: Style::PLAIN },
    ]);
    assert_eq!(SLACK.render(&text), "&gt; one\n&gt; \n&gt; two\nmine");
    assert_eq!(MATTERMOST.render(&text), "> one\n> \n> two\n\nmine");
    assert_eq!(Markup::Html.render(&text), "&gt; one<br />&gt; <br />&gt; two<br />mine");
    assert_eq!(Markup::Plain.render(&text), "> one\n> \n> two\nmine");
}

#[test]
fn truncated_text_ends_between_characters_with_an_ellipsis() {
    let within = |markup: Markup, text: &Text, most: usize| markup.render_within(text, Limit::Chars(most));
    assert_eq!(within(SLACK, &words("one two"), 7), "one two");
    assert_eq!(within(SLACK, &words("one two three"), 7), "one tw…");
    assert_eq!(within(SLACK, &words("one two three"), 5), "one…");
    assert_eq!(within(SLACK, &words("a & b & c"), 8), "a &amp;…");
    assert_eq!(within(SLACK, &words("a & b & c"), 7), "a…");
    assert_eq!(within(SLACK, &Text::new().bold("bold words"), 8), "*bold…*");
    assert_eq!(within(MATTERMOST, &Text::new().bold("bold words"), 8), "**bol…**");
    assert_eq!(within(MATTERMOST, &Text(vec![Span::CodeBlock("one\ntwo".into())]), 14), "```\none…\n```");
    assert_eq!(within(SLACK, &words("x"), 0), "");
    assert_eq!(within(SLACK, &words("👩‍👩‍👧👩‍👩‍👧"), 8), "👩‍👩‍👧…");
    assert_eq!(Markup::Irc { colors: false }.render_within(&words("ééééé"), Limit::Bytes(8)), "éé…");
}

#[test]
fn a_link_is_kept_whole_or_replaced_by_its_text() {
    let text = Text::new().plain("see ").link("the issue", "https://a.example/1").plain(" soon");
    let within = |most| SLACK.render_within(&text, Limit::Chars(most));
    assert_eq!(within(100), "see <https://a.example/1|the issue> soon");
    assert_eq!(within(39), "see the issue soon", "text is kept rather than addresses");
    assert_eq!(within(18), "see the issue soon");
    assert_eq!(within(12), "see the iss…");
    let long = text.clone().plain(" enough, or so they say");
    assert_eq!(SLACK.render_within(&long, Limit::Chars(40)), "see <https://a.example/1|the issue> soo…");
    assert_eq!(long.plain_text().len(), 41, "where the text alone does not fit, the first addresses stay");
    let list = |count: usize| {
        let item = |n: usize| Text::new().link(format!("job {n}"), format!("https://a.example/{n}"));
        Text::join((1..=count).map(item), ", ").plain(" and more")
    };
    let within = |most| MARKDOWN.render_within(&list(4), Limit::Chars(most));
    assert_eq!(
        within(85),
        "[job 1](https://a.example/1), [job 2](https://a.example/2), job 3, job 4 and more"
    );
    assert_eq!(within(70), "[job 1](https://a.example/1), job 2, job 3, job 4 and more");
    assert_eq!(within(35), "job 1, job 2, job 3, job 4 and more");
    let bare = words("see https://a.example/1 soon");
    assert_eq!(MARKDOWN.render_within(&bare, Limit::Chars(26)), "see https://a.example/1 s…");
    assert_eq!(MARKDOWN.render_within(&bare, Limit::Chars(25)), "see https://a.example/1 …");
    assert_eq!(MARKDOWN.render_within(&bare, Limit::Chars(24)), "see…");
}
