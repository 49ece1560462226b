//! Weights of a Hugging Face folder, one file or several.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::Dtype;

use crate::files::read_json;
use crate::{ModelError, Result};

/// The file of the weights, where there is one.
pub(crate) const SINGLE: &str = "model.safetensors";
/// Names the file of each tensor, where there are several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Bytes before a header: its length.
const LENGTH: u64 = 8;

/// The weight files of a folder, their headers checked. Tensors are read one at a time, so that loading a model needs
/// little more memory than the model.
pub struct Weights {
    dir: PathBuf,
    files: Vec<WeightFile>,
    /// Tensor name → index into `files`.
    home: BTreeMap<String, usize>,
}

struct WeightFile {
    path: PathBuf,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    begin: u64,
}

impl Weights {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// When there are no weights, a shard is missing, or a file is cut short.
    pub fn open(dir: &Path) -> Result<Self> {
        let index = dir.join(INDEX);
        let single = dir.join(SINGLE);
        let paths = if single.is_file() {
            vec![single]
        } else if index.is_file() {
            shard_paths(dir, &index)?
        } else {
            return Err(ModelError::NoWeights { path: dir.into() });
        };
        Self::from_files(dir, paths)
    }

    /// Opens the given files as one set of tensors.
    ///
    /// # Errors
    /// When a file is missing or cut short.
    pub fn from_files(dir: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let mut weights = Self { dir: dir.into(), files: Vec::new(), home: BTreeMap::new() };
        for path in paths {
            let file = WeightFile::open(path)?;
            for name in file.metadata.offset_keys() {
                weights.home.insert(name, weights.files.len());
            }
            weights.files.push(file);
        }
        Ok(weights)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// The files and the tensors of each, in the file's order.
    pub fn shards(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        self.files.iter().map(|file| (file.path.as_path(), file.metadata.offset_keys()))
    }

    /// A tensor in the number format of its file.
    ///
    /// # Errors
    /// When it is missing or not a floating-point tensor.
    pub fn stored(&self, name: &str, device: &Device) -> Result<Tensor> {
        let missing = || ModelError::MissingTensor { path: self.dir.clone(), name: name.into() };
        let file =
            self.home.get(name).and_then(|file| self.files.get(*file)).ok_or_else(missing)?;
        let info = file.metadata.info(name).ok_or_else(missing)?;
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                let found = format!("{other:?}");
                let path = file.path.clone();
                return Err(ModelError::WrongDtype { path, name: name.into(), found });
            }
        };
        Ok(Tensor::from_raw_buffer(&file.bytes(info)?, dtype, &info.shape, device)?)
    }

    /// A tensor of the expected shape, as `dtype`.
    ///
    /// # Errors
    /// When it is missing, has another shape, or is not a floating-point tensor.
    pub fn tensor(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let tensor = self.stored(name, device)?;
        if tensor.dims() != shape {
            return Err(ModelError::WrongShape {
                path: self.dir.clone(),
                name: name.into(),
                expected: shape.into(),
                found: tensor.dims().into(),
            });
        }
        Ok(tensor.to_dtype(dtype)?)
    }
}

impl WeightFile {
    /// Reads and checks the header.
    fn open(path: PathBuf) -> Result<Self> {
        let io = |source| ModelError::Io { path: path.clone(), source };
        let bad = |reason: String| ModelError::BadSafetensors { path: path.clone(), reason };
        let mut file = File::open(&path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut length = [0; LENGTH as usize];
        if len < LENGTH {
            return Err(bad(format!("it has {len} bytes, expected a header")));
        }
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        if length > len - LENGTH {
            return Err(bad(format!("the header has {length} bytes, {} are there", len - LENGTH)));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| bad(format!("the header: {e}")))?;
        let begin = LENGTH + length;
        let expected = begin + metadata.data_len() as u64;
        if len != expected {
            return Err(bad(format!("it has {len} bytes, expected {expected}")));
        }
        Ok(Self { path, metadata, begin })
    }

    fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.begin + start as u64))?;
            file.read_exact(&mut bytes)
        });
        read.map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}

fn shard_paths(dir: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let json = read_json(index)?;
    let map =
        json.get("weight_map").and_then(|v| v.as_object()).ok_or_else(|| ModelError::Key {
            path: index.into(),
            key: "weight_map".into(),
            expected: "an object from tensor names to files".into(),
            found: "absent".into(),
        })?;
    let names: std::collections::BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}
