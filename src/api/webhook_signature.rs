//! Signed webhooks, as GitLab sends them since 19.0: the checks of `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`, after the Standard Webhooks specification.
//!
//! [`SigningKeys`] are the configured keys. [`SigningKeys::sign`] signs a request with them. [`SignedHeaders::read`]
//! reads a request's headers, and [`SignedHeaders::verify`] compares them with its body. Both are pure: the time is a
//! value.
//!
//! The specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::{SignedDuration, Timestamp};
use ring::digest::SHA256_OUTPUT_LEN;
use ring::hmac;
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use crate::settings::Secret;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// How far a sender's clock may differ from this server's, or how late a request may be. After this time, a copied
/// request is refused.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The shortest key that the specification allows, in bytes.
const MIN_KEY_LEN: usize = 24;

/// The prefix of keys in GitLab and in the specification.
const KEY_PREFIX: &str = "whsec_";

/// The prefix of signatures with a shared key. Other signatures use a public key, which GitLab does not offer.
const VERSION: &str = "v1,";

/// Accepts Base64 with and without padding, because senders differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys that webhooks may be signed with. There are several while a key is replaced, or where webhooks have keys of
/// their own.
#[derive(Clone, Debug)]
pub struct SigningKeys(Vec<hmac::Key>);

/// Why a signed request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSignature {
    #[error("there is no header {SIGNATURE}")]
    NoSignature,
    #[error("the header {0} must be there once")]
    NotOnce(&'static str),
    #[error("the header {TIMESTAMP} is not a time in seconds")]
    NoTime,
    #[error("the header {TIMESTAMP} is more than five minutes away from this server's clock")]
    WrongTime,
    #[error("the header {SIGNATURE} has no signature of this request by a known key")]
    NoMatch,
}

impl SigningKeys {
    /// Reads keys as GitLab shows them (`whsec_` and Base64), separated by blanks or line breaks.
    ///
    /// # Errors
    /// The required form of a key. The error does not repeat the text, because it is secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys: Option<Vec<_>> = text.split_whitespace().map(parse_key).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(format!(
                "must be signing tokens as GitLab shows them: {KEY_PREFIX} and at least {MIN_KEY_LEN} bytes in Base64"
            )),
        }
    }

    /// The headers that sign a request, by the first of the keys.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Vec<(&'static str, String)> {
        let timestamp = at.as_second().to_string();
        let signature = self.0.first().map(|key| signature(key, id.as_bytes(), &timestamp, body));
        let signature = signature.map(|tag| format!("{VERSION}{}", BASE64.encode(tag)));
        let signature = signature.map(|signature| (SIGNATURE, signature));
        [(ID, id.to_owned()), (TIMESTAMP, timestamp)].into_iter().chain(signature).collect()
    }

    /// Reads the setting. An empty text is no setting; a blank one is a mistake, because it must not admit every client.
    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let text = Option::<Secret>::deserialize(deserializer)?.filter(|text| !text.expose().is_empty());
        text.map(|text| Self::parse(text.expose()).map_err(serde::de::Error::custom)).transpose()
    }
}

