//! What a set of rows would teach: findings, row by row and among rows, the most harmful first.
//!
//! Each row is [inspected](inspect) alone; the [`QualityCheck`] compares them with one another and gives a
//! [`QualityReport`].

mod code_set;
pub mod excerpt;
mod files;
pub mod finding;
mod grade;
mod groups;
mod inspect;
pub mod label_noise;
mod labels;
mod language;
mod loss;
pub mod near;
mod openings;
mod order;
pub mod overlap;
mod replies;
mod row_score;
pub mod secrets;
mod set;
mod shift;
mod splits;
pub mod style;
pub mod text;
mod tools;
mod two_samples;
mod word_space;

pub use files::check_files;
pub use finding::{Code, Finding, Found, Place, Severity};
pub use grade::{
    Basis, Enough, Grade, LabelCounts, Letter, Remedy, Shape, Step, TaskKind, Verdict,
};
pub use groups::group_of;
pub use inspect::{code_of, Inspected};
pub(crate) use labels::{label, label_names};
pub use row_score::RowScore;
pub use set::{QualityCheck, QualityReport};
