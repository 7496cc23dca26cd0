//! Masks secrets in texts.
//!
//! The program's own requests are masked by position (`pipeline::trace`): every part that may be a credential is
//! masked, whatever its content. The search here handles two other cases: a secret in the text of a message
//! ([`Secrets::mask`]), and a secret in the answer of another program ([`Secrets::mask_echo`]). A search can't
//! distinguish a short secret from a word. So short secrets are masked only in fewer places, and texts stay readable.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use super::{Addresses, Field, Kind, Properties, Secret};

/// Secrets of this many characters or more are masked everywhere. A shorter one may be a part of a word.
const ANYWHERE: usize = 8;
/// Secrets of this many characters or more are masked where they are whole words. A shorter one may be an ordinary
/// word.
const AS_A_WORD: usize = 4;
/// Parts of an address's path of this length or more count as secrets. Shorter ones are words (`services`, `hooks`) or
/// names (`T01ABCDEF`).
const IN_A_PATH: usize = 16;
/// The parts of names that parameters with credentials have.
const CREDENTIALS: [&str; 7] = ["auth", "key", "pass", "secret", "sig", "token", "user"];
/// If a text ends within a secret, the secret's beginning is masked if it has at least this length.
const BEGINNING: usize = 6;
/// Where a text was cut.
const CUT: char = '…';
/// Texts before a credential in an address, in JSON or in a header.
const BEFORE: [&str; 15] = [
    "=",
    "/",
    ":",
    "@",
    "=\"",
    ":\"",
    ": \"",
    "='",
    ":'",
    ": '",
    "bearer ",
    "basic ",
    "token ",
    "password ",
    "key ",
];

/// Secrets, in all forms in which they may be written. The longest come first, so that masking a shorter one never
/// leaves the rest of a longer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(Vec<Form>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    text: String,
    found: Found,
}

/// Where a form counts as the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Anywhere,
    AsAWord,
    /// Only as a word directly after one of the texts in `BEFORE`.
    AsACredential,
}

impl Found {
    fn by_length(text: &str) -> Self {
        match text.chars().count() {
            ANYWHERE.. => Self::Anywhere,
            AS_A_WORD.. => Self::AsAWord,
            _ => Self::AsACredential,
        }
    }
}

