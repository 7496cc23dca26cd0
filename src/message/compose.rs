//! Event to message.
use super::Message;
use crate::event::Event;
/// stub
pub fn compose(_event: &Event) -> Option<Message> {
    todo!()
}
