//! Weights of a Hugging Face folder, one file or several.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;

use crate::files::read_json;
use crate::kernel::mapping::map_safetensors;
use crate::{ModelError, Result};

/// The mapped weight files of a folder.
pub struct Weights {
    dir: PathBuf,
    files: Vec<(PathBuf, MmapedSafetensors)>,
    /// Tensor name → index into `files`.
    home: BTreeMap<String, usize>,
}

impl Weights {
    /// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// When there are no weights, a shard is missing, or a file is cut short.
    pub fn open(dir: &Path) -> Result<Self> {
        let index = dir.join("model.safetensors.index.json");
        let single = dir.join("model.safetensors");
        let paths = if single.is_file() {
            vec![single]
        } else if index.is_file() {
            shard_paths(dir, &index)?
        } else {
            return Err(ModelError::NoWeights { path: dir.into() });
        };
        Self::from_files(dir, paths)
    }

    /// Maps the given files as one set of tensors.
    ///
    /// # Errors
    /// When a file is missing or cut short.
    pub fn from_files(dir: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let mut weights = Self { dir: dir.into(), files: Vec::new(), home: BTreeMap::new() };
        for path in paths {
            let mapped = map_safetensors(&path)?;
            for (name, _) in mapped.tensors() {
                weights.home.insert(name, weights.files.len());
            }
            weights.files.push((path, mapped));
        }
        Ok(weights)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// The files and the tensors of each, in the file's order.
    pub fn shards(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        self.files.iter().map(|(path, mapped)| {
            (path.as_path(), mapped.tensors().into_iter().map(|(name, _)| name).collect())
        })
    }

    /// A tensor in the number format of its file.
    ///
    /// # Errors
    /// When it is missing or not a floating-point tensor.
    pub fn stored(&self, name: &str, device: &Device) -> Result<Tensor> {
        let missing = || ModelError::MissingTensor { path: self.dir.clone(), name: name.into() };
        let (path, mapped) =
            self.home.get(name).and_then(|file| self.files.get(*file)).ok_or_else(missing)?;
        let view = mapped.get(name).map_err(|_| missing())?;
        if !matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let found = format!("{:?}", view.dtype());
            return Err(ModelError::WrongDtype { path: path.clone(), name: name.into(), found });
        }
        Ok(mapped.load(name, device)?)
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
