//! The doors, knocked at.
