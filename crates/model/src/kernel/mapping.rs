//! Memory-mapped safetensors.
#![allow(unsafe_code)]

use std::path::Path;

use candle_core::safetensors::MmapedSafetensors;

use crate::{ModelError, Result};

/// A safetensors file, mapped and its header checked.
///
/// # Errors
/// When the file cannot be opened, is cut short, or its header is damaged.
pub fn map_safetensors(path: &Path) -> Result<MmapedSafetensors> {
    // Opening first tells a missing file from a damaged one.
    std::fs::File::open(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
    // SAFETY: the mapping is read-only and lives only while tensors are copied out of it; as for every mapped file, the
    // caller's contract is that no other process cuts the file meanwhile.
    let mapped = unsafe { MmapedSafetensors::new(path) };
    mapped.map_err(|e| ModelError::BadSafetensors { path: path.into(), reason: reason(&e) })
}

/// The innermost cause, without the back trace that the tensor library may append.
fn reason(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
