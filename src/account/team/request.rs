//! Reads what clients want workspaces, members and guardrails to be like, and writes it as JSON that
//! tables keep: known members alone, each checked, models by their permanent names.

use crate::account::request::{Fields, text};
use crate::catalog::Catalog;
use crate::error::{Cause, Failure};
use crate::guard::{Action, Builtin, PATTERN_BYTES, ZDR_GROUPS, check_pattern};
use crate::json::{self, Members};
use crate::money::Money;

/// The most entries in one list of a guardrail, and patterns of its own.
const LIST: usize = 500;
const PATTERNS: usize = 50;
const LABEL: usize = 100;
/// Keys or members in one request.
const NAMES: usize = 1000;

/// What a member has to be.
#[derive(Clone, Copy)]
enum Kind {
    /// A string of so many characters, not empty.
    Name(usize),
    /// A string of so many characters, or null.
    Text(usize),
    Slug,
    Email,
    Flag,
    /// True, false, or null.
    Option,
    /// One of these.
    One(&'static [&'static str]),
    /// One of these, or null.
    OneOrNone(&'static [&'static str]),
    Model,
    Rate,
    Numbers,
    Money,
    Models,
    Providers,
    Regions,
    Builtins,
    Patterns,
}

type Known = &'static [(&'static str, Kind)];

const WORKSPACE: Known = &[
    ("name", Kind::Name(100)),
    ("slug", Kind::Slug),
    ("description", Kind::Text(500)),
    ("default_text_model", Kind::Model),
    ("default_image_model", Kind::Model),
    ("default_provider_sort", Kind::OneOrNone(&["price", "throughput", "latency", "exacto"])),
    ("is_observability_io_logging_enabled", Kind::Flag),
    ("is_observability_broadcast_enabled", Kind::Flag),
    ("is_data_discount_logging_enabled", Kind::Flag),
    ("io_logging_sampling_rate", Kind::Rate),
    ("io_logging_api_key_ids", Kind::Numbers),
];
pub const WORKSPACE_DEFAULTS: &str = r#"{"name":"","slug":"","description":null,"default_text_model":null,"default_image_model":null,"default_provider_sort":null,"is_observability_io_logging_enabled":false,"is_observability_broadcast_enabled":false,"is_data_discount_logging_enabled":false,"io_logging_sampling_rate":1,"io_logging_api_key_ids":null}"#;

const MEMBER: Known = &[
    ("email", Kind::Email),
    ("first_name", Kind::Text(100)),
    ("last_name", Kind::Text(100)),
    ("role", Kind::One(&["org:admin", "org:member"])),
];
pub const MEMBER_DEFAULTS: &str = r#"{"email":"","first_name":null,"last_name":null,"role":"org:member"}"#;

const GUARDRAIL: Known = &[
    ("name", Kind::Name(200)),
    ("description", Kind::Text(1000)),
    ("limit_usd", Kind::Money),
    ("reset_interval", Kind::OneOrNone(&["daily", "weekly", "monthly"])),
    ("include_byok_in_budgets", Kind::Flag),
    ("allowed_models", Kind::Models),
    ("ignored_models", Kind::Models),
    ("allowed_providers", Kind::Providers),
    ("ignored_providers", Kind::Providers),
    ("allowed_data_regions", Kind::Regions),
    ("enforce_zdr_anthropic", Kind::Option),
    ("enforce_zdr_openai", Kind::Option),
    ("enforce_zdr_google", Kind::Option),
    ("enforce_zdr_xai", Kind::Option),
    ("enforce_zdr_other", Kind::Option),
    ("enable_free_model_publication", Kind::Option),
    ("enable_free_model_training", Kind::Option),
    ("enable_paid_model_training", Kind::Option),
    ("content_filter_builtins", Kind::Builtins),
    ("content_filters", Kind::Patterns),
];
pub const GUARDRAIL_DEFAULTS: &str = r#"{"name":"","description":null,"limit_usd":null,"reset_interval":null,"include_byok_in_budgets":false,"allowed_models":null,"ignored_models":null,"allowed_providers":null,"ignored_providers":null,"allowed_data_regions":null,"enforce_zdr":null,"enforce_zdr_anthropic":null,"enforce_zdr_openai":null,"enforce_zdr_google":null,"enforce_zdr_xai":null,"enforce_zdr_other":null,"enable_free_model_publication":null,"enable_free_model_training":null,"enable_paid_model_training":null,"content_filter_builtins":null,"content_filters":null}"#;

