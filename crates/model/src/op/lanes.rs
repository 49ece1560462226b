//! Sums in a fixed number of lanes, so that every vector width gives the same order.

/// Numbers summed side by side.
pub(crate) const LANES: usize = 16;

/// The sum over chunks of [`LANES`] numbers; `add` adds a chunk to the lanes.
#[inline(always)]
pub(crate) fn sum<T>(chunks: impl Iterator<Item = T>, add: impl Fn(T, &mut [f32; LANES])) -> f32 {
    let mut sums = [0f32; LANES];
    chunks.for_each(|chunk| add(chunk, &mut sums));
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}
