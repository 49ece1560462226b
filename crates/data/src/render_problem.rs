//! What can be wrong with a model folder's text files, and with rendering one row.

use crate::error::names;

/// An error of a library that hides its type.
pub type LibraryError = Box<dyn std::error::Error + Send + Sync>;

/// Why a file of a model folder cannot be used; the path is told by whoever holds it.
#[derive(Debug, thiserror::Error)]
pub enum ModelProblem {
    /// A folder without a tokenizer.
    #[error("the file does not exist, expected the model's tokenizer")]
    NoTokenizer,
    /// The operating system refused to read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A file that is not JSON.
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of the wrong type.
    #[error("`{field}` is `{found}`, expected {expected}")]
    Field {
        /// The key.
        field: String,
        /// The value as written.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A tokenizer the library cannot load.
    #[error("the tokenizer cannot be loaded: {0}")]
    Tokenizer(LibraryError),
    /// A template with a syntax error.
    #[error("the chat template does not parse: {0}")]
    Template(minijinja::Error),
    /// Several named templates, none of them the default.
    #[error("the chat templates are named {}, expected one named `default`", names(found))]
    NoDefaultTemplate {
        /// The names.
        found: Vec<String>,
    },
}

impl ModelProblem {
    /// What the user can do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            ModelProblem::NoTokenizer => Some(
                "a model folder holds `tokenizer.json`; write it from another format with \
                 `AutoTokenizer.from_pretrained(…).save_pretrained(…)`"
                    .into(),
            ),
            ModelProblem::Json(_) | ModelProblem::Tokenizer(_) => {
                Some("the file may be cut or of a newer format: fetch it again".into())
            }
            ModelProblem::Template(_) | ModelProblem::NoDefaultTemplate { .. } => Some(
                "put the right template into `chat_template.jinja` beside the tokenizer".into(),
            ),
            ModelProblem::Read(_) | ModelProblem::Field { .. } => None,
        }
    }
}

/// Why a row cannot be rendered or tokenized; the file and line are told by whoever holds it.
#[derive(Debug, thiserror::Error)]
pub enum RenderProblem {
    /// A template that refuses the row by `raise_exception`.
    #[error("the chat template rejects the row: {message}")]
    Rejected {
        /// The template's words.
        message: String,
    },
    /// A template that fails.
    #[error("the chat template fails: {0}")]
    Template(minijinja::Error),
    /// A text the tokenizer cannot encode or decode.
    #[error("the text cannot be tokenized: {0}")]
    Tokenizer(LibraryError),
    /// A tokenizer that cannot tell control tokens from text.
    #[error("the text holds control tokens that this tokenizer cannot encode as text: {reason}")]
    ControlTokens {
        /// What does not hold.
        reason: &'static str,
    },
    /// A row of two answers.
    #[error(
        "a preference row has no single rendering, expected a conversation, a prompt or a text"
    )]
    Preference,
    /// A text row where an answer is needed.
    #[error("a `text` row has no answer apart from its text")]
    NoAnswer,
    /// A turn that the generation prompt does not lead to.
    #[error("`messages[{message}]`: the template's generation prompt does not lead to this turn as the template writes it")]
    NoHeader {
        /// The turn, counted from 0.
        message: usize,
    },
    /// A row that trains nothing.
    #[error("no token is supervised: {0}")]
    NothingSupervised(NothingSupervised),
    /// A row beyond the length limit.
    #[error("the row has {tokens} tokens, expected at most {max_length} (`max_length`)")]
    TooLong {
        /// Tokens of the row.
        tokens: usize,
        /// The limit.
        max_length: usize,
    },
    /// A row whose text alone tells that it is beyond the length limit.
    #[error(
        "the row has {bytes} bytes of text, more than {max_length} tokens can hold (`max_length`)"
    )]
    FarTooLong {
        /// Bytes of the row's text.
        bytes: usize,
        /// The limit.
        max_length: usize,
    },
}

/// Why a row has no supervised token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingSupervised {
    /// No turn of the assistant.
    NoAssistant,
    /// Every turn that could be trained has weight 0.
    WeightZero,
    /// The template writes nothing for the turns.
    Empty,
    /// A text without letters.
    EmptyText,
    /// A text of one token, with none before it and no end.
    SingleToken,
    /// The limit cuts the row before its first supervised token.
    Truncated {
        /// Position of the first supervised token, counted from 0.
        first: usize,
        /// The limit.
        max_length: usize,
    },
}

impl std::fmt::Display for NothingSupervised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NothingSupervised::NoAssistant => f.write_str("no message has role `assistant`"),
            NothingSupervised::WeightZero => f.write_str("the turns to train have `weight` 0"),
            NothingSupervised::Empty => {
                f.write_str("the template writes no token for the turns to train")
            }
            NothingSupervised::EmptyText => f.write_str("the text is empty"),
            NothingSupervised::SingleToken => {
                f.write_str("the text is a single token, which nothing predicts")
            }
            NothingSupervised::Truncated { first, max_length } => write!(
                f,
                "the first supervised token is number {}, cut off by `max_length` {max_length}",
                first + 1
            ),
        }
    }
}

impl RenderProblem {
    /// What the user can do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            RenderProblem::Rejected { .. } => {
                "bring the row into the shape the template expects, or drop it"
            }
            RenderProblem::Template(_) => {
                "the template may need a key that the row lacks, or another template"
            }
            RenderProblem::Tokenizer(_) => return None,
            RenderProblem::ControlTokens { .. } => "remove the control tokens from the text",
            RenderProblem::Preference => "preference training is not built yet",
            RenderProblem::NoAnswer => "use `messages` or `prompt`/`completion` rows",
            RenderProblem::NoHeader { .. } => {
                "use a template whose generation prompt begins the assistant's turn"
            }
            RenderProblem::NothingSupervised(NothingSupervised::Truncated { .. }) => {
                "raise `max_length`, shorten the prompt, or use `excess_length_strategy: drop`"
            }
            RenderProblem::NothingSupervised(
                NothingSupervised::EmptyText | NothingSupervised::SingleToken,
            ) => "give the row a longer text, or drop it",
            RenderProblem::NothingSupervised(_) => "give the row an answer to train on, or drop it",
            RenderProblem::TooLong { .. } | RenderProblem::FarTooLong { .. } => {
                "raise `max_length`, or set `excess_length_strategy` to `truncate` or `drop`"
            }
        };
        Some(hint.into())
    }
}