/// Whether all is needed that something new has to have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    New,
    Change,
}

/// The body of `POST` and `PATCH /workspaces`.
pub fn read_workspace(body: &[u8], purpose: For, catalog: Catalog) -> Result<String, Failure> {
    let members = read(text(body)?)?;
    refuse_unknown(&members, WORKSPACE, &[])?;
    need(&members, purpose, &["name", "slug"])?;
    Ok(object(checked(&members, WORKSPACE, catalog)?))
}

/// The body of `POST` and `PATCH /organization/members`, and the id that the caller gives a new one.
pub fn read_member(body: &[u8], purpose: For) -> Result<(String, Option<String>), Failure> {
    let members = read(text(body)?)?;
    refuse_unknown(&members, MEMBER, if purpose == For::New { &["id"] } else { &[] })?;
    need(&members, purpose, &["email"])?;
    let id = match members.value("id").map(|value| json::string(value).ok_or(value)) {
        None => None,
        Some(Ok(id)) if is_user(&id) => Some(id.into_owned()),
        Some(_) => return Err(wrong("id", "up to 100 letters, digits and any of - _ .")),
    };
    Ok((object(checked(&members, MEMBER, Catalog::BUILT_IN)?), id))
}

/// The body of `POST` and `PATCH /guardrails`, and the workspace that a new one is in.
pub fn read_guardrail(
    body: &[u8],
    purpose: For,
    catalog: Catalog,
) -> Result<(String, Option<String>), Failure> {
    let members = read(text(body)?)?;
    let also: &[&str] = if purpose == For::New { &["workspace_id", "enforce_zdr"] } else { &["enforce_zdr"] };
    refuse_unknown(&members, GUARDRAIL, also)?;
    need(&members, purpose, &["name"])?;
    let mut parts = checked(&members, GUARDRAIL, catalog)?;
    // The member that these five came after stands for those that are not there.
    if let Some(all) = members.value("enforce_zdr") {
        json::boolean(all).ok_or_else(|| wrong("enforce_zdr", "true, false or null"))?;
        let left = ZDR_GROUPS.map(|group| format!("enforce_zdr_{group}"));
        parts.extend(left.iter().filter(|name| !members.has(name)).map(|name| format!("\"{name}\":{all}")));
    }
    let workspace = match members.value("workspace_id") {
        None => None,
        Some(value) => {
            Some(json::string(value).ok_or_else(|| wrong("workspace_id", "a string"))?.into_owned())
        }
    };
    Ok((object(parts), workspace))
}

/// The body of `PUT /workspaces/{id}/budgets/{interval}`.
pub fn read_budget(body: &[u8]) -> Result<String, Failure> {
    let fields = Fields::read(text(body)?, &["limit_usd", "include_byok_in_budgets"])?;
    let limit = fields.required_money("limit_usd")?;
    if limit <= Money::ZERO {
        return Err(wrong("limit_usd", "greater than 0"));
    }
    let mut parts = vec![format!("\"limit_usd\":\"{}\"", limit.to_text())];
    if let Some(include) = fields.boolean("include_byok_in_budgets")? {
        parts.push(format!("\"include_byok_in_budgets\":{include}"));
    }
    Ok(object(parts))
}

