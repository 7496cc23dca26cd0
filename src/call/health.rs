//! What a service answered that was asked whether it is there.

/// The answer to "can the service be reached, and does it take the settings?". A failure is the other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What it answered, for people: "answered 200". It contains no secret.
    pub answer: String,
}
