//! The adapter that training starts from: fresh from the recipe, or one from a folder.

use std::collections::BTreeMap;
use std::path::Path;

use tunewise_model::{Adapter, Decoder, InitLoraWeights, LoraConfig, TargetModules};

use crate::error::{Result, TrainError};
use crate::recipe::{self, ModuleNames, Recipe};

/// The adapter before the first step.
///
/// # Errors
/// When the recipe names layers that the model does not have, or contradicts `init_adapter`.
pub fn starting_adapter(recipe: &Recipe, decoder: &Decoder) -> Result<Adapter> {
    let Some(folder) = &recipe.init_adapter else {
        check_layers(recipe, decoder)?;
        return Ok(Adapter::new(decoder, lora_config(recipe), recipe.seed)?);
    };
    let adapter = Adapter::load(decoder, Path::new(folder))?;
    check_numbers(recipe, adapter.config())?;
    check_targets(recipe, &adapter, decoder)?;
    Ok(adapter)
}

/// The recipe's adapter configuration.
fn lora_config(recipe: &Recipe) -> LoraConfig {
    LoraConfig {
        r: recipe.r,
        lora_alpha: recipe.lora_alpha,
        lora_dropout: recipe.lora_dropout,
        target_modules: match &recipe.target_modules {
            recipe::TargetModules::AllLinear => TargetModules::AllLinear,
            recipe::TargetModules::Chosen(names) => chosen(names),
        },
        exclude_modules: recipe.exclude_modules.as_ref().map(chosen),
        use_rslora: recipe.use_rslora,
        rank_pattern: recipe.rank_pattern.0.clone(),
        alpha_pattern: recipe.alpha_pattern.0.clone(),
        layers_to_transform: recipe.layers_to_transform.as_ref().map(|layers| layers.0.clone()),
        init_lora_weights: match recipe.init_lora_weights {
            recipe::InitLoraWeights::Gaussian => InitLoraWeights::Gaussian,
            _ => InitLoraWeights::Kaiming,
        },
        base_model_name_or_path: recipe.model_name_or_path.clone(),
    }
}

fn chosen(names: &ModuleNames) -> TargetModules {
    match names {
        ModuleNames::Names(names) => TargetModules::Names(names.clone()),
        ModuleNames::Pattern(pattern) => TargetModules::Pattern(pattern.clone()),
    }
}

/// Nothing, where every name and number in the recipe is one of the model's.
fn check_layers(recipe: &Recipe, decoder: &Decoder) -> Result<()> {
    let blocks = decoder.config().num_hidden_layers;
    let layers = recipe.layers_to_transform.as_ref().map_or(&[][..], |layers| &layers.0);
    if let Some(layer) = layers.iter().find(|layer| **layer >= blocks) {
        let expected = format!("numbers below {blocks}, the model's blocks");
        let (key, found) = ("layers_to_transform", layer.to_string());
        return Err(TrainError::Setting { key, expected, found });
    }
    let recipe::TargetModules::Chosen(ModuleNames::Names(names)) = &recipe.target_modules else {
        return Ok(());
    };
    let paths = decoder.linear_paths();
    for name in names {
        let one = TargetModules::Names(vec![name.clone()]);
        let matches: std::result::Result<Vec<bool>, _> =
            paths.iter().map(|path| one.contains(path)).collect();
        if !matches?.contains(&true) {
            let leaves: std::collections::BTreeSet<&str> =
                paths.iter().filter_map(|path| path.rsplit('.').next()).collect();
            let leaves: Vec<&str> = leaves.into_iter().collect();
            let expected = format!("linear layers of the model such as `{}`", leaves.join("`, `"));
            let (key, found) = ("target_modules", format!("`{name}`"));
            return Err(TrainError::Setting { key, expected, found });
        }
    }
    Ok(())
}

/// Nothing, where the numbers that the recipe sets are those of the adapter.
fn check_numbers(recipe: &Recipe, adapter: &LoraConfig) -> Result<()> {
    let patterns = |of: &[(String, f64)]| {
        format!("{:?}", of.iter().map(|(k, v)| (k, v)).collect::<BTreeMap<_, _>>())
    };
    let ranks = |of: &[(String, usize)]| {
        format!("{:?}", of.iter().map(|(k, v)| (k, v)).collect::<BTreeMap<_, _>>())
    };
    let pairs: [(&'static str, String, String); 6] = [
        ("r", recipe.r.to_string(), adapter.r.to_string()),
        ("lora_alpha", recipe.lora_alpha.to_string(), adapter.lora_alpha.to_string()),
        ("lora_dropout", recipe.lora_dropout.to_string(), adapter.lora_dropout.to_string()),
        ("use_rslora", recipe.use_rslora.to_string(), adapter.use_rslora.to_string()),
        ("rank_pattern", ranks(&recipe.rank_pattern.0), ranks(&adapter.rank_pattern)),
        ("alpha_pattern", patterns(&recipe.alpha_pattern.0), patterns(&adapter.alpha_pattern)),
    ];
    for (key, recipe_value, adapter_value) in pairs {
        if recipe.is_explicit(key) && recipe_value != adapter_value {
            return Err(TrainError::InitAdapter {
                key,
                recipe: recipe_value,
                adapter: adapter_value,
            });
        }
    }
    Ok(())
}

/// Nothing, where the layers that the recipe sets are those of the adapter, however either spells them.
fn check_targets(recipe: &Recipe, adapter: &Adapter, decoder: &Decoder) -> Result<()> {
    let keys = ["target_modules", "exclude_modules", "layers_to_transform"];
    let Some(key) = keys.into_iter().find(|key| recipe.is_explicit(key)) else {
        return Ok(());
    };
    let asked = lora_config(recipe);
    let mut layers = Vec::new();
    for path in decoder.linear_paths() {
        if asked.adapts(&path)? {
            layers.push(path);
        }
    }
    let mut present: Vec<String> = adapter.paths().map(str::to_owned).collect();
    layers.sort();
    present.sort();
    if layers == present {
        return Ok(());
    }
    let only = |these: &[String], those: &[String]| {
        these.iter().find(|path| !those.contains(path)).cloned()
    };
    let found = match (only(&layers, &present), only(&present, &layers)) {
        (Some(path), _) => format!("a choice with `{path}`"),
        (None, missing) => format!("a choice without `{}`", missing.unwrap_or_default()),
    };
    let expected = format!("the {} layers {}", present.len(), adapter.config().target_modules);
    Err(TrainError::InitAdapter { key, recipe: found, adapter: expected })
}
