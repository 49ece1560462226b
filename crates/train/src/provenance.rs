//! Where a trained adapter or model comes from: base model, data, template and recipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use tunewise_data::TokenRows;

use crate::checked_rows::CheckedRows;
use crate::error::{Result, TrainError};

/// Samples of a weights file that a fingerprint reads.
const SAMPLES: u64 = 64;
/// Bytes of a sample.
const SAMPLE_BYTES: u64 = 4096;

/// What was trained, on what and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Provenance {
    /// The base model, as the user named it.
    pub base_model: String,
    /// What of it was trained.
    pub trained: TrainedPart,
    /// Hash of its configuration and of each weights file.
    pub base_sha256: String,
    /// Its [`base_fingerprint`], cheap to compare with the model at hand.
    pub base_fingerprint: String,
    /// The training rows.
    pub train_data: DataFile,
    /// The valid split.
    pub valid_data: Option<DataFile>,
    /// What the check of both found; `None` where they were not checked.
    #[serde(flatten)]
    pub checked: Option<CheckedRows>,
    /// Hash of the chat template.
    pub template_sha256: String,
    /// Hash of the tokenizer.
    pub tokenizer_sha256: String,
    /// Hash of the adapter that training started from, configuration and tensors.
    pub init_adapter_sha256: Option<String>,
    /// The time that the template read, fixed for the whole run.
    pub clock: String,
    /// Every recipe key.
    pub recipe: Value,
    /// Those that decide what is computed.
    pub mathematics: BTreeMap<String, Value>,
}

/// What of a model a run trains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedPart {
    /// An adapter beside it.
    #[default]
    Adapter,
    /// Every weight.
    Model,
    /// Every weight, from random ones.
    NewModel,
}

/// A file of rows and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataFile {
    /// The file.
    pub path: String,
    /// Hash of its bytes.
    pub sha256: String,
    /// Name of the row format.
    pub format: String,
    /// Rows read.
    pub rows_read: usize,
    /// Bad rows left out.
    pub bad_rows: usize,
    /// Conversations that became more than one row.
    pub split: usize,
    /// The rows that they became.
    pub split_into: usize,
    /// Rows cut to `max_length`.
    pub truncated: usize,
    /// Rows left out for their length.
    pub dropped: usize,
    /// Rows of tokens that remained.
    pub rows: usize,
    /// Their tokens.
    pub tokens: usize,
    /// The supervised ones among them.
    pub supervised_tokens: usize,
}

impl DataFile {
    /// How many conversations became how many rows, where any became several.
    pub(crate) fn told_split(&self) -> Option<String> {
        let noun = if self.split == 1 { "conversation" } else { "conversations" };
        (self.split > 0).then(|| format!("{} {noun} became {} rows", self.split, self.split_into))
    }
}

impl Provenance {
    /// What must be the same when a run is resumed, with the tokenized rows themselves.
    ///
    /// # Errors
    /// When the rows cannot be read back.
    pub fn fingerprint(
        &self,
        train: &TokenRows,
        valid: Option<&TokenRows>,
    ) -> Result<BTreeMap<String, Value>> {
        let mut fingerprint = self.mathematics.clone();
        let valid_sha256 = self.valid_data.as_ref().map(|file| &file.sha256);
        for (key, value) in [
            ("base model", json!(self.base_sha256)),
            ("data", json!(self.train_data.sha256)),
            ("valid data", json!(valid_sha256)),
            ("chat template", json!(self.template_sha256)),
            ("tokenizer", json!(self.tokenizer_sha256)),
            ("init_adapter", json!(self.init_adapter_sha256)),
            ("tokenized rows", json!(rows_sha256(Some(train))?)),
            ("tokenized valid rows", json!(rows_sha256(valid)?)),
        ] {
            fingerprint.insert(key.to_owned(), value);
        }
        Ok(fingerprint)
    }
}

fn rows_sha256(rows: Option<&TokenRows>) -> Result<String> {
    let mut hash = Sha256::new();
    for row in rows.into_iter().flat_map(TokenRows::iter) {
        let row = row?;
        hash.update((row.ids.len() as u64).to_le_bytes());
        for (id, supervised) in row.ids.iter().zip(&row.supervised) {
            hash.update(id.to_le_bytes());
            hash.update([u8::from(*supervised)]);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// The hash of a model folder: its `config.json`, and name, length and bytes of every safetensors file.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn base_sha256(folder: &Path) -> Result<String> {
    let mut files = weights_files(folder)?;
    files.insert(0, folder.join("config.json"));
    files_sha256(&files)
}

/// The hash of a model folder from little reading: its `config.json`, and of every safetensors file the name, the
/// length and samples spread evenly over it.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn base_fingerprint(model: &Path) -> Result<String> {
    let config = model.join("config.json");
    let io = |source| TrainError::Io { path: config.clone(), source };
    let mut hash = Sha256::new();
    hash.update(std::fs::read(&config).map_err(io)?);
    for path in weights_files(model)? {
        let io = |source| TrainError::Io { path: path.clone(), source };
        sample(&path, &mut hash).map_err(io)?;
    }
    Ok(hex(&hash.finalize()))
}

fn sample(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update(length.to_le_bytes());
    let last = length.saturating_sub(SAMPLE_BYTES);
    let stride = (last / (SAMPLES - 1)).max(1);
    let mut bytes = Vec::new();
    for index in 0..SAMPLES {
        let start = if index + 1 == SAMPLES { last } else { (index * stride).min(last) };
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut bytes)?;
        hash.update(&bytes);
    }
    Ok(())
}

