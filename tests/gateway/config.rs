//! What variables make of the configuration.

use std::time::Duration;

use millrace::catalog::{self, Catalog};
use millrace::config::{Config, HealthPolicy, Limits};
use millrace::id::KeyHash;

#[test]
fn without_variables_only_the_embedded_provider_is_live() {
    let config = read(&[]);
    let live: Vec<&str> = config.connections.iter().map(|connection| connection.provider.slug).collect();
    assert_eq!(live, ["millrace"]);
    assert_eq!((config.limits, config.admin_key, config.problems.len()), (Limits::default(), None, 0));
}

#[test]
fn a_provider_is_live_when_its_key_is_set() {
    let config = read(&[("OPENAI_API_KEY", " sk-1 ")]);
    let connection = config.connection(catalog::provider("openai").expect("a row")).expect("live");
    assert_eq!(connection.keys[0].secret.expose(), "sk-1");
    assert_eq!(connection.base_url, "https://api.openai.com/v1");
}

#[test]
fn a_local_server_is_live_when_its_address_is_set() {
    let config = read(&[("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1/")]);
    let connection = config.connection(catalog::provider("ollama").expect("a row")).expect("live");
    assert_eq!((connection.base_url.as_str(), connection.keys.len()), ("http://127.0.0.1:11434/v1", 0));
}

/// Both halves are needed, and the half that is there names the one that is not.
#[test]
fn a_provider_whose_address_is_ones_own_needs_it() {
    for (slug, key, address, url) in [
        ("azure", "AZURE_API_KEY", "AZURE_BASE_URL", "https://mine.openai.azure.com/openai/v1"),
        (
            "cloudflare",
            "CLOUDFLARE_AI_API_KEY",
            "CLOUDFLARE_AI_BASE_URL",
            "https://api.cloudflare.com/client/v4/accounts/1/ai/v1",
        ),
    ] {
        let provider = catalog::provider(slug).expect("a row");
        let half = read(&[(key, "key")]);
        assert!(half.connection(provider).is_none(), "{slug}");
        assert_eq!(half.problems.len(), 1, "{slug}");
        assert!(half.problems[0].starts_with(address), "{:?}", half.problems);
        assert!(read(&[(address, url)]).connection(provider).is_none(), "{slug}");
        let whole = read(&[(key, "key"), (address, &format!("{url}/"))]);
        assert_eq!(whole.connection(provider).expect("live").base_url, url);
        assert!(whole.problems.is_empty(), "{:?}", whole.problems);
    }
}

#[test]
fn bedrock_is_live_by_a_bearer_or_by_access_keys_in_a_region() {
    let bedrock = catalog::provider("amazon-bedrock").expect("a row");
    let pair = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let bearer = [("AWS_BEARER_TOKEN_BEDROCK", "b")];
    let east = "https://bedrock-runtime.us-east-1.amazonaws.com";
    for (variables, more, url, access_key_id) in [
        (&bearer[..], None, east, None),
        (&pair[..], None, east, Some("AKIA")),
        (
            &pair[..],
            Some(("AWS_REGION", "eu-west-1")),
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            Some("AKIA"),
        ),
        (&bearer[..], Some(("AWS_BEDROCK_BASE_URL", "http://127.0.0.1:1/")), "http://127.0.0.1:1", None),
    ] {
        let variables: Vec<(&str, &str)> = variables.iter().copied().chain(more).collect();
        let config = read(&variables);
        let connection = config.connection(bedrock).unwrap_or_else(|| panic!("{variables:?}"));
        assert_eq!(connection.base_url, url);
        assert_eq!(connection.keys[0].access_key_id.as_deref(), access_key_id);
    }
    assert!(read(&pair[..1]).connection(bedrock).is_none());
}

#[test]
fn keys_come_in_lists_with_weights() {
    let config = read(&[("OPENAI_API_KEY", "sk-a|3, sk-b ,sk-c|1")]);
    let connection = config.connection(catalog::provider("openai").expect("a row")).expect("live");
    let keys: Vec<(&str, u32)> =
        connection.keys.iter().map(|key| (key.secret.expose(), key.weight)).collect();
    assert_eq!(keys, [("sk-a", 3), ("sk-b", 1), ("sk-c", 1)]);
}

