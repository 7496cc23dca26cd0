//! The pace: answers *when*.
use crate::call::Bucket;
use std::time::Duration;

/// Token buckets by key.
#[derive(Default)]
pub struct Pace {}

impl Pace {
    /// Takes one from each bucket, or says how long until that would work.
    pub fn admit(&self, _buckets: &[Bucket]) -> Result<(), Duration> {
        todo!()
    }
}
