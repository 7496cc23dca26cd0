//! Decodes a mail's subject and text (RFC 2045).

/// The decoded subject and text.
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) text: String,
}

impl Letter {
    pub(super) fn read(content: &[u8]) -> Self {
        let content = String::from_utf8_lossy(content).replace("\r\n", "\n");
        let whole = Part::read(&content);
        let subject = whole.header("subject").unwrap_or_default().to_owned();
        Self { subject, text: whole.text().unwrap_or_default() }
    }
}

/// Headers and body of a mail, or of a part of one.
struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a str,
}

impl<'a> Part<'a> {
    fn read(content: &'a str) -> Self {
        let (head, body) = content.split_once("\n\n").unwrap_or((content, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            if let (Some(more), Some((_, value))) = (line.strip_prefix([' ', '\t']), headers.last_mut()) {
                value.push(' ');
                value.push_str(more.trim());
            } else {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Self { headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its plain text, or that of the first part that has one.
    fn text(&self) -> Option<String> {
        let kind = self.header("content-type").unwrap_or("text/plain");
        if let Some((_, rest)) = kind.split_once("boundary=") {
            let boundary = rest.trim_start_matches('"').split(['"', ';']).next().unwrap_or_default();
            let boundary = format!("--{boundary}");
            let mut parts = self.body.split(boundary.as_str()).skip(1);
            return parts.find_map(|part| Part::read(part.trim_start_matches('\n')).text());
        }
        let decoded = match self.header("content-transfer-encoding").unwrap_or_default() {
            "quoted-printable" => quoted_printable(self.body),
            "base64" => base64(self.body),
            _ => self.body.as_bytes().to_vec(),
        };
        kind.starts_with("text/plain").then(|| String::from_utf8_lossy(&decoded).replace("\r\n", "\n"))
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code =
            after.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        let (byte, after) = match code.filter(|_| *first == b'=') {
            Some(byte) => (byte, &after[2..]),
            None => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let Some(value) = LETTERS.iter().position(|known| *known == letter) else { continue };
        bits = (bits << 6) | u32::try_from(value).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or_default());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_found_in_whatever_it_is_wrapped() {
        let mail = |encoding: &str, body: &str| {
            format!(
                "Subject: Hello\r\n there\r\nContent-Type: multipart/alternative;\r\n boundary=\"b1\"\r\n\r\n\
                 --b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n\
                 --b1\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--b1--\r\n"
            )
        };
        for (encoding, body) in
            [("7bit", "Gr=uen"), ("quoted-printable", "Gr=3Du=\r\nen"), ("base64", "R3I9\r\ndWVu")]
        {
            let letter = Letter::read(mail(encoding, body).as_bytes());
            assert_eq!(
                (letter.subject.as_str(), letter.text.trim_end()),
                ("Hello there", "Gr=uen"),
                "{encoding}"
            );
        }
        assert_eq!(Letter::read(b"Subject: x\r\n\r\nbare\r\n").text, "bare\n");
        assert_eq!(Letter::read(b"").text, "");
    }
}
