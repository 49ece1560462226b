//! The processor's instruction sets, found when the program runs.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The widest instructions that kernels use, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What every processor of the target has.
    Portable,
    /// 256-bit vectors with fused multiply-add (x86-64).
    Avx2,
    /// 512-bit vectors (x86-64).
    Avx512,
    /// 512-bit vectors and products of bf16 pairs summed in f32 (x86-64).
    Avx512Bf16,
}

static CHOSEN: OnceLock<Instructions> = OnceLock::new();

impl Instructions {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The widest that this processor has.
    pub fn found() -> Self {
        Self::ALL.into_iter().rev().find(|i| i.available()).unwrap_or(Self::Portable)
    }

    /// Those that kernels use in this process: the widest, unless [`Instructions::force`] chose others.
    pub fn current() -> Self {
        *CHOSEN.get_or_init(Self::found)
    }

    /// Makes kernels use these, and returns whether they now do: the processor must have them, and no kernel may have
    /// run with others.
    pub fn force(self) -> bool {
        self.available() && *CHOSEN.get_or_init(|| self) == self
    }

    /// Whether this processor has them.
    pub fn available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512.available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Whether products of bf16 numbers run at their own, higher speed.
    pub fn multiplies_bf16(self) -> bool {
        self == Self::Avx512Bf16
    }

    /// The name that [`Instructions::from_str`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Instructions {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join("`, `");
        let found = Self::ALL.into_iter().find(|i| i.name() == name);
        found.ok_or_else(|| format!("expected `{names}`, found `{name}`"))
    }
}

/// Defines a function compiled once for each instruction set and run as the widest of them.
///
/// `FMA` in its body says whether multiply-add is one instruction; [`multiply_add`] needs it.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernel::instructions::Instructions;
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
                match Instructions::current() {
                    Instructions::Portable => body::<false>($($arg),*),
                    // SAFETY: `current` names instructions that the processor has.
                    Instructions::Avx2 => unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    _ => unsafe { avx512($($arg),*) },
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use vectorized;

/// Asks for a line of 64 bytes that will be read soon; any address may be named.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(line: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing into the program, and ignores addresses that are not mapped.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};
        _mm_prefetch::<_MM_HINT_T1>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// `a · b + c`, rounded once where the instruction set can.
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for instructions in Instructions::ALL {
            assert_eq!(instructions.name().parse(), Ok(instructions));
        }
        let unknown = "sse9".parse::<Instructions>().unwrap_err();
        assert_eq!(unknown, "expected `portable`, `avx2`, `avx512`, `avx512-bf16`, found `sse9`");
    }
}
