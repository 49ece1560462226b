//! A model folder's text side, put together: tokenizer, template, and the tokens that begin and end things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::conversation::{Conversation, EncodedText};
use crate::error::DataError;
use crate::example::{Message, Role};
use crate::mask::EndOfTurn;
use crate::model_files::{bad, ModelFiles};
use crate::render::TemplateKind;
use crate::render_problem::{LibraryError, ModelProblem};
use crate::template::{ChatTemplate, CHATML, PLAIN};
use crate::tokenizer::TextTokenizer;

/// What an answer may hold beside words: no mark named so belongs to the turns alone.
const CONTENT_MARKS: [&str; 7] =
    ["think", "thought", "reason", "tool", "function", "call", "channel"];
const PROBE_ANSWER: &str = "Zebra";
const CHATML_MARKERS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// Everything a renderer needs of a model.
pub(crate) struct ModelText {
    tokenizer: TextTokenizer,
    tokenizer_hash: String,
    tokenizer_path: PathBuf,
    template: ChatTemplate,
    tool_template: Option<ChatTemplate>,
    template_path: PathBuf,
    template_hash: String,
    kind: TemplateKind,
    variables: BTreeMap<String, String>,
    now: DateTime<Local>,
    model_eos: Vec<u32>,
    eos: Option<u32>,
    end_of_turn: EndOfTurn,
    /// Whether the template rendered an answer, so that `end_of_turn` is known.
    probed: bool,
    stop_ids: Vec<u32>,
    folder_notes: Vec<String>,
    notes: Vec<String>,
}

impl ModelText {
    /// The text side of a model folder.
    ///
    /// # Errors
    /// Files that are absent, unreadable or wrong; each is named.
    pub(crate) fn from_folder(folder: &Path) -> Result<ModelText, DataError> {
        let files = ModelFiles::read(folder)?;
        let now = Local::now();
        let unloadable = |error| bad(&files.tokenizer_path, ModelProblem::Tokenizer(error));
        let mut tokenizer = load_tokenizer(&files).map_err(unloadable)?;
        let (eos, folder_notes) = choose_eos(&tokenizer, &files);
        let kind = choose_kind(&tokenizer, &files);
        if kind == TemplateKind::ChatMl {
            let markers = CHATML_MARKERS.map(str::to_string);
            tokenizer.add_special(&markers).map_err(unloadable)?;
        }
        let mut variables = files.named.clone();
        variables.extend(own_variables(kind, &tokenizer, eos));
        let compile = |source: &str| {
            ChatTemplate::compile(source, &variables, now)
                .map_err(|error| bad(&files.template_path, ModelProblem::Template(error)))
        };
        let template = match kind {
            TemplateKind::Model => {
                compile(files.templates.get("default").map_or("", String::as_str))
            }
            TemplateKind::ChatMl => compile(CHATML),
            TemplateKind::Plain => compile(PLAIN),
        }?;
        let tool_template = files.templates.get("tool_use");
        let tool_template = tool_template.map(|source| compile(source)).transpose()?;
        let mut model = ModelText {
            tokenizer,
            tokenizer_hash: hex(&files.tokenizer),
            tokenizer_path: files.tokenizer_path,
            template,
            tool_template,
            template_path: files.template_path,
            template_hash: String::new(),
            kind,
            variables,
            now,
            model_eos: files.eos_ids,
            eos,
            end_of_turn: EndOfTurn(None),
            probed: false,
            stop_ids: Vec::new(),
            folder_notes,
            notes: Vec::new(),
        };
        model.settle()?;
        Ok(model)
    }

    /// The same with that template in place of the model's.
    ///
    /// # Errors
    /// A template that does not parse.
    pub(crate) fn with_template(mut self, source: String) -> Result<ModelText, DataError> {
        let template = ChatTemplate::compile(&source, &self.variables, self.now);
        self.template =
            template.map_err(|error| bad(&self.template_path, ModelProblem::Template(error)))?;
        self.tool_template = None;
        self.kind = TemplateKind::Model;
        self.settle()?;
        Ok(self)
    }

    /// The same with the template's clock at that time.
    pub(crate) fn at_time(mut self, now: DateTime<Local>) -> ModelText {
        self.now = now;
        let again = |template: &ChatTemplate, variables: &BTreeMap<String, String>| {
            ChatTemplate::compile(template.source(), variables, now).ok()
        };
        // Both compiled before, so they compile again.
        if let Some(template) = again(&self.template, &self.variables) {
            self.template = template;
        }
        let tool_template = self.tool_template.as_ref();
        self.tool_template = tool_template.and_then(|template| again(template, &self.variables));
        self
    }

