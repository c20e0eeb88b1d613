//! Keys of an account's own: what they may look like, who is tried when, what they cost, and how the
//! account keeps them.

mod kept;
mod routes;

use millrace::byok::request::{Change, NewKey};
use millrace::byok::{Credential, bound_to};
use millrace::catalog::{self, Catalog};
use millrace::id::AccountId;
use millrace::money::Money;
use millrace::pricing::{ByokTerms, byok_fee, byok_worth};

const SECRET: &str = "sk-proj-canary-0123456789-AbCd";

#[test]
fn credentials_in_every_form() {
    let vertex = |more: &str| {
        format!(
            r#"{{"type":"service_account","project_id":"p-1","private_key_id":"0123456789abcdef{more}","client_email":"a@b.c","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n","region":"europe-west1"}}"#
        )
    };
    let bad_region = vertex("").replace("europe-west1", "x/../y");
    let (vertex, other) = (vertex(""), vertex("").replace("oauth2", "x").replace("p-1", "p/1"));
    let rows: &[(&str, &str, &str)] = &[
        ("openai", SECRET, "sk-...AbCd"),
        ("openai", " sk-proj-canary-0123456789-AbCd\n", "sk-...AbCd"),
        ("openai", "short", "..."),
        ("openai", "two words", "!"),
        ("openai", "line\nline", "!"),
        ("openai", "", "!"),
        ("millrace", SECRET, "!takes no keys"),
        ("ollama", SECRET, "!takes no keys"),
        ("azure", SECRET, "!JSON array"),
        ("azure", "[]", "!JSON array"),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","resource_name":"mine","resource_type":"openai"}]"#,
            "az-...cdef",
        ),
        (
            "azure",
            r#"{"api_key":"az-0123456789abcdef","resource_name":"mine","resource_type":"ai_foundry"}"#,
            "az-...cdef",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","resource_name":"mine.evil.example/"}]"#,
            "!resource_name",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","resource_name":"mine","resource_type":"other"}]"#,
            "!resource_type",
        ),
        ("azure", r#"[{"resource_name":"mine"}]"#, "!`api_key` is missing"),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","model_slug":"openai/gpt-4o","endpoint_url":"https://mine.openai.azure.com/openai/deployments/d/chat/completions?api-version=1"}]"#,
            "az-...cdef",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","model_slug":"openai/gpt-4o","endpoint_url":"https://169.254.169.254/"}]"#,
            "!endpoint_url",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","model_slug":"openai/gpt-4o","endpoint_url":"https://evil.example/.openai.azure.com"}]"#,
            "!endpoint_url",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","model_slug":"openai/gpt-4o","endpoint_url":"https://evil.example@x.openai.azure.com/"}]"#,
            "!endpoint_url",
        ),
        (
            "azure",
            r#"[{"api_key":"az-0123456789abcdef","model_slug":"openai/gpt-4o","endpoint_url":"http://x.openai.azure.com/"}]"#,
            "!endpoint_url",
        ),
        ("amazon-bedrock", "ABSK0123456789abcdefghij", "ABS...ghij"),
        (
            "amazon-bedrock",
            r#"{"accessKeyId":"AKIA0123456789ABCDEF","secretAccessKey":"s","region":"eu-west-1"}"#,
            "AKI...CDEF",
        ),
        (
            "amazon-bedrock",
            r#"{"accessKeyId":"AKIA0123456789ABCDEF","secretAccessKey":"s","region":"eu.evil/"}"#,
            "!region",
        ),
        ("amazon-bedrock", r#"{"accessKeyId":"AKIA0123456789ABCDEF"}"#, "!`secretAccessKey` is missing"),
        ("google-vertex", &vertex, "012...cdef"),
        ("google-vertex", &bad_region, "!region"),
        ("google-vertex", &other, "!project"),
        ("google-vertex", SECRET, "!not a JSON object"),
    ];
    for (slug, text, expected) in rows {
        let provider = catalog::provider(slug).unwrap_or_else(|| panic!("{slug}"));
        match (Credential::read(provider, text), expected.strip_prefix('!')) {
            (Ok(credential), None) => assert_eq!(credential.label(), *expected, "{slug} {text}"),
            (Err(failure), Some(words)) => {
                assert!(failure.message.contains(words), "{slug} {text}: {}", failure.message);
                assert_eq!(failure.cause.status(), 400);
                assert!(!failure.message.contains("0123456789"), "{}", failure.message);
            }
            (other, _) => panic!("{slug} {text}: {other:?}"),
        }
    }
}

#[test]
fn no_secret_is_shown_by_debug() {
    let credential = Credential::read(catalog::provider("openai").unwrap(), SECRET);
    assert!(!format!("{credential:?}").contains("canary"));
}

