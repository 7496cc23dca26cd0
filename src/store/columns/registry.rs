//! The representation of the configuration in columns.
//!
//! Maps and lists are JSON in a text. Each `…Row` has the columns of one table as they were read. Its conversion into a
//! value of [`crate::store::registry`] fails where this version would not have written the row so.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cells, TableRow, moment, rows};
use crate::settings::{Properties, SmallMap};
use crate::store::registry::{
    Access, AuditLine, Configuration, Corrected, FileKey, GroupKey, Learned, Mute, Right, ScopeKey,
    SeenProject, StoredGroup, StoredIntegration, StoredProject, StoredToken, Visibility,
};
use crate::store::seal::Keyring;
use crate::store::{Result, StoreError};

fn owner_of(kind: &str, number: i64) -> Result<ScopeKey> {
    match kind {
        "instance" => Ok(ScopeKey::Instance),
        "group" => Ok(ScopeKey::Group(GroupKey(number))),
        "project" => Ok(ScopeKey::Project(number)),
        "file" => Ok(ScopeKey::File(FileKey(number))),
        _ => Err(unknown("owner", kind)),
    }
}

fn visibility_of(word: &str) -> Result<Visibility> {
    let found = Visibility::ALL.into_iter().find(|visibility| visibility.name() == word);
    found.ok_or_else(|| unknown("visibility", word))
}

fn right_of(word: &str) -> Result<Right> {
    let found = Right::ALL.into_iter().find(|right| right.name() == word);
    found.ok_or_else(|| unknown("right", word))
}

fn unknown(what: &str, word: &str) -> StoreError {
    StoreError::Broken(format!("a row has the {what} `{word}`, which this version does not know"))
}

pub(in crate::store) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps from names to simple values, and lists of texts, are JSON")
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Broken(format!("a row holds JSON that cannot be read: {error}")))
}

rows! {
    /// A row of `integrations`.
    IntegrationRow {
        id: i64,
        owner_kind: String,
        owner: i64,
        slug: String,
        active: bool,
        inherits: bool,
        flags: String,
        properties: String,
        secrets: Option<Vec<u8>>,
        revision: i64,
        created_at: i64,
        updated_at: i64,
    }
    /// The sealed secrets of a row of `integrations`, and the row's owner.
    SealedRow {
        id: i64,
        owner_kind: String,
        owner: i64,
        slug: String,
        secrets: Vec<u8>,
    }
    /// A row of `projects`.
    #[derive(Clone, PartialEq, Eq)]
    ProjectRow {
        id: i64,
        path: Option<String>,
        learned_branch: Option<String>,
        learned_visibility: Option<String>,
        corrected_branch: Option<String>,
        corrected_visibility: Option<String>,
        protected_branches: Option<String>,
        revision: i64,
        created_at: i64,
        updated_at: i64,
    }
    /// A row of `groups`.
    GroupRow {
        key: i64,
        id: Option<i64>,
        path: Option<String>,
        revision: i64,
        created_at: i64,
    }
    /// A row of `tokens`.
    TokenRow {
        id: i64,
        name: String,
        hash: Vec<u8>,
        reach_kind: String,
        reach: i64,
        may: String,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
        revision: i64,
        created_at: i64,
    }
    /// A row of `mutes`.
    MuteRow {
        project: i64,
        slug: String,
        channel: String,
        until: i64,
        asked_by: String,
        revision: i64,
    }
    /// A row of `audit`.
    AuditRow {
        id: i64,
        at: i64,
        who: String,
        action: String,
        object: String,
        fields: String,
    }
}

/// The columns of an integration.
pub(in crate::store) struct IntegrationColumns {
    pub owner_kind: &'static str,
    pub owner: i64,
    pub slug: String,
    pub active: bool,
    pub inherits: bool,
    pub flags: String,
    pub properties: String,
    pub secrets: Option<Vec<u8>>,
}

impl IntegrationColumns {
    /// # Errors
    /// There are secrets, and no key to seal them with.
    pub fn new(whose: ScopeKey, slug: &str, configuration: &Configuration, keys: &Keyring) -> Result<Self> {
        let (owner_kind, owner) = whose.columns();
        Ok(Self {
            owner_kind,
            owner,
            slug: slug.to_owned(),
            active: configuration.active,
            inherits: configuration.inherits,
            flags: json(&configuration.flags),
            properties: json(&configuration.properties),
            secrets: keys.seal(whose, slug, &configuration.secrets)?,
        })
    }
}