impl Secrets {
    /// Those among settings that were given for these fields.
    pub fn of<'a>(fields: &[Field], settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Self::default();
        for (key, value) in settings {
            if let Some(field) = fields.iter().find(|field| field.name == key) {
                secrets.add_setting(field.kind, value);
            }
        }
        secrets
    }

    /// Adds the secrets of a setting.
    pub fn add_setting(&mut self, kind: Kind, value: &str) {
        match kind {
            // These addresses are rewritten for the service, and only the secrets in them stay unchanged.
            Kind::Addresses | Kind::Base => Addresses::credentials(value).for_each(|secret| self.add(secret)),
            Kind::Url => {
                if let Ok(url) = url::Url::parse(value.trim()) {
                    self.add_login_of(&url);
                }
            }
            kind if kind.is_secret() => self.add(value),
            _ => {}
        }
    }

    /// Adds a secret. For an address, the part after the host and its long parts are added too. For several secrets in
    /// one setting, each is added.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        self.add_as(secret, Found::by_length(secret));
        for part in parts(secret) {
            self.add_as(part, Found::by_length(part));
        }
        if let Ok(url) = url::Url::parse(secret)
            && url.has_host()
        {
            self.add_as(url.as_str(), Found::Anywhere);
            self.add_address(&url);
        }
        self.sort();
    }

    /// Adds the parts of an address that may be credentials: its login, and the part after its host.
    pub fn add_address(&mut self, url: &url::Url) {
        let behind_host = &url[url::Position::BeforePath..];
        for part in
            [behind_host, url.path(), behind_host.trim_matches('/')].into_iter().chain(url.path().split('/'))
        {
            if part.len() >= IN_A_PATH {
                self.add_as(part, Found::Anywhere);
            }
        }
        for (name, value) in url.query_pairs() {
            let name = name.to_ascii_lowercase();
            let is_credential = CREDENTIALS.iter().any(|word| name.contains(word));
            let found = match value.len() {
                IN_A_PATH.. => Found::Anywhere,
                _ if is_credential => Found::by_length(&value),
                _ => Found::AsACredential,
            };
            self.add_as(&value, found);
        }
        self.add_login_of(url);
    }

    /// Adds an address's name and password, which are sent as Basic authorisation.
    fn add_login_of(&mut self, url: &url::Url) {
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        if let Some(password) = url.password() {
            self.add_as(password, Found::by_length(password));
            self.add_login(&decoded(url.username()), &decoded(password));
        } else if !url.username().is_empty() {
            // The name may be a token.
            self.add_login(&decoded(url.username()), "");
        }
    }

    /// Adds a name and password as they are written in Basic authorisation.
    pub fn add_login(&mut self, name: &str, password: &str) {
        let both = format!("{name}:{password}");
        self.add_as(&BASE64_STANDARD.encode(&both), Found::AsAWord);
        self.add_as(&both, Found::AsAWord);
        let alone = if password.is_empty() { name } else { password };
        self.add_as(alone, Found::by_length(alone));
        self.add_as(&BASE64_STANDARD.encode(alone), Found::AsAWord);
        self.sort();
    }

    /// Adds the value of a header that authorises: `Bearer …`, `Basic …`, `token …`, or only a token.
    pub fn add_header(&mut self, value: &str) {
        let secret = value.rsplit(' ').next().unwrap_or_default();
        self.add(secret);
        let decoded = BASE64_STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let login = decoded.filter(|_| value.to_ascii_lowercase().starts_with("basic "));
        if let Some((name, password)) = login.as_deref().and_then(|login| login.split_once(':')) {
            self.add_login(name, password);
        }
    }

    /// Adds the secrets of another collection.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
        self.sort();
    }

    /// Adds every form of a text: as it is, in JSON, in an address or form, in HTML.
    fn add_as(&mut self, text: &str, found: Found) {
        if text.is_empty() {
            return;
        }
        let in_form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let in_address =
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let in_html =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let lower = [&in_form, &in_address].map(|encoded| with_lower_escapes(encoded));
        let encoded = [quoted_in_json(text), in_form, in_address, in_html].into_iter().chain(lower);
        for form in encoded.chain([text.to_owned()]) {
            self.0.push(Form { text: form, found });
        }
    }

    fn sort(&mut self) {
        self.0.sort_by(|one, other| other.text.len().cmp(&one.text.len()).then_with(|| one.cmp(other)));
        self.0.dedup_by(|later, first| later.text == first.text);
    }

    /// Whether the whole text is one of the secrets.
    pub fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|form| form.text == text)
    }

    /// Masks the secrets in a text of this program, such as a message, except those that may be ordinary words.
    pub fn mask(&self, text: String) -> String {
        let certain = self.0.iter().filter(|form| form.found == Found::Anywhere);
        certain.fold(text, |text, form| text.replace(&form.text, Secret::MASK))
    }

    /// Masks the secrets in a text of another program, which may quote the request. Short secrets are masked where the
    /// context marks a credential. If the text is cut within a long secret, the secret's beginning is masked.
    pub fn mask_echo(&self, text: String) -> String {
        self.0.iter().fold(text, |text, form| match form.found {
            Found::Anywhere => without_beginning(text.replace(&form.text, Secret::MASK), &form.text),
            Found::AsAWord => replaced(&text, &form.text, |_| true),
            Found::AsACredential => replaced(&text, &form.text, is_before_credential),
        })
    }

    /// Whether [`Secrets::mask_echo`] can find any secret in a body. It finds none in a word of two or three letters,
    /// because such short secrets are masked only after one of the texts in `BEFORE`.
    pub fn may_stand_in(body: &[u8]) -> bool {
        body.len() >= AS_A_WORD || !body.iter().all(u8::is_ascii_alphanumeric)
    }

    /// [`Secrets::mask`] for all texts in JSON.
    pub fn mask_json(&self, json: Json) -> Json {
        map_texts(json, &|text| self.mask(text))
    }
}

fn map_texts(json: Json, change: &impl Fn(String) -> String) -> Json {
    match json {
        Json::String(text) => change(text).into(),
        Json::Array(items) => items.into_iter().map(|item| map_texts(item, change)).collect(),
        Json::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, map_texts(value, change))).collect()
        }
        other => other,
    }
}

/// What separates secrets in one setting: Buildkite's tokens have a colon between them, Flowdock's many have commas.
const SEPARATORS: [char; 2] = [':', ','];

