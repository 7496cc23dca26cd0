//! What no drawer knows: the request as it is; and how the drawers reach into JSON.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value as Json;

use super::page::esc;

/// A text of an object; empty where it has none.
pub(super) fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// A list of an object; empty where it has none.
pub(super) fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The body of a request: a form's fields, JSON with breaks and indents, or the text.
pub(super) fn draw(content_type: &str, body: &Bytes) -> String {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let mut html = "<div class=\"raw\"><table>".to_owned();
        for (name, value) in url::form_urlencoded::parse(body) {
            let _ = write!(html, "<tr><th>{}</th><td><pre>{}</pre></td></tr>", esc(&name), esc(&value));
        }
        html.push_str("</table></div>");
        return html;
    }
    format!("<div class=\"raw\"><pre>{}</pre></div>", esc(&pretty(body)))
}

/// JSON with line breaks; a text that is not JSON as it is. Control characters are left out, so that neither can command
/// a terminal.
pub fn pretty(raw: &[u8]) -> String {
    let text = match serde_json::from_slice::<Json>(raw) {
        Ok(json) => format!("{json:#}"),
        Err(_) => String::from_utf8_lossy(raw).replace('\t', "    "),
    };
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}
