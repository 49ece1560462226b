//! Candidates: a question with each label as its answer, as tokens.

use tunewise_data::{DataError, Example, Renderer, TokenExample};

use crate::error::InferError;
use crate::label::Labels;

/// The most tokens looked at for a control token at a prompt's end: a template's answer header is short.
const HEADER: usize = 32;

/// What rendering gave for one question, to be used again for others.
struct Reference {
    prompt: Vec<u32>,
    /// The tokens of each label as its answer.
    answers: Vec<Vec<u32>>,
    /// The label of the most tokens, by which another question is tried.
    probe: usize,
}

/// Makes candidates; what labels are as tokens is worked out once where that is sure to hold.
pub(crate) struct Candidates<'a> {
    renderer: &'a Renderer,
    labels: &'a Labels,
    context: usize,
    reference: Option<Reference>,
}

impl<'a> Candidates<'a> {
    /// Candidates of these labels that fit in the context.
    pub fn new(renderer: &'a Renderer, labels: &'a Labels, context: usize) -> Candidates<'a> {
        Candidates { renderer, labels, context, reference: None }
    }

    /// A question with each label as its answer; only the answer is supervised.
    ///
    /// # Errors
    /// When the question cannot be rendered, is empty, or does not fit in the context with a label.
    pub fn of(&mut self, question: &Example) -> Result<Vec<TokenExample>, InferError> {
        if let Some(rows) = self.by_reference(question)? {
            return Ok(rows);
        }
        let mut pairs = Vec::with_capacity(self.labels.texts().len());
        for label in self.labels.texts() {
            pairs.push(self.renderer.encode_continuation(question, label)?);
        }
        if self.reference.is_none() {
            self.reference = reference(&pairs);
        }
        let pairs = pairs.iter().zip(self.labels.texts());
        pairs.map(|((ids, answer), label)| self.row(question.line, ids, answer, label)).collect()
    }

    /// The candidates by the labels' tokens behind another question; `None` where they may differ.
    ///
    /// Behind a control token, tokens do not depend on what stands before it, so both prompts have to
    /// end alike from a control token on. A template could still write an answer differently behind
    /// another conversation: the longest label is rendered for that.
    fn by_reference(&self, question: &Example) -> Result<Option<Vec<TokenExample>>, InferError> {
        let Some(Reference { prompt, answers, probe }) = &self.reference else { return Ok(None) };
        let texts = self.labels.texts();
        let Some(longest) = texts.get(*probe) else { return Ok(None) };
        let (ids, answer) = self.renderer.encode_continuation(question, longest)?;
        let same = answers.get(*probe) == Some(&answer);
        if !same || !self.end_alike(prompt, &ids)? {
            return Ok(None);
        }
        let rows = answers.iter().zip(texts);
        rows.map(|(answer, label)| self.row(question.line, &ids, answer, label))
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    /// Whether two prompts are the same from a control token on.
    fn end_alike(&self, a: &[u32], b: &[u32]) -> Result<bool, DataError> {
        let alike = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b);
        for (id, _) in alike.take(HEADER) {
            let is_control = self.renderer.decode(&[*id])?.is_empty()
                && !self.renderer.decode_with_special(&[*id])?.is_empty();
            if is_control {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn row(
        &self,
        line: usize,
        prompt: &[u32],
        answer: &[u32],
        label: &str,
    ) -> Result<TokenExample, InferError> {
        let (tokens, context) = (prompt.len() + answer.len(), self.context);
        if prompt.is_empty() {
            return Err(InferError::EmptyPrompt { line });
        }
        if tokens > context {
            let label = label.to_owned();
            return Err(InferError::LabelTooLong { line, label, tokens, context });
        }
        let mut supervised = vec![false; prompt.len()];
        supervised.resize(tokens, true);
        Ok(TokenExample { line, ids: [prompt, answer].concat(), supervised })
    }
}

/// What pairs of prompt and answer tell of other questions; `None` where the prompts differ.
fn reference(pairs: &[(Vec<u32>, Vec<u32>)]) -> Option<Reference> {
    let (prompt, _) = pairs.first()?;
    if pairs.iter().any(|(other, _)| other != prompt) {
        return None;
    }
    let answers: Vec<Vec<u32>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
    let (probe, _) = answers.iter().enumerate().max_by_key(|(_, answer)| answer.len())?;
    Some(Reference { prompt: prompt.clone(), answers, probe })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tunewise_data::{Body, Message, Role};

    use super::*;

    fn renderer(fixture: &str) -> Renderer {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/fixtures");
        Renderer::from_folder(&fixtures.join(fixture)).unwrap()
    }

    fn labels() -> Labels {
        Labels::among(["no", "the shop", " there", "there <|im_end|>"].into_iter())
    }

    /// What each label gives when it is rendered for itself.
    fn rendered(renderer: &Renderer, question: &Example) -> Vec<TokenExample> {
        let row = |label: &String| {
            let (prompt, answer) = renderer.encode_continuation(question, label).unwrap();
            let mut supervised = vec![false; prompt.len()];
            supervised.resize(prompt.len() + answer.len(), true);
            TokenExample { line: question.line, ids: [prompt, answer].concat(), supervised }
        };
        labels().texts().iter().map(row).collect()
    }

    #[test]
    fn labels_are_worked_out_once_behind_a_templates_header() {
        let (renderer, labels) = (renderer("tiny-bytes"), labels());
        let mut candidates = Candidates::new(&renderer, &labels, 1000);
        let questions = ["where is it", "is it <|im_end|> there", "wo ist es "];
        for (line, text) in questions.into_iter().enumerate() {
            let messages = vec![Message::new(Role::User, text)];
            let question = Example { line, body: Body::Chat { messages, tools: None } };
            if line > 0 {
                assert!(candidates.by_reference(&question).unwrap().is_some(), "{text}");
            }
            assert_eq!(candidates.of(&question).unwrap(), rendered(&renderer, &question));
        }
    }

    #[test]
    fn labels_behind_bare_text_are_worked_out_for_each_question() {
        let (renderer, labels) = (renderer("tiny-pieces"), labels());
        let mut candidates = Candidates::new(&renderer, &labels, 1000);
        for (line, prompt) in ["where is it: ", "where is", "where is it"].into_iter().enumerate() {
            let body = Body::PromptCompletion { prompt: prompt.to_owned(), completion: None };
            let question = Example { line, body };
            assert!(candidates.by_reference(&question).unwrap().is_none(), "{prompt}");
            assert_eq!(candidates.of(&question).unwrap(), rendered(&renderer, &question));
        }
    }
}
