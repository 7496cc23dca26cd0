//! The vocabulary of declarations: what settings an adapter has, and how they are read.
//!
//! An adapter writes [`settings!`](crate::settings!) once. From that text, the macro makes the struct, the table of
//! [`Field`]s (name, kind, whether required, help, example) and a reader that reports *every* mistake, not only the
//! first. Whether a field is required follows from its type (`Option<T>` and `bool` are not); whether it is secret is a
//! type, [`Secret`], never a list of names.

mod secrets;
mod small_map;
mod types;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

pub use secrets::{SecretSettings, Secrets};
pub use small_map::SmallMap;
pub use types::{Addresses, Base, Host, InternalUrl, Names, PageUrl, Port, SecretUrl, Site, Url};

/// Settings as they are stored and sent: names and simple values.
pub type Properties = SmallMap<String, Value>;

/// A setting's value before its field has read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
}

impl Value {
    /// The value as a person would type it.
    pub fn as_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }
}

/// A secret text. Logs, errors and answers show twelve asterisks instead.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The mask that is shown instead of the secret, as in GitLab.
    pub const MASK: &'static str = "************";

    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// The kind of value that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A password, token or key.
    Secret,
    /// An `http` or `https` address that is itself a credential, as chat webhooks are.
    SecretUrl,
    /// Addresses of any scheme, separated by spaces. Any of them may contain a password or key.
    Addresses,
    /// One such address. It completes addresses that are only names, so their secrets are sent there.
    Base,
    Url,
    /// An `http` or `https` address of a server that is usually in the operator's own network. A private address may be
    /// saved.
    InternalUrl,
    /// A host's name or address, or the domain that the host is in. It decides where secrets are sent.
    Host,
    Bool,
    Integer,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Names, separated by commas. The API takes and shows them as a list.
    Names,
}

/// How the values of a kind are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Words,
    Truth,
    Number,
    List,
}

impl Kind {
    /// Whether values are sealed in the store, and hidden wherever settings are shown.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretUrl | Self::Addresses | Self::Base)
    }

    /// Whether the whole value is a secret. A value of other secret kinds can be shown with its credentials masked.
    pub const fn is_write_only(self) -> bool {
        matches!(self, Self::Secret | Self::SecretUrl)
    }

    /// Whether there is anything to hide in this value.
    pub fn hides(self, value: &str) -> bool {
        match self {
            Self::Addresses | Self::Base => Addresses::credentials(value).next().is_some(),
            kind => kind.is_secret(),
        }
    }

    /// How values of this kind are written.
    pub const fn shape(self) -> Shape {
        match self {
            Self::Bool => Shape::Truth,
            Self::Integer => Shape::Number,
            Self::Names => Shape::List,
            Self::Text
            | Self::Secret
            | Self::SecretUrl
            | Self::Addresses
            | Self::Base
            | Self::Url
            | Self::InternalUrl
            | Self::Host
            | Self::Choice(_) => Shape::Words,
        }
    }

    /// The word for this kind in help texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::SecretUrl => "secret URL",
            Self::Addresses => "addresses, which may hold passwords",
            Self::Base => "address, which may hold a password",
            Self::Url | Self::InternalUrl => "URL",
            Self::Host => "host",
            Self::Bool => "true or false",
            Self::Integer => "number",
            Self::Choice(_) => "word",
            Self::Names => "names, separated by commas",
        }
    }
}

/// One setting, as its declaration describes it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The meaning of the setting, for people; one or more sentences.
    pub help: &'static str,
    /// A value that is valid, for help pages and contract tests.
    pub example: &'static str,
    /// The value that applies if the setting is missing or blank; `None` where there is none.
    pub default: Option<&'static str>,
}

impl Field {
    #[doc(hidden)]
    pub const fn new<T: FieldType>(
        name: &'static str,
        help: &'static str,
        example: &'static str,
        default: Option<&'static str>,
    ) -> Self {
        let default = match default {
            Some(_) => default,
            None => T::DEFAULT,
        };
        Self { name, kind: T::KIND, required: T::REQUIRED && default.is_none(), help, example, default }
    }
}

