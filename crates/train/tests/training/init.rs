//! The adapter that training starts from.

use tunewise_train::adapter::starting_adapter;
use tunewise_train::Recipe;

use super::tiny::{adapter, decoder};

fn recipe(text: &str) -> Recipe {
    Recipe::from_yaml(text, "r.yaml").unwrap()
}

#[test]
fn the_configuration_of_the_initial_adapter_governs() {
    let decoder = decoder();
    let dir = tempfile::tempdir().unwrap();
    let saved = adapter(&decoder);
    saved.save(dir.path()).unwrap();
    let init = format!("init_adapter: {}\n", dir.path().display());
    let start = starting_adapter(&recipe(&init), &decoder).unwrap();
    assert_eq!((start.config().r, start.config().lora_alpha), (4, 8.0));
    for ((key, ours), (_, theirs)) in start.tensors().unwrap().iter().zip(&saved.tensors().unwrap())
    {
        let flat = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(ours), flat(theirs), "{key}");
    }
    let agreeing = format!("{init}r: 4\nlora_alpha: 8\ntarget_modules: all-linear\n");
    starting_adapter(&recipe(&agreeing), &decoder).unwrap();
    for (key, message) in [
        ("r: 8", "`r` is 8, expected 4 as in the configuration of `init_adapter`"),
        (
            "lora_alpha: 16",
            "`lora_alpha` is 16, expected 8 as in the configuration of `init_adapter`",
        ),
        (
            "use_rslora: true",
            "`use_rslora` is true, expected false as in the configuration of `init_adapter`",
        ),
    ] {
        let error = starting_adapter(&recipe(&format!("{init}{key}\n")), &decoder).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let fewer = recipe(&format!("{init}target_modules: [q_proj]\n"));
    let error = starting_adapter(&fewer, &decoder).unwrap_err().to_string();
    assert!(
        error.starts_with("`target_modules` is a choice without `model.layers.0.mlp.down_proj`"),
        "{error}"
    );
}

#[test]
fn each_key_that_contradicts_the_initial_adapter_is_refused_alone() {
    let decoder = decoder();
    let dir = tempfile::tempdir().unwrap();
    let made = recipe("r: 2\ntarget_modules: [q_proj, v_proj]\nlayers_to_transform: [1]\n");
    starting_adapter(&made, &decoder).unwrap().save(dir.path()).unwrap();
    let init = |more: &str| recipe(&format!("init_adapter: {}\n{more}\n", dir.path().display()));
    for agreeing in [
        "target_modules: [v_proj, q_proj]",
        "target_modules: '.*(q|v)_proj'",
        "exclude_modules: [k_proj]",
        "layers_to_transform: 1",
        "init_lora_weights: true",
        "layers_to_transform: [0, 1]\nexclude_modules: [mlp.up_proj]",
    ] {
        let start = starting_adapter(&init(agreeing), &decoder).unwrap();
        assert_eq!(start.paths().count(), 2, "{agreeing}");
    }
    let path = "model.layers.1.self_attn.q_proj";
    for (key, contradicting) in [
        ("exclude_modules", "exclude_modules: [q_proj]"),
        ("layers_to_transform", "layers_to_transform: 0"),
        ("target_modules", "target_modules: [v_proj]"),
    ] {
        let error = starting_adapter(&init(contradicting), &decoder).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{key}` is a choice without `{path}`")), "{error}");
    }
    let error = starting_adapter(&init("init_lora_weights: gaussian"), &decoder).unwrap_err();
    let expected =
        "`init_lora_weights` is gaussian, expected true as in the configuration of `init_adapter`";
    assert_eq!(error.to_string(), expected);
    assert_eq!(init("init_lora_weights: true").notes().len(), 1);
}

#[test]
fn a_recipe_chooses_layers_ranks_and_scales() {
    let decoder = decoder();
    let chosen = recipe("r: 2\nlora_alpha: 4\nuse_rslora: true\ntarget_modules: [q_proj, down_proj]\nlayers_to_transform: 1\nrank_pattern: {down_proj: 4}\n");
    let start = starting_adapter(&chosen, &decoder).unwrap();
    let paths: Vec<&str> = start.paths().collect();
    assert_eq!(paths, ["model.layers.1.mlp.down_proj", "model.layers.1.self_attn.q_proj"]);
    let down = start.pair("model.layers.1.mlp.down_proj").unwrap();
    assert_eq!((down.a.shape(), down.b.shape(), down.scale), ((4, 32), (16, 4), 2.0));
}

#[test]
fn names_and_numbers_that_the_model_lacks_are_errors() {
    let decoder = decoder();
    let refused = |text: &str| starting_adapter(&recipe(text), &decoder).unwrap_err().to_string();
    let message = refused("target_modules: [q_proj, qproj]");
    assert!(
        message.starts_with(
            "`target_modules` is `qproj`, expected linear layers of the model such as `down_proj`"
        ),
        "{message}"
    );
    let error = starting_adapter(&recipe("target_modules: q_prj"), &decoder).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `q_proj`?");
    let message = refused("layers_to_transform: [0, 2]");
    assert_eq!(message, "`layers_to_transform` is 2, expected numbers below 2, the model's blocks");
    for (text, key, entry) in [
        ("exclude_modules: [k_proj, kproj]", "exclude_modules", "kproj"),
        ("exclude_modules: 'layers.*'", "exclude_modules", "layers.*"),
        ("rank_pattern: {q_proj: 2, qproj: 4}", "rank_pattern", "qproj"),
        ("alpha_pattern: {'layers\\.7\\..*': 4}", "alpha_pattern", r"layers\.7\..*"),
    ] {
        let message = refused(text);
        assert!(
            message.starts_with(&format!("`{key}` is `{entry}`, expected linear")),
            "{message}"
        );
    }
    starting_adapter(&recipe("alpha_pattern: {q_proj: 16}\nrank_pattern: {q_proj: 8}"), &decoder)
        .unwrap();
}
