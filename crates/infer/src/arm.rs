//! Arms: ways to get answers out of a model, compared on the same items.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use tunewise_model::Adapter;

use crate::comparison::ArmKind;
use crate::error::InferError;

/// A kind of arm, as the command line names it.
///
/// Parsed from, and shown as, `zero-shot`, `system-prompt`, `few-shot`, `tuned` and
/// `tuned+system-prompt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmRequest {
    /// The row up to its last answer.
    ZeroShot,
    /// The same with the user's text as its system message.
    SystemPrompt,
    /// The row up to its last answer, behind answered rows of the training file.
    FewShot,
    /// The row up to its last answer, with an adapter.
    Tuned,
    /// The user's text as the row's system message, with an adapter.
    TunedSystemPrompt,
}

const ALL: [(&str, ArmRequest); 5] = [
    ("zero-shot", ArmRequest::ZeroShot),
    ("system-prompt", ArmRequest::SystemPrompt),
    ("few-shot", ArmRequest::FewShot),
    ("tuned", ArmRequest::Tuned),
    ("tuned+system-prompt", ArmRequest::TunedSystemPrompt),
];

impl FromStr for ArmRequest {
    type Err = InferError;

    fn from_str(name: &str) -> Result<ArmRequest, InferError> {
        let known = ALL.iter().find(|(known, _)| *known == name.trim());
        known
            .map(|(_, request)| *request)
            .ok_or_else(|| InferError::UnknownArm { name: name.to_owned() })
    }
}

impl fmt::Display for ArmRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ALL.iter().find(|(_, request)| request == self);
        f.write_str(known.map_or("", |(name, _)| name))
    }
}

/// An adapter to be compared.
#[derive(Clone, Copy, Debug)]
pub struct AdapterSource<'a> {
    /// The folder it was read from.
    pub path: &'a Path,
    /// The adapter.
    pub adapter: &'a Adapter,
    /// The SHA-256 of the file that it was trained on, in hexadecimal, where that is known.
    pub trained_on: Option<&'a str>,
}

/// How an arm asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The row up to its last answer.
    Row,
    /// The same with the user's text as its system message.
    SystemPrompt,
    /// The same behind demonstrations.
    FewShot,
}

/// A way to get answers: how to ask, and with which adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Its name in the report: the request's, with the adapter's name where there are several.
    pub name: String,
    /// How it asks.
    pub asking: Asking,
    /// The index of its adapter.
    pub adapter: Option<usize>,
}

impl Arm {
    /// Whether it needs training.
    pub fn kind(&self) -> ArmKind {
        match self.adapter {
            Some(_) => ArmKind::Tuned,
            None => ArmKind::PromptOnly,
        }
    }
}

/// The arms asked for, one for each adapter where an arm is tuned; repeated requests count once.
///
/// With several adapters a tuned arm is named `tuned:NAME`, or `tuned:NAME+system-prompt`, by
/// [`adapter_names`].
///
/// # Errors
/// When there are none, when a tuned arm has no adapter, or an arm with a system prompt none of
/// that.
pub fn arms(
    requests: &[ArmRequest],
    adapters: &[PathBuf],
    has_system_prompt: bool,
) -> Result<Vec<Arm>, InferError> {
    if requests.is_empty() {
        return Err(InferError::NoArms);
    }
    let names = adapter_names(adapters)?;
    let mut arms: Vec<Arm> = Vec::new();
    for request in requests {
        let asking = match request {
            ArmRequest::ZeroShot | ArmRequest::Tuned => Asking::Row,
            ArmRequest::FewShot => Asking::FewShot,
            ArmRequest::SystemPrompt | ArmRequest::TunedSystemPrompt => Asking::SystemPrompt,
        };
        let arm = request.to_string();
        if asking == Asking::SystemPrompt && !has_system_prompt {
            return Err(InferError::NoSystemPrompt { arm });
        }
        let some = match request {
            ArmRequest::ZeroShot | ArmRequest::SystemPrompt | ArmRequest::FewShot => {
                vec![Arm { name: arm, asking, adapter: None }]
            }
            ArmRequest::Tuned | ArmRequest::TunedSystemPrompt if names.is_empty() => {
                return Err(InferError::NoAdapter { arm });
            }
            ArmRequest::Tuned | ArmRequest::TunedSystemPrompt => tuned_arms(&arm, asking, &names),
        };
        arms.extend(some.into_iter().filter(|arm| !arms.contains(arm)).collect::<Vec<_>>());
    }
    Ok(arms)
}

