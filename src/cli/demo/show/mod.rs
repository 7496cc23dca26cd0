//! Shows messages in a terminal like the services do: links by their text, bold as bold, attachments beside a coloured bar.
//! Without a terminal the output is plain text. `others` has the formats that differ from Slack's.

mod others;

use serde_json::Value as Json;

use super::stand_ins::Service;

/// The width of a message in columns.
const WIDTH: usize = 96;
/// The lines of an attachment that are shown; services fold longer ones too.
const LINES: usize = 6;

/// Whether to use colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) on: bool,
}

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn underlined(self, text: &str) -> String {
        self.code("4", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    /// The text in an attachment's colour: one of Slack's names, or `#rrggbb`.
    fn in_colour(self, colour: &str, text: &str) -> String {
        match colour {
            "good" => self.green(text),
            "warning" => self.yellow(text),
            "danger" => self.red(text),
            hex => match rgb(hex) {
                Some([red, green, blue]) => self.code(&format!("38;2;{red};{green};{blue}"), text),
                None => text.to_owned(),
            },
        }
    }
}

fn rgb(hex: &str) -> Option<[u8; 3]> {
    let digits = hex.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some([byte(0)?, byte(2)?, byte(4)?])
}

/// A message as lines.
pub(super) fn message(service: Service, body: &Json, paint: Paint) -> Vec<String> {
    match service {
        Service::Slack | Service::Mattermost => post(service, body, paint),
        _ => others::message(service, body, paint),
    }
}

/// A message of Slack, or of Mattermost, which has the same structure in another markup.
fn post(service: Service, body: &Json, paint: Paint) -> Vec<String> {
    let mut lines = words(service, &body["text"], paint, WIDTH);
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        let colour = attachment["color"].as_str().unwrap_or_default();
        let bar = paint.in_colour(colour, "▌");
        let content = folded(attachment_lines(service, attachment, paint), paint);
        lines.extend(content.iter().map(|line| format!("{bar} {line}")));
    }
    lines
}

/// The first lines, and the number of further ones.
fn folded(mut lines: Vec<String>, paint: Paint) -> Vec<String> {
    let rest = lines.len().saturating_sub(LINES);
    if rest > 1 {
        lines.truncate(LINES);
        lines.push(paint.dim(&format!("… {rest} more lines")));
    }
    lines
}

fn attachment_lines(service: Service, attachment: &Json, paint: Paint) -> Vec<String> {
    let text = |name: &str| attachment[name].as_str().unwrap_or_default();
    let width = WIDTH - 2;
    let mut lines = words(service, &attachment["pretext"], paint, width);
    if !text("author_name").is_empty() {
        lines.push(paint.dim(&clean(text("author_name"))));
    }
    if !text("title").is_empty() {
        let title = clean(text("title"));
        let is_link = !text("title_link").is_empty();
        lines.push(if is_link { paint.bold(&paint.underlined(&title)) } else { paint.bold(&title) });
    }
    lines.extend(words(service, &attachment["text"], paint, width));
    lines.extend(fields(service, &attachment["fields"], paint));
    if !text("footer").is_empty() {
        lines.push(paint.dim(&clean(text("footer"))));
    }
    lines
}

/// Fields as lines; short ones are side by side, as the services show them.
fn fields(service: Service, fields: &Json, paint: Paint) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut short_before = false;
    for field in fields.as_array().into_iter().flatten() {
        let title = clean(field["title"].as_str().unwrap_or_default());
        let value = words(service, &field["value"], paint, WIDTH).join(" ");
        let cell = format!("{} {value}", paint.bold(&format!("{title}:")));
        let short = field["short"].as_bool().unwrap_or(false);
        match lines.last_mut() {
            Some(line) if short && short_before => {
                line.push_str("   ");
                line.push_str(&cell);
                short_before = false;
            }
            _ => {
                lines.push(cell);
                short_before = short;
            }
        }
    }
    lines
}

/// A text with markup, as lines.
fn words(service: Service, text: &Json, paint: Paint, width: usize) -> Vec<String> {
    let text = text.as_str().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.flat_map(|line| wrap(spans(service, line), width)).map(|line| painted(&line, paint)).collect()
}

