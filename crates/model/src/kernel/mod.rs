//! The innermost loops, compiled for each instruction set, and the only home of `unsafe` code.

pub mod attention;
pub mod attention_backward;
pub mod ceiling;
pub(crate) mod exp;
mod gather;
pub mod instructions;
pub mod panels;
pub mod product;
pub mod product_plain;
pub(crate) mod tile;
pub mod view;