    /// Derives what depends on the template: its end-of-turn token, where generation stops, hash and notes.
    fn settle(&mut self) -> Result<(), DataError> {
        let unloadable = |error| bad(&self.tokenizer_path, ModelProblem::Tokenizer(error));
        let headers = self.probe_headers();
        self.tokenizer.add_special(&headers).map_err(unloadable)?;
        let answered = self.probe_answer();
        self.probed = answered.is_some();
        self.end_of_turn = EndOfTurn(answered.and_then(|answered| self.end_of(answered)));
        if let Some(text) = self.end_of_turn.0.and_then(|id| self.tokenizer.token(id)) {
            self.tokenizer.add_special(&[text]).map_err(unloadable)?;
        }
        let tokenizer_eos = self.variables.get("eos_token").and_then(|eos| self.tokenizer.id(eos));
        self.stop_ids.clear();
        let stops = self.model_eos.iter().copied().chain(tokenizer_eos).chain(self.end_of_turn.0);
        for id in stops {
            if !self.stop_ids.contains(&id) {
                self.stop_ids.push(id);
            }
        }
        let other = self.tool_template.as_ref().map_or("", |template| template.source());
        let hashed = format!("{:?}\n{}\n{other}", self.kind, self.template.source());
        self.template_hash = hex(hashed.as_bytes());
        self.notes = self.folder_notes.clone();
        self.notes.extend(self.template_note());
        Ok(())
    }

    fn template_note(&self) -> Option<String> {
        let end = self.eos.and_then(|id| self.tokenizer.token(id));
        match (self.kind, end) {
            (TemplateKind::Model, _) if !self.probed => Some(
                "the chat template renders no short conversation to look at, so the token that ends the assistant's turns is unknown"
                    .into(),
            ),
            (TemplateKind::Model, _) if self.end_of_turn.0.is_none() => Some(
                "the chat template ends the assistant's turns with no control token, so the model is not taught to stop"
                    .into(),
            ),
            (TemplateKind::Model, _) => None,
            (TemplateKind::ChatMl, _) => Some(
                "the model has no chat template; its tokenizer has ChatML's markers, so ChatML is used".into(),
            ),
            (TemplateKind::Plain, Some(end)) => Some(format!(
                "the model has no chat template; turns are separated plainly (`User:`, `Assistant:`) and answers end in `{end}`"
            )),
            (TemplateKind::Plain, None) => Some(
                "the model has no chat template; turns are separated plainly (`User:`, `Assistant:`)".into(),
            ),
        }
    }

    /// The tokens that the template writes around turns and that are not yet control tokens.
    ///
    /// Marks of reasoning and of tools are left out, since an answer may hold them.
    fn probe_headers(&self) -> Vec<String> {
        let mut headers = Vec::new();
        for messages in probes(&[Role::User, Role::Assistant, Role::User]) {
            let conversation = self.conversation(&messages, None);
            let text = conversation.prompt(messages.len());
            headers
                .extend(text.map(|text| self.tokenizer.marks_in(&text.text)).unwrap_or_default());
        }
        let of_content = |mark: &str| {
            let mark = mark.to_lowercase();
            CONTENT_MARKS.iter().any(|name| mark.contains(name))
        };
        headers.retain(|mark| !of_content(mark));
        headers
    }

    /// The rendering of a short conversation that ends in an answer; `None` where the template refuses every one.
    fn probe_answer(&self) -> Option<EncodedText> {
        probes(&[Role::User, Role::Assistant]).iter().find_map(|messages| {
            let conversation = self.conversation(messages, None);
            let text = conversation.text(messages.len()).ok()?;
            text.text.contains(PROBE_ANSWER).then_some(())?;
            conversation.encode(text).ok()
        })
    }

    /// The token that follows the answer, apart from white space.
    fn end_of(&self, row: EncodedText) -> Option<u32> {
        let behind = row.text.rfind(PROBE_ANSWER)? + PROBE_ANSWER.len();
        let first = row.tokens.offsets.partition_point(|(_, end)| *end <= behind);
        let mut following = row.tokens.ids.iter().zip(&row.tokens.offsets).skip(first);
        let blank = |(start, end): &(usize, usize)| {
            row.text.get((*start).max(behind)..*end).is_some_and(|text| text.trim().is_empty())
        };
        let (id, _) = following.find(|(_, offsets)| !blank(offsets))?;
        self.tokenizer.is_added(*id).then_some(*id)
    }