/// The secrets in a setting. Each of them is sent separately. An address is one secret.
fn parts(secret: &str) -> impl Iterator<Item = &str> {
    let is_several = !secret.contains("://") && secret.contains(SEPARATORS);
    let parts = is_several.then(|| secret.split(SEPARATORS)).into_iter().flatten();
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// The text as it is written between the quotes of a JSON string.
fn quoted_in_json(text: &str) -> String {
    let json = Json::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

/// `%2F` → `%2f`.
fn with_lower_escapes(encoded: &str) -> String {
    let mut letters = encoded.chars();
    let mut lower = String::with_capacity(encoded.len());
    while let Some(letter) = letters.next() {
        lower.push(letter);
        if letter == '%' {
            lower.extend(letters.by_ref().take(2).map(|digit| digit.to_ascii_lowercase()));
        }
    }
    lower
}

/// The text with `word` masked where it is not part of a longer word, and the text before it passes `is_right`.
fn replaced(text: &str, word: &str, is_right: impl Fn(&str) -> bool) -> String {
    let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let (begins, ends) = (is_letter(word.chars().next()), is_letter(word.chars().next_back()));
    let step = word.chars().next().map_or(1, char::len_utf8);
    let mut masked = String::with_capacity(text.len());
    let (mut done, mut from) = (0, 0);
    while let Some(start) = text[from..].find(word).map(|found| from + found) {
        let end = start + word.len();
        let joined = begins && is_letter(text[..start].chars().next_back())
            || ends && is_letter(text[end..].chars().next());
        // If this occurrence is not masked, another one may overlap with it.
        from = start + step;
        if !joined && is_right(&text[..start]) {
            masked.push_str(&text[done..start]);
            masked.push_str(Secret::MASK);
            (done, from) = (end, end);
        }
    }
    masked.push_str(&text[done..]);
    masked
}

/// Whether a text ends with one of the texts in `BEFORE`.
fn is_before_credential(before: &str) -> bool {
    // The longest of them has 9 letters, so only the last 9 characters are compared.
    let start = before.char_indices().rev().nth(8).map_or(0, |(start, _)| start);
    let end = before[start..].to_ascii_lowercase();
    BEFORE.iter().any(|sign| end.ends_with(sign))
}

/// The text with a secret's beginning masked, if the text was cut within the secret.
fn without_beginning(mut text: String, secret: &str) -> String {
    if !text.contains(CUT) {
        return text;
    }
    let ends = (BEGINNING..secret.len()).rev().filter(|end| secret.is_char_boundary(*end));
    for cut in ends.map(|end| format!("{}{CUT}", &secret[..end])) {
        if let Some(start) = text.find(&cut) {
            text.replace_range(start..start + cut.len(), Secret::MASK);
            break;
        }
    }
    text
}

/// The settings that contain secrets, as they were given. Their [`Secrets`] would take about thirty times as much
/// memory, so they are computed when there is a text to mask.
#[derive(Clone, Default)]
pub struct SecretSettings(Arc<[(Kind, Box<str>)]>);

impl SecretSettings {
    /// Those among settings that were given for these fields.
    pub fn of(fields: &[Field], settings: &Properties) -> Self {
        let kind = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.kind);
        let holds = |kind: Kind, value: &str| kind.is_secret() || (kind == Kind::Url && value.contains('@'));
        let held = settings.iter().filter_map(|(name, value)| {
            let (kind, value) = (kind(name)?, value.as_text());
            holds(kind, &value).then(|| (kind, value.into()))
        });
        Self(held.collect())
    }

    /// The secrets, in all the forms that they may be written in.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        self.0.iter().for_each(|(kind, value)| secrets.add_setting(*kind, value));
        secrets
    }

    /// See [`Secrets::mask_echo`].
    pub fn mask_echo(&self, text: String) -> String {
        // Most services answer with one word.
        if text.len() < self.shortest() && !text.contains(CUT) {
            text
        } else {
            self.secrets().mask_echo(text)
        }
    }

    /// The length of the shortest possible secret, in bytes.
    fn shortest(&self) -> usize {
        let shortest = |(kind, value): &(Kind, Box<str>)| match kind {
            // The secret may be a part of any length, such as a password or a parameter.
            Kind::Addresses | Kind::Base | Kind::Url => 1,
            _ if value.contains(['@', '?']) => 1,
            _ if value.contains("://") => "http://a".len(),
            _ if value.contains(SEPARATORS) => 1,
            _ => value.trim().len(),
        };
        self.0.iter().map(shortest).min().unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for SecretSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::MASK)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(given: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        for secret in given {
            secrets.add(secret);
        }
        secrets
    }

    #[test]
    fn secrets_are_masked_in_every_form_that_they_may_be_shown_in() {
        let secrets = secrets(&[
            "HTTPS://Chat.Example.com/hooks/deepsecretdeepsecret\n",
            "deepsecret",
            "deep\"secret\\\"",
        ]);
        let shown = "/hooks/deepsecretdeepsecret https://chat.example.com/hooks/deepsecretdeepsecret \
                     {\"a\":\"deep\\\"secret\\\\\\\"\"} deepsecret";
        for masked in [secrets.mask(shown.to_owned()), secrets.mask_echo(shown.to_owned())] {
            assert!(!masked.contains("deep") && !masked.contains("secret"), "{masked}");
            assert!(masked.contains(&format!(r#"{{"a":"{}"}}"#, Secret::MASK)), "{masked}");
        }
        assert_eq!(Secrets::default().mask(shown.to_owned()), shown);
    }

    #[test]
    fn settings_mask_what_their_secrets_mask() {
        const FIELDS: &[Field] = &[
            Field::new::<crate::settings::SecretUrl>("webhook", "", "", None),
            Field::new::<Secret>("token", "", "", None),
            Field::new::<crate::settings::Url>("page", "", "", None),
            Field::new::<String>("channel", "", "", None),
        ];
        let given: Properties = [
            ("webhook", "https://chat.example.com/hooks/deepsecretdeepsecret"),
            ("token", "t0k3n"),
            ("page", "https://ada:pass@wiki.example/"),
            ("channel", "ops"),
        ]
        .map(|(name, value)| (name.to_owned(), crate::settings::Value::Text(value.to_owned())))
        .into();
        for names in [&["webhook"][..], &["token"], &["webhook", "token"], &["page", "channel"], &["channel"]]
        {
            let given = given.iter().filter(|(name, _)| names.contains(&name.as_str()));
            let settings = SecretSettings::of(FIELDS, &given.map(|(k, v)| (k.clone(), v.clone())).collect());
            let secrets = settings.secrets();
            for echo in [
                "",
                "ok",
                "t0k3n",
                "no t0k3n",
                "pass",
                "key=pass",
                "ops",
                "deepsec…",
                "/hooks/deepsec…",
                "https://chat.example.com/hooks/deepsecretdeepsecret is unknown",
            ] {
                let expected = secrets.mask_echo(echo.to_owned());
                assert_eq!(settings.mask_echo(echo.to_owned()), expected, "{names:?}: {echo}");
            }
            assert_eq!(secrets == Secrets::default(), names == ["channel"], "{names:?}");
        }
    }

    #[test]
    fn a_short_secret_is_masked_where_credentials_stand_and_nowhere_else() {
        let a = secrets(&["a"]);
        let words = "answered 404: a banana at 10:a. {\"error\": \"a\"} has /a/b, and a key";
        let masked = a.mask_echo(words.to_owned());
        assert!(
            masked.starts_with("answered 404: a banana at 10:") && masked.ends_with(", and a key"),
            "{masked}"
        );
        for echo in [
            "token=a",
            "https://x.example/a",
            "user:a@x.example",
            "Authorization: Bearer a",
            "{\"token\":\"a\"}",
        ] {
            let masked = a.mask_echo(echo.to_owned());
            assert!(masked.contains(Secret::MASK), "{echo}: {masked}");
        }
        let words = "a message of this program's own with a=a in it";
        assert_eq!(a.mask(words.to_owned()), words, "positions are masked already");
    }

    #[test]
    fn a_secret_of_one_sign_is_masked_where_credentials_stand() {
        for sign in ["/", "=", ":"] {
            let masked = secrets(&[sign]).mask_echo(format!("no such token={sign}\n"));
            assert_eq!(masked, format!("no such token={}\n", Secret::MASK));
        }
    }

    #[test]
    fn each_of_several_secrets_in_one_setting_is_masked() {
        const FIELDS: &[Field] = &[Field::new::<Secret>("token", "", "", None)];
        for (token, parts) in [
            ("3f8a0c6d9b1e47258a6c:7d2e9b4f1a0c8e635b7d", ["3f8a0c6d9b1e47258a6c", "7d2e9b4f1a0c8e635b7d"]),
            ("hook:status", ["hook", "status"]),
            ("one , other", ["one", "other"]),
        ] {
            let given = [("token".to_owned(), crate::settings::Value::Text(token.to_owned()))].into();
            let settings = SecretSettings::of(FIELDS, &given);
            for part in parts {
                assert!(settings.secrets().contains(part), "{part}");
                for echo in [format!("token={part}"), format!("unknown token {part} here")] {
                    let masked = settings.mask_echo(echo);
                    assert!(!masked.contains(part), "{part}: {masked}");
                }
            }
        }
        let address = secrets(&["https://chat.example:8443/hooks/deepsecretdeepsecret"]);
        assert!(!address.contains("https") && !address.contains("8443/hooks/deepsecretdeepsecret"));
    }

    #[test]
    fn a_secret_of_some_letters_is_masked_as_a_word_only() {
        let hunter = secrets(&["main"]);
        assert_eq!(hunter.mask_echo("maintenance of (main)".to_owned()), "maintenance of (************)");
    }

    #[test]
    fn a_login_is_masked_as_basic_authorisation_and_in_its_parts() {
        let mut login = Secrets::default();
        login.add_setting(Kind::Url, "https://bell:p%40ss@ci.example/job");
        let basic = BASE64_STANDARD.encode("bell:p@ss");
        let echo =
            format!("Authorization: Basic {basic}, bell:p@ss, password=p@ss, https://bell:p%40ss@ci.example");
        let masked = login.mask_echo(echo);
        assert!(
            !masked.contains("p@ss") && !masked.contains("p%40ss") && !masked.contains(&basic),
            "{masked}"
        );
        assert!(masked.contains("ci.example"), "{masked}");
        let mut header = Secrets::default();
        header.add_header(&format!("Basic {basic}"));
        assert!(!header.mask_echo("no p@ss".to_owned()).contains("p@ss"));
    }

    proptest! {
        /// Of any length, in any encoding.
        #[test]
        fn no_echo_of_a_credential_shows_it(secret in "[ -~]{1,80}") {
            prop_assume!(secret == secret.trim() && !Secret::MASK.contains(secret.as_str()));
            let secrets = secrets(&[&secret]);
            let in_form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for (before, echoed) in [
                ("no such token=", secret.clone()),
                ("Authorization: Bearer ", secret.clone()),
                ("{\"token\":\"", quoted_in_json(&secret)),
                ("https://chat.example/hook?token=", in_form.clone()),
                ("https://chat.example/hook?token=", with_lower_escapes(&in_form)),
            ] {
                let echo = format!("{before}{echoed}\n");
                let masked = secrets.mask_echo(echo.clone());
                prop_assert!(!masked.ends_with(&format!("{echoed}\n")), "{} in {}", echo, masked);
            }
        }

        #[test]
        fn no_login_shows_in_basic_authorisation(name in "[a-z]{0,8}", password in "[!-9;-~]{1,80}") {
            let mut secrets = Secrets::default();
            secrets.add_login(&name, &password);
            let basic = BASE64_STANDARD.encode(format!("{name}:{password}"));
            let masked = secrets.mask_echo(format!("Authorization: Basic {basic}\n"));
            prop_assert!(!masked.contains(&basic), "{}", masked);
        }

        /// Sentences of words without credentials.
        #[test]
        fn a_short_secret_leaves_sentences_readable(secret in "[a-z]{1,3}") {
            let secrets = secrets(&[&secret]);
            let words = "answered 400: the message of a merge request is too long for us, so it was refused";
            prop_assert_eq!(secrets.mask_echo(words.to_owned()), words);
            prop_assert_eq!(secrets.mask(words.to_owned()), words);
        }

        /// Masking is skipped only where it would change nothing.
        #[test]
        fn no_secret_stands_in_a_short_word(body in "[a-zA-Z0-9]{0,4}", secret in "[!-~]{1,4}") {
            for secret in [&secret, &body] {
                let echo = format!("answered 200: {body}");
                if !Secrets::may_stand_in(body.as_bytes()) && !echo[..14].contains(secret.as_str()) {
                    prop_assert_eq!(secrets(&[secret]).mask_echo(echo.clone()), echo);
                }
            }
        }

        #[test]
        fn masking_never_fails(secret in ".{0,20}", text in ".{0,60}") {
            let secrets = secrets(&[&secret]);
            secrets.mask_echo(text.clone());
            secrets.mask(text);
        }
    }
}
