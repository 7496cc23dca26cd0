//! Rendering, checked twice: by example, and by properties whose checkers know nothing of the renderer.

mod examples;
mod properties;
mod readers;
