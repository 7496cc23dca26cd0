//! The remedy where this user may not open the daemon's store.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// What to do if this user may not open the store, in brackets; empty if the user may.
///
/// The file is not opened: closing it again would end SQLite's locks of this process.
pub(super) fn remedy(store: &Path) -> &'static str {
    in_words(access(store, Access::READ_OK | Access::WRITE_OK).err())
}

fn in_words(denied: Option<Errno>) -> &'static str {
    match denied {
        Some(Errno::ACCESS | Errno::PERM) => {
            " (this user may not: run the command as the daemon's user, `sudo -u forgebell forgebell …`)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_open_the_store_is_told_as_whom_to_run_the_command() {
        assert!(in_words(Some(Errno::ACCESS)).contains("`sudo -u forgebell forgebell …`"));
        assert_eq!(in_words(Some(Errno::NOENT)), "", "it is not there");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(remedy(folder.path()), "");
    }
}