    /// The conversation under the template that its tools ask for.
    pub(crate) fn conversation(
        &self,
        messages: &[Message],
        tools: Option<&[Value]>,
    ) -> Conversation<'_> {
        let template = match (&self.tool_template, tools) {
            (Some(template), Some(_)) => template,
            _ => &self.template,
        };
        Conversation::new(&self.tokenizer, template, messages, tools)
    }

    pub(crate) fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    pub(crate) fn kind(&self) -> TemplateKind {
        self.kind
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn template_hash(&self) -> &str {
        &self.template_hash
    }

    pub(crate) fn tokenizer_hash(&self) -> &str {
        &self.tokenizer_hash
    }

    pub(crate) fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    pub(crate) fn end_of_turn(&self) -> EndOfTurn {
        self.end_of_turn
    }

    /// The token that ends rows without a template.
    pub(crate) fn eos(&self) -> Option<u32> {
        self.eos
    }
}

/// Short conversations of those roles, without a system message and, for templates that insist on one, with.
fn probes(roles: &[Role]) -> [Vec<Message>; 2] {
    let message = |role: &Role| {
        let text = match role {
            Role::Assistant => PROBE_ANSWER,
            Role::System | Role::User | Role::Tool => "Hello",
        };
        Message::new(*role, text)
    };
    let bare: Vec<Message> = roles.iter().map(message).collect();
    let led = std::iter::once(&Role::System).chain(roles).map(message).collect();
    [bare, led]
}

/// The folder's tokenizer.
///
/// Its post-processor alone says what stands around a text: beside a `tokenizer.json`, transformers 5 passes over
/// `add_bos_token` and `add_eos_token` in `tokenizer_config.json`.
fn load_tokenizer(files: &ModelFiles) -> Result<TextTokenizer, LibraryError> {
    let special: Vec<String> = files.named.values().chain(&files.extra).cloned().collect();
    TextTokenizer::new(&files.tokenizer, &files.added, &special)
}

/// The token that ends rows, and what to say about the choice.
fn choose_eos(tokenizer: &TextTokenizer, files: &ModelFiles) -> (Option<u32>, Vec<String>) {
    let named = files.named.get("eos_token");
    let own = named.and_then(|text| tokenizer.id(text));
    let mut notes = Vec::new();
    for (name, text) in &files.named {
        if tokenizer.id(text).is_none() {
            notes.push(format!(
                "`tokenizer_config.json` names `{text}` as `{name}`, but the tokenizer has no such token"
            ));
        }
    }
    let eos = match (own, files.eos_ids.first()) {
        (Some(own), Some(first)) if !files.eos_ids.contains(&own) => {
            let used = tokenizer.token(*first).unwrap_or_else(|| first.to_string());
            notes.push(format!(
                "the tokenizer ends texts with `{}`, but the model's configuration with `{used}`, which is used",
                named.map_or("", String::as_str)
            ));
            Some(*first)
        }
        (None, Some(first)) => Some(*first),
        (own, _) => own,
    };
    if eos.is_none() {
        notes.push(
            "neither the tokenizer nor the model's configuration names an end-of-sequence token, so plain rows have no end"
                .into(),
        );
    }
    (eos, notes)
}

fn choose_kind(tokenizer: &TextTokenizer, files: &ModelFiles) -> TemplateKind {
    if files.templates.contains_key("default") {
        TemplateKind::Model
    } else if CHATML_MARKERS.iter().all(|marker| tokenizer.is_single_token(marker)) {
        TemplateKind::ChatMl
    } else {
        TemplateKind::Plain
    }
}

/// What the templates of this crate use beside the model's special tokens.
fn own_variables(
    kind: TemplateKind,
    tokenizer: &TextTokenizer,
    eos: Option<u32>,
) -> Vec<(String, String)> {
    let text = |id: &u32| tokenizer.token(*id);
    let begin: String = tokenizer.around().0.iter().filter_map(text).collect();
    let end = eos.as_ref().and_then(text).unwrap_or_default();
    let breaks = tokenizer.knows("\n");
    let (gap, line) = if breaks { ("\n\n", "\n") } else { (" ", " ") };
    // A space before the answer belongs to its first token; a line break is a token of its own.
    let lead = if breaks { "\n" } else { "" };
    match kind {
        TemplateKind::Model => Vec::new(),
        TemplateKind::ChatMl => vec![("begin".into(), begin)],
        TemplateKind::Plain => {
            [("begin", begin.as_str()), ("end", &end), ("gap", gap), ("line", line), ("lead", lead)]
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .to_vec()
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
