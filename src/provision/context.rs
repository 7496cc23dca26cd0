//! What reading needs besides the texts.

use std::io;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::adapters::Entry as Adapter;
use crate::catalog::UrlPolicy;

/// Returns the content of a file that holds a secret.
pub(super) type ReadSecret<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// What reading needs besides the texts.
#[derive(Clone, Copy)]
pub(super) struct ReadContext<'a> {
    pub(super) adapters: &'static [Adapter],
    pub(super) read_secret: ReadSecret<'a>,
    pub(super) url_policy: &'a UrlPolicy<'a>,
    /// Ends the reading between two blocks.
    pub(super) stop: &'a CancellationToken,
}
