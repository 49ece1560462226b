//! One step of AdamW over a tensor.
//!
//! Source: Loshchilov & Hutter 2019, algorithm 2, in the order of operations of `torch.optim.AdamW`.

use crate::kernel::instructions::vectorized;

/// The factors of a step, the same for every number.
#[derive(Debug, Clone, Copy)]
pub struct AdamWFactors {
    /// 1 − β₁.
    pub first_share: f32,
    /// β₂.
    pub second_kept: f32,
    /// 1 − β₂.
    pub second_share: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub root_factor: f32,
    /// ε.
    pub epsilon: f32,
    /// Learning rate / (1 − β₁ᵗ).
    pub rate: f32,
    /// 1 − learning rate · weight decay.
    pub kept: f32,
    /// What gradients are multiplied with first, such as the factor of clipping.
    pub gradient_factor: f32,
}

vectorized! {
    /// Moves `parameter` against its gradient, and the moments towards the gradient and its square.
    ///
    /// Shapes: all alike.
    pub fn step(
        parameter: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        factors: AdamWFactors,
    ) -> () {
        let f = factors;
        let moments = first.iter_mut().zip(second);
        for ((parameter, gradient), (first, second)) in parameter.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * f.gradient_factor;
            *first += (gradient - *first) * f.first_share;
            *second = *second * f.second_kept + gradient * gradient * f.second_share;
            let root = second.sqrt() * f.root_factor + f.epsilon;
            *parameter = *parameter * f.kept - *first * f.rate / root;
        }
    }
}
