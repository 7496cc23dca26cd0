//! What the operator says of this installation, the same for every integration: who its mails are from, and which
//! forge it stands beside.

pub mod forge;
pub mod mail;

/// The operator's words, as adapters may know them.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    pub mail: mail::Config,
    pub forge: forge::Config,
}
