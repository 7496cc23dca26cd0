//! Secrets as they are stored: encrypted, all of one integration together, and bound to its row.
//!
//! ```text
//! 1 byte     the version of this format: 1
//! 8 bytes    the id of the key
//! 12 bytes   a nonce
//! the rest   the names and secrets as JSON, under ChaCha20-Poly1305, with its tag
//! ```
//!
//! A [`Keyring`] has the key that encrypts, and older keys that only decrypt. Nonces are random: one key may encrypt four
//! billion times before two nonces are likely to be equal, which no store does. The row's owner and slug are authenticated
//! with the secrets, so that in another row they can't be decrypted.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::registry::ScopeKey;
use super::{Result, StoreError};
use crate::settings::{Secret, SmallMap};

/// The version of the format that is written.
const FORM: u8 = 1;
const ID_LEN: usize = 8;
/// The length of the version and the key's id together. They tell which key opens the secrets.
pub(super) const MARK_LEN: usize = 1 + ID_LEN;

/// The remedy where a key is lost.
const GIVE_UP: &str = "`forgebell rekey --give-up` removes secrets that no key decrypts, and switches their integrations off until they are set again";

/// The keys that encrypt the secrets in the store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Encrypts and decrypts.
    #[serde(default)]
    pub key: Option<SealingKey>,
    /// Only decrypt: former values of `key`.
    #[serde(default)]
    pub old_keys: Vec<SealingKey>,
}

/// A key. Its `Debug` shows the id that sealed rows carry, which reveals nothing of the key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey {
    id: [u8; ID_LEN],
    bytes: [u8; 32],
}

impl SealingKey {
    fn new(bytes: [u8; 32]) -> Self {
        let digest =
            Sha256::new().chain_update(b"forgebell: the name of a sealing key\0").chain_update(bytes);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&digest.finalize()[..ID_LEN]);
        Self { id, bytes }
    }

    /// A new key.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn make() -> Result<Self> {
        Ok(Self::new(random()?))
    }

    /// Reads a key from its text: 32 bytes in base64. There is no reason in the `None`, because it would reveal parts of the
    /// key.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        Some(Self::new(bytes.try_into().ok()?))
    }

    /// The key's text, for the key file.
    pub fn text(&self) -> Secret {
        Secret::new(STANDARD.encode(self.bytes))
    }

    /// Encrypts a few bytes for another use than the store's rows. They open for the same use alone.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn seal_for(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut closed = plain.to_vec();
        self.for_purpose(purpose)
            .cipher()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut closed)
            .map_err(|_| StoreError::Broken("it is too long to be sealed".to_owned()))?;
        Ok([&nonce[..], &closed].concat())
    }

    /// Decrypts bytes that [`seal_for`](Self::seal_for) encrypted for the same use; `None` for other bytes.
    pub fn open_for(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, closed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut closed = closed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened =
            self.for_purpose(purpose).cipher().open_in_place(nonce, Aad::empty(), &mut closed).ok()?;
        Some(opened.to_vec())
    }

    /// A derived key for each use, so that other uses do not count towards the limit of encryptions with the rows' key.
    fn for_purpose(&self, purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(self.bytes).chain_update(b"\0").chain_update(purpose);
        Self::new(digest.finalize().into())
    }

    fn cipher(&self) -> LessSafeKey {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &self.bytes).expect("a key of 32 bytes is what it takes");
        LessSafeKey::new(key)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_of(&self.id))
    }
}

impl<'de> Deserialize<'de> for SealingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || {
            serde::de::Error::custom("is no key: it must be 32 bytes in base64 (`openssl rand -base64 32`)")
        };
        Self::read(&text).ok_or_else(wrong)
    }
}

/// The keys that a store was opened with. Without a key, a store does everything that needs no secret.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    present: Option<Arc<SealingKey>>,
    older: Vec<Arc<SealingKey>>,
    /// The path of the store's own key file, whether it exists or not.
    own_file: Option<PathBuf>,
}

impl Keyring {
    pub fn new(config: &Config) -> Self {
        Self {
            present: config.key.clone().map(Arc::new),
            older: config.old_keys.iter().cloned().map(Arc::new).collect(),
            own_file: None,
        }
    }

    /// No keys, for a caller that needs no secret.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is a key to seal with.
    pub fn can_seal(&self) -> bool {
        self.present.is_some()
    }

