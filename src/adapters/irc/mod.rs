//! IRC. `recipients` reads addresses; `lines` puts a push into lines that pass through IRC whole.

pub mod irker;
mod lines;
mod recipients;
