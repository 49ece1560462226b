//! The adapter that training starts from: fresh from the recipe, or one from a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tunewise_model::{Adapter, Decoder, InitLoraWeights, LoraConfig, TargetModules};

use crate::error::{Result, TrainError};
use crate::nearest::nearest;
use crate::recipe::{self, Layers, ModuleNames, Patterns, Recipe};

/// The adapter before the first step.
///
/// # Errors
/// When the recipe names layers that the model does not have, or contradicts `init_adapter`.
pub fn starting_adapter(recipe: &Recipe, decoder: &Decoder) -> Result<Adapter> {
    check_blocks(recipe, decoder)?;
    check_names(recipe, &decoder.linear_paths())?;
    let Some(folder) = &recipe.init_adapter else {
        return Ok(Adapter::new(decoder, lora_config(recipe), recipe.seed)?);
    };
    let adapter = Adapter::load(decoder, Path::new(folder))?;
    check_values(recipe, adapter.config())?;
    check_targets(recipe, &adapter, decoder)?;
    check_exclusions(recipe, &adapter)?;
    Ok(adapter)
}

/// The recipe with the values that were used where `init_adapter` governs.
pub(crate) fn governed(recipe: &Recipe, adapter: &LoraConfig) -> Recipe {
    let mut recipe = recipe.clone();
    if recipe.init_adapter.is_none() {
        return recipe;
    }
    let names = |modules: &TargetModules| match modules {
        TargetModules::AllLinear => None,
        TargetModules::Names(names) => Some(ModuleNames::Names(names.clone())),
        TargetModules::Pattern(pattern) => Some(ModuleNames::Pattern(pattern.clone())),
    };
    recipe.r = adapter.r;
    recipe.lora_alpha = adapter.lora_alpha;
    recipe.lora_dropout = adapter.lora_dropout;
    recipe.target_modules = names(&adapter.target_modules)
        .map_or(recipe::TargetModules::AllLinear, recipe::TargetModules::Chosen);
    recipe.exclude_modules = adapter.exclude_modules.as_ref().and_then(names);
    recipe.layers_to_transform = adapter.layers_to_transform.clone().map(Layers);
    recipe.rank_pattern = Patterns(adapter.rank_pattern.clone());
    recipe.alpha_pattern = Patterns(adapter.alpha_pattern.clone());
    recipe.use_rslora = adapter.use_rslora;
    recipe.init_lora_weights = match adapter.init_lora_weights {
        InitLoraWeights::Kaiming => recipe::InitLoraWeights::Kaiming,
        InitLoraWeights::Gaussian => recipe::InitLoraWeights::Gaussian,
    };
    recipe
}

