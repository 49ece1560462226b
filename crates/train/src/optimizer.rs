//! AdamW with decoupled weight decay, and clipping by the global norm.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use tunewise_model::op::adamw::{self, AdamWFactors};
use tunewise_model::{Gradients, Matrix};

use crate::error::{Result, TrainError};
use crate::trainee::Trainee;

const FIRST_MOMENT: &str = ".exp_avg";
const SECOND_MOMENT: &str = ".exp_avg_sq";

/// The constants of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConstants {
    /// Decay of the mean of the gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the second moment, after its bias correction.
    pub epsilon: f64,
    /// Share of a parameter taken away per unit of learning rate.
    pub weight_decay: f64,
}

#[derive(Debug, Clone)]
struct Moments {
    first: Matrix,
    second: Matrix,
}

impl Moments {
    fn zeros(shape: (usize, usize)) -> Self {
        Self { first: Matrix::zeros(shape), second: Matrix::zeros(shape) }
    }
}

/// AdamW over the trainable tensors; its state is f32. Norms and biases do not decay.
///
/// Source: Loshchilov & Hutter 2019, algorithm 2, in the order of operations of `torch.optim.AdamW`.
#[derive(Debug, Clone)]
pub struct AdamW {
    constants: AdamWConstants,
    step: usize,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimizer that has taken no step.
    pub fn new(constants: AdamWConstants) -> Self {
        Self { constants, step: 0, moments: BTreeMap::new() }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// Moves every tensor that has a gradient, the gradients multiplied by `gradient_factor` first.
    ///
    /// # Errors
    /// When a gradient's shape is not its tensor's.
    pub fn step<'m>(
        &mut self,
        tensors: impl Iterator<Item = (String, &'m mut Matrix)>,
        gradients: &Gradients,
        gradient_factor: f64,
        learning_rate: f64,
    ) -> Result<()> {
        self.step += 1;
        let factors = self.factors(gradient_factor, learning_rate);
        let tensors: Vec<(String, &mut Matrix)> =
            tensors.filter(|(key, _)| gradients.get(key).is_some()).collect();
        for (key, matrix) in &tensors {
            if !self.moments.contains_key(key) {
                self.moments.insert(key.clone(), Moments::zeros(matrix.shape()));
            }
        }
        let mut moments: BTreeMap<&str, &mut Moments> =
            self.moments.iter_mut().map(|(key, moments)| (key.as_str(), moments)).collect();
        let mut moves = Vec::with_capacity(moments.len());
        for (key, matrix) in tensors {
            let Some(gradient) = gradients.get(&key) else { continue };
            let Some(moments) = moments.remove(key.as_str()) else { continue };
            if gradient.len() != matrix.values().len() {
                let found = gradient.len();
                return Err(TrainError::GradientShape {
                    tensor: key,
                    shape: matrix.shape(),
                    found,
                });
            }
            let kept = if decays(&key) { factors.kept } else { 1.0 };
            moves.push((matrix, gradient, moments, AdamWFactors { kept, ..factors }));
        }
        moves.into_par_iter().for_each(|(matrix, gradient, moments, factors)| {
            let Moments { first, second } = moments;
            adamw::step(
                matrix.values_mut(),
                gradient,
                first.values_mut(),
                second.values_mut(),
                factors,
            );
        });
        Ok(())
    }

    fn factors(&self, gradient_factor: f64, learning_rate: f64) -> AdamWFactors {
        let AdamWConstants { beta1, beta2, epsilon, weight_decay } = self.constants;
        let steps = self.step as f64;
        AdamWFactors {
            first_share: (1.0 - beta1) as f32,
            second_kept: beta2 as f32,
            second_share: (1.0 - beta2) as f32,
            root_factor: (1.0 / (1.0 - beta2.powf(steps)).sqrt()) as f32,
            epsilon: epsilon as f32,
            rate: (learning_rate / (1.0 - beta1.powf(steps))) as f32,
            kept: (1.0 - learning_rate * weight_decay) as f32,
            gradient_factor: gradient_factor as f32,
        }
    }

    /// The state tensors by name, sorted: `<key>.exp_avg` and `<key>.exp_avg_sq`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (key, Moments { first, second }) in &self.moments {
            state.insert(format!("{key}{FIRST_MOMENT}"), first.tensor()?);
            state.insert(format!("{key}{SECOND_MOMENT}"), second.tensor()?);
        }
        Ok(state)
    }

    /// Every state tensor's numbers with its name.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (String, &[f32])> {
        self.moments.iter().flat_map(|(key, Moments { first, second })| {
            [
                (format!("{key}{FIRST_MOMENT}"), first.values()),
                (format!("{key}{SECOND_MOMENT}"), second.values()),
            ]
        })
    }

    /// The state as the bytes of a safetensors file.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        Ok(safetensors::serialize(self.state()?, None)?)
    }

    /// An optimizer that continues from a file after `step` steps.
    ///
    /// # Errors
    /// When the file is missing, damaged, or has a tensor without its partner.
    pub fn from_safetensors(
        constants: AdamWConstants,
        path: &Path,
        step: usize,
        device: &Device,
    ) -> Result<Self> {
        let bad = |reason: String| Err(TrainError::BadCheckpoint { path: path.into(), reason });
        if !path.is_file() {
            return bad("the file is missing".into());
        }
        let bytes =
            std::fs::read(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        let Ok(mut tensors) = candle_core::safetensors::load_buffer(&bytes, device) else {
            return bad("the file is damaged, expected whole safetensors".into());
        };
        let firsts: Vec<String> =
            tensors.keys().filter(|name| name.ends_with(FIRST_MOMENT)).cloned().collect();
        let mut moments = BTreeMap::new();
        for name in firsts {
            let key = name.trim_end_matches(FIRST_MOMENT).to_owned();
            let second = tensors.remove(&format!("{key}{SECOND_MOMENT}"));
            let (Some(first), Some(second)) = (tensors.remove(&name), second) else {
                return bad(format!("tensor `{key}{SECOND_MOMENT}` is missing"));
            };
            let matrix = |tensor: &Tensor| match (tensor.dtype(), Matrix::from_tensor(tensor)) {
                (DType::F32, Ok(matrix)) => Ok(matrix),
                (dtype, _) => {
                    let reason = format!(
                        "the moments of `{key}` have shape {:?} in {dtype:?}, expected rows and columns in f32",
                        tensor.dims()
                    );
                    Err(TrainError::BadCheckpoint { path: path.into(), reason })
                }
            };
            let both = Moments { first: matrix(&first)?, second: matrix(&second)? };
            moments.insert(key, both);
        }
        Ok(Self { constants, step, moments })
    }

    /// Nothing, where the state of an optimizer that has taken a step has both moments of every trainable tensor.
    ///
    /// # Errors
    /// With the first tensor of the file at `path` that is missing, or is not of its parameter's shape in f32.
    pub fn check_complete(&self, trainee: &Trainee, path: &Path) -> Result<()> {
        if self.step == 0 {
            return Ok(());
        }
        for (key, matrix) in trainee.matrices() {
            let shape = matrix.shape();
            let reason = match self.moments.get(&key) {
                Some(both) if [both.first.shape(), both.second.shape()] == [shape; 2] => continue,
                Some(both) => format!(
                    "the moments of `{key}` have shapes {:?} and {:?}, expected {shape:?} in f32",
                    both.first.shape(),
                    both.second.shape()
                ),
                None => format!("tensor `{key}{FIRST_MOMENT}` is missing"),
            };
            return Err(TrainError::BadCheckpoint { path: path.into(), reason });
        }
        Ok(())
    }
}

