//! Every URL we answer, in one match.

mod access;
mod alert;
mod billing;
mod books;
mod budgets;
mod byok;
mod team;

pub use access::Access;
pub use alert::Alert;
pub use billing::Billing;
pub use books::Books;
pub use budgets::{Budgets, Deed, Kind};
pub use byok::Byok;
pub use team::Team;

use crate::error::{Cause, Failure};
use crate::id::{AccountId, KeyHash};
use crate::protocol::bridge::Face;
use crate::protocol::gemini::Framing;
use crate::query;

/// What a method and a path ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Welcome,
    Health,
    /// A browser asks whether it may.
    Preflight,
    /// A model is to answer, in the client's own protocol.
    Inference(Face),
    /// Says how such a request would be routed, without sending it.
    Route(Face),
    /// Gemini's paths name the model; the flag says whether to stream.
    GenerateContent(String, bool),
    /// How many tokens a request to Messages would be.
    CountTokens,
    /// The same for Gemini; the path names the model.
    GeminiCountTokens(String),
    Models,
    /// Those that the key may use.
    ModelsUser,
    EmbeddingsModels,
    ModelsCount,
    /// `author/slug`
    Model(String),
    /// `author/slug`
    ModelEndpoints(String),
    /// The endpoints that keep nothing.
    EndpointsZdr,
    Providers,
    ListPresets,
    GetPreset(String),
    UpdatePreset(String),
    DeletePreset(String),
    /// Makes a preset, or a version of one, of a request to a model.
    SavePreset(String, Face),
    ListPresetVersions(String),
    GetPresetVersion(String, String),
    Key,
    Credits,
    ListKeys,
    CreateKey,
    GetKey(KeyHash),
    UpdateKey(KeyHash),
    DeleteKey(KeyHash),
    Generation,
    Access(Access),
    Alert(Alert),
    Billing(Billing),
    /// With the account, where the operator asks.
    Books(Books, Option<AccountId>),
    Team(Team),
    Budgets(Budgets),
    Byok(Byok),
    AdminListAccounts,
    AdminCreateAccount,
    AdminAccount(AccountId),
    AdminGrant(AccountId),
    AdminListKeys(AccountId),
    AdminCreateKey(AccountId),
    /// Changes a key of either kind.
    AdminUpdateKey(AccountId, KeyHash),
    AdminDeleteKey(AccountId, KeyHash),
    /// What the operator laid over the catalog.
    AdminCatalog,
    AdminReplaceCatalog,
    AdminPatchCatalog,
    /// What a change to it would do.
    AdminCheckCatalog,
    /// Fails on purpose; only in builds made for tests.
    Failpoint(String),
}

