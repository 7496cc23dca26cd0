//! Which events an integration wants.
use super::{Integration, ProjectFacts};
use crate::event::Event;

/// stub
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    #[error("stub")]
    Stub,
}

/// stub
pub fn wants(_integration: &Integration, _event: &Event, _facts: &ProjectFacts) -> Result<(), WhyNot> {
    todo!()
}
