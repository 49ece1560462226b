//! Ranges of recipe values, and values that exclude each other.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::Value;

use super::{
    ComputeDevice, FinetuneType, InitLoraWeights, ModuleNames, Recipe, ScheduleName, TargetModules,
};
use crate::error::{Result, TrainError};

/// Most rows of an optimizer step: far beyond any data set, and far from overflowing a count.
pub(super) const MOST_STEP_ROWS: usize = 1 << 31;
/// Highest rank: as wide as the widest layers of common models, where a low rank has long lost its point.
pub(super) const MOST_RANK: usize = 16_384;

/// Keys that say something of an adapter alone.
const OF_ADAPTERS: [&str; 10] = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "init_lora_weights",
];

/// The other keys whose change would make a resumed run another run than the one that was interrupted.
const OF_EVERY_RUN: [&str; 30] = [
    "finetune_type",
    "from_scratch",
    "train_on",
    "max_length",
    "excess_length_strategy",
    "packing",
    "shuffle",
    "data_format",
    "prompt_feature",
    "completion_feature",
    "text_feature",
    "on_bad_row",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "tokens_per_batch",
    "num_train_epochs",
    "max_steps",
    "load_best_model_at_end",
    "dtype",
    "device",
    "seed",
];

impl Recipe {
    /// Nothing, where every value is in its range and built.
    ///
    /// # Errors
    /// On the first value that is not.
    pub fn validate(&self) -> Result<()> {
        self.check_built()?;
        self.check_full()?;
        self.check_adapter()?;
        self.check_optimizer()?;
        self.check_run()
    }

    /// The values that decide what is computed, for comparison on resuming.
    ///
    /// With a constant learning rate the length of the run changes no step, so such a run may be resumed to go on
    /// for longer.
    pub fn mathematics(&self) -> BTreeMap<String, Value> {
        let values = serde_json::to_value(self).unwrap_or_default();
        let constant = self.lr_scheduler_type == ScheduleName::Constant;
        let length = |key: &str| matches!(key, "num_train_epochs" | "max_steps");
        mathematics()
            .filter(|key| !(constant && length(key)))
            .map(|key| ((*key).to_owned(), values[*key].clone()))
            .collect()
    }

