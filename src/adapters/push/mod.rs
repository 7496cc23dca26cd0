//! Push services, which show messages on people's phones.

pub mod pushover;