/// A text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Bold,
    Link,
}

fn painted(pieces: &[Piece], paint: Paint) -> String {
    let look = |piece: &Piece| match piece.look {
        Look::Plain => piece.text.clone(),
        Look::Bold => paint.bold(&piece.text),
        Look::Link => paint.underlined(&piece.text),
    };
    pieces.iter().map(look).collect()
}

fn spans(service: Service, line: &str) -> Vec<Piece> {
    // IRC's markup consists of control characters, which are removed from other texts.
    let cleaned = if service == Service::Irker { line.to_owned() } else { clean(line) };
    let mut reader = Reader { rest: &cleaned, pieces: Vec::new(), bold: false };
    while !reader.rest.is_empty() {
        match service {
            Service::Slack => reader.slack(),
            Service::Mattermost | Service::Teams | Service::Discord => reader.markdown(),
            Service::HipChat => reader.html(),
            Service::Irker => reader.irc(),
            Service::Mail => reader.letter(),
        }
    }
    let Reader { mut pieces, .. } = reader;
    for piece in &mut pieces {
        piece.text = clean(&piece.text);
    }
    pieces
}

/// Reads markup piece by piece.
struct Reader<'a> {
    rest: &'a str,
    pieces: Vec<Piece>,
    bold: bool,
}

impl Reader<'_> {
    /// Reads `<url|text>`, `*bold*`, and three escaped characters.
    fn slack(&mut self) {
        if let Some((inside, rest)) = self.rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            let words = inside.split_once('|').map_or(inside, |(_, words)| words);
            let words = words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            self.push(words.trim_matches('*'), Look::Link);
            self.rest = rest;
            return;
        }
        for (escaped, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")] {
            if let Some(rest) = self.rest.strip_prefix(escaped) {
                self.push(letter, Look::Plain);
                self.rest = rest;
                return;
            }
        }
        let opens = |rest: &&str| rest.contains('*') && !rest.starts_with([' ', '*']);
        if let Some(rest) = self.rest.strip_prefix('*').filter(|rest| self.bold || opens(rest)) {
            self.bold = !self.bold;
            self.rest = rest;
            return;
        }
        self.letter();
    }

    /// Reads `[text](url)`, `**bold**`, and characters after a backslash.
    fn markdown(&mut self) {
        if let Some((words, rest)) = self.rest.strip_prefix('[').and_then(link) {
            let words = unescaped(words);
            self.push(words.trim_matches('*'), Look::Link);
            self.rest = rest;
            return;
        }
        let escaped =
            self.rest.strip_prefix('\\').filter(|rest| rest.starts_with(|c: char| c.is_ascii_punctuation()));
        if let Some(rest) = escaped {
            self.rest = rest;
            self.letter();
            return;
        }
        let bold = |rest: &&str| self.bold || rest.contains("**");
        if let Some(rest) = self.rest.strip_prefix("**").filter(bold) {
            self.bold = !self.bold;
            self.rest = rest;
            return;
        }
        self.letter();
    }

    fn letter(&mut self) {
        let mut letters = self.rest.chars();
        if let Some(letter) = letters.next() {
            self.push(letter.encode_utf8(&mut [0; 4]), Look::Plain);
            self.rest = letters.as_str();
        }
    }

    fn push(&mut self, text: &str, look: Look) {
        let look = if self.bold && look == Look::Plain { Look::Bold } else { look };
        match self.pieces.last_mut() {
            Some(last) if last.look == look && look != Look::Link => last.text.push_str(text),
            _ => self.pieces.push(Piece { text: text.to_owned(), look }),
        }
    }
}

/// Splits `text](url)rest` into the text and the rest. Brackets after a backslash are part of the text.
fn link(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.char_indices().find_map(|(at, letter)| {
        let ends = letter == ']' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(at)
    })?;
    let (_, rest) = text[end..].strip_prefix("](")?.split_once(')')?;
    Some((&text[..end], rest))
}