/// The workspace that a key is to be in, of the body that makes or changes it.
pub fn read_workspace_of_key(body: &[u8]) -> Result<Option<String>, Failure> {
    let members = read(text(body)?)?;
    let expected = "the id or slug of a workspace, or null";
    let name = members.value("workspace_id").map(|value| json::string(value).filter(|name| !name.is_empty()));
    name.map(|name| name.map(Into::into).ok_or_else(|| wrong("workspace_id", expected))).transpose()
}

/// Which role those have who are added to a workspace; empty for the one that they have in the account.
pub fn read_role(body: &[u8]) -> Result<String, Failure> {
    match read(text(body)?)?.value("role").map(|value| json::string(value).unwrap_or_default()) {
        None => Ok(String::new()),
        Some(role) if ["admin", "member"].contains(&&*role) => Ok(role.into_owned()),
        Some(_) => Err(wrong("role", "admin or member")),
    }
}

/// The body of an assignment: the strings of its one member.
pub fn read_names(body: &[u8], member: &str) -> Result<Vec<String>, Failure> {
    let members = read(text(body)?)?;
    let expected = format!("a list of 1 to {NAMES} strings");
    let names = members.value(member).and_then(|list| crate::json::read::<Vec<String>>(list).ok());
    names.filter(|names| (1..=NAMES).contains(&names.len())).ok_or_else(|| wrong(member, &expected))
}

fn read(text: &str) -> Result<Members<'_>, Failure> {
    json::members(text).map_err(|error| Failure::invalid(format!("The body is not a JSON object: {error}")))
}

fn refuse_unknown(members: &Members<'_>, known: Known, also: &[&str]) -> Result<(), Failure> {
    let is_known = |key: &str| known.iter().any(|(name, _)| *name == key) || also.contains(&key);
    match members.iter().find(|member| !is_known(&member.key)) {
        None => Ok(()),
        Some(member) => Err(Failure::invalid(format!("{}: no such member", member.key))),
    }
}

fn need(members: &Members<'_>, purpose: For, names: &[&str]) -> Result<(), Failure> {
    match names.iter().find(|name| purpose == For::New && members.value(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Failure::invalid(format!("{name}: this member is required"))),
    }
}

fn object(parts: Vec<String>) -> String {
    format!("{{{}}}", parts.join(","))
}

/// The members that are there, each as `"name":value`.
fn checked(members: &Members<'_>, known: Known, catalog: Catalog) -> Result<Vec<String>, Failure> {
    let mut parts = Vec::new();
    for (name, kind) in known {
        if let Some(value) = members.get(name) {
            parts.push(format!("\"{name}\":{}", check(name, value, *kind, catalog)?));
        }
    }
    Ok(parts)
}

/// The value as it is kept.
fn check(name: &str, value: &str, kind: Kind, catalog: Catalog) -> Result<String, Failure> {
    let nullable =
        !matches!(kind, Kind::Name(_) | Kind::Slug | Kind::Email | Kind::Flag | Kind::One(_) | Kind::Rate);
    if json::is_null(value) && nullable {
        return Ok("null".to_owned());
    }
    let string = json::string(value);
    let length = string.as_deref().map_or(0, |text| text.chars().count());
    let is_one = |choices: &[&str]| string.as_deref().is_some_and(|text| choices.contains(&text));
    let (fits, expected) = match kind {
        Kind::Name(most) => {
            let blank = string.as_deref().is_none_or(|text| text.trim().is_empty());
            (!blank && length <= most, format!("a string of 1 to {most} characters"))
        }
        Kind::Text(most) => {
            (string.is_some() && length <= most, format!("a string of at most {most} characters, or null"))
        }
        Kind::Slug => (
            string.as_deref().is_some_and(is_slug),
            "lower-case letters and digits with single hyphens between, 50 at most".to_owned(),
        ),
        Kind::Email => (string.as_deref().is_some_and(is_email), "an e-mail address".to_owned()),
        Kind::Flag => (json::boolean(value).is_some(), "true or false".to_owned()),
        Kind::Option => (json::boolean(value).is_some(), "true, false or null".to_owned()),
        Kind::One(choices) => (is_one(choices), choices.join(" or ")),
        Kind::OneOrNone(choices) => (is_one(choices), format!("{} or null", choices.join(", "))),
        Kind::Rate => (is_rate(value), "a number from 0.0001 to 1".to_owned()),
        Kind::Numbers => (crate::json::read::<Vec<i64>>(value).is_ok(), "a list of whole numbers".to_owned()),
        Kind::Model => return model(name, string.as_deref(), catalog),
        Kind::Money => return money(name, value),
        Kind::Models => return list(name, value, |text| model_pattern(text, catalog)),
        Kind::Providers => return list(name, value, |text| provider(text, catalog)),
        Kind::Regions => return list(name, value, region),
        Kind::Builtins => return entries(name, value, LIST, builtin),
        Kind::Patterns => return entries(name, value, PATTERNS, pattern),
    };
    if fits { Ok(value.to_owned()) } else { Err(wrong(name, &expected)) }
}

