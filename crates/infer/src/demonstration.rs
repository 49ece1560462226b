//! Demonstrations: answered rows of the training file, shown before a question.

use tunewise_data::{shuffled, Body, DataSet, Example, Message, Renderer, Role};

use crate::error::InferError;

/// Answered rows in the order in which they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Demonstrations {
    turns: Vec<Vec<Message>>,
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
    /// Some rows of the training file, chosen by the seed, each as its turns without a system
    /// message: as many as `count`, or all there are.
    ///
    /// Rows that are plain text, or end in no answer's text, are passed over; so are rows that ask
    /// what one of `items` asks, since they would tell its answer.
    pub fn choose(train: &DataSet, count: usize, seed: u64, items: &[&Example]) -> Demonstrations {
        let asked: Vec<Vec<Message>> = items.iter().filter_map(|item| question(item)).collect();
        let order = shuffled(train.rows.len(), seed, 0).into_iter();
        let examples = order.filter_map(|index| train.rows.get(index));
        let examples = examples.map(|row| &row.example).filter(|example| {
            let question = question(example);
            question.is_none_or(|question| !asked.contains(&question))
        });
        Demonstrations { turns: examples.filter_map(turns).take(count).collect() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.turns.len()
    }

    /// The question behind the first `count` demonstrations.
    ///
    /// # Errors
    /// When the question is plain text.
    pub fn before(&self, question: &Example, count: usize) -> Result<Example, InferError> {
        let line = question.line;
        let (asked, tools) = question.as_chat().ok_or(InferError::NotAConversation { line })?;
        let leading = asked.iter().take_while(|turn| turn.role == Role::System);
        let leading = leading.count();
        let shown = self.turns.iter().take(count).flatten().cloned();
        let mut messages = asked.clone();
        messages.splice(leading..leading, shown);
        let body = match count {
            0 => question.body.clone(),
            _ => Body::Chat { messages, tools },
        };
        Ok(Example { line, body })
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
                let shown = self.before(question, count)?;
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

/// What a row asks, without its system messages.
fn question(example: &Example) -> Option<Vec<Message>> {
    let mut turns = turns(example)?;
    turns.pop();
    Some(turns)
}

/// A row's turns without its system messages; `None` where it ends in no answer's text.
fn turns(example: &Example) -> Option<Vec<Message>> {
    example.reference()?;
    let (messages, _) = example.as_chat()?;
    let turns = messages.into_iter().filter(|turn| turn.role != Role::System);
    let turns: Vec<Message> = turns.collect();
    (turns.len() > 1).then_some(turns)
}