/// The safetensors files of a folder in the order of their names.
fn weights_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| TrainError::Io { path: folder.into(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The hash of an adapter folder: its configuration and its tensors.
pub(crate) fn adapter_sha256(folder: &Path) -> Result<String> {
    files_sha256(
        &["adapter_config.json", "adapter_model.safetensors"].map(|file| folder.join(file)),
    )
}

/// The hash of files, one after another: name, length and bytes of each.
fn files_sha256(paths: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let io = |source| TrainError::Io { path: path.clone(), source };
        let mut file = File::open(path).map_err(io)?;
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(file.metadata().map_err(io)?.len().to_le_bytes());
        loop {
            let count = file.read(&mut buffer).map_err(io)?;
            if count == 0 {
                break;
            }
            hash.update(buffer.get(..count).unwrap_or_default());
        }
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use tunewise_data::TokenExample;

    use super::*;

    fn row(ids: &[u32], supervised: &[bool]) -> TokenExample {
        TokenExample { line: 1, ids: ids.into(), supervised: supervised.into() }
    }

    #[test]
    fn rows_hash_by_boundary_id_and_mask() {
        let hash =
            |rows: &[TokenExample]| rows_sha256(Some(&TokenRows::of(rows).unwrap())).unwrap();
        let both = hash(&[row(&[1, 2], &[false, true]), row(&[3], &[false])]);
        assert_ne!(both, hash(&[row(&[1], &[false]), row(&[2, 3], &[true, false])]));
        assert_ne!(both, hash(&[row(&[1, 2], &[false, false]), row(&[3], &[false])]));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(&[]), empty);
        assert_eq!(rows_sha256(None).unwrap(), empty);
    }

    #[test]
    fn findings_are_told_and_are_no_part_of_the_fingerprint() {
        let rows = TokenRows::of(&[]).unwrap();
        let plain = Provenance::default();
        let checked = CheckedRows { rows_checked: 3, rows_compared: true, findings: Vec::new() };
        let checked = Provenance { checked: Some(checked), ..Provenance::default() };
        let fingerprint = |provenance: &Provenance| provenance.fingerprint(&rows, None).unwrap();
        assert_eq!(fingerprint(&plain), fingerprint(&checked));
        let told = serde_json::to_value(&checked).unwrap();
        assert_eq!((&told["rows_checked"], &told["findings"]), (&json!(3), &json!([])));
        assert_eq!(serde_json::to_value(&plain).unwrap().get("findings"), None);
    }

    #[test]
    fn a_base_hash_changes_with_configuration_and_weights() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("config.json", "{}");
        write("model.safetensors", "weights");
        let first = base_sha256(dir.path()).unwrap();
        assert_eq!(first, base_sha256(dir.path()).unwrap());
        // Beyond what a file's header and first weights tell.
        let mut long = "w".repeat(3 << 20);
        write("model.safetensors", &long);
        let before = base_sha256(dir.path()).unwrap();
        long.replace_range((3 << 20) - 1.., "z");
        write("model.safetensors", &long);
        assert_ne!(before, base_sha256(dir.path()).unwrap());
        write("model.safetensors", "weightz");
        let second = base_sha256(dir.path()).unwrap();
        assert_ne!(first, second);
        write("config.json", "{ }");
        assert_ne!(second, base_sha256(dir.path()).unwrap());
    }

    #[test]
    fn a_fingerprint_changes_with_configuration_length_and_every_region_of_the_weights() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        let now = || base_fingerprint(dir.path()).unwrap();
        write("config.json", b"{}");
        // Short enough that the samples cover it whole.
        let mut weights = vec![7u8; 200_000];
        write("model.safetensors", &weights);
        let mut seen = vec![now()];
        assert_eq!(seen[0], now());
        for place in [0, 99_999, 199_999] {
            weights[place] += 1;
            write("model.safetensors", &weights);
            seen.push(now());
        }
        weights.push(7);
        write("model.safetensors", &weights);
        seen.push(now());
        write("config.json", b"{ }");
        seen.push(now());
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), 6);
    }

    #[test]
    fn a_fingerprint_of_a_long_file_reads_its_end_and_not_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("config.json", b"{}");
        let mut weights = vec![7u8; 3 << 20];
        write("model.safetensors", &weights);
        let before = base_fingerprint(dir.path()).unwrap();
        weights[5000] = 8;
        write("model.safetensors", &weights);
        assert_eq!(before, base_fingerprint(dir.path()).unwrap());
        weights[(3 << 20) - 1] = 8;
        write("model.safetensors", &weights);
        assert_ne!(before, base_fingerprint(dir.path()).unwrap());
    }

    #[test]
    fn an_adapter_hash_changes_with_its_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("adapter_config.json", "{\"lora_alpha\": 8}");
        write("adapter_model.safetensors", "tensors");
        let first = adapter_sha256(dir.path()).unwrap();
        write("adapter_config.json", "{\"lora_alpha\": 9}");
        assert_ne!(first, adapter_sha256(dir.path()).unwrap());
    }
}