fn wrong(name: &str, expected: &str) -> Failure {
    Failure::invalid(format!("{name}: must be {expected}"))
}

fn is_slug(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 50 && text.split('-').all(is_part)
}

fn is_email(text: &str) -> bool {
    let fits =
        |(name, domain): (&str, &str)| !name.is_empty() && domain.contains('.') && !domain.contains('@');
    text.len() <= 254
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once('@').is_some_and(fits)
}

fn is_user(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

/// A number from 0.0001 to 1, told by its digits.
fn is_rate(value: &str) -> bool {
    let Ok(rate) = Money::parse_usd(value) else { return false };
    let least = Money::parse_usd("0.0001").unwrap_or(Money::ZERO);
    rate >= least && Money::parse_usd("1").is_ok_and(|most| rate <= most)
}

fn money(name: &str, value: &str) -> Result<String, Failure> {
    match Money::parse_usd(value) {
        Ok(limit) if limit > Money::ZERO => Ok(limit.to_usd()),
        _ => Err(wrong(name, "a number of dollars greater than 0, or null")),
    }
}

/// A model to ask for, as it is asked for.
fn model(name: &str, slug: Option<&str>, catalog: Catalog) -> Result<String, Failure> {
    let slug = slug.ok_or_else(|| wrong(name, "the slug of a model, or null"))?;
    let known =
        catalog.named(slug).is_some() || catalog.local(slug).is_some() || slug.starts_with("openrouter/");
    if known { Ok(json::quote(slug)) } else { Err(no_model(name, slug)) }
}

fn no_model(name: &str, slug: &str) -> Failure {
    let shown: String = slug.chars().take(100).collect();
    Failure::new(Cause::UnknownModel, format!("{name}: {shown} is not a valid model ID"))
}

/// The permanent name of a model, or a pattern with stars.
fn model_pattern(text: &str, catalog: Catalog) -> Result<String, String> {
    match catalog.named(text) {
        Some(model) => Ok(model.canonical_slug.to_owned()),
        None if text.contains('*') || catalog.local(text).is_some() => Ok(text.to_ascii_lowercase()),
        None => Err(format!("{} is not a valid model ID", text.chars().take(100).collect::<String>())),
    }
}

/// A provider's slug, or the tag of one of its endpoints.
fn provider(text: &str, catalog: Catalog) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let slug = text.split('/').next().unwrap_or_default();
    let known = catalog.provider(slug).is_some();
    if known {
        Ok(text)
    } else {
        Err(format!("{} is no provider", text.chars().take(100).collect::<String>()))
    }
}

fn region(text: &str) -> Result<String, String> {
    match ["global", "europe", "us"].contains(&text) {
        true => Ok(text.to_owned()),
        false => Err("must be of global, europe and us".to_owned()),
    }
}