#[test]
fn unusable_variables_are_named_and_never_shown() {
    let cases = [
        ("MILLRACE_IDLE_TIMEOUT_MS", "soon"),
        ("MILLRACE_MAX_BODY_BYTES", "0"),
        ("OPENAI_API_KEY", "sk-secret|many"),
        ("OPENAI_API_KEY", "sk-secret with a blank"),
        ("OLLAMA_BASE_URL", "file:///etc"),
    ];
    for (name, value) in cases {
        let config = read(&[(name, value)]);
        assert_eq!(config.problems.len(), 1, "{name}={value}");
        assert!(
            config.problems[0].starts_with(name) && !config.problems[0].contains("secret"),
            "{name}={value}"
        );
    }
}

#[test]
fn limits_are_in_milliseconds() {
    let config = read(&[("MILLRACE_TOTAL_TIMEOUT_MS", "1500"), ("MILLRACE_ADMIN_KEY", "root")]);
    assert_eq!(config.limits.total, Duration::from_millis(1500));
    assert_eq!(config.admin_key, Some(KeyHash::of("root")));
}

#[test]
fn health_is_obeyed_unless_it_is_switched_off() {
    for (text, policy, problems) in
        [("on", HealthPolicy::Obeyed, 0), ("off", HealthPolicy::Ignored, 0), ("yes", HealthPolicy::Obeyed, 1)]
    {
        let config = read(&[("MILLRACE_HEALTH", text)]);
        assert_eq!((config.health, config.problems.len()), (policy, problems), "{text}");
    }
    assert_eq!(read(&[]).health, HealthPolicy::Obeyed);
}

#[test]
fn keys_are_known_by_digests_that_tell_them_apart() {
    let digests = read(&[("MISTRAL_API_KEY", "first|3,second")]).key_digests();
    let of_mistral = &digests[&"mistral".to_owned()];
    assert_eq!(of_mistral.len(), 2);
    assert!(of_mistral.iter().all(|digest| digest.len() == 12) && of_mistral[0] != of_mistral[1]);
}

#[test]
fn a_secret_is_not_shown_by_debug() {
    let config = read(&[("OPENAI_API_KEY", "sk-canary")]);
    assert!(!format!("{config:?}").contains("sk-canary"));
}

#[test]
fn second_attempts_are_as_the_operator_allows() {
    for (text, wish, permille) in [
        (None, None, Ok(None)),
        (None, Some(false), Ok(None)),
        (None, Some(true), Err(())),
        (Some("asked"), None, Ok(None)),
        (Some("asked"), Some(true), Ok(Some(950))),
        (Some("p90"), None, Ok(Some(900))),
        (Some("p99"), Some(true), Ok(Some(990))),
        (Some("p95"), Some(false), Ok(None)),
    ] {
        let variables: Vec<(&str, &str)> = text.map(|text| ("MILLRACE_HEDGE", text)).into_iter().collect();
        let wanted = read(&variables).hedging.wanted(wish);
        let found = wanted.map(|hedge| hedge.map(|hedge| hedge.permille)).map_err(drop);
        assert_eq!(found, permille, "{text:?} {wish:?}");
    }
    let floor = read(&[("MILLRACE_HEDGE", "p95"), ("MILLRACE_HEDGE_FLOOR_MS", "50")]).hedging.hedge.floor;
    assert_eq!(floor, Duration::from_millis(50));
    for (name, text) in [("MILLRACE_HEDGE", "p50"), ("MILLRACE_HEDGE_FLOOR_MS", "0")] {
        let problems = read(&[(name, text)]).problems;
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(name), "{problems:?}");
    }
}

fn read(variables: &[(&str, &str)]) -> Config {
    let find =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(&find, Catalog::BUILT_IN)
}
