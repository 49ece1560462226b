//! Sets of codes: what was found in one row.

use super::finding::{Code, Severity};

// Each code has a bit.
const _: () = assert!(Code::ALL.len() <= u64::BITS as usize);

/// Some of the codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CodeSet(u64);

impl CodeSet {
    /// All codes that are errors or warnings.
    pub(super) fn harmful() -> CodeSet {
        let mut harmful = CodeSet::default();
        Code::ALL
            .into_iter()
            .filter(|code| code.severity() != Severity::Note)
            .for_each(|code| harmful.insert(code));
        harmful
    }

    /// Adds a code.
    pub(super) fn insert(&mut self, code: Code) {
        self.0 |= 1u64 << (code as u64);
    }

    /// Whether a code is one of them.
    pub(super) fn contains(self, code: Code) -> bool {
        self.0 & (1u64 << (code as u64)) != 0
    }

    /// The codes that are in both.
    pub(super) fn both(self, other: CodeSet) -> CodeSet {
        CodeSet(self.0 & other.0)
    }

    /// Whether there are none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The code, where there is one and no other.
    pub(super) fn only(self) -> Option<Code> {
        let first = Code::ALL.get(self.0.trailing_zeros() as usize).copied();
        first.filter(|_| self.0.is_power_of_two())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(codes: &[Code]) -> CodeSet {
        let mut set = CodeSet::default();
        codes.iter().for_each(|code| set.insert(*code));
        set
    }

    #[test]
    fn each_code_is_told_from_each_other() {
        for code in Code::ALL {
            assert_eq!(set(&[code]).only(), Some(code));
            let held: Vec<Code> =
                Code::ALL.into_iter().filter(|other| set(&[code]).contains(*other)).collect();
            assert_eq!(held, [code]);
        }
    }

    #[test]
    fn notes_are_not_harmful_and_two_codes_are_not_one() {
        let harmful = CodeSet::harmful();
        assert_eq!(
            set(&[Code::CutOff, Code::NearDuplicate]).both(harmful).only(),
            Some(Code::CutOff)
        );
        assert!(set(&[Code::NearDuplicate, Code::RareLabel]).both(harmful).is_empty());
        assert_eq!(set(&[Code::CutOff, Code::Leak]).only(), None);
        assert_eq!(CodeSet::default().only(), None);
    }
}