fn list(name: &str, value: &str, read: impl Fn(&str) -> Result<String, String>) -> Result<String, Failure> {
    let expected = format!("a list of 1 to {LIST} strings, or null");
    let texts: Vec<String> = crate::json::read(value).map_err(|_| wrong(name, &expected))?;
    if !(1..=LIST).contains(&texts.len()) {
        return Err(wrong(name, &expected));
    }
    let read: Result<Vec<String>, String> = texts.iter().map(|text| read(text)).collect();
    let read = read.map_err(|words| Failure::invalid(format!("{name}: {words}")))?;
    let quoted: Vec<String> = read.iter().map(|text| json::quote(text)).collect();
    Ok(format!("[{}]", quoted.join(",")))
}

fn entries(
    name: &str,
    value: &str,
    most: usize,
    read: fn(&str, &Members<'_>) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let expected = format!("a list of at most {most} objects, or null");
    let entries = json::elements(value).map_err(|_| wrong(name, &expected))?;
    if entries.len() > most {
        return Err(wrong(name, &expected));
    }
    let read_one = |(index, entry): (usize, &&str)| {
        let at = format!("{name}[{index}]");
        let members = json::members(entry).map_err(|_| wrong(&at, "an object"))?;
        read(&at, &members)
    };
    let read: Vec<String> = entries.iter().enumerate().map(read_one).collect::<Result<_, Failure>>()?;
    Ok(format!("[{}]", read.join(",")))
}

fn action(at: &str, members: &Members<'_>) -> Result<&'static str, Failure> {
    let action = members.string("action").and_then(|text| Action::parse(&text));
    action.map(Action::name).ok_or_else(|| wrong(&format!("{at}.action"), "redact, block or flag"))
}

fn builtin(at: &str, members: &Members<'_>) -> Result<String, Failure> {
    let slug = members.string("slug").unwrap_or_default();
    if ["person-name", "address"].contains(&&*slug) {
        let words = format!("{at}.slug: names of persons and addresses cannot be found by this gateway");
        return Err(Failure::invalid(words));
    }
    let found = Builtin::parse(&slug).ok_or_else(|| {
        let known = "email, phone, ssn, credit-card, ip-address, secrets or regex-prompt-injection";
        wrong(&format!("{at}.slug"), known)
    })?;
    let mut parts = vec![
        format!("\"slug\":\"{}\"", found.slug()),
        format!("\"action\":\"{}\"", action(at, members)?),
        format!("\"label\":\"{}\"", found.label()),
    ];
    if let Some(scope) = members.value("scan_scope") {
        if !["\"user_only\"", "\"all_messages\""].contains(&scope) {
            return Err(wrong(&format!("{at}.scan_scope"), "user_only or all_messages"));
        }
        parts.push(format!("\"scan_scope\":{scope}"));
    }
    Ok(object(parts))
}

fn pattern(at: &str, members: &Members<'_>) -> Result<String, Failure> {
    let field = format!("{at}.pattern");
    let expected = format!("a regular expression of at most {PATTERN_BYTES} bytes");
    let pattern = members.string("pattern").ok_or_else(|| wrong(&field, &expected))?;
    if let Err(why) = check_pattern(&pattern) {
        let words = format!("{field}: {why} (look-around and back-references are not supported)");
        return Err(Failure::invalid(words).with("code", "invalid_regex_pattern"));
    }
    let label = match members.value("label") {
        None => "null".to_owned(),
        Some(value) => match json::string(value) {
            Some(label) if label.chars().count() <= LABEL => value.to_owned(),
            _ => return Err(wrong(&format!("{at}.label"), &format!("at most {LABEL} characters"))),
        },
    };
    Ok(object(vec![
        format!("\"pattern\":{}", json::quote(&pattern)),
        format!("\"action\":\"{}\"", action(at, members)?),
        format!("\"label\":{label}"),
    ]))
}
