//! What can be wrong with a set of rows: codes, in order of harm, and the rows that each was found in.

mod about;
mod evidence;

use std::fmt;

pub(crate) use evidence::Evidence;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Training or its evaluation would be wrong.
    Error,
    /// It teaches something that nobody wants.
    Warning,
    /// Worth a look.
    Note,
}

impl Severity {
    /// The name that programs read.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A line that is no row.
    Unreadable,
    /// A role nobody knows.
    UnknownRole,
    /// A row of another format than the rows before it.
    MixedFormats,
    /// A conversation without an answer at its end.
    NoAnswer,
    /// A turn without words.
    EmptyTurn,
    /// A tool call whose arguments are no JSON object.
    ToolArguments,
    /// A tool that is declared in a way that nothing can call.
    ToolSchema,
    /// A row that is longer than the limit, where such rows stop training.
    OverLength,
    /// A row without a token to learn from.
    NothingSupervised,
    /// A row that the chat template or the tokenizer refuses.
    Unrenderable,
    /// A question of the training rows that stands in another split too.
    Leak,
    /// A key, a password, a private key.
    Credential,
    /// One question, different labels.
    Contradiction,
    /// Nearly one question, different labels.
    NearContradiction,
    /// A label that the nearest rows do not have.
    SuspectLabel,
    /// A row that the base model finds unlikely and that nothing is like.
    HighLoss,
    /// Most of a text stands in the training rows too.
    Overlap,
    /// Nearly a question of the training rows in another split.
    NearLeak,
    /// A conversation or group that has rows in two splits.
    GroupLeak,
    /// A split that is made up otherwise than the training rows.
    Shift,
    /// A turn at the wrong place.
    RoleOrder,
    /// A tool call that no tool answers.
    ToolUnanswered,
    /// A tool call that does not fit the tools declared.
    ToolMismatch,
    /// Text of one encoding read as another.
    Mojibake,
    /// Characters that were lost.
    ReplacementCharacter,
    /// Characters that no one sees and no one wrote.
    ControlCharacter,
    /// Characters of no width.
    ZeroWidth,
    /// Escapes in place of letters.
    EscapedText,
    /// The text of a control token in a turn.
    ControlToken,
    /// A reply that stops in mid-sentence.
    CutOff,
    /// A row that the limit cuts or leaves out.
    CutByLimit,
    /// A reply that opens as assistants do.
    Boilerplate,
    /// Names, numbers and addresses of people.
    PersonalData,
    /// The same row again.
    Duplicate,
    /// Nearly the same row again.
    NearDuplicate,
    /// One long reply to many questions.
    OneReply,
    /// A label of the test rows that no training row has.
    UnseenLabel,
    /// A label with few rows.
    RareLabel,
    /// A short question that other splits have too.
    ShortLeak,
    /// A reply that opens with the words of many others.
    SameOpening,
    /// A reply in another language than most.
    OtherLanguage,
    /// A reply in another style than most.
    StyleOutlier,
}

impl Code {
    /// All of them, the most harmful first.
    pub const ALL: [Code; 42] = [
        Code::Unreadable,
        Code::UnknownRole,
        Code::MixedFormats,
        Code::NoAnswer,
        Code::EmptyTurn,
        Code::ToolArguments,
        Code::ToolSchema,
        Code::OverLength,
        Code::NothingSupervised,
        Code::Unrenderable,
        Code::Leak,
        Code::Credential,
        Code::Contradiction,
        Code::NearContradiction,
        Code::SuspectLabel,
        Code::HighLoss,
        Code::Overlap,
        Code::NearLeak,
        Code::GroupLeak,
        Code::Shift,
        Code::RoleOrder,
        Code::ToolUnanswered,
        Code::ToolMismatch,
        Code::Mojibake,
        Code::ReplacementCharacter,
        Code::ControlCharacter,
        Code::ZeroWidth,
        Code::EscapedText,
        Code::ControlToken,
        Code::CutOff,
        Code::CutByLimit,
        Code::Boilerplate,
        Code::PersonalData,
        Code::Duplicate,
        Code::NearDuplicate,
        Code::OneReply,
        Code::UnseenLabel,
        Code::RareLabel,
        Code::ShortLeak,
        Code::SameOpening,
        Code::OtherLanguage,
        Code::StyleOutlier,
    ];

    /// The name that programs read, such as `near-duplicate`.
    pub fn name(self) -> &'static str {
        self.about().0
    }

    /// How much it matters.
    pub fn severity(self) -> Severity {
        self.about().1
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        self.about().2
    }

    /// Why it hurts.
    pub fn why(self) -> &'static str {
        self.about().3
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.about().4
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a row stands, or a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, in the order in which files were given.
    pub file: usize,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: usize,
}

/// A row that something was found in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The row.
    pub place: Place,
    /// The other row that it is about, where there is one.
    pub other: Option<Place>,
    /// How suspect it is, from 0 to 1, or how far it stands out, where that is measured.
    pub score: Option<f64>,
}

/// Something that was found in some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// How many rows.
    pub count: usize,
    /// The rows, by place, or the worst first where they have scores; at most [`Finding::ROWS`].
    pub rows: Vec<Found>,
    /// What the first of them look like, at most [`Finding::EXAMPLES`].
    pub examples: Vec<String>,
}

impl Finding {
    /// Examples that are kept.
    pub const EXAMPLES: usize = 3;
    /// Rows that are kept; further ones are counted.
    pub const ROWS: usize = 10_000;

    /// Whether it is about whole files, and its count one of files.
    pub fn is_of_files(&self) -> bool {
        self.rows.first().is_some_and(|found| found.place.line == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed_in_their_order_and_have_names_of_their_own() {
        assert!(Code::ALL.is_sorted());
        let mut names = Code::ALL.map(Code::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(Code::NearDuplicate.to_string(), "near-duplicate");
        assert_eq!(Code::Leak.severity(), Severity::Error);
    }
}
