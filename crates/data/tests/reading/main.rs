//! Every row format gives the example it means, and every bad row an error with file, line, field and a hint.

// Clippy's exemption for tests does not reach the helpers between them.
#![allow(clippy::unwrap_used)]

mod bad_rows;
mod files;
mod folder;
mod formats;
