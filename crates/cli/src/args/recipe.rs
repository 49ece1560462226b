//! The keys of a recipe as flags.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use tunewise_train::recipe::KeyInfo;
use tunewise_train::{Recipe, TrainError};

const NO_SHUFFLE: &str = "no_shuffle";

/// The first key of each group in the help text, in the order of the recipe.
const GROUPS: [(&str, &str); 7] = [
    ("model_name_or_path", "What to train"),
    ("data_format", "Rows"),
    ("init_adapter", "Adapter"),
    ("learning_rate", "Optimizer"),
    ("gradient_checkpointing", "Computation"),
    ("eval_steps", "Evaluation and checkpoints"),
    ("logging_steps", "Logs"),
];

/// The keys that flags set, with their values as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipeFlags {
    values: Vec<(String, String)>,
}

impl RecipeFlags {
    /// Sets the keys in a recipe.
    ///
    /// # Errors
    /// On a value that the key does not take.
    pub fn apply(&self, recipe: &mut Recipe) -> Result<(), TrainError> {
        self.values.iter().try_for_each(|(key, value)| recipe.set(key, value))
    }
}

impl FromArgMatches for RecipeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: KeyInfo| {
            let value = matches.get_one::<String>(&key.name)?.clone();
            Some((key.name, value))
        };
        let mut values: Vec<_> = Recipe::keys().into_iter().filter_map(given).collect();
        if matches.get_flag(NO_SHUFFLE) {
            values.push(("shuffle".into(), "false".into()));
        }
        Ok(RecipeFlags { values })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for RecipeFlags {
    fn augment_args(command: Command) -> Command {
        let mut heading = "Other";
        let flags = Recipe::keys().into_iter().map(|key| {
            if let Some((_, name)) = GROUPS.iter().find(|(first, _)| *first == key.name) {
                heading = *name;
            }
            flag(&key).help_heading(heading)
        });
        let no_shuffle = Arg::new(NO_SHUFFLE)
            .long("no-shuffle")
            .action(ArgAction::SetTrue)
            .conflicts_with("shuffle")
            .help_heading("Rows")
            .help("Keep the order of the file; the same as `--shuffle false`");
        command.args(flags).arg(no_shuffle)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of a key.
fn flag(key: &KeyInfo) -> Arg {
    let hyphens = key.name.replace('_', "-");
    let short = match key.name.as_str() {
        "model_name_or_path" => "model",
        "output_dir" => "output",
        _ => hyphens.as_str(),
    };
    let mut arg = Arg::new(key.name.clone()).long(short.to_owned()).allow_negative_numbers(true);
    if short != hyphens {
        arg = arg.visible_alias(hyphens.clone());
    }
    if key.name != hyphens {
        arg = arg.alias(key.name.clone());
    }
    let without_value = key.is_switch || key.name == "resume_from_checkpoint";
    arg = match without_value {
        true => arg.num_args(0..=1).default_missing_value("true"),
        false => arg.num_args(1),
    };
    arg.value_name(value_name(key)).help(help(key))
}

fn value_name(key: &KeyInfo) -> &'static str {
    match key.name.as_str() {
        "model_name_or_path" | "output_dir" | "init_adapter" => "DIR",
        "data" => "FILE|DIR",
        "resume_from_checkpoint" => "true|DIR",
        "dtype" => "auto|f32|bf16",
        "device" => "auto|cpu",
        _ if key.is_switch => "true|false",
        _ => "VALUE",
    }
}

/// What the key means, and its default.
fn help(key: &KeyInfo) -> String {
    let doc = key.doc.replace('\n', " ");
    match key.default.as_str() {
        "null" | "" | "{}" => doc,
        default => format!("{doc} [default: {default}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<RecipeFlags, clap::Error> {
        let command = RecipeFlags::augment_args(Command::new("train"));
        let words = std::iter::once(&"train").chain(words);
        RecipeFlags::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    fn values(words: &[&str]) -> Vec<(String, String)> {
        read(words).unwrap().values
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn model_and_output_are_short_names() {
        let expected = [pair("model_name_or_path", "m"), pair("output_dir", "o")];
        assert_eq!(values(&["--model", "m", "--output", "o"]), expected);
        assert_eq!(values(&["--model-name-or-path=m", "--output_dir", "o"]), expected);
    }

    #[test]
    fn a_switch_stands_alone_or_with_true_or_false() {
        for (words, value) in [
            (&["--packing"][..], "true"),
            (&["--packing", "true"], "true"),
            (&["--packing", "false"], "false"),
            (&["--packing=false"], "false"),
        ] {
            assert_eq!(values(words), [pair("packing", value)], "{words:?}");
        }
        assert_eq!(values(&["--packing", "--r", "4"]), [pair("packing", "true"), pair("r", "4")]);
    }

    #[test]
    fn no_shuffle_is_shuffle_false() {
        assert_eq!(values(&["--no-shuffle"]), [pair("shuffle", "false")]);
        assert!(read(&["--no-shuffle", "--shuffle"]).is_err());
    }

    #[test]
    fn a_negative_number_is_a_value() {
        assert_eq!(values(&["--max-steps", "-1"]), [pair("max_steps", "-1")]);
    }

    #[test]
    fn every_key_is_a_flag_and_every_group_begins_at_a_key() {
        let command = RecipeFlags::augment_args(Command::new("train"));
        for name in Recipe::key_names() {
            let flag = command.get_arguments().find(|arg| arg.get_id() == name.as_str()).unwrap();
            assert_ne!(flag.get_help_heading(), Some("Other"), "{name}");
        }
        assert!(GROUPS
            .iter()
            .all(|(first, _)| Recipe::key_names().iter().any(|name| name == first)));
    }
}