impl Endpoint {
    /// A word for logs: what was asked for, without whose.
    pub fn name(&self) -> &'static str {
        match self {
            Endpoint::Welcome => "welcome",
            Endpoint::Health => "health",
            Endpoint::Preflight => "preflight",
            Endpoint::Inference(Face::Chat) => "chat_completions",
            Endpoint::Inference(Face::Completions) => "completions",
            Endpoint::Inference(Face::Responses) => "responses",
            Endpoint::Inference(Face::Messages) => "messages",
            Endpoint::Inference(Face::Gemini(_)) | Endpoint::GenerateContent(..) => "generate_content",
            Endpoint::Inference(Face::Embeddings) => "embeddings",
            Endpoint::Inference(Face::Rerank) => "rerank",
            Endpoint::Route(_) => "route",
            Endpoint::CountTokens | Endpoint::GeminiCountTokens(_) => "count_tokens",
            Endpoint::Models => "models",
            Endpoint::ModelsUser => "models_user",
            Endpoint::EmbeddingsModels => "embeddings_models",
            Endpoint::ModelsCount => "models_count",
            Endpoint::Model(_) => "model",
            Endpoint::ModelEndpoints(_) => "model_endpoints",
            Endpoint::EndpointsZdr => "endpoints_zdr",
            Endpoint::Providers => "providers",
            Endpoint::ListPresets => "list_presets",
            Endpoint::GetPreset(_) => "get_preset",
            Endpoint::UpdatePreset(_) => "update_preset",
            Endpoint::DeletePreset(_) => "delete_preset",
            Endpoint::SavePreset(..) => "save_preset",
            Endpoint::ListPresetVersions(_) => "list_preset_versions",
            Endpoint::GetPresetVersion(..) => "get_preset_version",
            Endpoint::Key => "key",
            Endpoint::Credits => "credits",
            Endpoint::ListKeys => "list_keys",
            Endpoint::CreateKey => "create_key",
            Endpoint::GetKey(_) => "get_key",
            Endpoint::UpdateKey(_) => "update_key",
            Endpoint::DeleteKey(_) => "delete_key",
            Endpoint::Generation => "generation",
            Endpoint::Access(access) => access.name(),
            Endpoint::Alert(alert) => alert.name(),
            Endpoint::Billing(billing) => billing.name(),
            Endpoint::Books(books, _) => books.name(),
            Endpoint::Team(team) => team.name(),
            Endpoint::Budgets(budgets) => budgets.name(),
            Endpoint::Byok(byok) => byok.name(),
            Endpoint::AdminListAccounts => "admin_list_accounts",
            Endpoint::AdminCreateAccount => "admin_create_account",
            Endpoint::AdminAccount(_) => "admin_account",
            Endpoint::AdminGrant(_) => "admin_grant",
            Endpoint::AdminListKeys(_) => "admin_list_keys",
            Endpoint::AdminCreateKey(_) => "admin_create_key",
            Endpoint::AdminUpdateKey(..) => "admin_update_key",
            Endpoint::AdminDeleteKey(..) => "admin_delete_key",
            Endpoint::AdminCatalog => "admin_catalog",
            Endpoint::AdminReplaceCatalog => "admin_replace_catalog",
            Endpoint::AdminPatchCatalog => "admin_patch_catalog",
            Endpoint::AdminCheckCatalog => "admin_check_catalog",
            Endpoint::Failpoint(_) => "failpoint",
        }
    }
}

/// The paths whose clients speak to us under either prefix.
const PREFIXES: [&str; 2] = ["/api/v1/", "/v1/"];
const GEMINI_PREFIXES: [&str; 4] =
    ["/v1beta/models/", "/v1/models/", "/api/v1beta/models/", "/api/v1/models/"];

/// The region in which a request has to be computed by the host of its address: `eu.` and `us.` stand
/// before the gateway's own name, as before OpenRouter's.
pub fn region(url: &str) -> Option<&'static str> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let label = host.split(['/', '?', '#', ':']).next()?.split_once('.')?.0;
    ["eu", "us"].into_iter().find(|region| label.eq_ignore_ascii_case(region))
}

/// Finds what `method` and `path` (without its query) ask for.
/// Fails with 404 for an unknown path, and with 405 for a known one under another method; the
/// methods it does take are then in the metadata as `allow`.
pub fn find(method: &str, path: &str) -> Result<Endpoint, Failure> {
    if method == "OPTIONS" {
        return Ok(Endpoint::Preflight);
    }
    let ways = ways(path);
    if ways.is_empty() {
        return Err(Failure::new(Cause::NotFound, format!("No such path: {}", shown(path))));
    }
    // A HEAD is a GET whose body the runtime leaves out.
    let wanted = if method == "HEAD" { "GET" } else { method };
    let allow = ways.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ");
    match ways.into_iter().find(|(method, _)| *method == wanted) {
        Some((_, endpoint)) => Ok(endpoint),
        None => {
            let words = format!("{} is answered to {allow}, not to this method", shown(path));
            Err(Failure::new(Cause::MethodNotAllowed, words).with("allow", allow))
        }
    }
}

/// In whose words the failures of a path are told, also of one that is unknown: a client that
/// asks below a protocol's paths reads that protocol's errors.
pub fn face(path: &str) -> Face {
    let gemini = Face::Gemini(Framing::Sse);
    let of_models = GEMINI_PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix));
    if of_models.is_some_and(|rest| rest.contains(':')) || has_segment(path, "v1beta") {
        return gemini;
    }
    match path {
        _ if has_segment(path, "messages") => Face::Messages,
        _ if has_segment(path, "responses") => Face::Responses,
        _ => Face::Chat,
    }
}