/// The recipe's adapter configuration.
fn lora_config(recipe: &Recipe) -> LoraConfig {
    LoraConfig {
        r: recipe.r,
        lora_alpha: recipe.lora_alpha,
        lora_dropout: recipe.lora_dropout,
        target_modules: target_modules(recipe),
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

fn target_modules(recipe: &Recipe) -> TargetModules {
    match &recipe.target_modules {
        recipe::TargetModules::AllLinear => TargetModules::AllLinear,
        recipe::TargetModules::Chosen(names) => chosen(names),
    }
}

fn chosen(names: &ModuleNames) -> TargetModules {
    match names {
        ModuleNames::Names(names) => TargetModules::Names(names.clone()),
        ModuleNames::Pattern(pattern) => TargetModules::Pattern(pattern.clone()),
    }
}

/// Nothing, where every block that the recipe numbers is one of the model's.
fn check_blocks(recipe: &Recipe, decoder: &Decoder) -> Result<()> {
    let blocks = decoder.config().num_hidden_layers;
    let layers = recipe.layers_to_transform.as_ref().map_or(&[][..], |layers| &layers.0);
    match layers.iter().find(|layer| **layer >= blocks) {
        None => Ok(()),
        Some(layer) => Err(TrainError::Setting {
            key: "layers_to_transform",
            expected: format!("numbers below {blocks}, the model's blocks"),
            found: layer.to_string(),
        }),
    }
}

/// Nothing, where every name and pattern in the recipe is that of a layer of the model.
fn check_names(recipe: &Recipe, paths: &[String]) -> Result<()> {
    if let recipe::TargetModules::Chosen(names) = &recipe.target_modules {
        check_modules("target_modules", names, paths)?;
    }
    if let Some(names) = &recipe.exclude_modules {
        check_modules("exclude_modules", names, paths)?;
    }
    for (pattern, _) in &recipe.rank_pattern.0 {
        let rank_pattern = vec![(pattern.clone(), 2)];
        let alone = LoraConfig { r: 1, rank_pattern, ..LoraConfig::default() };
        check_found("rank_pattern", pattern, paths, |path| Ok(alone.rank(path)? == 2))?;
    }
    for (pattern, _) in &recipe.alpha_pattern.0 {
        let alpha_pattern = vec![(pattern.clone(), 2.0)];
        let alone = LoraConfig { r: 1, lora_alpha: 1.0, alpha_pattern, ..LoraConfig::default() };
        check_found("alpha_pattern", pattern, paths, |path| Ok(alone.scale(path)? == 2.0))?;
    }
    Ok(())
}

fn check_modules(key: &'static str, names: &ModuleNames, paths: &[String]) -> Result<()> {
    let entries: Vec<(&String, TargetModules)> = match names {
        ModuleNames::Pattern(pattern) => vec![(pattern, chosen(names))],
        ModuleNames::Names(names) => {
            names.iter().map(|name| (name, TargetModules::Names(vec![name.clone()]))).collect()
        }
    };
    entries.iter().try_for_each(|(entry, modules)| {
        check_found(key, entry, paths, |path| Ok(modules.contains(path)?))
    })
}

/// Nothing, where the entry of a key matches some path.
fn check_found(
    key: &'static str,
    entry: &str,
    paths: &[String],
    matches: impl Fn(&str) -> Result<bool>,
) -> Result<()> {
    for path in paths {
        if matches(path)? {
            return Ok(());
        }
    }
    let leaves: BTreeSet<&str> = paths.iter().filter_map(|path| path.rsplit('.').next()).collect();
    let leaves: Vec<&str> = leaves.into_iter().collect();
    let expected = format!("`{}`", leaves.join("`, `"));
    let nearest = nearest(entry, leaves);
    Err(TrainError::UnknownLayer { key, found: entry.to_owned(), expected, nearest })
}

/// Nothing, where the values that the recipe sets are those of the adapter.
fn check_values(recipe: &Recipe, adapter: &LoraConfig) -> Result<()> {
    let alphas = |of: &[(String, f64)]| {
        format!("{:?}", of.iter().map(|(k, v)| (k, v)).collect::<BTreeMap<_, _>>())
    };
    let ranks = |of: &[(String, usize)]| {
        format!("{:?}", of.iter().map(|(k, v)| (k, v)).collect::<BTreeMap<_, _>>())
    };
    let start = |start: InitLoraWeights| match start {
        InitLoraWeights::Kaiming => "true".to_owned(),
        InitLoraWeights::Gaussian => "gaussian".to_owned(),
    };
    let asked = lora_config(recipe);
    let pairs: [(&'static str, String, String); 7] = [
        ("r", asked.r.to_string(), adapter.r.to_string()),
        ("lora_alpha", asked.lora_alpha.to_string(), adapter.lora_alpha.to_string()),
        ("lora_dropout", asked.lora_dropout.to_string(), adapter.lora_dropout.to_string()),
        ("use_rslora", asked.use_rslora.to_string(), adapter.use_rslora.to_string()),
        ("rank_pattern", ranks(&asked.rank_pattern), ranks(&adapter.rank_pattern)),
        ("alpha_pattern", alphas(&asked.alpha_pattern), alphas(&adapter.alpha_pattern)),
        ("init_lora_weights", start(asked.init_lora_weights), start(adapter.init_lora_weights)),
    ];
    for (key, recipe_value, adapter) in pairs {
        if recipe.is_explicit(key) && recipe_value != adapter {
            return Err(TrainError::InitAdapter { key, recipe: recipe_value, adapter });
        }
    }
    Ok(())
}

/// Nothing, where the targets that the recipe sets are the adapter's layers, however either spells them.
fn check_targets(recipe: &Recipe, adapter: &Adapter, decoder: &Decoder) -> Result<()> {
    if !recipe.is_explicit("target_modules") {
        return Ok(());
    }
    // Each key is judged alone: the blocks and exclusions are the adapter's own.
    let asked = LoraConfig { target_modules: target_modules(recipe), ..adapter.config().clone() };
    let mut layers = BTreeSet::new();
    for path in decoder.linear_paths() {
        if asked.adapts(&path)? {
            layers.insert(path);
        }
    }
    let present: BTreeSet<String> = adapter.paths().map(str::to_owned).collect();
    let (more, fewer) = (layers.difference(&present).next(), present.difference(&layers).next());
    let found = match (more, fewer) {
        (None, None) => return Ok(()),
        (Some(path), _) => format!("a choice with `{path}`"),
        (None, Some(path)) => format!("a choice without `{path}`"),
    };
    let expected = format!("the {} layers {}", present.len(), adapter.config().target_modules);
    Err(TrainError::InitAdapter { key: "target_modules", recipe: found, adapter: expected })
}

/// Nothing, where neither the exclusions nor the blocks that the recipe sets leave out a layer of the adapter.
fn check_exclusions(recipe: &Recipe, adapter: &Adapter) -> Result<()> {
    let contradiction = |key, path: &str| {
        let (recipe, adapter) = (format!("a choice without `{path}`"), "a choice with it".into());
        Err(TrainError::InitAdapter { key, recipe, adapter })
    };
    let excluded = recipe.exclude_modules.as_ref().map(chosen);
    let blocks = recipe.layers_to_transform.as_ref();
    for path in adapter.paths() {
        if let Some(excluded) = &excluded {
            if excluded.contains(path)? {
                return contradiction("exclude_modules", path);
            }
        }
        let block = path.split('.').find_map(|part| part.parse::<usize>().ok());
        let listed = |blocks: &Layers| block.is_some_and(|block| blocks.0.contains(&block));
        if blocks.is_some_and(|blocks| !listed(blocks)) {
            return contradiction("layers_to_transform", path);
        }
    }
    Ok(())
}
