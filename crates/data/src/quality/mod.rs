//! What a set of rows would teach: findings, row by row and among rows, the most harmful first.
//!
//! Each row is [inspected](inspect) alone; the [`QualityCheck`] compares them with one another and gives a
//! [`QualityReport`].

pub mod finding;
mod inspect;
pub mod label_noise;
mod labels;
pub mod near;
pub mod overlap;
mod replies;
pub mod secrets;
mod set;
mod splits;
pub mod style;
pub mod text;

pub use finding::{Code, Finding, Found, Place, Severity};
pub use inspect::{code_of, Inspected};
pub(crate) use labels::{label, label_names};
pub use set::{QualityCheck, QualityReport};
