//! Whether two rows ask the same: what was said, without case, white space and system messages.

use std::collections::HashSet;

use tunewise_data::{Body, Example, Message, Role};

/// A turn as it is compared.
type Turn = (Role, String);

/// Questions of some rows, to be found in others.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    known: HashSet<Vec<Turn>>,
}

impl Questions {
    /// What the rows ask: their turns up to the answer that ends them.
    pub fn of<'e>(examples: impl IntoIterator<Item = &'e Example>) -> Questions {
        Questions { known: examples.into_iter().filter_map(question).collect() }
    }

    /// Those of the questions that a row answers, in any of its assistant's turns.
    fn answered_by(&self, example: &Example) -> Vec<&Vec<Turn>> {
        let conversations = conversations(example).into_iter();
        conversations.flat_map(|turns| self.answered_in(&turns)).collect()
    }

    /// Whether a row answers one of the questions.
    pub fn any_answered_by(&self, example: &Example) -> bool {
        !self.answered_by(example).is_empty()
    }

    fn answered_in(&self, messages: &[Message]) -> Vec<&Vec<Turn>> {
        let turns: Vec<Turn> = messages.iter().map(folded).collect();
        let is_system = |turn: &&Turn| turn.0 == Role::System;
        let spoken: Vec<Turn> = turns.iter().filter(|turn| !is_system(turn)).cloned().collect();
        let system: Vec<Turn> = turns.iter().take_while(is_system).cloned().collect();
        let answers = spoken.iter().enumerate().filter(|(_, turn)| turn.0 == Role::Assistant);
        let asked = answers.map(|(index, _)| match index {
            0 => system.as_slice(),
            _ => spoken.get(..index).unwrap_or_default(),
        });
        asked.filter_map(|asked| self.known.get(asked)).collect()
    }
}

/// How many of `items` ask what one of `rows` answers.
pub(crate) fn overlap<'e>(
    items: &[&Example],
    rows: impl IntoIterator<Item = &'e Example>,
) -> usize {
    let questions = Questions::of(items.iter().copied());
    let mut answered: HashSet<&Vec<Turn>> = HashSet::new();
    for row in rows {
        answered.extend(questions.answered_by(row));
    }
    let asked = items.iter().filter_map(|item| question(item));
    asked.filter(|asked| answered.contains(asked)).count()
}

/// What a row asks; the system messages only where there is nothing else.
fn question(example: &Example) -> Option<Vec<Turn>> {
    let (messages, _) = example.question(None)?.as_chat()?;
    let turns: Vec<Turn> = messages.iter().map(folded).collect();
    let spoken: Vec<Turn> =
        turns.iter().filter(|(role, _)| *role != Role::System).cloned().collect();
    let asked = if spoken.is_empty() { turns } else { spoken };
    (!asked.is_empty()).then_some(asked)
}

/// The conversations that a row shows to training, whole.
fn conversations(example: &Example) -> Vec<Vec<Message>> {
    match &example.body {
        Body::Preference { prompt, chosen, rejected } => {
            [chosen, rejected].map(|answer| [&prompt[..], &answer[..]].concat()).into()
        }
        _ => example.as_chat().map(|(messages, _)| messages).into_iter().collect(),
    }
}

fn folded(message: &Message) -> Turn {
    let content = message.content.as_deref().unwrap_or_default().to_lowercase();
    (message.role, content.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(line: usize, turns: &[(Role, &str)]) -> Example {
        let messages = turns.iter().map(|(role, text)| Message::new(*role, *text)).collect();
        Example { line, body: Body::Chat { messages, tools: None } }
    }

    const HELLO: (Role, &str) = (Role::Assistant, "hello");

    #[test]
    fn case_white_space_weight_and_system_message_do_not_hide_a_question() {
        let item = chat(1, &[(Role::System, "Be kind."), (Role::User, " Where\nis it? ")]);
        let mut row = chat(1, &[(Role::User, "where is  IT?"), HELLO]);
        let other = chat(2, &[(Role::User, "where is he?"), HELLO]);
        if let Body::Chat { messages, .. } = &mut row.body {
            messages[0].weight = Some(false);
            messages[0].extra.insert("name".into(), "ann".into());
        }
        assert_eq!(overlap(&[&item, &item], [&row, &other]), 2);
        assert_eq!(overlap(&[&item], [&other]), 0);
    }

    #[test]
    fn a_question_is_found_in_the_middle_of_a_conversation_but_not_after_another() {
        let item = chat(1, &[(Role::User, "hi")]);
        let long = chat(1, &[(Role::User, "hi"), HELLO, (Role::User, "bye"), HELLO]);
        let late = chat(2, &[(Role::User, "bye"), HELLO, (Role::User, "hi"), HELLO]);
        let questions = Questions::of([&item]);
        assert!(questions.any_answered_by(&long));
        assert!(!questions.any_answered_by(&late));
    }

    #[test]
    fn formats_are_compared_by_what_they_say() {
        let completion = Some("a".to_owned());
        let body = Body::PromptCompletion { prompt: "Hi".into(), completion };
        let pair = Example { line: 1, body };
        let preference = Example {
            line: 2,
            body: Body::Preference {
                prompt: vec![Message::new(Role::User, "hi")],
                chosen: vec![Message::new(Role::Assistant, "a")],
                rejected: vec![Message::new(Role::Assistant, "b")],
            },
        };
        let item = chat(1, &[(Role::User, "hi")]);
        assert_eq!(overlap(&[&item, &pair, &preference], [&pair]), 3);
        assert_eq!(overlap(&[&item], [&preference]), 1);
        let text = Example { line: 1, body: Body::Text { text: "hi".into() } };
        assert_eq!(overlap(&[&item], [&text]), 0);
    }

    #[test]
    fn rows_that_only_instruct_are_told_apart_by_their_instruction() {
        let item = chat(1, &[(Role::System, "Say a."), HELLO]);
        let other = chat(2, &[(Role::System, "Say b."), HELLO]);
        assert_eq!(overlap(&[&item], [&other]), 0);
        assert_eq!(overlap(&[&item], [&item]), 1);
    }
}