/// Whether `name` is one of the first three segments of a path, where a protocol's name stands.
fn has_segment(path: &str, name: &str) -> bool {
    path.split('/').skip(1).take(3).any(|segment| segment == name)
}

/// The methods that `path` takes, and what each means.
fn ways(path: &str) -> Vec<(&'static str, Endpoint)> {
    match path {
        // Whatever a client takes for its base: some probe it before they start.
        "/" | "/api" | "/api/" | "/api/v1" | "/v1" => return vec![("GET", Endpoint::Welcome)],
        "/health" => return vec![("GET", Endpoint::Health)],
        "/auth" => return access::page(),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("/__failpoint/").filter(|_| cfg!(feature = "failpoints")) {
        return vec![("POST", Endpoint::Failpoint(name.to_owned()))];
    }
    if let Some(ways) = gemini_ways(path) {
        return ways;
    }
    let Some(rest) = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix)) else {
        return Vec::new();
    };
    let rest = rest.trim_end_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    match face_at(&parts) {
        Some(face) => vec![("POST", Endpoint::Inference(face))],
        None => ways_beside(&parts),
    }
}

/// What asks no model.
fn ways_beside(parts: &[&str]) -> Ways {
    match parts {
        ["route"] => vec![("POST", Endpoint::Route(Face::Chat))],
        ["route", rest @ ..] => {
            face_at(rest).map(|face| ("POST", Endpoint::Route(face))).into_iter().collect()
        }
        ["messages", "count_tokens"] => vec![("POST", Endpoint::CountTokens)],
        ["embeddings", "models"] => vec![("GET", Endpoint::EmbeddingsModels)],
        ["models"] => vec![("GET", Endpoint::Models)],
        ["models", "user"] => vec![("GET", Endpoint::ModelsUser)],
        ["models", "count"] => vec![("GET", Endpoint::ModelsCount)],
        ["models", author, slug, "endpoints"] => {
            vec![("GET", Endpoint::ModelEndpoints(model_slug(author, slug)))]
        }
        ["model" | "models", author, slug] => vec![("GET", Endpoint::Model(model_slug(author, slug)))],
        ["endpoints", "zdr"] => vec![("GET", Endpoint::EndpointsZdr)],
        ["providers"] => vec![("GET", Endpoint::Providers)],
        ["presets", rest @ ..] => preset_ways(rest),
        ["key"] | ["auth", "key"] => vec![("GET", Endpoint::Key)],
        ["credits"] => vec![("GET", Endpoint::Credits)],
        ["keys"] => vec![("GET", Endpoint::ListKeys), ("POST", Endpoint::CreateKey)],
        ["keys", hash] => key_ways(hash),
        ["alerts", rest @ ..] => alert::ways(rest),
        ["auth", ..] | ["keys", _, "rotate"] | ["admin", "accounts", _, "keys", _, "rotate"] => {
            access::ways(parts)
        }
        ["generation"] => vec![("GET", Endpoint::Generation)],
        ["byok", rest @ ..] => byok::ways(rest),
        ["admin", rest @ ..] => match admin_ways(rest) {
            ways if ways.is_empty() => {
                first_of(&[billing::admin_ways, books::admin_ways, budgets::admin_ways], rest)
            }
            ways => ways,
        },
        parts => first_of(&[billing::ways, books::ways, budgets::ways, team::ways], parts),
    }
}

/// What the first of the submodules that knows a path makes of it.
fn first_of(submodules: &[fn(&[&str]) -> Ways], parts: &[&str]) -> Ways {
    submodules.iter().map(|ways| ways(parts)).find(|ways| !ways.is_empty()).unwrap_or_default()
}

