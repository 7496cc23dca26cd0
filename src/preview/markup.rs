//! Readers of the services' markups: text in, HTML out, and none of what people wrote stays markup of the page.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::page::{esc, link, opens};

/// Markdown, as Mattermost, Discord and Teams read it: a line break is a line break, HTML is words.
pub(super) fn markdown(text: &str) -> String {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut dropped = Vec::new();
    let events = Parser::new_ext(text, options).filter_map(|event| {
        Some(match event {
            Event::Html(words) | Event::InlineHtml(words) => Event::Text(words),
            Event::SoftBreak => Event::HardBreak,
            // Their words stand for pictures, which are not fetched.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => return None,
            Event::Start(Tag::Link { link_type, dest_url, title: _, id }) => {
                let shown = opens(&dest_url);
                dropped.push(!shown);
                if !shown {
                    return None;
                }
                Event::Start(Tag::Link { link_type, dest_url, title: CowStr::Borrowed(""), id })
            }
            Event::End(TagEnd::Link) if dropped.pop() == Some(true) => return None,
            other => other,
        })
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    // One paragraph needs no space around it.
    let trimmed = out.trim();
    let single = trimmed.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
    single.filter(|rest| !rest.contains("<p>")).unwrap_or(trimmed).to_owned()
}

/// Slack's mrkdwn (<https://docs.slack.dev/messaging/formatting-message-text>).
pub(super) fn mrkdwn(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            out.push_str("<pre>");
            out.push_str(&entities(part.trim_matches('\n')));
            out.push_str("</pre>");
            continue;
        }
        let part = if index > 0 { part.strip_prefix('\n').unwrap_or(part) } else { part };
        let lines = part.lines().map(|line| {
            let quoted = line.strip_prefix("&gt;").or_else(|| line.strip_prefix('>'));
            match quoted {
                Some(words) => format!("<blockquote>{}</blockquote>", mrkdwn_line(words.trim_start())),
                None => mrkdwn_line(line),
            }
        });
        out.push_str(&lines.collect::<Vec<_>>().join("<br>").replace("</blockquote><br>", "</blockquote>"));
    }
    out
}

/// Google Chat's markup, which looks like Slack's, but has no escapes
/// (<https://developers.google.com/workspace/chat/format-messages>).
pub(super) fn google_chat(text: &str) -> String {
    mrkdwn(&text.replace('&', "&amp;"))
}

fn mrkdwn_line(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let mut before: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let taken = match c {
            '`' => after
                .split_once('`')
                .filter(|(code, _)| !code.is_empty())
                .map(|(code, rest)| (format!("<code>{}</code>", entities(code)), rest)),
            '<' => after.split_once('>').map(|(inner, rest)| (mrkdwn_link(inner), rest)),
            '*' | '_' | '~' if !is_word(before) => styled(c, after),
            _ => None,
        };
        if let Some((html, left)) = taken {
            out.push_str(&html);
            before = Some(c);
            rest = left;
        } else {
            let end = if c == '&' { entity(rest) } else { c.len_utf8() };
            out.push_str(&entities(&rest[..end]));
            before = Some(c);
            rest = &rest[end..];
        }
    }
    out
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

/// `*words*` behind its first sign: the words in their style, and what follows.
fn styled(sign: char, after: &str) -> Option<(String, &str)> {
    let tag = match sign {
        '*' => "b",
        '_' => "i",
        _ => "s",
    };
    if after.starts_with([' ', sign]) {
        return None;
    }
    let end = after.match_indices(sign).map(|(at, _)| at).find(|at| {
        let rest = &after[at + 1..];
        !after[..*at].ends_with(' ') && !is_word(rest.chars().next())
    })?;
    Some((format!("<{tag}>{}</{tag}>", mrkdwn_line(&after[..end])), &after[end + 1..]))
}

/// What stands between `<` and `>`: an address, with words or without.
fn mrkdwn_link(inner: &str) -> String {
    let (url, words) = inner.split_once('|').unwrap_or((inner, inner));
    let plain = url.replace("&amp;", "&");
    if opens(&plain) { link(&plain, &mrkdwn_words(words)) } else { entities(&format!("<{inner}>")) }
}

/// The words of a link hold no links.
fn mrkdwn_words(words: &str) -> String {
    if words.contains('<') { entities(words) } else { mrkdwn_line(words) }
}

/// How long the entity at the start of the text is; 1 where there is none that Slack knows.
fn entity(text: &str) -> usize {
    ["&amp;", "&lt;", "&gt;"].into_iter().find(|known| text.starts_with(known)).map_or(1, str::len)
}

