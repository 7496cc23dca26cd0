//! Where mails go: a real mail server, one that misbehaves, and an independent reader.
//!
//! * [`exim`]: a private exim4 on loopback, which delivers into a folder.
//! * [`faulty`]: a relay that breaks off where it is told to, and then takes everything.
//! * [`Letter`]: a mail as Python's own parser reads it, which knows nothing of ours.

pub mod exim;
pub mod faulty;

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A mail, parsed by Python's `email` package with its modern policy: headers decoded, bodies as text.
#[derive(Clone, Debug, Deserialize)]
pub struct Letter {
    /// In order, as often as each stands there.
    headers: Vec<(String, String)>,
    /// What the parser found wrong with it.
    pub defects: Vec<String>,
    pub content_type: String,
    pub text: String,
    pub html: String,
}

const PARSER: &str = r"
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
defects = [str(d) for part in mail.walk() for d in part.defects]
defects += [str(d) for value in mail.values() for d in getattr(value, 'defects', [])]
json.dump({
    'headers': [[name, str(value)] for name, value in mail.items()],
    'defects': defects,
    'content_type': mail.get_content_type(),
    'text': mail.get_body(('plain',)).get_content(),
    'html': mail.get_body(('html',)).get_content(),
}, sys.stdout)
";

impl Letter {
    pub fn parse(raw: &[u8]) -> Letter {
        let mut python = Command::new("python3")
            .args(["-c", PARSER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there, whose parser reads mails independently of us");
        python.stdin.take().expect("it is piped").write_all(raw).expect("it reads the mail");
        let output = python.wait_with_output().expect("it ends by itself");
        assert!(output.status.success(), "no mail: {}", String::from_utf8_lossy(raw));
        serde_json::from_slice(&output.stdout).expect("the parser writes JSON")
    }

    /// Whether there is any header of this name.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The header of this name, which stands there once.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} in {:#?}", self.headers));
        assert!(found.next().is_none(), "{name} stands there once: {:#?}", self.headers);
        value
    }
}
