//! Kinds of task, and how many rows others needed for each.

use serde_json::Value;

use crate::example::{Body, Message};

/// How a row is laid out, as far as it tells what is to be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A question and its answer, or turns.
    Conversation,
    /// A conversation in which tools are declared or called.
    ToolCalls,
    /// A preferred and a rejected answer.
    Preference,
    /// Plain text.
    Text,
}

/// The shape of a row.
pub(crate) fn shape_of(body: &Body) -> Shape {
    match body {
        Body::Text { .. } => Shape::Text,
        Body::Preference { .. } => Shape::Preference,
        Body::PromptCompletion { .. } => Shape::Conversation,
        Body::Chat { messages, tools } | Body::Question { messages, tools } => {
            let declares = tools.as_ref().is_some_and(|tools| !tools.is_empty());
            match declares || messages.iter().any(calls_tools) {
                true => Shape::ToolCalls,
                false => Shape::Conversation,
            }
        }
    }
}

fn calls_tools(turn: &Message) -> bool {
    matches!(turn.extra.get("tool_calls"), Some(Value::Array(calls)) if !calls.is_empty())
}

/// How many training rows there are of each shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shapes {
    rows: [usize; 4],
    characters: usize,
}

impl Shapes {
    /// Adds a row and the last answer in it, or the whole of a plain text.
    pub(crate) fn add(&mut self, shape: Shape, answer: &str) {
        self.rows[shape as usize] += 1;
        if shape == Shape::Text {
            self.characters += answer.chars().count();
        }
    }

    /// The characters of all plain texts.
    pub(super) fn characters(&self) -> usize {
        self.characters
    }

    fn are_mostly(&self, shape: Shape) -> bool {
        2 * self.rows[shape as usize] > self.rows.iter().sum::<usize>()
    }
}

/// What the rows teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// To give one of some labels.
    Labels {
        /// How many there are, in all splits.
        labels: usize,
    },
    /// To reply.
    Replies,
    /// To call tools.
    ToolCalls,
    /// To prefer one answer to another.
    Preferences,
    /// To go on as texts do.
    Text,
}

/// Rows to start with, and rows with which others were at ease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) need: usize,
    pub(super) comfortable: usize,
}

/// What a range rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// Who says so, and where.
    pub source: &'static str,
    /// What is said.
    pub says: &'static str,
}

const OPENAI: Basis = Basis {
    source: "OpenAI, fine-tuning guide",
    says:
        "10 examples are the fewest accepted, and clear improvements typically come with 50 to 100",
};
const LABELS: [Basis; 3] = [
    Basis {
        source: "Casanueva et al. 2020, Efficient Intent Detection with Dual Sentence Encoders, arXiv 2003.04807",
        says: "intent detection is measured with 10 and with 30 rows per label, the two numbers used here",
    },
    Basis {
        source: "Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts (SetFit), arXiv 2209.11055",
        says: "8 rows per label can come near a larger model that was trained on the whole of a set; \
               with sentence encoders, which are other models than these",
    },
    Basis {
        source: "Le Scao and Rush 2021, How Many Data Points is a Prompt Worth?, arXiv 2103.08493",
        says: "a prompt is often worth hundreds of rows, on average across classification tasks: \
               a system message that names the labels is cheaper than rows",
    },
];
const REPLIES: [Basis; 3] = [
    OPENAI,
    Basis {
        source: "Zhou et al. 2023, LIMA: Less Is More for Alignment, arXiv 2305.11206",
        says: "1,000 chosen conversations were enough to teach a large model style and format",
    },
    Basis {
        source: "Chen et al. 2023, AlpaGasus: Training a Better Alpaca with Fewer Data, arXiv 2307.08701",
        says: "9,000 rows chosen out of 52,000 taught more than all of them",
    },
];
const TOOL_CALLS: [Basis; 2] = [
    OPENAI,
    Basis {
        source: "no published range",
        says: "none is relied on for tool calls alone: 50 rows are the general guide's, \
               and 500 are ten times as many, not a measurement",
    },
];
const PREFERENCES: [Basis; 1] = [Basis {
    source: "no published range",
    says:
        "none is relied on for preference pairs, so nothing is said about whether they are enough",
}];
const TEXT: [Basis; 1] = [Basis {
    source: "no published range",
    says: "none is relied on for plain text, so nothing is said about whether it is enough",
}];

