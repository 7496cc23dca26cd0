//! Prose.