    /// What the recipe asks for that will have no effect, to be said aloud.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let warms_up = self.warmup_ratio > 0.0 || self.warmup_steps > 0;
        if self.lr_scheduler_type == ScheduleName::Constant && warms_up {
            notes.push("`lr_scheduler_type: constant` has no warm-up: `warmup_ratio` and `warmup_steps` have no effect".into());
        } else if self.warmup_ratio > 0.0 && self.warmup_steps > 0 {
            notes.push("`warmup_steps` goes before `warmup_ratio`, which has no effect".into());
        }
        if self.max_steps().is_some() && self.is_explicit("num_train_epochs") {
            notes.push("`max_steps` goes before `num_train_epochs`, which has no effect".into());
        }
        for key in ["per_device_train_batch_size", "gradient_accumulation_steps"] {
            if self.tokens_per_batch.is_some() && self.is_explicit(key) {
                notes.push(format!("`tokens_per_batch` goes before `{key}`, which has no effect"));
            }
        }
        let of_adapters = OF_ADAPTERS.iter().filter(|key| self.is_explicit(key));
        if self.finetune_type == FinetuneType::Full {
            notes.extend(of_adapters.map(|key| {
                format!("`finetune_type: full` trains no adapter, so that `{key}` has no effect")
            }));
            if !self.from_scratch && !self.is_explicit("learning_rate") {
                notes.push(
                    "`learning_rate` is 2e-4, usual for adapters; 1e-5 to 5e-5 is usual with `finetune_type: full`"
                        .into(),
                );
            }
        }
        if self.init_adapter.is_some() && self.is_explicit("init_lora_weights") {
            notes.push(
                "`init_lora_weights` has no effect: the tensors are those of `init_adapter`".into(),
            );
        }
        notes
    }

    fn check_built(&self) -> Result<()> {
        let missing = |what: String, instead: &str| {
            let instead = (!instead.is_empty()).then(|| instead.to_owned());
            Err(TrainError::NotBuilt { place: String::new(), what, instead })
        };
        if self.use_dora {
            return missing("use_dora: true".into(), "train without it");
        }
        if let InitLoraWeights::NotBuilt(name) = self.init_lora_weights {
            return missing(format!("init_lora_weights: {name}"), "use `true` or `gaussian`");
        }
        if let Some(report) = self.report_to.0.iter().find(|report| !report.is_built()) {
            let name = format!("{report:?}").to_lowercase();
            return missing(format!("report_to: {name}"), "use `jsonl`, `tensorboard` or `none`");
        }
        match self.device {
            ComputeDevice::Auto | ComputeDevice::Cpu => Ok(()),
            ComputeDevice::Cuda => missing("device: cuda".into(), "use `cpu`"),
            ComputeDevice::Metal => missing("device: metal".into(), "use `cpu`"),
        }
    }

    fn check_layers(&self) -> Result<()> {
        let Some(layers) = &self.layers_to_transform else { return Ok(()) };
        let key = "layers_to_transform";
        require(!layers.0.is_empty(), key, "the number of a block, or `null` for all", "empty")?;
        // As in PEFT, whose patterns match whole paths, blocks included.
        let by_pattern =
            matches!(self.target_modules, TargetModules::Chosen(ModuleNames::Pattern(_)));
        let expected =
            "`null` beside a regular expression as `target_modules`, which names blocks itself";
        require(!by_pattern, key, expected, format!("{:?}", layers.0))
    }

    fn check_step_rows(&self) -> Result<()> {
        let rows = self.per_device_train_batch_size;
        at_least_one("per_device_train_batch_size", rows)?;
        let expected = format!("at most {MOST_STEP_ROWS}");
        require(rows <= MOST_STEP_ROWS, "per_device_train_batch_size", &expected, rows)?;
        let accumulation = self.gradient_accumulation_steps;
        at_least_one("gradient_accumulation_steps", accumulation)?;
        let most = MOST_STEP_ROWS / rows;
        let expected = format!(
            "at most {most} with {rows} rows in a micro-batch, so that a step has at most {MOST_STEP_ROWS} rows"
        );
        require(accumulation <= most, "gradient_accumulation_steps", &expected, accumulation)
    }

    fn check_full(&self) -> Result<()> {
        let full = self.finetune_type == FinetuneType::Full;
        let init = self.init_adapter.as_deref();
        let expected = "`null` with `finetune_type: full`, which trains no adapter";
        require(!full || init.is_none(), "init_adapter", expected, init.unwrap_or_default())?;
        let expected = "`false`, or `finetune_type: full` beside it";
        require(full || !self.from_scratch, "from_scratch", expected, self.from_scratch)
    }

    fn check_adapter(&self) -> Result<()> {
        self.check_layers()?;
        rank_in_range("r", self.r)?;
        for (_, rank) in &self.rank_pattern.0 {
            rank_in_range("rank_pattern", *rank)?;
        }
        within("lora_alpha", self.lora_alpha, self.lora_alpha > 0.0, "a number above 0")?;
        for (_, alpha) in &self.alpha_pattern.0 {
            within("alpha_pattern", *alpha, *alpha > 0.0, "a number above 0")?;
        }
        within(
            "lora_dropout",
            self.lora_dropout,
            self.lora_dropout < 1.0,
            "a number from 0 up to, but not, 1",
        )
    }

    fn check_optimizer(&self) -> Result<()> {
        let positive = "a number of 0 or more";
        within("learning_rate", self.learning_rate, true, positive)?;
        within("weight_decay", self.weight_decay, true, positive)?;
        within("max_grad_norm", self.max_grad_norm, true, positive)?;
        within(
            "warmup_ratio",
            self.warmup_ratio,
            self.warmup_ratio <= 1.0,
            "a number from 0 to 1",
        )?;
        let below_one = "a number from 0 up to, but not, 1";
        within("adam_beta1", self.adam_beta1, self.adam_beta1 < 1.0, below_one)?;
        within("adam_beta2", self.adam_beta2, self.adam_beta2 < 1.0, below_one)?;
        within("adam_epsilon", self.adam_epsilon, self.adam_epsilon > 0.0, "a number above 0")
    }

    fn check_run(&self) -> Result<()> {
        let output = self.output_dir.as_deref();
        require(output != Some(""), "output_dir", "a folder to write to", "empty")?;
        self.check_step_rows()?;
        at_least_one("per_device_eval_batch_size", self.per_device_eval_batch_size)?;
        at_least_one("tokens_per_batch", self.tokens_per_batch.unwrap_or(1))?;
        at_least_one("logging_steps", self.logging_steps)?;
        within(
            "num_train_epochs",
            self.num_train_epochs,
            self.num_train_epochs > 0.0,
            "a number above 0",
        )?;
        let steps = self.max_steps.unwrap_or(-1);
        require(steps == -1 || steps >= 1, "max_steps", "at least 1, or -1", steps)?;
        for (key, value) in [
            ("max_length", self.max_length),
            ("threads", self.threads),
            ("eval_steps", self.eval_steps),
            ("save_steps", self.save_steps),
            ("save_total_limit", self.save_total_limit),
            ("early_stopping_patience", self.early_stopping_patience),
        ] {
            at_least_one(key, value.unwrap_or(1))?;
        }
        Ok(())
    }
}