fn unescaped(text: &str) -> String {
    let mut letters = text.chars().peekable();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next_if(char::is_ascii_punctuation).or(Some('\\'))),
            letter => plain.push(letter),
        }
    }
    plain
}

/// Breaks a line between words; a piece keeps its style on the next line.
fn wrap(pieces: Vec<Piece>, width: usize) -> Vec<Vec<Piece>> {
    let mut lines = vec![Vec::<Piece>::new()];
    let mut length = 0;
    for Piece { text, look } in pieces {
        for word in text.split_inclusive(' ') {
            let letters = word.trim_end().chars().count();
            if length > 0 && length + letters > width {
                trim_end(lines.last_mut());
                lines.push(Vec::new());
                length = 0;
            }
            length += word.chars().count();
            let line = lines.last_mut().expect("there is a line from the start");
            match line.last_mut() {
                Some(last) if last.look == look => last.text.push_str(word),
                _ => line.push(Piece { text: word.to_owned(), look }),
            }
        }
    }
    lines
}

fn trim_end(line: Option<&mut Vec<Piece>>) {
    if let Some(last) = line.and_then(|line| line.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
}

/// The text without control characters and characters of no width.
fn clean(text: &str) -> String {
    let is_shown = |letter: &char| !letter.is_control() && !('\u{200b}'..='\u{200f}').contains(letter);
    text.replace('\t', " ").chars().filter(is_shown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn slack_markup_is_shown_by_its_words() {
        let body = json!({ "text": "Ada pushed to <https://x.example/a?b=1&amp;c|main &amp; co> of *Rocket* &lt;3" });
        assert_eq!(message(Service::Slack, &body, PLAIN), ["Ada pushed to main & co of Rocket <3"]);
        let painted = message(Service::Slack, &body, Paint { on: true }).join("");
        assert!(
            painted.contains("\u{1b}[4mmain & co\u{1b}[0m") && painted.contains("\u{1b}[1mRocket\u{1b}[0m")
        );
    }

    #[test]
    fn markdown_is_shown_by_its_words() {
        let body = json!({ "text": r"Ada pushed to [feat\[1\]](https://x.example) of **Rocket** with 2 \* 3 \_a\_" });
        assert_eq!(
            message(Service::Mattermost, &body, PLAIN),
            ["Ada pushed to feat[1] of Rocket with 2 * 3 _a_"]
        );
    }

    #[test]
    fn attachments_have_a_bar_a_title_and_fields_side_by_side() {
        let body = json!({
            "attachments": [{
                "color": "danger", "author_name": "Ada", "title": "Pipeline #1", "title_link": "https://x.example",
                "fields": [
                    { "title": "Branch", "value": "<https://x.example|main>", "short": true },
                    { "title": "Commit", "value": "abc", "short": true },
                    { "title": "Failed job", "value": "test", "short": false },
                ],
                "footer": "Rocket",
            }],
        });
        let lines = message(Service::Slack, &body, PLAIN);
        assert_eq!(
            lines,
            ["▌ Ada", "▌ Pipeline #1", "▌ Branch: main   Commit: abc", "▌ Failed job: test", "▌ Rocket"]
        );
    }

    #[test]
    fn long_attachments_are_folded_and_long_lines_wrapped() {
        let text = (1..=20).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let lines = message(Service::Slack, &json!({ "attachments": [{ "text": text }] }), PLAIN);
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines[LINES], "▌ … 14 more lines");
        let lines = message(Service::Slack, &json!({ "text": "word ".repeat(50) }), PLAIN);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH + 1), "{lines:?}");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let lines = message(Service::Slack, &json!({ "text": "\u{1b}[2Jgone" }), PLAIN);
        assert_eq!(lines, ["[2Jgone"]);
    }

    #[test]
    fn what_is_no_markup_stays() {
        for text in ["a < b * c", "[no link", "2 ** 3", "a \\ b", "<"] {
            for service in [Service::Slack, Service::Mattermost] {
                assert_eq!(message(service, &json!({ "text": text }), PLAIN), [text], "{service:?}");
            }
        }
    }
}
