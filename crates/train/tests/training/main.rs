//! Training runs on a small random Llama model that the tests write themselves.

// Outside of test functions, a helper that fails fails its test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod folder;
mod init;
mod learning;
mod recipe_run;
mod resume;
mod step_equality;
mod tiny;
mod whole_model;