/// Whether weight decay applies to a tensor: to all but norms and biases.
///
/// Source: `get_decay_parameter_names` of transformers' `Trainer`.
fn decays(key: &str) -> bool {
    !key.ends_with("norm.weight") && !key.ends_with(".bias")
}

/// The factor that brings a gradient of norm `norm` to at most `max_norm`.
///
/// Source: `torch.nn.utils.clip_grad_norm_`: min(1, max_norm / (norm + 1e-6)).
pub fn clipping_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSTANTS: AdamWConstants =
        AdamWConstants { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };

    fn walk(constants: AdamWConstants, start: &[f32], gradients: &[&[f32]], rate: f64) -> Vec<f32> {
        let mut optimizer = AdamW::new(constants);
        let mut parameter = start.to_vec();
        let (mut first, mut second) = (vec![0.0; start.len()], vec![0.0; start.len()]);
        for gradient in gradients {
            optimizer.step += 1;
            let factors = optimizer.factors(1.0, rate);
            adamw::step(&mut parameter, gradient, &mut first, &mut second, factors);
        }
        parameter
    }

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_sign() {
        // m/(1-b1) = g and sqrt(v/(1-b2)) = |g|, so the change is rate * g / (|g| + eps).
        assert_eq!(
            walk(CONSTANTS, &[1.0, -2.0, 0.5], &[&[0.25, -4.0, 0.0]], 0.5),
            [0.5, -1.5, 0.5]
        );
    }

    #[test]
    fn two_steps_by_hand() {
        // g = 1 then 3: m = 0.1 then 0.39, v = 0.001 then 0.009999; corrected m = 0.39/0.19 = 2.0526316,
        // corrected v = 0.009999/0.001999 = 5.0020010, root = 2.2365154, change = 0.1 * 0.9177811.
        let found = walk(CONSTANTS, &[1.0], &[&[1.0], &[3.0]], 0.1);
        assert!((found[0] - (1.0 - 0.1 - 0.091_778_11)).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn weight_decay_takes_its_share_apart_from_the_gradient() {
        let decaying = AdamWConstants { weight_decay: 0.1, ..CONSTANTS };
        // 4 * (1 - 0.5 * 0.1) - 0.5 = 3.3.
        assert_eq!(walk(decaying, &[4.0], &[&[2.0]], 0.5), [3.3]);
    }

    #[test]
    fn epsilon_is_added_after_the_bias_correction() {
        let wide = AdamWConstants { epsilon: 1.0, ..CONSTANTS };
        // Change = 1 * 3 / (3 + 1), not 3 / (3 + 1/sqrt(0.001)).
        assert!((walk(wide, &[1.0], &[&[3.0]], 1.0)[0] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn the_state_comes_back_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("optimizer.safetensors");
        let mut optimizer = AdamW::new(CONSTANTS);
        optimizer.step += 1;
        let mut moments = Moments::zeros((1, 2));
        let factors = optimizer.factors(1.0, 0.1);
        let Moments { first, second } = &mut moments;
        let (first, second) = (first.values_mut(), second.values_mut());
        adamw::step(&mut [0.1, 0.7], &[0.3, 1e-20], first, second, factors);
        optimizer.moments.insert("w.lora_A".into(), moments);
        std::fs::write(&path, optimizer.to_safetensors().unwrap()).unwrap();
        let again = AdamW::from_safetensors(CONSTANTS, &path, 1, &Device::Cpu).unwrap();
        assert_eq!(again.steps(), 1);
        let bits = |optimizer: &AdamW| -> Vec<(String, Vec<u32>)> {
            let numbers = optimizer.numbers();
            numbers.map(|(key, n)| (key, n.iter().map(|x| x.to_bits()).collect())).collect()
        };
        assert_eq!(bits(&again), bits(&optimizer));
        assert!(bits(&again).iter().all(|(_, bits)| bits.iter().any(|bits| *bits != 0)));
    }

    #[test]
    fn a_factor_on_gradients_is_that_of_smaller_gradients() {
        let step = |gradient: f32, factor: f64| {
            let mut optimizer = AdamW::new(CONSTANTS);
            optimizer.step += 1;
            let factors = optimizer.factors(factor, 0.1);
            let (mut first, mut second) = ([0.5], [0.25]);
            adamw::step(&mut [1.0], &[gradient], &mut first, &mut second, factors);
            (first, second)
        };
        assert_eq!(step(4.0, 0.25), step(1.0, 1.0));
    }

    #[test]
    fn norms_and_biases_do_not_decay() {
        for key in ["model.norm.weight", "model.layers.0.input_layernorm.weight", "a.q_proj.bias"] {
            assert!(!decays(key), "{key}");
        }
        for key in ["model.embed_tokens.weight", "a.q_proj.weight", "a.q_proj.lora_A.weight"] {
            assert!(decays(key), "{key}");
        }
    }

    #[test]
    fn a_step_without_gradient_takes_decay_from_weights_and_leaves_norms() {
        let config = r#"{"model_type": "llama", "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 1, "vocab_size": 3, "max_position_embeddings": 8, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true}"#;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let config = tunewise_model::ModelConfig::from_folder(dir.path()).unwrap();
        let mut weights = tunewise_model::BaseWeights::random(&config, 1.0, 3);
        let before = weights.clone();
        let gradients = Gradients::zeros_of_base(&weights);
        let mut optimizer = AdamW::new(AdamWConstants { weight_decay: 0.5, ..CONSTANTS });
        optimizer.step(weights.matrices_mut(), &gradients, 1.0, 0.5).unwrap();
        for ((name, before), (_, after)) in before.matrices().zip(weights.matrices()) {
            let kept = if name.ends_with("norm.weight") { 1.0 } else { 0.75 };
            let expected: Vec<f32> = before.values().iter().map(|value| value * kept).collect();
            assert_eq!(after.values(), expected, "{name}");
        }
    }

    #[test]
    fn clipping_scales_to_the_norm_and_never_enlarges() {
        assert_eq!(clipping_factor(0.5, 1.0), 1.0);
        assert_eq!(clipping_factor(4.0, 1.0), 1.0 / 4.000001);
        assert_eq!(clipping_factor(0.0, 1.0), 1.0);
    }
}
