//! Masks secrets in texts that are printed.

use serde_json::Value as Json;

use super::{Addresses, Field, Kind, Secret};

/// Words that must not be printed, wherever they turn up; the longest first, so that none leaves its rest behind.
#[derive(Debug, Default)]
pub struct Secrets(Vec<String>);

/// The text as it stands between the quotes of a JSON string.
fn quoted_in_json(text: &str) -> String {
    let json = Json::from(text).to_string();
    json[1..json.len() - 1].to_owned()
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

    /// Takes in what is secret of a setting.
    pub fn add_setting(&mut self, kind: Kind, value: &str) {
        match kind {
            // They are written anew for the service: only the secrets in them stay what they are.
            Kind::Addresses | Kind::Base => Addresses::credentials(value).for_each(|secret| self.add(secret)),
            kind if kind.is_secret() => self.add(value),
            _ => {}
        }
    }

    /// Takes a secret in, in every form that a request may show it in: bare, within JSON, and of an address that is
    /// one also the normal form and the part behind the host, which is the secret in it.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        let mut forms = vec![secret.to_owned()];
        if let Ok(url) = url::Url::parse(secret) {
            forms.push(url.to_string());
            forms.push(url[url::Position::BeforePath..].to_owned());
        }
        let in_json: Vec<_> = forms.iter().map(|form| quoted_in_json(form)).collect();
        self.0.extend(forms.into_iter().chain(in_json).filter(|form| !form.is_empty() && form != "/"));
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.0.dedup();
    }

    pub fn mask(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret, Secret::MASK))
    }

    pub fn mask_json(&self, json: Json) -> Json {
        match json {
            Json::String(text) => self.mask(text).into(),
            Json::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Json::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, self.mask_json(value))).collect()
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_every_form_that_they_may_be_shown_in() {
        let mut secrets = Secrets::default();
        for secret in ["HTTPS://Chat.Example.com/hooks/deepsecret\n", "deep", "deep\"secret\\\""] {
            secrets.add(secret);
        }
        let shown =
            r#"/hooks/deepsecret https://chat.example.com/hooks/deepsecret {"a":"deep\"secret\\\""} deep"#;
        let masked = secrets.mask(shown.to_owned());
        assert!(!masked.contains("deep") && !masked.contains("secret"), "{masked}");
        assert!(masked.contains(&format!(r#"{{"a":"{}"}}"#, Secret::MASK)), "{masked}");
        assert_eq!(Secrets::default().mask(shown.to_owned()), shown);
    }
}