/// Slack's three escapes back to signs, and those into the page's own.
pub(super) fn entities(text: &str) -> String {
    esc(&text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// The few tags that HipChat, Telegram and Matrix show, if they are written as it wants them; all others are words.
pub(super) fn few_tags(text: &str) -> String {
    const TAGS: [&str; 14] =
        ["b", "i", "s", "del", "strong", "em", "pre", "code", "ul", "ol", "li", "p", "span", "blockquote"];
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&esc(&rest[..at]));
        rest = &rest[at..];
        if rest.starts_with('&') {
            let end = rest.find(';').filter(|end| {
                *end > 1 && *end < 10 && rest[1..*end].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#')
            });
            match end {
                Some(end) => out.push_str(&rest[..=end]),
                None => out.push_str("&amp;"),
            }
            rest = &rest[end.map_or(1, |end| end + 1)..];
            continue;
        }
        let Some((tag, after)) = rest[1..].split_once('>') else { break };
        let name = tag.trim_end_matches(['/', ' ']);
        let href = tag.strip_prefix("a href=\"").and_then(|tag| tag.strip_suffix('"'));
        let known = |name: &str| TAGS.into_iter().chain(["a"]).find(|tag| *tag == name);
        if name == "br" {
            out.push_str("<br>");
        } else if let Some(href) =
            href.map(|href| href.replace("&amp;", "&").replace("&#39;", "'")).filter(|href| opens(href))
        {
            let _ = write!(out, "<a href=\"{}\" rel=\"noreferrer\">", esc(&href));
            open.push("a");
        } else if let Some(name) = known(tag).filter(|name| *name != "a") {
            let _ = write!(out, "<{name}>");
            open.push(name);
        } else if let Some(name) =
            tag.strip_prefix('/').and_then(known).filter(|name| open.last() == Some(name))
        {
            let _ = write!(out, "</{name}>");
            open.pop();
        } else {
            out.push_str(&esc(&format!("<{tag}>")));
        }
        rest = after;
    }
    out.push_str(&esc(rest));
    for name in open.iter().rev() {
        let _ = write!(out, "</{name}>");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_read_and_html_in_it_is_words() {
        assert_eq!(
            markdown("**a** [b](https://b.example/)"),
            "<strong>a</strong> <a href=\"https://b.example/\">b</a>"
        );
        assert_eq!(markdown("a\nb"), "a<br />\nb");
        assert_eq!(markdown("<b>x</b> \\<y>"), "&lt;b&gt;x&lt;/b&gt; &lt;y&gt;");
        assert_eq!(markdown("[x](javascript:alert(1)) ![y](https://y.example/y.png)"), "x y");
        assert!(!markdown("<script>alert(1)</script>").contains("<script"));
    }

    #[test]
    fn mrkdwn_is_read() {
        assert_eq!(mrkdwn("*a* _b_ ~c~ `d&lt;`"), "<b>a</b> <i>b</i> <s>c</s> <code>d&lt;</code>");
        assert_eq!(mrkdwn("snake_case_name 2*3*4 * a *"), "snake_case_name 2*3*4 * a *");
        assert_eq!(
            mrkdwn("<https://a.example/?x&amp;y|a &amp; b>"),
            "<a href=\"https://a.example/?x&amp;y\" rel=\"noreferrer\">a &amp; b</a>"
        );
        assert_eq!(mrkdwn("<javascript:x|y> <!channel>"), "&lt;javascript:x|y&gt; &lt;!channel&gt;");
        assert_eq!(mrkdwn("&gt; quoted\nplain"), "<blockquote>quoted</blockquote>plain");
        assert_eq!(mrkdwn("a\n```\n*x*\n```\nb"), "a<pre>*x*</pre>b");
        assert_eq!(mrkdwn("&lt;script&gt; &amp;lt;"), "&lt;script&gt; &amp;lt;");
    }

    #[test]
    fn google_chats_markup_has_no_escapes() {
        assert_eq!(
            google_chat("*a* R&D &lt; <\u{200b}users/all>"),
            "<b>a</b> R&amp;D &amp;lt; &lt;\u{200b}users/all&gt;"
        );
        assert_eq!(
            google_chat("<https://a.example/?x&y|a>"),
            "<a href=\"https://a.example/?x&amp;y\" rel=\"noreferrer\">a</a>"
        );
    }

    #[test]
    fn hipchats_tags_stay_and_no_others() {
        assert_eq!(few_tags("<b>a</b><br />&amp; &bogus"), "<b>a</b><br>&amp; &amp;bogus");
        assert_eq!(
            few_tags("<a href=\"https://a.example/?x&amp;y\">a</a>"),
            "<a href=\"https://a.example/?x&amp;y\" rel=\"noreferrer\">a</a>"
        );
        assert_eq!(
            few_tags("<a href=\"javascript:x\">a</a>"),
            "&lt;a href=&quot;javascript:x&quot;&gt;a&lt;/a&gt;"
        );
        assert_eq!(
            few_tags("<script>x</script> <b onclick=\"x\">"),
            "&lt;script&gt;x&lt;/script&gt; &lt;b onclick=&quot;x&quot;&gt;"
        );
        assert_eq!(few_tags("<b><i>x</b>"), "<b><i>x&lt;/b&gt;</i></b>");
    }
}
