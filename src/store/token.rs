//! Tokens of the API. A token is made here and shown once; the store keeps only its digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::{Result, seal};
use crate::settings::Secret;

/// Every token begins with this, so that people and secret scanners recognise one.
pub const PREFIX: &str = "fbt-";

/// A new token.
///
/// # Errors
/// The operating system gives no random numbers.
pub fn make() -> Result<Secret> {
    let bytes: [u8; 32] = seal::random()?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// The digest that the store keeps of a token. 32 random bytes can't be guessed, so the digest need not be slow.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_printable_and_never_the_same() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert_ne!(one, other);
        for token in [one, other] {
            let rest = token.expose().strip_prefix("fbt-").unwrap();
            assert_eq!(rest.len(), 43);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{rest}");
        }
    }

    #[test]
    fn a_token_is_known_by_its_sha_256() {
        // `printf abc | sha256sum`
        assert_eq!(hash("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
