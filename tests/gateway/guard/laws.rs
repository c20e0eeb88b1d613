//! The laws of layers: what all of them allow is allowed, in whatever order they come and however often.

use millrace::guard::{Action, Rules, screen};
use millrace::routing::{Policy, TrainingDenied};
use proptest::prelude::*;
use serde_json::{Value, json};

const MODELS: [&str; 4] = ["openai/gpt-5", "openai/gpt-5:free", "anthropic/claude", "x-ai/grok"];
const TEXTS: [&str; 4] = ["a@b.io", "123-45-6789", "secret word", "nothing"];

fn rules(layers: &[Value]) -> Rules {
    Rules::read(&json!({ "layers": layers }).to_string()).expect("these layers can be read")
}

/// What rules come to, as far as it can be seen: which models, which data policies, what of each text.
fn effect(rules: &Rules) -> Vec<String> {
    let Policy { models, ignored_models, zdr, training_denied, regions, .. } = &rules.policy;
    let mut seen = vec![format!("{zdr:?} {training_denied:?}")];
    for model in MODELS {
        let allowed = models.iter().all(|list| list.iter().any(|one| one.matches(model)));
        let ignored = ignored_models.iter().any(|one| one.matches(model));
        seen.push(format!("{model} {}", allowed && !ignored));
    }
    for region in ["eu", "us", "ap"] {
        seen.push(format!("{region} {}", regions.iter().all(|list| list.iter().any(|one| one == region))));
    }
    for text in TEXTS {
        let body = json!({ "input": text }).to_string().into_bytes();
        seen.push(match screen(body, &rules.filters) {
            Ok(screened) => format!("{:?} {:?}", String::from_utf8(screened.body), screened.found),
            Err(failure) => failure.message,
        });
    }
    seen
}

fn layer() -> impl Strategy<Value = Value> {
    let some =
        |values: &'static [&'static str]| proptest::option::of(proptest::sample::subsequence(values, 1..3));
    let models = some(&["openai/*", "anthropic/claude", "*/g*", "x-ai/grok"]);
    let ignored = some(&["openai/gpt-5", "x-ai/*", "none/*"]);
    let regions = some(&["europe", "us", "global"]);
    let action = proptest::sample::select(&["flag", "redact", "block"][..]);
    let filters = proptest::collection::vec((0..4_usize, action), 0..3);
    let flags = (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>());
    (models, ignored, regions, filters, flags).prop_map(|(models, ignored, regions, filters, flags)| {
        let of = |index: usize, action: &str| match index {
            0 => json!({ "slug": "email", "action": action }),
            1 => json!({ "slug": "ssn", "action": action }),
            2 => json!({ "pattern": "secret", "action": action, "label": "[WORD]" }),
            _ => json!({ "pattern": "secret", "action": action }),
        };
        let all: Vec<Value> = filters.into_iter().map(|(index, action)| of(index, action)).collect();
        let with =
            |member: &str| all.iter().filter(|one| one.get(member).is_some()).cloned().collect::<Vec<_>>();
        json!({
            "allowed_models": models,
            "ignored_models": ignored,
            "allowed_data_regions": regions,
            "content_filter_builtins": with("slug"),
            "content_filters": with("pattern"),
            "enforce_zdr_openai": flags.0,
            "enable_paid_model_training": flags.1,
            "enable_free_model_publication": flags.2,
        })
    })
}

proptest! {
    #[test]
    fn the_order_of_layers_does_not_matter(layers in proptest::collection::vec(layer(), 0..4)) {
        let backwards: Vec<Value> = layers.iter().rev().cloned().collect();
        prop_assert_eq!(effect(&rules(&layers)), effect(&rules(&backwards)));
    }

    #[test]
    fn a_layer_twice_is_a_layer_once(layer in layer()) {
        prop_assert_eq!(effect(&rules(&[layer.clone(), layer.clone()])), effect(&rules(&[layer])));
    }

    #[test]
    fn two_layers_allow_what_each_allows(one in layer(), two in layer()) {
        let both = rules(&[one.clone(), two.clone()]);
        let (one, two) = (rules(&[one]), rules(&[two]));
        for model in MODELS {
            let allows = |rules: &Rules| {
                rules.policy.models.iter().all(|list| list.iter().any(|one| one.matches(model)))
                    && !rules.policy.ignored_models.iter().any(|one| one.matches(model))
            };
            prop_assert_eq!(allows(&both), allows(&one) && allows(&two));
        }
        for text in TEXTS {
            let worst = |rules: &Rules| {
                let body = json!({ "input": text }).to_string().into_bytes();
                match screen(body, &rules.filters) {
                    Err(_) => Some(Action::Block),
                    Ok(screened) => screened.found.iter().map(|one| one.action).max(),
                }
            };
            prop_assert_eq!(worst(&both), worst(&one).max(worst(&two)));
        }
        let TrainingDenied { free, paid } = both.policy.training_denied;
        prop_assert_eq!(free, one.policy.training_denied.free || two.policy.training_denied.free);
        prop_assert_eq!(paid, one.policy.training_denied.paid || two.policy.training_denied.paid);
        prop_assert_eq!(both.policy.zdr.openai, one.policy.zdr.openai || two.policy.zdr.openai);
    }
}