impl IntegrationRow {
    pub fn opened(self, keys: &Keyring) -> Result<StoredIntegration> {
        let owner = owner_of(&self.owner_kind, self.owner)?;
        let configuration = Configuration {
            active: self.active,
            inherits: self.inherits,
            flags: from_json::<SmallMap<String, bool>>(&self.flags)?,
            properties: from_json::<Properties>(&self.properties)?,
            secrets: keys.open(owner, &self.slug, self.secrets.as_deref())?,
        };
        Ok(StoredIntegration {
            id: self.id,
            owner,
            slug: self.slug,
            configuration,
            revision: self.revision,
            created_at: moment(self.created_at)?,
            updated_at: moment(self.updated_at)?,
        })
    }
}

impl SealedRow {
    /// The owner, if no available key decrypts the secrets.
    pub fn unreadable(&self, keys: &Keyring) -> Result<Option<(ScopeKey, String)>> {
        let owner = owner_of(&self.owner_kind, self.owner)?;
        let opened = keys.open(owner, &self.slug, Some(&self.secrets));
        Ok(opened.is_err().then(|| (owner, self.slug.clone())))
    }

    /// The same secrets, encrypted with the current key.
    pub fn sealed_anew(&self, keys: &Keyring) -> Result<Vec<u8>> {
        let owner = owner_of(&self.owner_kind, self.owner)?;
        let secrets = keys.open(owner, &self.slug, Some(&self.secrets))?;
        // A map that was sealed has something in it.
        Ok(keys.seal(owner, &self.slug, &secrets)?.unwrap_or_default())
    }
}

impl ProjectRow {
    /// Whether an event that showed the project like this changes nothing.
    pub fn is_as_seen(&self, seen: &SeenProject) -> bool {
        let same =
            |new: Option<&str>, old: &Option<String>| new.is_none_or(|new| old.as_deref() == Some(new));
        same(seen.path.as_deref(), &self.path)
            && same(seen.learned.default_branch.as_deref(), &self.learned_branch)
            && same(seen.learned.visibility.map(Visibility::name), &self.learned_visibility)
    }

    pub fn read(self) -> Result<StoredProject> {
        let visibility = |word: Option<String>| word.as_deref().map(visibility_of).transpose();
        Ok(StoredProject {
            id: self.id,
            path: self.path,
            learned: Learned {
                default_branch: self.learned_branch,
                visibility: visibility(self.learned_visibility)?,
            },
            corrected: Corrected {
                default_branch: self.corrected_branch,
                visibility: visibility(self.corrected_visibility)?,
                protected_branches: self.protected_branches.as_deref().map(from_json).transpose()?,
            },
            revision: self.revision,
            created_at: moment(self.created_at)?,
            updated_at: moment(self.updated_at)?,
        })
    }
}

impl GroupRow {
    pub fn read(self) -> Result<StoredGroup> {
        Ok(StoredGroup {
            key: GroupKey(self.key),
            id: self.id,
            path: self.path,
            revision: self.revision,
            created_at: moment(self.created_at)?,
        })
    }
}

impl TokenRow {
    pub fn read(self) -> Result<StoredToken> {
        let hash = self.hash.try_into();
        Ok(StoredToken {
            id: self.id,
            name: self.name,
            hash: hash.map_err(|_| StoreError::Broken(format!("the digest of token {} is none", self.id)))?,
            access: Access { reach: owner_of(&self.reach_kind, self.reach)?, right: right_of(&self.may)? },
            expires_at: self.expires_at.map(moment).transpose()?,
            revoked_at: self.revoked_at.map(moment).transpose()?,
            revision: self.revision,
            created_at: moment(self.created_at)?,
        })
    }
}

impl MuteRow {
    pub fn read(self) -> Result<Mute> {
        Ok(Mute {
            project: self.project,
            slug: self.slug,
            channel: self.channel,
            until: moment(self.until)?,
            by: self.asked_by,
            revision: self.revision,
        })
    }
}

impl AuditRow {
    pub fn read(self) -> Result<AuditLine> {
        Ok(AuditLine {
            id: self.id,
            at: moment(self.at)?,
            who: self.who,
            action: self.action,
            object: self.object,
            fields: from_json(&self.fields)?,
        })
    }
}
