//! Integrations from files.
