//! What can be wrong with a set of rows: codes, in order of harm, and the rows that each was found in.

use std::fmt;

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

/// What a code says of itself: its name for programs, severity, title, why it hurts, and what to do.
struct About(&'static str, Severity, &'static str, &'static str, &'static str);

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

    fn about(self) -> About {
        use Severity::{Error, Note, Warning};
        match self {
            Code::Unreadable => About(
                "unreadable", Error, "lines that are no rows",
                "training stops at them, or leaves them out",
                "mend the lines, or pass `--on-bad-row skip`",
            ),
            Code::UnknownRole => About(
                "unknown-role", Error, "turns of an unknown role",
                "chat templates know `system`, `user`, `assistant` and `tool` only",
                "rename the role, or drop the row",
            ),
            Code::MixedFormats => About(
                "mixed-formats", Error, "rows of another format than the others",
                "a file is read as one format, so these rows cannot be used",
                "put rows of one format in one file",
            ),
            Code::NoAnswer => About(
                "no-answer", Error, "conversations without an answer at their end",
                "there is nothing in them to learn",
                "add the answer, or drop the row",
            ),
            Code::EmptyTurn => About(
                "empty-turn", Error, "turns without words",
                "the model learns to answer nothing, or to answer to nothing",
                "write the text, or drop the row",
            ),
            Code::ToolArguments => About(
                "tool-arguments", Error, "tool calls whose arguments are no JSON object",
                "the model learns to call tools with arguments that no tool can read",
                "mend the JSON, or drop the row",
            ),
            Code::ToolSchema => About(
                "tool-schema", Error, "tools without a name or a readable schema",
                "the model cannot know how to call them, and some chat templates stop at them",
                "declare each tool as OpenAI does: `name`, and `parameters` as a JSON schema of type `object`",
            ),
            Code::OverLength => About(
                "over-length", Error, "rows longer than the limit",
                "training stops at them: the model cannot see past its context",
                "shorten them, or pass `--excess-length-strategy` with `truncate` or `drop`",
            ),
            Code::NothingSupervised => About(
                "nothing-supervised", Error, "rows without a token to learn from",
                "there is nothing in them to learn, or the limit cuts it off",
                "shorten the prompt, or drop the row",
            ),
            Code::Unrenderable => About(
                "unrenderable", Error, "rows that the model's chat template refuses",
                "training stops at them",
                "bring the turns into the order that the template knows, or drop the row",
            ),
            Code::Leak => About(
                "leak", Error, "questions of the training rows in another split",
                "the test asks what training told, so its score says nothing about new questions",
                "drop the row from one of the splits",
            ),
            Code::Credential => About(
                "credential", Error, "keys, tokens and passwords",
                "a model repeats what it was trained on, to whoever asks",
                "revoke the secret, and drop or redact the row",
            ),
            Code::Contradiction => About(
                "contradiction", Warning, "one question with different labels",
                "no model can get both right: each such pair caps the score and blurs its neighbours",
                "decide on one label, and drop the other row",
            ),
            Code::NearContradiction => About(
                "near-contradiction", Warning, "nearly one question with different labels",
                "unless the small difference is what decides, one of the two labels is wrong",
                "look at the pairs, and correct the wrong label",
            ),
            Code::SuspectLabel => About(
                "suspect-label", Warning, "labels that the nearest rows do not have",
                "wrong labels teach wrong answers, and each costs several good rows",
                "look at the rows, the most suspect first, and correct the wrong labels",
            ),
            Code::HighLoss => About(
                "high-loss", Warning, "replies that the model finds unlikely and no other row resembles",
                "such a row is often a mistake, and it pulls harder than the others",
                "read the rows, the most suspect first, and drop the wrong ones",
            ),
            Code::Overlap => About(
                "overlap", Warning, "texts of which most stands in the training rows",
                "the test rewards what was learned by heart",
                "keep rows of one source in one split",
            ),
            Code::NearLeak => About(
                "near-leak", Warning, "nearly a question of the training rows in another split",
                "the test asks nearly what training told, so its score is too high",
                "keep near-duplicates in one split",
            ),
            Code::GroupLeak => About(
                "group-leak", Warning, "rows of one conversation or group in two splits",
                "the test meets people and texts that training has met, so its score is too high",
                "split again with `tunewise prepare --group-by`",
            ),
            Code::Shift => About(
                "shift", Warning, "splits made up otherwise than the training rows",
                "the score is of other questions than those that were trained on",
                "draw the splits from one pool: `tunewise prepare` does so label by label",
            ),
            Code::RoleOrder => About(
                "role-order", Warning, "turns in an unusual order",
                "some chat templates refuse them, and no chat looks like that",
                "join turns of one speaker; put the system message first",
            ),
            Code::ToolUnanswered => About(
                "tool-unanswered", Warning, "tool calls that no tool answers",
                "the model learns to go on without the tool's answer",
                "add the tool's turn, or drop the row",
            ),
            Code::ToolMismatch => About(
                "tool-mismatch", Warning, "tool calls that do not fit the tools declared",
                "the model learns to call what is not there, or without what is needed",
                "mend the call or the declaration",
            ),
            Code::Mojibake => About(
                "mojibake", Warning, "text of one encoding read as another",
                "the model learns to write the broken letters",
                "read the source as UTF-8, and write the rows again",
            ),
            Code::ReplacementCharacter => About(
                "replacement-character", Warning, "letters that were lost on the way",
                "the model learns to write the mark that stands for them",
                "read the source in its own encoding, and write the rows again",
            ),
            Code::ControlCharacter => About(
                "control-character", Warning, "control characters",
                "they are tokens that nobody types, and hide what the model would know",
                "remove them",
            ),
            Code::ZeroWidth => About(
                "zero-width", Warning, "characters of no width",
                "a word with one of them in it is another word to the model",
                "remove them",
            ),
            Code::EscapedText => About(
                "escaped-text", Warning, "escapes in place of letters",
                "the model learns to write the escapes",
                "decode the text once more before it is written",
            ),
            Code::ControlToken => About(
                "control-token", Warning, "the text of control tokens inside turns",
                "a conversation was probably pasted in with its template, which is applied again",
                "write the turns as messages, without the template's marks",
            ),
            Code::CutOff => About(
                "cut-off", Warning, "replies that stop in mid-sentence",
                "the model learns to stop there too",
                "complete the reply, or drop the row",
            ),
            Code::CutByLimit => About(
                "cut-by-limit", Warning, "rows that the limit cuts or leaves out",
                "the model learns replies without an end, or never sees the row",
                "shorten the rows, or raise `--max-length` where the model's context allows",
            ),
            Code::Boilerplate => About(
                "boilerplate", Warning, "replies that open as assistants do",
                "the phrase comes back in every answer",
                "cut the opening, or drop the row",
            ),
            Code::PersonalData => About(
                "personal-data", Warning, "addresses and numbers of people",
                "a model repeats what it was trained on, to whoever asks",
                "replace them by placeholders, or drop the row",
            ),
            Code::Duplicate => About(
                "duplicate", Warning, "the same row again",
                "what stands there twice counts twice, and is learned by heart first",
                "keep one of them",
            ),
            Code::NearDuplicate => About(
                "near-duplicate", Note, "nearly the same row again",
                "many variations of one row weigh more than the rows that are alone",
                "keep the best of each group, where there are many",
            ),
            Code::OneReply => About(
                "one-reply", Warning, "one reply to many questions",
                "the model learns that it always fits",
                "vary the reply, or drop most of the rows",
            ),
            Code::UnseenLabel => About(
                "unseen-label", Warning, "labels that no training row has",
                "the model cannot know them, so the test counts them as wrong",
                "add training rows of the label, or drop the row",
            ),
            Code::RareLabel => About(
                "rare-label", Note, "labels with few training rows",
                "the model will seldom give them",
                "add rows of the label, or join it with another",
            ),
            Code::ShortLeak => About(
                "short-leak", Note, "short questions that another split has too",
                "everybody says them, but the score on them is too high",
                "drop them from the test where they are many",
            ),
            Code::SameOpening => About(
                "same-opening", Note, "replies that open with the same words",
                "the model will open with them whatever is asked",
                "vary the openings, or cut them",
            ),
            Code::OtherLanguage => About(
                "other-language", Note, "replies in another language than most",
                "the model learns to mix languages, where that is not meant",
                "keep them where users write so too; translate or drop them otherwise",
            ),
            Code::StyleOutlier => About(
                "style-outlier", Note, "replies in another style than most",
                "the tone that is learned is the mean of all",
                "rewrite the replies, or drop the rows",
            ),
        }
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
