//! What has to be looked at to find each code.

use super::Code;

/// What has to be looked at to find a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The line, which is no row.
    Line,
    /// The row alone.
    Row,
    /// The other rows too.
    Rows,
    /// The row that it repeats.
    Repeat,
    /// The splits.
    Splits,
    /// A model.
    Model,
}

impl Code {
    /// What has to be looked at to find it.
    pub(crate) fn evidence(self) -> Evidence {
        match self {
            Code::Unreadable | Code::UnknownRole | Code::MixedFormats | Code::NoAnswer => {
                Evidence::Line
            }
            Code::EmptyTurn
            | Code::ToolArguments
            | Code::ToolSchema
            | Code::Credential
            | Code::RoleOrder
            | Code::ToolUnanswered
            | Code::ToolMismatch
            | Code::Mojibake
            | Code::ReplacementCharacter
            | Code::ControlCharacter
            | Code::ZeroWidth
            | Code::EscapedText
            | Code::ControlToken
            | Code::CutOff
            | Code::Boilerplate
            | Code::PersonalData => Evidence::Row,
            Code::Contradiction | Code::NearContradiction | Code::SuspectLabel => Evidence::Rows,
            Code::OneReply | Code::RareLabel | Code::SameOpening => Evidence::Rows,
            Code::OtherLanguage | Code::StyleOutlier => Evidence::Rows,
            Code::Duplicate | Code::NearDuplicate => Evidence::Repeat,
            Code::Leak | Code::Overlap | Code::NearLeak | Code::ShortLeak => Evidence::Splits,
            Code::GroupLeak | Code::Shift | Code::UnseenLabel => Evidence::Splits,
            Code::OverLength | Code::NothingSupervised | Code::Unrenderable => Evidence::Model,
            Code::HighLoss | Code::CutByLimit => Evidence::Model,
        }
    }
}
