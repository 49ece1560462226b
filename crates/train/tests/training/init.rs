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
    for ((key, ours), (_, theirs)) in start.tensors().zip(saved.tensors()) {
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
fn a_recipe_chooses_layers_ranks_and_scales() {
    let decoder = decoder();
    let chosen = recipe("r: 2\nlora_alpha: 4\nuse_rslora: true\ntarget_modules: [q_proj, down_proj]\nlayers_to_transform: 1\nrank_pattern: {down_proj: 4}\n");
    let start = starting_adapter(&chosen, &decoder).unwrap();
    let paths: Vec<&str> = start.paths().collect();
    assert_eq!(paths, ["model.layers.1.mlp.down_proj", "model.layers.1.self_attn.q_proj"]);
    let down = start.pair("model.layers.1.mlp.down_proj").unwrap();
    assert_eq!((down.a.dims(), down.b.dims(), down.scale), (&[4, 32][..], &[16, 4][..], 2.0));
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
    let message = refused("layers_to_transform: [0, 2]");
    assert_eq!(message, "`layers_to_transform` is 2, expected numbers below 2, the model's blocks");
}