/// The keys that decide what is computed.
fn mathematics() -> impl Iterator<Item = &'static &'static str> {
    OF_EVERY_RUN.iter().chain(&OF_ADAPTERS)
}

fn require(fits: bool, key: &'static str, expected: &str, found: impl Display) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(TrainError::Setting { key, expected: expected.to_owned(), found: found.to_string() })
}

fn rank_in_range(key: &'static str, rank: usize) -> Result<()> {
    at_least_one(key, rank)?;
    require(rank <= MOST_RANK, key, &format!("at most {MOST_RANK}"), rank)
}

fn at_least_one(key: &'static str, value: usize) -> Result<()> {
    require(value >= 1, key, "at least 1", value)
}

/// Checks a number that is finite and not negative besides its own bound.
fn within(key: &'static str, value: f64, bound: bool, expected: &str) -> Result<()> {
    require(value.is_finite() && value >= 0.0 && bound, key, expected, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Recipe::from_yaml(text, "r").unwrap().validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_valid() {
        Recipe::default().validate().unwrap();
        assert!(Recipe::default().notes().is_empty());
    }

    #[test]
    fn a_value_out_of_range_is_named_with_what_would_do() {
        for (text, expected) in [
            ("r: 0", "`r` is 0, expected at least 1"),
            ("r: 16385", "`r` is 16385, expected at most 16384"),
            ("rank_pattern: {q_proj: 1000000000000}", "`rank_pattern` is 1000000000000, expected at most 16384"),
            ("output_dir: ''", "`output_dir` is empty, expected a folder to write to"),
            ("lora_dropout: 1", "`lora_dropout` is 1, expected a number from 0 up to, but not, 1"),
            ("learning_rate: .nan", "`learning_rate` is NaN, expected a number of 0 or more"),
            ("max_steps: 0", "`max_steps` is 0, expected at least 1, or -1"),
            ("warmup_ratio: 1.5", "`warmup_ratio` is 1.5, expected a number from 0 to 1"),
            ("save_total_limit: 0", "`save_total_limit` is 0, expected at least 1"),
            ("layers_to_transform: []", "`layers_to_transform` is empty, expected the number of a block, or `null` for all"),
            ("layers_to_transform: [1]\ntarget_modules: '.*q_proj'", "`layers_to_transform` is [1], expected `null` beside a regular expression as `target_modules`, which names blocks itself"),
            ("per_device_train_batch_size: 4294967296\ngradient_accumulation_steps: 4294967296", "`per_device_train_batch_size` is 4294967296, expected at most 2147483648"),
            ("per_device_train_batch_size: 1024\ngradient_accumulation_steps: 4294967296", "`gradient_accumulation_steps` is 4294967296, expected at most 2097152 with 1024 rows in a micro-batch, so that a step has at most 2147483648 rows"),
            ("from_scratch: true", "`from_scratch` is true, expected `false`, or `finetune_type: full` beside it"),
            ("finetune_type: full\ninit_adapter: a", "`init_adapter` is a, expected `null` with `finetune_type: full`, which trains no adapter"),
            ("num_train_epochs: -1", "`num_train_epochs` is -1, expected a number above 0"),
        ] {
            assert_eq!(refused(text), expected);
        }
    }

    #[test]
    fn the_bounds_of_the_schema_are_those_of_the_check() {
        let schema = Recipe::json_schema();
        let fits = |key: &str, value: f64| {
            let fits = |recipe: Recipe| recipe.validate().is_ok();
            let mut text = format!("{key}: {value}\n");
            if key == "gradient_accumulation_steps" {
                text += "per_device_train_batch_size: 1\n";
            }
            Recipe::from_yaml(&text, "r").is_ok_and(fits)
        };
        let mut bounds = 0;
        for (key, property) in schema["properties"].as_object().unwrap() {
            let step = if property["type"] == "number" { 1e-9 } else { 1.0 };
            for (bound, inside) in [("minimum", 1.0), ("maximum", -1.0)] {
                let Some(value) = property[bound].as_f64() else { continue };
                bounds += 1;
                assert!(fits(key, value), "{key} {value}");
                assert!(!fits(key, value - inside * step), "{key} beyond {value}");
            }
            for (bound, inside) in [("exclusiveMinimum", 1.0), ("exclusiveMaximum", -1.0)] {
                let Some(value) = property[bound].as_f64() else { continue };
                bounds += 1;
                assert!(!fits(key, value), "{key} {value}");
                assert!(fits(key, value + inside * step), "{key} within {value}");
            }
        }
        // `seed` and `warmup_steps` are bounded by their type.
        assert_eq!(bounds, 32);
        assert_eq!(schema["properties"]["max_steps"]["not"]["const"], 0);
        assert_eq!(schema["properties"]["rank_pattern"]["additionalProperties"]["maximum"], 16384);
    }

    #[test]
    fn values_of_other_tools_are_recognised() {
        for (text, what) in [
            ("use_dora: true", "use_dora: true"),
            ("init_lora_weights: false", "init_lora_weights: false"),
            ("init_lora_weights: pissa_niter_4", "init_lora_weights: pissa"),
            ("report_to: wandb", "report_to: wandb"),
            ("device: cuda", "device: cuda"),
        ] {
            assert_eq!(refused(text), format!("`{what}` is recognised but not built yet"));
        }
    }

    #[test]
    fn a_warmup_without_effect_is_said() {
        let recipe =
            Recipe::from_yaml("lr_scheduler_type: constant\nwarmup_ratio: 0.03", "r").unwrap();
        recipe.validate().unwrap();
        assert_eq!(recipe.notes().len(), 1);
    }

    #[test]
    fn keys_of_adapters_have_no_effect_on_whole_models_and_that_is_said() {
        let recipe = Recipe::from_yaml("finetune_type: full\nr: 4\nlora_alpha: 8", "r").unwrap();
        recipe.validate().unwrap();
        let notes = recipe.notes();
        assert_eq!(notes.len(), 3);
        assert!(notes[2].starts_with("`learning_rate` is 2e-4, usual for adapters"), "{notes:?}");
        assert_eq!(notes[0], "`finetune_type: full` trains no adapter, so that `r` has no effect");
    }

    #[test]
    fn the_length_of_a_run_is_mathematics_unless_the_rate_is_constant() {
        assert!(Recipe::default().mathematics().contains_key("max_steps"));
        let recipe = Recipe::from_yaml("lr_scheduler_type: constant", "r").unwrap();
        assert!(!recipe.mathematics().contains_key("max_steps"));
        assert_eq!(recipe.mathematics()["r"], 8);
    }

    #[test]
    fn every_key_of_the_mathematics_is_a_recipe_key() {
        let names = Recipe::key_names();
        assert!(mathematics().all(|key| names.iter().any(|name| name == key)));
    }
}
