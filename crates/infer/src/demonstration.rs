//! Demonstrations: answered rows of the training file, shown before a question.

use tunewise_data::{shuffled, Body, DataSet, Example, Message, Renderer, Role};

use crate::error::InferError;
use crate::prompt::{gap, is_bare};
use crate::wording::Questions;

/// Answered rows in the order in which they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Demonstrations {
    shown: Vec<Shown>,
}

/// An answered row as it can be shown.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    turns: Vec<Message>,
    /// Prompt and completion as one text, where the row has them.
    text: Option<String>,
}

/// A question behind as many demonstrations as fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Demonstrated {
    /// The question with the demonstrations after its system message.
    pub question: Example,
    /// The last demonstrations that were left out.
    pub dropped: usize,
}

impl Demonstrations {
    /// Some rows of the training file, chosen by the seed, each without its system message: as many
    /// as `count`, or all there are.
    ///
    /// Rows that are plain text, or end in no answer's text, are passed over; so are rows that
    /// answer, in any turn, what one of `items` asks, since they would tell its answer. Questions
    /// are the same where they differ only in case, white space or system message.
    pub fn choose(train: &DataSet, count: usize, seed: u64, items: &[&Example]) -> Demonstrations {
        let asked = Questions::of(items.iter().copied());
        let order = shuffled(train.rows.len(), seed, 0).into_iter();
        let examples = order.filter_map(|index| train.rows.get(index));
        let examples =
            examples.map(|row| &row.example).filter(|example| !asked.any_answered_by(example));
        Demonstrations { shown: examples.filter_map(shown).take(count).collect() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shown.len()
    }

    /// The question behind the first `count` demonstrations.
    ///
    /// They are turns after its system message. Before a question that is bare text to the model
    /// (see [`asked`](crate::prompt::asked)) they are text too, a blank line behind each, unless one
    /// of them is a conversation.
    ///
    /// # Errors
    /// When the question is plain text.
    pub fn before(
        &self,
        renderer: &Renderer,
        question: &Example,
        count: usize,
    ) -> Result<Example, InferError> {
        let line = question.line;
        let (mut messages, tools) =
            question.as_chat().ok_or(InferError::NotAConversation { line })?;
        let mut behind = question.clone();
        if count == 0 {
            return Ok(behind);
        }
        if let (Some(text), Body::PromptCompletion { prompt, .. }) =
            (self.text(renderer, question, count)?, &mut behind.body)
        {
            prompt.insert_str(0, &text);
            return Ok(behind);
        }
        let leading = messages.iter().take_while(|turn| turn.role == Role::System).count();
        let shown = self.shown.iter().take(count).flat_map(|shown| shown.turns.iter().cloned());
        messages.splice(leading..leading, shown);
        behind.body = Body::Question { messages, tools };
        Ok(behind)
    }

    /// The string that ends an answer to questions behind these demonstrations.
    ///
    /// Demonstrations that are text end in a blank line, and a model that follows them goes on with
    /// a question of its own behind it. `None` where they are turns, which end by themselves, where a
    /// demonstration has a blank line inside, and where the model knows no line breaks.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn answers_end_at(
        &self,
        renderer: &Renderer,
        question: &Example,
    ) -> Result<Option<&'static str>, InferError> {
        let Some(text) = self.text(renderer, question, self.count())? else { return Ok(None) };
        let gap = gap(renderer)?;
        let gaps = text.matches(gap).count();
        Ok((gap != " " && gaps > 0 && gaps == self.count()).then_some(gap))
    }

    /// The first `count` demonstrations as text before a question; `None` where they are turns.
    fn text(
        &self,
        renderer: &Renderer,
        question: &Example,
        count: usize,
    ) -> Result<Option<String>, InferError> {
        if !is_bare(renderer, question) {
            return Ok(None);
        }
        let gap = gap(renderer)?;
        let shown = self.shown.iter().take(count).map(|shown| shown.text.as_deref());
        Ok(shown.map(|text| Some(format!("{}{gap}", text?.trim_end()))).collect())
    }

    /// Each question behind as many demonstrations as leave `room` tokens of `context` free.
    ///
    /// All questions get the same demonstrations in the same order, so that what they share can be
    /// computed once; where not all fit, the last ones are left out. A question that does not fit
    /// alone gets none.
    ///
    /// # Errors
    /// When a question is plain text or cannot be rendered.
    pub fn fit(
        &self,
        renderer: &Renderer,
        questions: &[Example],
        context: usize,
        room: usize,
    ) -> Result<Vec<Demonstrated>, InferError> {
        let most = context.saturating_sub(room);
        let mut fitted = Vec::with_capacity(questions.len());
        // Neighbours tend to fit alike, so the search starts where the last one ended.
        let mut count = self.count();
        for question in questions {
            let fits = |count: usize| -> Result<Option<Example>, InferError> {
                let shown = self.before(renderer, question, count)?;
                let fits = count == 0 || renderer.encode_prompt(&shown)?.len() <= most;
                Ok(fits.then_some(shown))
            };
            let mut found = fits(count)?;
            while found.is_none() && count > 0 {
                count -= 1;
                found = fits(count)?;
            }
            while count < self.count() {
                let Some(more) = fits(count + 1)? else { break };
                found = Some(more);
                count += 1;
            }
            fitted.push(Demonstrated {
                question: found.unwrap_or_else(|| question.clone()),
                dropped: self.count() - count,
            });
        }
        Ok(fitted)
    }
}

/// A row as it can be shown; `None` where it ends in no answer's text.
fn shown(example: &Example) -> Option<Shown> {
    example.reference()?;
    let (messages, _) = example.as_chat()?;
    let turns = messages.into_iter().filter(|turn| turn.role != Role::System);
    let turns: Vec<Message> = turns.collect();
    let text = match &example.body {
        Body::PromptCompletion { prompt, completion: Some(completion) } => {
            Some(format!("{prompt}{completion}"))
        }
        _ => None,
    };
    (turns.len() > 1).then_some(Shown { turns, text })
}
