//! Rendering, checked by examples and by properties whose readers are independent of the renderer.

mod addresses;
mod examples;
mod properties;
mod readers;
mod tag_readers;

pub(crate) use properties::{ALL, check};
pub(crate) use readers::without_addresses;