/// An error in one setting: `webhook: can't be blank`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub problem: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// An adapter's settings, as `settings!` declares them.
pub trait Settings: Sized + fmt::Debug + Send + Sync + 'static {
    const FIELDS: &'static [Field];

    /// Reads stored properties. Names that are no field of this adapter are ignored; the caller checks them.
    ///
    /// # Errors
    /// One error per field that is missing or wrong, all of them.
    fn read(properties: &Properties) -> Result<Self, Vec<FieldError>>;
}

/// Settings that were read, with their type erased, so that the settings of all adapters fit into one table.
#[derive(Clone)]
pub struct Parsed {
    settings: Arc<dyn Any + Send + Sync>,
    secrets: SecretSettings,
    /// A value that was computed from the settings. Clones share it.
    derived: Arc<OnceLock<Box<dyn Any + Send + Sync>>>,
}

impl Parsed {
    pub fn new<T: Settings>(settings: T) -> Self {
        Self { settings: Arc::new(settings), secrets: SecretSettings::default(), derived: Arc::default() }
    }

    /// The settings, with their secrets added.
    #[must_use]
    pub fn with_secrets(self, secrets: SecretSettings) -> Self {
        Self { secrets, ..self }
    }

    /// The settings; `None` if `T` is not their type.
    pub fn get<T: Settings>(&self) -> Option<&T> {
        self.settings.downcast_ref()
    }

    /// A value that is computed from the settings once, and not for every event. The first value is kept as long as the
    /// settings. Only one value can be kept: `None` where a value of another type is kept.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.derived.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// The settings that contain secrets, for masking them in texts.
    pub fn secret_settings(&self) -> &SecretSettings {
        &self.secrets
    }
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parsed(..)")
    }
}

/// A type that a field can have.
pub trait FieldType: Sized {
    const KIND: Kind;
    const REQUIRED: bool = true;
    /// The default of this type, if a setting is missing and declares no default.
    const DEFAULT: Option<&'static str> = None;

    /// Reads a value that is there.
    ///
    /// # Errors
    /// The problem in words that follow the field's name: `must be a valid URL`.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value of a missing field; `None` where the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

impl FieldType for String {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        non_blank(value)
    }
}

impl FieldType for Secret {
    const KIND: Kind = Kind::Secret;

    fn read(value: &Value) -> Result<Self, String> {
        non_blank(value).map(Self)
    }
}

impl FieldType for i64 {
    const KIND: Kind = Kind::Integer;

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Integer(number) => Ok(*number),
            other => other.as_text().trim().parse().map_err(|_| "is not a number".to_owned()),
        }
    }
}

impl FieldType for bool {
    const KIND: Kind = Kind::Bool;
    const REQUIRED: bool = false;
    const DEFAULT: Option<&'static str> = Some("false");

