//! Chat templates: Jinja as Hugging Face runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Local};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest};
use minijinja::{context, Environment, Error, ErrorKind, Value};
use minijinja_contrib::globals::{cycler, joiner};

use crate::generation;
use crate::jinja::follow_jinja2;
use crate::python;
use crate::render_problem::RenderProblem;
use crate::shield::private_letters;

/// ChatML, for models without a template whose tokenizer has the markers as single tokens.
pub(crate) const CHATML: &str = concat!(
    "{%- if tools %}{{ raise_exception('the model has no chat template, so its rows cannot have `tools`') }}{% endif %}",
    "{{- begin }}",
    "{%- for message in messages %}",
    "{%- if message.tool_calls %}{{ raise_exception('the model has no chat template, so its rows cannot have `tool_calls`') }}{% endif %}",
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}",
);

/// Plain turns, for models without a template and without ChatML's markers.
///
/// `gap` and `line` are line breaks where the vocabulary has them, else spaces: the model can read neither as an
/// unknown token. Nothing stands between the generation prompt and the answer that could merge with it.
pub(crate) const PLAIN: &str = concat!(
    "{%- if tools %}{{ raise_exception('the model has no chat template, so its rows cannot have `tools`') }}{% endif %}",
    "{{- begin }}",
    "{%- for message in messages %}",
    "{%- if message.tool_calls %}{{ raise_exception('the model has no chat template, so its rows cannot have `tool_calls`') }}{% endif %}",
    "{%- if not loop.first %}{{- gap }}{% endif %}",
    "{{- message.role | capitalize + ':' + line + message.content }}",
    "{%- if message.role == 'assistant' %}{{- end }}{% endif %}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}",
    "{%- if messages %}{{- gap }}{% endif %}{{- 'Assistant:' + lead }}",
    "{%- endif %}",
);

const NAME: &str = "chat template";

/// A compiled chat template.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    marks: Option<[char; 2]>,
    source: String,
    asks_for_none: bool,
    now: DateTime<Local>,
}

/// What a template wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendering {
    /// The text, without any marks.
    pub text: String,
    /// Byte ranges of the `generation` blocks in it.
    pub spans: Vec<Range<usize>>,
}

/// The message of `raise_exception`, as the cause of an error.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

impl ChatTemplate {
    /// The template of that source, with `variables` (the special tokens) and the clock stopped at `now`.
    ///
    /// # Errors
    /// Syntax errors.
    pub(crate) fn compile(
        source: &str,
        variables: &BTreeMap<String, String>,
        now: DateTime<Local>,
    ) -> Result<ChatTemplate, Error> {
        // Jinja reads every line break as `\n`.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let (rewritten, has_spans) = generation::rewrite_tags(&source);
        let mut environment = environment(now)?;
        for (name, value) in variables {
            environment.add_global(name.clone(), value.clone());
        }
        let letters = source.chars().collect();
        let mut free = private_letters(&letters);
        let marks = match (has_spans, free.next(), free.next()) {
            (true, Some(open), Some(close)) => Some([open, close]),
            _ => None,
        };
        if let Some([open, close]) = marks {
            environment
                .add_filter(generation::FILTER, move |text: String| format!("{open}{text}{close}"));
        }
        environment.add_template_owned(NAME, rewritten)?;
        let asks_for_none = source.contains("none");
        Ok(ChatTemplate { environment, marks, source, asks_for_none, now })
    }

    /// The two private-use letters that mark `generation` blocks on the way out, where the template has such blocks.
    ///
    /// No string given to [`ChatTemplate::render`] may hold them.
    pub(crate) fn marks(&self) -> Option<[char; 2]> {
        self.marks
    }

    /// Whether the template tells `content: null` from a message without content.
    pub(crate) fn asks_for_none(&self) -> bool {
        self.asks_for_none
    }

    /// The source as the model's author wrote it.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// [`RenderProblem::Rejected`] for `raise_exception`, else what the template engine says.
    pub(crate) fn render(
        &self,
        messages: Vec<Value>,
        tools: Option<&Value>,
        add_generation_prompt: bool,
    ) -> Result<Rendering, RenderProblem> {
        let template = self.environment.get_template(NAME).map_err(problem)?;
        let messages = Value::from(messages);
        let variables = || {
            context! {
                messages => messages.clone(),
                tools => tools.cloned().unwrap_or_else(|| Value::from(())),
                documents => Value::from(()),
                add_generation_prompt => add_generation_prompt,
            }
        };
        let text = match template.render(variables()).map_err(problem) {
            // Some templates are written for other engines and cannot do without what those pass.
            Err(RenderProblem::Template(error)) => {
                let more = self.foreign_variables(tools);
                template
                    .render(context! { ..variables(), ..more })
                    .map_err(|_| RenderProblem::Template(error))?
            }
            rendered => rendered?,
        };
        Ok(match self.marks {
            Some(marks) => without_marks(&text, marks),
            None => Rendering { text, spans: Vec::new() },
        })
    }

