//! The only home of `unsafe` code.

pub mod mapping;
