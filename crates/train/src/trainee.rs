//! What a run moves: an adapter beside a frozen model, or the model itself.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde_json::Value;
use tunewise_model::files::{copy_all_but_weights, read_json, write_whole};
use tunewise_model::{
    Adapter, BaseDtype, BaseWeights, Decoder, Gradients, Matrix, Target, TargetScore, TokenTree,
    TrainingPass,
};

use crate::error::{Result, TrainError};

/// What a run moves.
#[derive(Debug, Clone)]
pub enum Trainee {
    /// An adapter, beside a model that stays as it is.
    Adapter(Box<Adapter>),
    /// Every weight of the model.
    Model(Box<WholeModel>),
}

/// A model whose own weights are trained.
#[derive(Debug, Clone)]
pub struct WholeModel {
    weights: BaseWeights,
    /// Computes with the weights, in the base's number format.
    decoder: Decoder,
    /// The folder of the model that training started from.
    folder: PathBuf,
}

impl From<Adapter> for Trainee {
    fn from(adapter: Adapter) -> Self {
        Self::Adapter(Box::new(adapter))
    }
}

impl From<WholeModel> for Trainee {
    fn from(model: WholeModel) -> Self {
        Self::Model(Box::new(model))
    }
}

impl WholeModel {
    /// The model of a decoder, whose weights in f32 are these.
    pub fn new(decoder: &Decoder, weights: BaseWeights, folder: &Path) -> Self {
        Self { weights, decoder: decoder.clone(), folder: folder.into() }
    }
}

impl Trainee {
    /// The adapter, where that is what is trained.
    pub fn adapter(&self) -> Option<&Adapter> {
        match self {
            Self::Adapter(adapter) => Some(adapter),
            Self::Model(_) => None,
        }
    }

    /// What it is called in a sentence.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Adapter(_) => "adapter",
            Self::Model(_) => "model",
        }
    }

    /// Every trainable tensor with its key, sorted by key.
    pub fn matrices(&self) -> Box<dyn Iterator<Item = (String, &Matrix)> + '_> {
        match self {
            Self::Adapter(adapter) => Box::new(adapter.matrices()),
            Self::Model(model) => Box::new(model.weights.matrices()),
        }
    }

    /// As [`Trainee::matrices`], to be moved; [`Trainee::moved`] comes after.
    pub fn matrices_mut(&mut self) -> Box<dyn Iterator<Item = (String, &mut Matrix)> + '_> {
        match self {
            Self::Adapter(adapter) => Box::new(adapter.matrices_mut()),
            Self::Model(model) => Box::new(model.weights.matrices_mut()),
        }
    }

    /// Makes what computes follow the tensors, once they have moved.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn moved(&mut self) -> Result<()> {
        match self {
            Self::Adapter(_) => Ok(()),
            Self::Model(model) => Ok(model.decoder.set_weights(&model.weights)?),
        }
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Adapter(adapter) => adapter.parameter_count(),
            Self::Model(model) => model.weights.parameter_count(),
        }
    }

    /// Zeros for the gradient of every trainable tensor.
    pub fn zero_gradients(&self) -> Gradients {
        match self {
            Self::Adapter(adapter) => Gradients::zeros(adapter),
            Self::Model(model) => Gradients::zeros_of_base(&model.weights),
        }
    }

    /// What computes: the frozen model, or the one that is trained.
    pub fn decoder<'a>(&'a self, base: &'a Decoder) -> &'a Decoder {
        match self {
            Self::Adapter(_) => base,
            Self::Model(model) => &model.decoder,
        }
    }

    /// Adds the gradients of `Σ weight · nll`; `scores` becomes the targets' scores.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn add_gradients(
        &self,
        base: &Decoder,
        (tree, targets): (&TokenTree, &[Target]),
        pass: &TrainingPass,
        scores: &mut Vec<TargetScore>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let keep = pass.checkpointing;
        Ok(match self {
            Self::Adapter(adapter) => {
                base.add_gradients(adapter, tree, targets, pass, scores, gradients)
            }
            Self::Model(model) => {
                model.decoder.add_base_gradients(tree, targets, keep, scores, gradients)
            }
        }?)
    }

    /// The score of each target.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn score(
        &self,
        base: &Decoder,
        tree: &TokenTree,
        targets: &[Target],
    ) -> Result<Vec<TargetScore>> {
        Ok(self.decoder(base).score(self.adapter(), tree, targets)?)
    }

    /// The logits at some flat positions.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn logits(&self, base: &Decoder, tree: &TokenTree, positions: &[usize]) -> Result<Tensor> {
        Ok(self.decoder(base).logits(self.adapter(), tree, positions)?)
    }

    /// Writes the trainable tensors as a checkpoint keeps them: whole models in f32, so that a resumed run goes on bit
    /// for bit.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save_state(&self, dir: &Path) -> Result<()> {
        match self {
            Self::Adapter(adapter) => Ok(adapter.save(dir)?),
            Self::Model(model) => {
                Ok(model.weights.save(dir, model.decoder.config(), BaseDtype::F32)?)
            }
        }
    }

    /// What [`Trainee::save_state`] wrote of a trainee like this one.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn load_state(&self, base: &Decoder, dir: &Path) -> Result<Self> {
        match self {
            Self::Adapter(_) => Ok(Adapter::load(base, dir)?.into()),
            Self::Model(model) => {
                let weights = BaseWeights::load_saved(dir, model.decoder.config())?;
                let mut model = model.clone();
                model.decoder.set_weights(&weights)?;
                model.weights = weights;
                Ok(Self::Model(model))
            }
        }
    }

    /// Writes the result of a run: a PEFT folder, or a model folder in the number format that its `config.json` names.
    ///
    /// # Errors
    /// When a folder cannot be read or written.
    pub fn save_result(&self, output: &Path) -> Result<()> {
        let model = match self {
            Self::Adapter(adapter) => return Ok(adapter.save(output)?),
            Self::Model(model) => model,
        };
        let dtype = BaseDtype::stored_in(&model.folder)?;
        model.weights.save(output, model.decoder.config(), dtype)?;
        copy_all_but_weights(&model.folder, output)?;
        if dtype == BaseDtype::F32 {
            name_f32(&output.join("config.json"))?;
        }
        Ok(())
    }
}

/// Names f32 in a `config.json`, where it names another format than the weights beside it have.
fn name_f32(path: &Path) -> Result<()> {
    let mut config = read_json(path)?;
    let mut renamed = false;
    for key in ["dtype", "torch_dtype"] {
        if config.get(key).is_some_and(|named| named != "float32") {
            config[key] = Value::from("float32");
            renamed = true;
        }
    }
    if !renamed {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&config);
    let text = text.map_err(|source| TrainError::Json { path: path.into(), source })?;
    Ok(write_whole(path, (text + "\n").as_bytes())?)
}