fn parse_key(text: &str) -> Option<hmac::Key> {
    let bytes = BASE64.decode(text.strip_prefix(KEY_PREFIX)?).ok()?;
    (bytes.len() >= MIN_KEY_LEN).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn signature(key: &hmac::Key, id: &[u8], timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in [id, b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

/// The headers of a signed request, whose body is still to be read.
#[derive(Debug)]
pub(super) struct SignedHeaders<'a> {
    /// The event's id, which the signature covers.
    pub(super) id: &'a [u8],
    timestamp: &'a str,
    signatures: Vec<Vec<u8>>,
}

impl<'a> SignedHeaders<'a> {
    /// The headers of a signed request; `None` for a request without a signature.
    ///
    /// # Errors
    /// Parts are missing, the time in them is not now, or no signature has the form of one by a key. Such a request is
    /// refused before its body is read.
    pub(super) fn read(headers: &'a HeaderMap, now: Timestamp) -> Result<Option<Self>, BadSignature> {
        if !headers.contains_key(SIGNATURE) {
            return Ok(None);
        }
        let id = once(headers, ID)?;
        let timestamp = str::from_utf8(once(headers, TIMESTAMP)?).map_err(|_| BadSignature::NoTime)?;
        let signatures = once(headers, SIGNATURE)?;
        let seconds: i64 = timestamp.parse().map_err(|_| BadSignature::NoTime)?;
        let sent_at = Timestamp::from_second(seconds).map_err(|_| BadSignature::NoTime)?;
        if sent_at.duration_since(now).abs() > TOLERANCE {
            return Err(BadSignature::WrongTime);
        }
        let signatures = String::from_utf8_lossy(signatures);
        let ours = signatures.split(' ').filter_map(|signature| signature.strip_prefix(VERSION));
        let decoded = ours.filter_map(|signature| BASE64.decode(signature).ok());
        let signatures: Vec<_> = decoded.filter(|bytes| bytes.len() == SHA256_OUTPUT_LEN).collect();
        if signatures.is_empty() {
            return Err(BadSignature::NoMatch);
        }
        Ok(Some(Self { id, timestamp, signatures }))
    }

    /// Whether one of the signatures is of this request, by one of the keys.
    ///
    /// # Errors
    /// None is.
    pub(super) fn verify(&self, keys: &SigningKeys, body: &[u8]) -> Result<(), BadSignature> {
        let is_valid = keys.0.iter().any(|key| {
            let expected = signature(key, self.id, self.timestamp, body);
            self.signatures.iter().any(|signature| bool::from(signature.ct_eq(expected.as_ref())))
        });
        if is_valid { Ok(()) } else { Err(BadSignature::NoMatch) }
    }
}

/// The value of a header that must be present once. With two values, sender and receiver might use different ones.
fn once<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], BadSignature> {
    let mut values = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii());
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(BadSignature::NotOnce(name)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::Value;

    use super::*;

    /// Made by another implementation.
    fn vector() -> Value {
        serde_json::from_str(include_str!("tests/signed_webhooks.json")).expect("JSON")
    }

    fn headers(id: &str, timestamp: &str, signatures: &str) -> HeaderMap {
        let pairs = [(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signatures)];
        let value = |value: &str| HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        pairs.into_iter().map(|(name, text)| (name.parse().expect("a name"), value(text))).collect()
    }

    fn check(
        keys: &SigningKeys,
        headers: &HeaderMap,
        body: &str,
        now: i64,
    ) -> Option<Result<(), BadSignature>> {
        let now = Timestamp::from_second(now).expect("a time");
        match SignedHeaders::read(headers, now) {
            Ok(signed) => signed.map(|signed| signed.verify(keys, body.as_bytes())),
            Err(why) => Some(Err(why)),
        }
    }

    #[test]
    fn the_specifications_own_example_is_verified() {
        let keys = SigningKeys::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", signature);
        let body = "{\"test\": 2432232314}";
        assert_eq!(check(&keys, &headers, body, 1_614_265_330), Some(Ok(())));
    }

    #[test]
    fn any_of_the_signatures_may_be_by_any_of_the_keys() {
        let vector = vector();
        let (id, body) = (vector["id"].as_str().unwrap(), vector["body"].as_str().unwrap());
        let text = |list: &str, at: usize| vector[list][at].as_str().unwrap().to_owned();
        let (first, second) = (text("signatures", 0), text("signatures", 1));
        let now = vector["timestamp"].as_i64().unwrap();
        let both = format!("{}\n{}", text("keys", 0), text("keys", 1));
        for (keys, signatures, expected) in [
            (&text("keys", 0), first.clone(), Ok(())),
            (&text("keys", 1), second.clone(), Ok(())),
            (&both, first.clone(), Ok(())),
            (&both, second.clone(), Ok(())),
            (&text("keys", 1), format!("{first} {second}"), Ok(())),
            (&text("keys", 0), format!("v1a,c2ln not-a-signature v1,=== {first}"), Ok(())),
            (&text("keys", 0), first.trim_end_matches('=').to_owned(), Ok(())),
            (&text("keys", 0), second, Err(BadSignature::NoMatch)),
            (&both, first.replace("v1,", "v1a,"), Err(BadSignature::NoMatch)),
            (&both, first.replace("v1,", ""), Err(BadSignature::NoMatch)),
            (&both, "v1,".to_owned(), Err(BadSignature::NoMatch)),
        ] {
            let keys = SigningKeys::parse(keys).expect("keys");
            let headers = headers(id, &now.to_string(), &signatures);
            assert_eq!(check(&keys, &headers, body, now), Some(expected), "{signatures}");
        }
    }

    #[test]
    fn a_signature_is_of_one_id_one_time_and_one_body() {
        let vector = vector();
        let (id, body) = (vector["id"].as_str().unwrap(), vector["body"].as_str().unwrap());
        let now = vector["timestamp"].as_i64().unwrap();
        let signature = vector["signatures"][0].as_str().unwrap();
        let keys = SigningKeys::parse(vector["keys"][0].as_str().unwrap()).expect("a key");
        let wrong = Some(Err(BadSignature::NoMatch));
        assert_eq!(check(&keys, &headers("another", &now.to_string(), signature), body, now), wrong);
        assert_eq!(check(&keys, &headers(id, &(now + 1).to_string(), signature), body, now), wrong);
        assert_eq!(
            check(&keys, &headers(id, &now.to_string(), signature), &body.replace("  ", " "), now),
            wrong
        );
    }

    #[test]
    fn five_minutes_before_and_after_are_now() {
        let vector = vector();
        let at = vector["timestamp"].as_i64().unwrap();
        let headers = headers(
            vector["id"].as_str().unwrap(),
            &at.to_string(),
            vector["signatures"][0].as_str().unwrap(),
        );
        let keys = SigningKeys::parse(vector["keys"][0].as_str().unwrap()).expect("a key");
        let body = vector["body"].as_str().unwrap();
        for (now, expected) in [
            (at - 300, Ok(())),
            (at + 300, Ok(())),
            (at - 301, Err(BadSignature::WrongTime)),
            (at + 301, Err(BadSignature::WrongTime)),
        ] {
            assert_eq!(check(&keys, &headers, body, now), Some(expected), "{}", now - at);
        }
    }

    #[test]
    fn a_signed_request_has_each_header_once_and_a_time_in_seconds() {
        let keys = SigningKeys::parse("whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").expect("a key");
        let whole = headers("id", "100", "v1,c2ln");
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let refused = Some(Err(BadSignature::NotOnce(name)));
            let mut twice = whole.clone();
            twice.append(name, HeaderValue::from_static("100"));
            assert_eq!(check(&keys, &twice, "", 100), refused);
            let mut blank = whole.clone();
            blank.insert(name, HeaderValue::from_static(" "));
            assert_eq!(check(&keys, &blank, "", 100), refused);
            let mut without = whole.clone();
            without.remove(name);
            let unsigned = (name == SIGNATURE).then_some(None);
            assert_eq!(check(&keys, &without, "", 100), unsigned.unwrap_or(refused));
        }
        for timestamp in ["soon", "100.5", "99999999999999999999", "-99999999999999999"] {
            let headers = headers("id", timestamp, "v1,c2ln");
            assert_eq!(check(&keys, &headers, "", 100), Some(Err(BadSignature::NoTime)), "{timestamp}");
        }
    }

    #[test]
    fn keys_are_gitlabs_and_a_mistake_repeats_none_of_them() {
        let key = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        for good in [key, key.trim_end_matches('='), " \n whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n"] {
            assert!(SigningKeys::parse(good).is_ok(), "{good}");
        }
        let unprefixed = key.trim_start_matches("whsec_");
        let with_one_bad = format!("{key} t0psecret");
        for bad in ["", "  ", "whsec_", "t0psecret", unprefixed, "whsec_AQEB", "whsec_!!!!", &with_one_bad] {
            let why = SigningKeys::parse(bad).expect_err(bad);
            assert!(why.starts_with("must be signing tokens") && !why.contains("t0psecret"), "{why}");
        }
        assert!(!format!("{:?}", SigningKeys::parse(key).expect("a key")).contains("AQEB"));
    }
}