    /// Notes the path of the store's own key file.
    pub(super) fn at(self, own_file: &Path) -> Self {
        Self { own_file: Some(own_file.to_owned()), ..self }
    }

    /// Adds the store's own key. It encrypts where no other key was given, and always decrypts.
    pub(super) fn with_own(mut self, key: SealingKey) -> Self {
        let key = Arc::new(key);
        if self.present.is_none() {
            self.present = Some(key);
        } else {
            self.older.push(key);
        }
        self
    }

    /// Encrypts the secrets of one integration. `None` where there are none.
    pub(super) fn seal(
        &self,
        owner: ScopeKey,
        slug: &str,
        secrets: &SmallMap<String, Secret>,
    ) -> Result<Option<Vec<u8>>> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let present = self.present()?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let plain: BTreeMap<&str, &str> =
            secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
        let mut closed = serde_json::to_vec(&plain).expect("a map of texts is JSON");
        present
            .cipher()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), whose(owner, slug), &mut closed)
            .map_err(|_| StoreError::Broken("the secrets are too long to be sealed".to_owned()))?;
        Ok(Some([&[FORM][..], &present.id, &nonce, &closed].concat()))
    }

    /// Decrypts what [`seal`](Self::seal) encrypted.
    pub(super) fn open(
        &self,
        owner: ScopeKey,
        slug: &str,
        sealed: Option<&[u8]>,
    ) -> Result<SmallMap<String, Secret>> {
        let Some(sealed) = sealed else { return Ok(SmallMap::new()) };
        let altered = || {
            StoreError::Broken(format!(
                "the secrets of {slug} of {owner} do not open: they were altered, or belong to another row \
                 ({GIVE_UP})"
            ))
        };
        let (mark, rest) = sealed.split_at_checked(MARK_LEN).ok_or_else(altered)?;
        let (nonce, closed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(altered)?;
        let key = self.key_of(mark).ok_or_else(|| self.missing(&[mark.to_vec()]))?;
        let mut closed = closed.to_vec();
        let opened = key
            .cipher()
            .open_in_place(Nonce::assume_unique_for_key(*nonce), whose(owner, slug), &mut closed)
            .map_err(|_| altered())?;
        serde_json::from_slice(opened).map_err(|_| altered())
    }

    /// Succeeds if there is a key for each of these marks.
    ///
    /// # Errors
    /// A key is missing. The error names it and the remedy.
    pub(super) fn expect_all(&self, marks: &[Vec<u8>]) -> Result<()> {
        let missing: Vec<_> = marks.iter().filter(|mark| self.key_of(mark).is_none()).cloned().collect();
        if missing.is_empty() { Ok(()) } else { Err(self.missing(&missing)) }
    }

    /// The key that encrypts.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn present(&self) -> Result<&SealingKey> {
        self.present.as_deref().ok_or_else(|| {
            let own_file = match &self.own_file {
                Some(file) => format!("restore the missing file {}, or ", file.display()),
                None => String::new(),
            };
            StoreError::Broken(format!(
                "there is no key to seal secrets with, and the store keeps no secret unsealed: {own_file}make a key \
                 (`openssl rand -base64 32`) and name it in secrets.key_file, the same key on every node"
            ))
        })
    }

    fn key_of(&self, mark: &[u8]) -> Option<&SealingKey> {
        let (form, id) = mark.split_first()?;
        let mut keys = self.present.iter().chain(&self.older);
        keys.find(|key| *form == FORM && key.id == id).map(|key| &**key)
    }

    fn missing(&self, marks: &[Vec<u8>]) -> StoreError {
        if marks.iter().any(|mark| mark.first() != Some(&FORM)) {
            return StoreError::Broken(
                "its secrets are sealed in a format that this version does not know: run the newer version"
                    .to_owned(),
            );
        }
        let ids: Vec<String> = marks.iter().map(|mark| name_of(&mark[1..])).collect();
        let (keys, are) = if ids.len() == 1 { ("key", "is") } else { ("keys", "are") };
        let own_file = match &self.own_file {
            Some(file) if !file.exists() => format!("restore the missing file {}, or ", file.display()),
            _ => String::new(),
        };
        StoreError::Broken(format!(
            "its secrets are sealed with the {keys} {}, which {are} missing: {own_file}give the key in \
             secrets.key_file, or in secrets.old_keys if another key has replaced it ({GIVE_UP})",
            ids.join(", ")
        ))
    }
}