    fn read(value: &Value) -> Result<Self, String> {
        read_bool(value).ok_or_else(|| "is not true or false".to_owned())
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

impl<T: FieldType> FieldType for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;

    fn read(value: &Value) -> Result<Self, String> {
        let blank = matches!(value, Value::Text(text) if text.trim().is_empty());
        if blank { Ok(None) } else { T::read(value).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Reads one of a setting's choices, in upper or lower case, for [`choices!`](crate::choices!).
///
/// # Errors
/// The permitted words.
#[doc(hidden)]
pub fn read_choice<T: Copy>(value: &Value, words: &[&str], choices: &[T]) -> Result<T, String> {
    let word = value.as_text().trim().to_lowercase();
    if let Some(place) = words.iter().position(|known| *known == word) {
        return Ok(choices[place]);
    }
    let (last, others) = words.split_last().expect("a setting has choices");
    Err(format!("must be {} or {last}", others.join(", ")))
}

/// GitLab's leniency: booleans, 0 and 1, and in any case `true t on yes y` / `false f off no n`.
pub fn read_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Integer(1) => Some(true),
        Value::Integer(0) => Some(false),
        Value::Integer(_) => None,
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "on" | "yes" | "y" => Some(true),
            "false" | "f" | "0" | "off" | "no" | "n" => Some(false),
            _ => None,
        },
    }
}

fn non_blank(value: &Value) -> Result<String, String> {
    let text = value.as_text();
    if text.trim().is_empty() { Err("can't be blank".to_owned()) } else { Ok(text) }
}

/// Reads one field for `settings!`, and notes its error.
#[doc(hidden)]
pub fn read_field<T: FieldType>(
    properties: &Properties,
    name: &str,
    default: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    // A form sends a blank value for a missing one.
    let is_blank = |value: &&Value| matches!(value, Value::Text(text) if text.trim().is_empty());
    let given = properties.get(name).filter(|value| default.is_none() || !is_blank(value));
    let read = match (given, default) {
        (Some(value), _) => T::read(value),
        (None, Some(default)) => T::read(&Value::Text(default.to_owned())),
        (None, None) => T::absent().ok_or_else(|| "is missing".to_owned()),
    };
    read.map_err(|problem| errors.push(FieldError::new(name, problem))).ok()
}

/// Declares a setting that is one of a few words: the enum, and how it is read.
///
/// ```
/// forgebell::choices! {
///     /// How loudly the bell rings.
///     pub enum Volume {
///         Low = "low",
///         High = "high",
///     }
/// }
///
/// assert_eq!(Volume::High.name(), "high");
/// ```
#[macro_export]
macro_rules! choices {
    (
        $(#[$outer:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$inner:meta])* $choice:ident = $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $( $(#[$inner])* $choice, )+
        }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The choice as it is written.
            #[allow(dead_code, reason = "not every adapter sends the word on")]
            $vis const fn name(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl $crate::settings::FieldType for $name {
            const KIND: $crate::settings::Kind = $crate::settings::Kind::Choice(Self::WORDS);

            fn read(value: &$crate::settings::Value) -> Result<Self, String> {
                $crate::settings::read_choice(value, Self::WORDS, &[$(Self::$choice),+])
            }
        }
    };
}

/// Declares an adapter's settings: the struct, its [`Field`] table and its reader, from one text. Behind `=` stands an
/// example, and behind `or` what holds where the setting is not set.
///
/// ```
/// use forgebell::settings::{Properties, Settings, SecretUrl};
///
/// forgebell::settings! {
///     /// What a bell needs to ring.
///     pub struct Bell {
///         /// Where to ring.
///         pub webhook: SecretUrl = "https://bells.example/1",
///         /// How loudly.
///         pub volume: i64 = "11" or "5",
///     }
/// }
///
/// let errors = Bell::read(&Properties::new()).unwrap_err();
/// assert_eq!(errors[0].to_string(), "webhook: is missing");
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $help:literal])+
                $field_vis:vis $field:ident : $type:ty = $example:tt $(or $default:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $help])+ $field_vis $field: $type, )*
        }

        impl $crate::settings::Settings for $name {
            const FIELDS: &'static [$crate::settings::Field] = &[$(
                $crate::settings::Field::new::<$type>(
                    stringify!($field),
                    concat!($($help),+),
                    $example,
                    $crate::settings!(@default $($default)?),
                ),
            )*];

            fn read(
                properties: &$crate::settings::Properties,
            ) -> Result<Self, Vec<$crate::settings::FieldError>> {
                let mut errors = Vec::new();
                $(
                    let $field = $crate::settings::read_field::<$type>(
                        properties,
                        stringify!($field),
                        $crate::settings!(@default $($default)?),
                        &mut errors,
                    );
                )*
                match ($($field,)*) {
                    ($(Some($field),)*) if errors.is_empty() => Ok(Self { $($field),* }),
                    _ => Err(errors),
                }
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