impl TaskKind {
    /// The task of training rows with so many labels, or of those shapes; `None` where there are no rows.
    pub(super) fn of(labels: Option<usize>, shapes: &Shapes) -> Option<TaskKind> {
        if shapes.rows.iter().all(|rows| *rows == 0) {
            return None;
        }
        if let Some(labels) = labels {
            return Some(TaskKind::Labels { labels });
        }
        let kinds = [
            (Shape::ToolCalls, TaskKind::ToolCalls),
            (Shape::Preference, TaskKind::Preferences),
            (Shape::Text, TaskKind::Text),
        ];
        let most = kinds.into_iter().find(|(shape, _)| shapes.are_mostly(*shape));
        Some(most.map_or(TaskKind::Replies, |(_, kind)| kind))
    }

    /// The name that programs read.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Labels { .. } => "labels",
            TaskKind::Replies => "replies",
            TaskKind::ToolCalls => "tool-calls",
            TaskKind::Preferences => "preferences",
            TaskKind::Text => "text",
        }
    }

    /// What is published about how many rows it takes.
    pub fn basis(self) -> &'static [Basis] {
        match self {
            TaskKind::Labels { .. } => &LABELS,
            TaskKind::Replies => &REPLIES,
            TaskKind::ToolCalls => &TOOL_CALLS,
            TaskKind::Preferences => &PREFERENCES,
            TaskKind::Text => &TEXT,
        }
    }

    /// The same in a few words; `None` where nothing is.
    pub fn basis_in_short(self) -> Option<&'static str> {
        match self {
            TaskKind::Labels { .. } => Some("Casanueva et al. 2020: 10 to 30 rows per label"),
            TaskKind::Replies => Some(
                "OpenAI's guide: clear gains from 50 to 100 rows; Zhou et al. 2023: 1,000 chosen rows",
            ),
            TaskKind::ToolCalls => Some("OpenAI's general guide: clear gains from 50 to 100 rows"),
            TaskKind::Preferences | TaskKind::Text => None,
        }
    }

    /// How many rows it takes, of each label where there are labels; `None` where no published number is relied on.
    pub(super) fn range(self) -> Option<Range> {
        match self {
            TaskKind::Labels { .. } => Some(Range { need: 10, comfortable: 30 }),
            TaskKind::Replies => Some(Range { need: 50, comfortable: 1000 }),
            TaskKind::ToolCalls => Some(Range { need: 50, comfortable: 500 }),
            TaskKind::Preferences | TaskKind::Text => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::ColumnMap;
    use crate::row::{body, Demand};
    use crate::RowFormat;

    fn shape(row: Value, format: RowFormat) -> Shape {
        let demand = Demand { columns: &ColumnMap::default(), answer: false };
        shape_of(&body(row.as_object().unwrap(), format, &demand).unwrap())
    }

    #[test]
    fn a_row_is_of_the_shape_that_it_teaches() {
        let asked = json!({ "role": "user", "content": "Weather in Oslo?" });
        let answered = json!({ "role": "assistant", "content": "Sunny." });
        let call = json!({ "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let called = json!({ "role": "assistant", "tool_calls": [call] });
        let tool = json!({ "type": "function", "function": { "name": "f", "parameters": {} } });
        let of = |row: Value| shape(row, RowFormat::Messages);
        assert_eq!(of(json!({ "messages": [asked, answered] })), Shape::Conversation);
        assert_eq!(of(json!({ "messages": [asked, called] })), Shape::ToolCalls);
        let declared = json!({ "messages": [asked, answered], "tools": [tool] });
        assert_eq!(of(declared), Shape::ToolCalls);
        assert_eq!(shape(json!({ "text": "Once." }), RowFormat::Text), Shape::Text);
    }

    #[test]
    fn a_task_is_what_most_rows_teach() {
        let mut shapes = Shapes::default();
        assert_eq!(TaskKind::of(None, &shapes), None);
        shapes.add(Shape::Text, "été");
        shapes.add(Shape::Text, "hiver");
        shapes.add(Shape::Conversation, "Yes.");
        assert_eq!(TaskKind::of(None, &shapes), Some(TaskKind::Text));
        assert_eq!(shapes.characters(), 8);
        shapes.add(Shape::ToolCalls, "");
        assert_eq!(TaskKind::of(None, &shapes), Some(TaskKind::Replies));
        assert_eq!(TaskKind::of(Some(3), &shapes), Some(TaskKind::Labels { labels: 3 }));
    }

    #[test]
    fn a_range_says_what_it_rests_on() {
        let labels = TaskKind::Labels { labels: 2 };
        for task in [labels, TaskKind::Replies, TaskKind::ToolCalls] {
            assert_eq!(task.range().is_some(), task.basis_in_short().is_some());
        }
        assert_eq!(labels.range(), Some(Range { need: 10, comfortable: 30 }));
        for task in [TaskKind::Preferences, TaskKind::Text] {
            assert_eq!((task.range(), task.basis().len()), (None, 1));
            assert_eq!(task.basis()[0].source, "no published range");
        }
    }
}
