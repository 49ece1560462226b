//! AdamW with decoupled weight decay, and clipping by the global norm.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use tunewise_model::{Adapter, Gradients};

use crate::error::{Result, TrainError};

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
    first: Tensor,
    second: Tensor,
}

/// AdamW over an adapter's tensors; its state is f32.
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

    /// Moves every adapter tensor that has a gradient.
    ///
    /// # Errors
    /// When a gradient's shape is not its tensor's.
    pub fn step(
        &mut self,
        adapter: &mut Adapter,
        gradients: &Gradients,
        learning_rate: f64,
    ) -> Result<()> {
        self.step += 1;
        let tensors: Vec<(String, Tensor)> =
            adapter.tensors().map(|(key, tensor)| (key, tensor.clone())).collect();
        for (key, tensor) in tensors {
            if let Some(gradient) = gradients.get(&key) {
                let moved = self.moved(&key, &tensor, gradient, learning_rate)?;
                adapter.set_tensor(&key, moved)?;
            }
        }
        Ok(())
    }

    /// The parameter after the current step; stores its moments.
    fn moved(
        &mut self,
        key: &str,
        parameter: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<Tensor> {
        let AdamWConstants { beta1, beta2, epsilon, weight_decay } = self.constants;
        let old = match self.moments.get(key) {
            Some(moments) => moments.clone(),
            None => Moments { first: parameter.zeros_like()?, second: parameter.zeros_like()? },
        };
        let first = (&old.first + gradient.sub(&old.first)?.affine(1.0 - beta1, 0.0)?)?;
        let second =
            (old.second.affine(beta2, 0.0)? + gradient.sqr()?.affine(1.0 - beta2, 0.0)?)?;
        let steps = self.step as f64;
        let first_correction = 1.0 - beta1.powf(steps);
        let second_correction = (1.0 - beta2.powf(steps)).sqrt();
        let root = second.sqrt()?.affine(1.0 / second_correction, epsilon)?;
        let change = first.affine(-(learning_rate / first_correction), 0.0)?.div(&root)?;
        let decayed = parameter.affine(1.0 - learning_rate * weight_decay, 0.0)?;
        self.moments.insert(key.to_owned(), Moments { first, second });
        Ok((decayed + change)?)
    }

    /// The state tensors by name, sorted: `<key>.exp_avg` and `<key>.exp_avg_sq`.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let named = self.moments.iter().flat_map(|(key, moments)| {
            [
                (format!("{key}{FIRST_MOMENT}"), moments.first.clone()),
                (format!("{key}{SECOND_MOMENT}"), moments.second.clone()),
            ]
        });
        named.collect()
    }

    /// The state as the bytes of a safetensors file.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        Ok(safetensors::serialize(self.state(), None)?)
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
            moments.insert(key, Moments { first, second });
        }
        Ok(Self { constants, step, moments })
    }

    /// Nothing, where the state of an optimizer that has taken a step has both moments of every adapter tensor.
    ///
    /// # Errors
    /// With the first tensor of the file at `path` that is missing, or is not of its parameter's shape in f32.
    pub fn check_complete(&self, adapter: &Adapter, path: &Path) -> Result<()> {
        if self.step == 0 {
            return Ok(());
        }
        for (key, tensor) in adapter.tensors() {
            let moments = self.moments.get(&key).map(|moments| [&moments.first, &moments.second]);
            let fits =
                |moment: &Tensor| moment.dims() == tensor.dims() && moment.dtype() == DType::F32;
            let reason = match moments {
                Some(both) if both.into_iter().all(fits) => continue,
                Some([first, second]) => format!(
                    "the moments of `{key}` have shapes {:?} and {:?}, expected {:?} in f32",
                    first.dims(),
                    second.dims(),
                    tensor.dims()
                ),
                None => format!("tensor `{key}{FIRST_MOMENT}` is missing"),
            };
            return Err(TrainError::BadCheckpoint { path: path.into(), reason });
        }
        Ok(())
    }
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

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn walk(constants: AdamWConstants, start: &[f32], gradients: &[&[f32]], rate: f64) -> Vec<f32> {
        let mut optimizer = AdamW::new(constants);
        let mut parameter = tensor(start);
        for gradient in gradients {
            optimizer.step += 1;
            parameter = optimizer.moved("w", &parameter, &tensor(gradient), rate).unwrap();
        }
        parameter.to_vec1().unwrap()
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
        let moved = optimizer.moved("w.lora_A", &tensor(&[0.1, 0.7]), &tensor(&[0.3, 1e-20]), 0.1);
        let moved = moved.unwrap();
        std::fs::write(&path, optimizer.to_safetensors().unwrap()).unwrap();
        let mut again = AdamW::from_safetensors(CONSTANTS, &path, 1, &Device::Cpu).unwrap();
        assert_eq!(again.steps(), 1);
        assert_eq!(again.to_safetensors().unwrap(), optimizer.to_safetensors().unwrap());
        let next = |optimizer: &mut AdamW| {
            optimizer.step += 1;
            let moved = optimizer.moved("w.lora_A", &moved, &tensor(&[-0.2, 0.9]), 0.1).unwrap();
            moved.to_vec1::<f32>().unwrap()
        };
        assert_eq!(next(&mut again), next(&mut optimizer));
    }

    #[test]
    fn clipping_scales_to_the_norm_and_never_enlarges() {
        assert_eq!(clipping_factor(0.5, 1.0), 1.0);
        assert_eq!(clipping_factor(4.0, 1.0), 1.0 / 4.000001);
        assert_eq!(clipping_factor(0.0, 1.0), 1.0);
    }
}