#[test]
fn bodies_are_read_strictly() {
    let key = format!(r#""provider":"openai","key":"{SECRET}""#);
    let hash = "0".repeat(64);
    let rows = [
        (format!("{{{key}}}"), ""),
        (
            format!(
                r#"{{{key},"name":"mine","disabled":true,"is_fallback":true,"allowed_models":["a/b"],"allowed_api_key_hashes":["{hash}"],"allowed_user_ids":null,"declared_zdr":null,"workspace_id":"w"}}"#
            ),
            "",
        ),
        (
            r#"{"provider":"azure","key":[{"api_key":"az-0123456789abcdef","resource_name":"mine"}]}"#
                .to_owned(),
            "",
        ),
        ("[]".to_owned(), "not a JSON object"),
        (format!(r#"{{"key":"{SECRET}"}}"#), "provider"),
        (format!(r#"{{"provider":"nobody","key":"{SECRET}"}}"#), "provider"),
        (r#"{"provider":"openai"}"#.to_owned(), "key"),
        (r#"{"provider":"openai","key":""}"#.to_owned(), "key"),
        (format!(r#"{{{key},"alowed_models":[]}}"#), "alowed_models"),
        (format!(r#"{{{key},"allowed_api_key_hashes":[]}}"#), "allowed_api_key_hashes"),
        (format!(r#"{{{key},"allowed_api_key_hashes":["x"]}}"#), "allowed_api_key_hashes"),
        (format!(r#"{{{key},"disabled":"yes"}}"#), "disabled"),
        (format!(r#"{{{key},"declared_zdr":true}}"#), "declared_zdr"),
        (format!(r#"{{{key},"name":"{}"}}"#, "n".repeat(256)), "name"),
    ];
    for (body, flaw) in rows {
        let read = NewKey::read(body.as_bytes(), Catalog::BUILT_IN);
        match read {
            Ok(new) => {
                assert_eq!((flaw, new.policy.contains_key("key")), ("", false), "{body}");
                assert!(!new.label.contains("canary"), "{}", new.label);
            }
            Err(failure) => {
                assert!(!flaw.is_empty() && failure.message.contains(flaw), "{body}: {}", failure.message);
                assert!(!failure.message.contains("canary"), "{}", failure.message);
            }
        }
    }
    let change = Change::read(br#"{"allowed_models":null,"key":"k"}"#).unwrap();
    assert_eq!((change.secret.as_deref(), change.policy["allowed_models"].is_null()), (Some("k"), true));
    assert!(Change::read(br#"{"provider":"openai"}"#).is_err(), "a key stays with its provider");
}

/// What is used of the free allowance, what the reply is worth, and the fee, in dollars.
#[test]
fn a_fee_is_due_for_what_is_beyond_the_allowance() {
    let usd = |text: &str| Money::parse_usd(text).unwrap();
    let terms = ByokTerms::default();
    assert_eq!((terms.free, terms.basis_points), (usd("25000"), 500));
    let table = "
        0               1       0
        24999           1       0
        24999.5         1       0.025
        25000           1       0.05
        1000000         1       0.05
        25000           0       0
        0               30000   250
        25000           0.000000000019  0
        25000           0.00000000002   0.000000000001
        25000           0.000000000039  0.000000000001
    ";
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(byok_fee(terms, usd(cells[0]), usd(cells[1])), usd(cells[2]), "{row}");
    }
    for (used, fee) in [("0", "0"), ("0", "1"), ("24999", "0.1"), ("25000", "0.000000000007"), ("30000", "3")]
    {
        let worth = byok_worth(terms, usd(used), usd(fee));
        assert!(byok_fee(terms, usd(used), worth) <= usd(fee), "{used} {fee}");
        let more = worth.checked_add(Money::from_pico(20)).unwrap();
        assert!(byok_fee(terms, usd(used), more) > usd(fee), "{used} {fee}");
    }
    let all = ByokTerms { free: Money::ZERO, basis_points: 10_000 };
    assert_eq!(byok_fee(all, Money::ZERO, Money::MAX), Money::MAX);
    assert_eq!(byok_fee(ByokTerms { basis_points: 0, ..all }, Money::MAX, Money::MAX), Money::ZERO);
}

#[test]
fn what_is_sealed_is_bound_to_its_place() {
    let [one, other] = ["0123456789Ab", "0123456789Ac"].map(|id| AccountId::parse(id).unwrap());
    let texts = [
        bound_to(&one, "openai", "1"),
        bound_to(&other, "openai", "1"),
        bound_to(&one, "groq", "1"),
        bound_to(&one, "openai", "2"),
    ];
    let different: std::collections::BTreeSet<&String> = texts.iter().collect();
    assert_eq!(different.len(), texts.len());
}