type Ways = Vec<(&'static str, Endpoint)>;

/// The face whose requests a path takes.
fn face_at(parts: &[&str]) -> Option<Face> {
    match parts {
        ["chat", "completions"] => Some(Face::Chat),
        ["completions"] => Some(Face::Completions),
        ["responses"] => Some(Face::Responses),
        ["messages"] => Some(Face::Messages),
        ["embeddings"] => Some(Face::Embeddings),
        ["rerank"] => Some(Face::Rerank),
        _ => None,
    }
}

/// Google's clients put `v1beta` or `v1` before `models/<model>:<method>`, behind whatever base
/// they were given.
fn gemini_ways(path: &str) -> Option<Vec<(&'static str, Endpoint)>> {
    let rest = GEMINI_PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let (model, method) = rest.rsplit_once(':')?;
    let model = || model.to_owned();
    let endpoint = match method {
        "generateContent" => Endpoint::GenerateContent(model(), false),
        "streamGenerateContent" => Endpoint::GenerateContent(model(), true),
        "countTokens" => Endpoint::GeminiCountTokens(model()),
        _ => return None,
    };
    Some(vec![("POST", endpoint)])
}

/// Clients encode the colon of a suffix, and some the tilde of an alias.
fn model_slug(author: &str, name: &str) -> String {
    format!("{}/{}", query::decode(author), query::decode(name))
}

fn preset_ways(parts: &[&str]) -> Vec<(&'static str, Endpoint)> {
    let save = |slug: &str, face| vec![("POST", Endpoint::SavePreset(slug.to_owned(), face))];
    match parts {
        [] => vec![("GET", Endpoint::ListPresets)],
        [slug] => vec![
            ("GET", Endpoint::GetPreset((*slug).to_owned())),
            ("PATCH", Endpoint::UpdatePreset((*slug).to_owned())),
            ("DELETE", Endpoint::DeletePreset((*slug).to_owned())),
        ],
        [slug, "chat", "completions"] => save(slug, Face::Chat),
        [slug, "responses"] => save(slug, Face::Responses),
        [slug, "messages"] => save(slug, Face::Messages),
        [slug, "versions"] => vec![("GET", Endpoint::ListPresetVersions((*slug).to_owned()))],
        [slug, "versions", version] => {
            vec![("GET", Endpoint::GetPresetVersion((*slug).to_owned(), (*version).to_owned()))]
        }
        _ => Vec::new(),
    }
}

fn key_ways(hash: &str) -> Vec<(&'static str, Endpoint)> {
    let Some(hash) = KeyHash::parse(hash) else {
        return Vec::new();
    };
    vec![
        ("GET", Endpoint::GetKey(hash.clone())),
        ("PATCH", Endpoint::UpdateKey(hash.clone())),
        ("DELETE", Endpoint::DeleteKey(hash)),
    ]
}

fn admin_ways(parts: &[&str]) -> Vec<(&'static str, Endpoint)> {
    let account = |text: &str| AccountId::parse(text);
    match parts {
        ["catalog"] => vec![
            ("GET", Endpoint::AdminCatalog),
            ("PUT", Endpoint::AdminReplaceCatalog),
            ("PATCH", Endpoint::AdminPatchCatalog),
        ],
        ["catalog", "check"] => vec![("POST", Endpoint::AdminCheckCatalog)],
        ["accounts"] => vec![("GET", Endpoint::AdminListAccounts), ("POST", Endpoint::AdminCreateAccount)],
        ["accounts", id] => match account(id) {
            Some(id) => vec![("GET", Endpoint::AdminAccount(id))],
            None => Vec::new(),
        },
        ["accounts", id, "credits"] => match account(id) {
            Some(id) => vec![("POST", Endpoint::AdminGrant(id))],
            None => Vec::new(),
        },
        ["accounts", id, "keys"] => match account(id) {
            Some(id) => {
                vec![("GET", Endpoint::AdminListKeys(id.clone())), ("POST", Endpoint::AdminCreateKey(id))]
            }
            None => Vec::new(),
        },
        ["accounts", id, "keys", hash] => match (account(id), KeyHash::parse(hash)) {
            (Some(id), Some(hash)) => vec![
                ("PATCH", Endpoint::AdminUpdateKey(id.clone(), hash.clone())),
                ("DELETE", Endpoint::AdminDeleteKey(id, hash)),
            ],
            (None, _) | (_, None) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A path as an error may repeat it: short, and without anything that is not plain text.
fn shown(path: &str) -> String {
    path.chars().filter(|character| character.is_ascii_graphic()).take(100).collect()
}
