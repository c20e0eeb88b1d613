//! Methods and paths.

use millrace::endpoint::{Billing, Books, Endpoint, face, find, region};
use millrace::error::Cause;
use millrace::id::{AccountId, KeyHash};
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn every_path_has_its_meaning() {
    let hash = || KeyHash::parse(HASH).expect("a hash");
    let account = || AccountId::parse("0123456789Ab").expect("an id");
    let cases = [
        ("GET", "/".to_owned(), Endpoint::Welcome),
        ("HEAD", "/".to_owned(), Endpoint::Welcome),
        ("HEAD", "/api".to_owned(), Endpoint::Welcome),
        ("GET", "/api/".to_owned(), Endpoint::Welcome),
        ("GET", "/health".to_owned(), Endpoint::Health),
        ("OPTIONS", "/anything".to_owned(), Endpoint::Preflight),
        ("POST", "/api/v1/chat/completions".to_owned(), Endpoint::Inference(Face::Chat)),
        ("POST", "/v1/chat/completions".to_owned(), Endpoint::Inference(Face::Chat)),
        ("POST", "/v1/messages".to_owned(), Endpoint::Inference(Face::Messages)),
        ("POST", "/api/v1/messages/count_tokens".to_owned(), Endpoint::CountTokens),
        ("POST", "/api/v1/responses".to_owned(), Endpoint::Inference(Face::Responses)),
        ("POST", "/api/v1/route".to_owned(), Endpoint::Route(Face::Chat)),
        ("POST", "/v1/route/chat/completions".to_owned(), Endpoint::Route(Face::Chat)),
        ("POST", "/api/v1/route/messages".to_owned(), Endpoint::Route(Face::Messages)),
        ("POST", "/api/v1/route/embeddings".to_owned(), Endpoint::Route(Face::Embeddings)),
        (
            "POST",
            "/v1beta/models/google/gemini-2.5-flash:streamGenerateContent".to_owned(),
            Endpoint::GenerateContent("google/gemini-2.5-flash".to_owned(), true),
        ),
        (
            "POST",
            "/v1/models/gemini-2.5-flash:countTokens".to_owned(),
            Endpoint::GeminiCountTokens("gemini-2.5-flash".to_owned()),
        ),
        ("GET", "/v1/models".to_owned(), Endpoint::Models),
        ("GET", "/v1/models/".to_owned(), Endpoint::Models),
        ("GET", "/v1/models/count".to_owned(), Endpoint::ModelsCount),
        ("GET", "/v1/models/user".to_owned(), Endpoint::ModelsUser),
        ("GET", "/api/v1/endpoints/zdr".to_owned(), Endpoint::EndpointsZdr),
        ("GET", "/api/v1/presets".to_owned(), Endpoint::ListPresets),
        ("PATCH", "/api/v1/presets/x".to_owned(), Endpoint::UpdatePreset("x".to_owned())),
        (
            "POST",
            "/api/v1/presets/x/chat/completions".to_owned(),
            Endpoint::SavePreset("x".to_owned(), Face::Chat),
        ),
        (
            "GET",
            "/api/v1/presets/x/versions/2".to_owned(),
            Endpoint::GetPresetVersion("x".to_owned(), "2".to_owned()),
        ),
        ("GET", "/api/v1/activity".to_owned(), Endpoint::Books(Books::Activity, None)),
        ("POST", "/api/v1/analytics/query".to_owned(), Endpoint::Books(Books::AnalyticsQuery, None)),
        ("GET", "/v1/statements".to_owned(), Endpoint::Books(Books::Statements, None)),
        (
            "GET",
            "/api/v1/admin/accounts/0123456789Ab/statements/2026-11".to_owned(),
            Endpoint::Books(Books::Statement("2026-11".to_owned()), Some(account())),
        ),
        ("GET", "/api/v1/generations/export".to_owned(), Endpoint::Books(Books::Export, None)),
        ("PUT", "/api/v1/admin/catalog".to_owned(), Endpoint::AdminReplaceCatalog),
        ("POST", "/api/v1/admin/catalog/check".to_owned(), Endpoint::AdminCheckCatalog),
        ("GET", "/api/v1/model/a/b".to_owned(), Endpoint::Model("a/b".to_owned())),
        ("GET", "/api/v1/model/%7Ea/b%3anitro".to_owned(), Endpoint::Model("~a/b:nitro".to_owned())),
        ("GET", "/api/v1/models/a/b/endpoints".to_owned(), Endpoint::ModelEndpoints("a/b".to_owned())),
        ("GET", "/api/v1/auth/key".to_owned(), Endpoint::Key),
        ("GET", "/api/v1/keys".to_owned(), Endpoint::ListKeys),
        ("POST", "/api/v1/keys".to_owned(), Endpoint::CreateKey),
        ("PATCH", format!("/api/v1/keys/{HASH}"), Endpoint::UpdateKey(hash())),
        ("DELETE", format!("/api/v1/keys/{HASH}"), Endpoint::DeleteKey(hash())),
        ("POST", "/api/v1/admin/accounts".to_owned(), Endpoint::AdminCreateAccount),
        ("POST", "/api/v1/admin/accounts/0123456789Ab/credits".to_owned(), Endpoint::AdminGrant(account())),
        ("POST", "/api/v1/credits/checkout".to_owned(), Endpoint::Billing(Billing::Checkout)),
        ("PUT", "/api/v1/credits/auto-top-up".to_owned(), Endpoint::Billing(Billing::SetTopUp)),
        ("POST", "/api/v1/credits/coinbase".to_owned(), Endpoint::Billing(Billing::Coinbase)),
        ("POST", "/api/v1/webhooks/stripe".to_owned(), Endpoint::Billing(Billing::Webhook)),
        (
            "POST",
            "/api/v1/admin/accounts/0123456789Ab/refunds".to_owned(),
            Endpoint::Billing(Billing::AdminRefund(account())),
        ),
        (
            "DELETE",
            format!("/api/v1/admin/codes/{HASH}"),
            Endpoint::Billing(Billing::AdminRevokeCode(hash())),
        ),
    ];
    for (method, path, endpoint) in cases {
        assert_eq!(find(method, &path), Ok(endpoint), "{method} {path}");
    }
}

