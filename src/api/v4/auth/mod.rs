//! Authentication of requests, and the rights of their tokens: [`credentials`] reads tokens and checks their right,
//! [`mod@authenticate`] looks a token up in the store, and [`limiter`] slows down clients that send wrong tokens.

mod authenticate;
mod credentials;
mod limiter;

pub(in crate::api) use authenticate::{authenticate, is_limited, record_wrong_token};
pub(in crate::api) use credentials::{Credential, Need, check_right};
pub use limiter::LoginLimiter;
