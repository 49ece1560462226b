//! Folds in a fixed number of lanes, so that every vector width gives the same order.

/// Numbers folded side by side.
pub(crate) const LANES: usize = 16;

/// Chunks of [`LANES`] numbers, and what is left over. The compiler knows the length of the former.
#[inline(always)]
pub(crate) fn chunks(numbers: &[f32]) -> (impl Iterator<Item = &[f32]>, &[f32]) {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    (whole.iter().map(|chunk| chunk.as_slice()), rest)
}

/// The sum over [`chunks`] of numbers and over their rest; `add` adds a chunk to the lanes.
#[inline(always)]
pub(crate) fn sum<T>(
    chunks: impl Iterator<Item = T>,
    rest: T,
    add: impl Fn(T, &mut [f32; LANES]),
) -> f32 {
    let mut sums = [0f32; LANES];
    chunks.for_each(|chunk| add(chunk, &mut sums));
    add(rest, &mut sums);
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The sum of numbers.
#[inline(always)]
pub(crate) fn total(numbers: &[f32]) -> f32 {
    let (whole, rest) = chunks(numbers);
    sum(whole, rest, |chunk, sums| {
        for (x, sum) in chunk.iter().zip(sums) {
            *sum += x;
        }
    })
}

/// The largest number, −∞ of none; NaN is passed over.
#[inline(always)]
pub(crate) fn largest(numbers: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = chunks(numbers);
    for chunk in whole {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *x);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_chunks_and_the_rest_are_folded() {
        for count in [0, 1, 15, 16, 17, 40] {
            let numbers: Vec<f32> = (0..count).map(|i| i as f32 - 50.0).collect();
            assert_eq!(total(&numbers), (0..count).map(|i| i - 50).sum::<i32>() as f32);
            let expected = if count == 0 { f32::NEG_INFINITY } else { count as f32 - 51.0 };
            assert_eq!(largest(&numbers), expected);
        }
        assert_eq!(largest(&[-3.0, f32::NAN, -2.0]), -2.0);
    }
}
