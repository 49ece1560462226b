//! TensorBoard event files with scalar summaries.
//!
//! Source: TensorFlow's `tfrecord` framing (length, masked crc32c, data, masked crc32c) and `event.proto`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Result, TrainError};

/// An event file that scalars are appended to.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

/// How the names of event files begin and end.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".tunewise";

/// Wire types of protocol buffers.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl EventWriter {
    /// A new event file in `dir`; TensorBoard drops what earlier files there say of steps after `steps_taken`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(dir: &Path, steps_taken: usize) -> Result<Self> {
        std::fs::create_dir_all(dir)
            .map_err(|source| TrainError::Io { path: dir.into(), source })?;
        let stamp = format!("{PREFIX}{:010}", seconds_since_1970() as u64);
        // Two sessions may start within a second; TensorBoard reads files in the order of their names.
        let name = |count: usize| dir.join(format!("{stamp}.{count:04}{SUFFIX}"));
        let path = (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        let file =
            File::create(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
        let mut writer = Self { path, file };
        writer.append(&version_event(seconds_since_1970()))?;
        if steps_taken > 0 {
            writer.append(&session_start_event(seconds_since_1970(), steps_taken + 1))?;
        }
        Ok(writer)
    }

    /// Appends scalars of one step.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<()> {
        self.append(&scalar_event(seconds_since_1970(), step, values))
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        let written = self.file.write_all(&framed(event));
        written.map_err(|source| TrainError::Io { path: self.path.clone(), source })
    }
}

/// Removes the event files that runs wrote to `dir`, and the folder where nothing else is in it.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn remove_event_files(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    let io = |source| TrainError::Io { path: dir.into(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            std::fs::remove_file(&path).map_err(|source| TrainError::Io { path, source })?;
        }
    }
    // What others wrote there stays, and so does the folder then.
    let _ = std::fs::remove_dir(dir);
    Ok(())
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `wall_time` 1, `file_version` 3.
fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = field_fixed64(1, wall_time);
    event.extend(field_bytes(3, b"brain.Event:2"));
    event
}

/// `wall_time` 1, `step` 2, `session_log` 7 with `status` 1 = START.
fn session_start_event(wall_time: f64, step: usize) -> Vec<u8> {
    let mut event = field_fixed64(1, wall_time);
    event.extend(field_varint(2, step as u64));
    event.extend(field_bytes(7, &field_varint(1, 1)));
    event
}

/// `wall_time` 1, `step` 2, `summary` 5 with `value` 1, each with `tag` 1 and `simple_value` 2.
fn scalar_event(wall_time: f64, step: usize, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut entry = field_bytes(1, tag.as_bytes());
        entry.extend(varint(2 << 3 | FIXED32));
        entry.extend((*value as f32).to_le_bytes());
        summary.extend(field_bytes(1, &entry));
    }
    let mut event = field_fixed64(1, wall_time);
    event.extend(field_varint(2, step as u64));
    event.extend(field_bytes(5, &summary));
    event
}

fn field_fixed64(number: u64, value: f64) -> Vec<u8> {
    let mut bytes = varint(number << 3 | FIXED64);
    bytes.extend(value.to_le_bytes());
    bytes
}

fn field_varint(number: u64, value: u64) -> Vec<u8> {
    let mut bytes = varint(number << 3 | VARINT);
    bytes.extend(varint(value));
    bytes
}

fn field_bytes(number: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = varint(number << 3 | BYTES);
    bytes.extend(varint(data.len() as u64));
    bytes.extend(data);
    bytes
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a file, each checked against both of its checksums.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let crc = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(crc(8), masked_crc(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(crc(12 + length), masked_crc(data));
            records.push(data.to_vec());
            bytes = &bytes[16 + length..];
        }
        records
    }

    #[test]
    fn the_masked_checksum_is_that_of_the_format() {
        // crc32c("123456789") is e3069283 (RFC 3720); rotated right by 15 and with a282ead8 added.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
        assert_eq!(masked_crc(b""), 0xa282_ead8);
    }

    #[test]
    fn a_scalar_event_has_the_bytes_of_the_protocol() {
        let event = scalar_event(1.5, 300, &[("train/loss", 0.25)]);
        let mut expected = vec![0x09];
        expected.extend(1.5f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02, 0x2a, 19, 0x0a, 17, 0x0a, 10]);
        expected.extend(b"train/loss");
        expected.push(0x15);
        expected.extend(0.25f32.to_le_bytes());
        assert_eq!(event, expected);
    }

    #[test]
    fn a_file_reads_back_record_by_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path(), 4).unwrap();
        writer.scalars(5, &[("train/loss", 2.0), ("train/grad_norm", 0.5)]).unwrap();
        let records = records(&std::fs::read(&writer.path).unwrap());
        assert_eq!(records.len(), 3);
        assert_eq!(&records[0][9..], b"\x1a\x0dbrain.Event:2");
        assert_eq!(&records[1][9..], [0x10, 5, 0x3a, 2, 0x08, 1]);
        let tail = &records[2][9..];
        assert_eq!(&tail[..2], [0x10, 5]);
        let grad_norm = b"train/grad_norm";
        assert!(tail.windows(grad_norm.len()).any(|window| window == grad_norm));
        assert_eq!(&tail[tail.len() - 4..], 0.5f32.to_le_bytes());
    }

    #[test]
    fn only_event_files_of_runs_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        EventWriter::create(&runs, 0).unwrap();
        std::fs::write(runs.join("notes.txt"), "kept").unwrap();
        remove_event_files(&runs).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(&runs).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
        std::fs::remove_file(runs.join("notes.txt")).unwrap();
        remove_event_files(&runs).unwrap();
        assert!(!runs.exists());
    }

    #[test]
    fn two_sessions_within_a_second_have_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let first = EventWriter::create(dir.path(), 0).unwrap();
        let second = EventWriter::create(dir.path(), 0).unwrap();
        assert!(first.path < second.path);
    }
}