fn tuned_arms(request: &str, asking: Asking, names: &[String]) -> Vec<Arm> {
    let arm = |(index, adapter): (usize, &String)| Arm {
        name: match names.len() {
            1 => request.to_owned(),
            _ => request.replacen("tuned", &format!("tuned:{adapter}"), 1),
        },
        asking,
        adapter: Some(index),
    };
    names.iter().enumerate().map(arm).collect()
}

/// A name for each adapter folder: as many of its path's last parts as tell them all apart.
///
/// # Errors
/// When two paths are the same.
pub fn adapter_names(paths: &[PathBuf]) -> Result<Vec<String>, InferError> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| path_parts(path)).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or_default();
    for count in 1..=longest.max(1) {
        let names: Vec<String> = parts
            .iter()
            .map(|parts| {
                let from = parts.len().saturating_sub(count);
                parts.get(from..).unwrap_or_default().join("/")
            })
            .collect();
        if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
            return Ok(names);
        }
    }
    let again = (0..paths.len()).find(|index| parts[..*index].contains(&parts[*index]));
    Err(InferError::SameAdapter {
        path: again.map_or_else(PathBuf::new, |index| paths[index].clone()),
    })
}

fn path_parts(path: &Path) -> Vec<String> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let parts = parts.map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arms: &[Arm]) -> Vec<&str> {
        arms.iter().map(|arm| arm.name.as_str()).collect()
    }

    #[test]
    fn several_adapters_give_a_tuned_arm_each() {
        let requests: Vec<ArmRequest> = "zero-shot,tuned,tuned+system-prompt,tuned"
            .split(',')
            .map(|name| name.parse().unwrap())
            .collect();
        let one = arms(&requests, &["runs/a/adapter".into()], true).unwrap();
        assert_eq!(names(&one), ["zero-shot", "tuned", "tuned+system-prompt"]);
        let two: Vec<PathBuf> = vec!["runs/a/adapter".into(), "runs/b/adapter".into()];
        let two = arms(&requests, &two, true).unwrap();
        assert_eq!(
            names(&two),
            [
                "zero-shot",
                "tuned:a/adapter",
                "tuned:b/adapter",
                "tuned:a/adapter+system-prompt",
                "tuned:b/adapter+system-prompt",
            ]
        );
        assert_eq!(two[4].adapter, Some(1));
        assert_eq!(two[4].asking, Asking::SystemPrompt);
    }

    #[test]
    fn what_an_arm_lacks_is_named() {
        let message = |requests: &[ArmRequest]| arms(requests, &[], false).unwrap_err().to_string();
        assert_eq!(message(&[ArmRequest::Tuned]), "arm `tuned` needs an adapter, found none");
        assert_eq!(
            message(&[ArmRequest::SystemPrompt]),
            "arm `system-prompt` needs a system prompt, found none"
        );
        assert_eq!(message(&[]), "no arms, expected at least one");
        let unknown = "few".parse::<ArmRequest>().unwrap_err().to_string();
        assert!(unknown.starts_with("unknown arm `few`, expected one of `zero-shot`"));
        let same = adapter_names(&["a/b".into(), "./a/b".into()]).unwrap_err();
        assert_eq!(same.to_string(), "adapter `./a/b` is given twice, expected each once");
    }
}
