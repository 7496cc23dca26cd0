//! Sample events.
use super::{Event, Trigger};
/// stub
pub fn sample(_trigger: Trigger) -> Event {
    todo!()
}