/// The owner and slug, which are authenticated with the secrets. The slug comes last, so that no two rows have one text.
fn whose(owner: ScopeKey, slug: &str) -> Aad<String> {
    let (kind, number) = owner.columns();
    Aad::from(format!("forgebell secrets of {kind} {number} {slug}"))
}

/// The one source of random numbers: for keys, nonces and tokens.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::Unavailable("the operating system gives no random numbers".to_owned()))?;
    Ok(bytes)
}

/// A key's id as text.
fn name_of(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::registry::GroupKey;

    const PROJECT: ScopeKey = ScopeKey::Project(42);

    fn keyring(key: u8, old: &[u8]) -> Keyring {
        Keyring::new(&Config {
            key: Some(SealingKey::new([key; 32])),
            old_keys: old.iter().map(|old| SealingKey::new([*old; 32])).collect(),
        })
    }

    fn secrets() -> SmallMap<String, Secret> {
        SmallMap::from([("webhook".to_owned(), Secret::new("https://hooks.example/t0psecret"))])
    }

    #[test]
    fn sealed_secrets_can_be_opened_and_reveal_nothing() {
        let keys = keyring(1, &[]);
        let sealed = keys.seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("t0psecret"));
        assert!(!String::from_utf8_lossy(&sealed).contains("webhook"), "names are encrypted too");
        assert_eq!(keys.open(PROJECT, "slack", Some(&sealed)).unwrap(), secrets());
        let again = keys.seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        assert_ne!(sealed, again, "equal secrets do not look equal");
        assert_eq!(keys.seal(PROJECT, "slack", &SmallMap::new()).unwrap(), None);
        assert_eq!(keys.open(PROJECT, "slack", None).unwrap(), SmallMap::new());
    }

    #[test]
    fn altered_secrets_and_those_of_another_row_do_not_open() {
        let keys = keyring(1, &[]);
        let sealed = keys.seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        for (owner, slug) in [
            (ScopeKey::Project(43), "slack"),
            (PROJECT, "jira"),
            (ScopeKey::Group(GroupKey(42)), "slack"),
            (ScopeKey::Instance, "slack"),
        ] {
            let error = keys.open(owner, slug, Some(&sealed)).unwrap_err().to_string();
            assert!(error.contains("do not open") && error.contains(slug), "{error}");
        }
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(keys.open(PROJECT, "slack", Some(&altered)).is_err(), "byte {place}");
            assert!(keys.open(PROJECT, "slack", Some(&sealed[..place])).is_err(), "the first {place}");
        }
    }

    #[test]
    fn older_keys_open_and_do_not_seal() {
        let old = keyring(1, &[]).seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        let both = keyring(2, &[1]);
        assert_eq!(both.open(PROJECT, "slack", Some(&old)).unwrap(), secrets());
        let new = both.seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        assert!(keyring(1, &[]).open(PROJECT, "slack", Some(&new)).is_err());
        assert_eq!(keyring(2, &[]).open(PROJECT, "slack", Some(&new)).unwrap(), secrets());
    }

    #[test]
    fn a_missing_key_is_named_with_the_remedy() {
        let sealed = keyring(1, &[]).seal(PROJECT, "slack", &secrets()).unwrap().unwrap();
        let marks = [sealed[..MARK_LEN].to_vec()];
        assert_eq!(keyring(2, &[1]).expect_all(&marks), Ok(()));
        let name = format!("{:?}", SealingKey::new([1; 32]));
        for keys in [keyring(2, &[]), Keyring::none()] {
            let error = keys.expect_all(&marks).unwrap_err().to_string();
            assert!(error.contains(&name) && error.contains("secrets.key_file"), "{error}");
            assert_eq!(keys.open(PROJECT, "slack", Some(&sealed)).unwrap_err().to_string(), error);
        }
        let error = Keyring::none().seal(PROJECT, "slack", &secrets()).unwrap_err().to_string();
        assert!(error.contains("no key") && error.contains("openssl rand"), "{error}");
    }

    #[test]
    fn keys_are_read_from_base64_and_never_shown() {
        let key = SealingKey::new([7; 32]);
        let text = key.text();
        assert_eq!(SealingKey::read(&format!(" {}\n", text.expose())), Some(key.clone()));
        assert_eq!(SealingKey::read("c2hvcnQ="), None);
        assert_eq!(SealingKey::read("no base64!"), None);
        assert!(!format!("{key:?}").contains(text.expose()));
        assert_ne!(SealingKey::make().unwrap(), SealingKey::make().unwrap());
    }
}
