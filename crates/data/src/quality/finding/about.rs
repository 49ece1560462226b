//! What each code says of itself: its name, how much it matters, why it hurts, and what to do.

use super::{Code, Severity};

/// What a code says of itself: its name for programs, severity, title, why it hurts, and what to do.
pub(super) struct About(
    pub(super) &'static str,
    pub(super) Severity,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

impl Code {
    /// What it says of itself.
    pub(super) fn about(self) -> About {
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