#[test]
fn what_is_not_there_is_404_and_what_is_there_otherwise_405() {
    let cases = [
        ("GET", "/nope", Cause::NotFound),
        ("POST", "/api/v1/keys/not-a-hash", Cause::NotFound),
        ("GET", "/api/v1/admin/accounts/short", Cause::NotFound),
        ("POST", "/__failpoint/panic", Cause::NotFound),
        ("GET", "/api/v1/chat/completions", Cause::MethodNotAllowed),
        ("DELETE", "/api/v1/models", Cause::MethodNotAllowed),
        ("BREW", "/health", Cause::MethodNotAllowed),
    ];
    for (method, path, cause) in cases {
        assert_eq!(find(method, path).map_err(|failure| failure.cause), Err(cause), "{method} {path}");
    }
    let failure = find("PUT", "/api/v1/keys").expect_err("PUT is not taken");
    assert_eq!(failure.metadata["allow"], "GET, POST");
}

#[test]
fn a_path_that_is_unknown_fails_in_the_words_of_those_beside_it() {
    let gemini = Face::Gemini(Framing::Sse);
    let cases = [
        ("/v1/messages/batches", Face::Messages),
        ("/api/v1/messages/nope", Face::Messages),
        ("/messages", Face::Messages),
        ("/v1/responses/resp_1", Face::Responses),
        ("/responses", Face::Responses),
        ("/v1beta/files", gemini),
        ("/api/v1beta/cachedContents", gemini),
        ("/v1/models/gemini-2.5-flash:batchEmbed", gemini),
        ("/v1/models/a/b", Face::Chat),
        ("/v1/nope", Face::Chat),
        ("/", Face::Chat),
    ];
    for (path, expected) in cases {
        assert_eq!(face(path), expected, "{path}");
    }
}

#[test]
fn a_host_names_a_region() {
    for (url, expected) in [
        ("https://eu.gateway.example/api/v1/models", Some("eu")),
        ("https://US.gateway.example:8443/?a", Some("us")),
        ("https://eu.gateway.example", Some("eu")),
        ("https://gateway.example/eu.x", None),
        ("https://eur.gateway.example/", None),
        ("http://127.0.0.1:8787/", None),
        ("http://eu/", None),
        ("", None),
    ] {
        assert_eq!(region(url), expected, "{url}");
    }
}