    /// `functions` and `datetime`, as llama.cpp passes them.
    fn foreign_variables(&self, tools: Option<&Value>) -> Value {
        let functions = tools.filter(|tools| tools.is_true()).map(|tools| {
            let kwargs = Kwargs::from_iter([("indent", Value::from(2))]);
            python::to_json(tools, Rest(Vec::new()), kwargs).unwrap_or_default()
        });
        context! {
            functions => functions.unwrap_or_else(|| Value::from("")),
            datetime => self.now.format("%b %d %Y %H:%M:%S GMT").to_string(),
        }
    }
}

fn environment(now: DateTime<Local>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(python::method);
    follow_jinja2(&mut environment);
    environment.add_filter("tojson", python::to_json);
    environment.add_filter("trim", python::trim);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        let error = Error::new(ErrorKind::InvalidOperation, "raise_exception");
        Err(error.with_source(Raised(message)))
    });
    environment.add_function("strftime_now", move |form: String| python::format_time(&now, &form));
    environment.add_function("cycler", cycler);
    environment.add_function("joiner", joiner);
    Ok(environment)
}

/// The reason in `raise_exception`, where that is the cause, else the engine's error.
fn problem(error: Error) -> RenderProblem {
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return RenderProblem::Rejected { message: message.clone() };
        }
        cause = inner.source();
    }
    RenderProblem::Template(error)
}

/// The text without its marks; what they enclosed becomes spans.
fn without_marks(marked: &str, [open, close]: [char; 2]) -> Rendering {
    let mut text = String::with_capacity(marked.len());
    let mut spans = Vec::new();
    let mut starts = Vec::new();
    for letter in marked.chars() {
        if letter == open {
            starts.push(text.len());
        } else if letter == close {
            spans.extend(starts.pop().map(|start| start..text.len()));
        } else {
            text.push(letter);
        }
    }
    spans.sort_by_key(|span| (span.start, span.end));
    Rendering { text, spans }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(source: &str, messages: serde_json::Value) -> Result<Rendering, RenderProblem> {
        let variables = BTreeMap::from([("eos_token".to_string(), "</s>".to_string())]);
        let template = ChatTemplate::compile(source, &variables, Local::now()).unwrap();
        let messages: Vec<Value> =
            messages.as_array().unwrap().iter().map(python::template_value).collect();
        template.render(messages, None, true)
    }

    #[test]
    fn blocks_are_trimmed_and_stripped_as_in_hugging_face() {
        let source = "a\n  {% if true %}\n  b\n  {% endif %}\n{{ eos_token }}\n";
        assert_eq!(rendered(source, json!([])).unwrap().text, "a\n  b\n</s>");
    }

    #[test]
    fn json_is_plain_ordered_and_spaced_as_python_writes_it() {
        let source = "{{ messages[0] | tojson }}|{{ messages[0] | tojson(indent=2) }}";
        let text = rendered(source, json!([{"z": "<é'>", "a": [1, 2.0, null, true], "e": {}}]));
        assert_eq!(
            text.unwrap().text,
            "{\"z\": \"<é'>\", \"a\": [1, 2.0, null, true], \"e\": {}}|{\n  \"z\": \"<é'>\",\n  \"a\": [\n    1,\n    2.0,\n    null,\n    true\n  ],\n  \"e\": {}\n}"
        );
    }

    #[test]
    fn raise_exception_carries_the_templates_words() {
        let error = rendered("{{ raise_exception('no system role') }}", json!([])).unwrap_err();
        assert_eq!(error.to_string(), "the chat template rejects the row: no system role");
        let nested = "{% macro m() %}{{ raise_exception('inner') }}{% endmacro %}{{ m() }}";
        let error = rendered(nested, json!([])).unwrap_err();
        assert_eq!(error.to_string(), "the chat template rejects the row: inner");
    }

    #[test]
    fn generation_blocks_become_byte_spans_and_leave_no_mark() {
        let source = "{% for m in messages %}é{%- generation -%} {{ m.x }}! {%- endgeneration -%} .{% endfor %}";
        let rendering = rendered(source, json!([{"x": "ab"}, {"x": "c"}])).unwrap();
        assert_eq!(rendering, Rendering { text: "éab!.éc!.".into(), spans: vec![2..5, 8..10] });
    }

    #[test]
    fn loop_controls_and_python_methods_work() {
        let source = "{% for m in messages %}{% if m.x == 2 %}{% continue %}{% endif %}{{ m.items() | list }}{{ 'a</t>b'.split('</t>')[-1] }}{% if loop.index == 3 %}{% break %}{% endif %}{% endfor %}";
        let rendering = rendered(source, json!([{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}])).unwrap();
        assert_eq!(rendering.text, "[('x', 1)]b[('x', 3)]b");
    }
}
