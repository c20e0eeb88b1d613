//! The operator's document as JSON: members that are left out stay as the crate has them. What
//! they mean is for `row.rs`, whether they may be is for `check.rs`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The whole document.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// By slug.
    pub(super) providers: BTreeMap<String, Patch>,
    /// By slug.
    pub(super) models: BTreeMap<String, ModelPatch>,
    /// From a name to the slug it stands for.
    pub(super) aliases: BTreeMap<String, String>,
}

/// A model's own members, and those of its offers by tag.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelPatch {
    pub members: Patch,
    pub offers: BTreeMap<String, Patch>,
}

/// Members of a row, each known and of its type.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch(Map<String, Value>);

/// What a member must be.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Text,
    Flag,
    Number,
    Texts,
    Reasoning,
    Tiers,
}

use Type::{Flag, Number, Reasoning, Text, Texts, Tiers};

const PROVIDER: &[(&str, Type)] = &[
    ("hidden", Flag),
    ("name", Text),
    ("protocol", Text),
    ("also", Texts),
    ("base_url", Text),
    ("key_variable", Text),
    ("local", Flag),
    ("max_tokens", Text),
    ("stream_usage", Text),
    ("past_reasoning", Text),
    ("more_sampling", Flag),
    ("cache_marks", Flag),
    ("reports_cost", Flag),
    ("trains", Flag),
    ("retains", Flag),
    ("retention_days", Number),
    ("zdr", Flag),
    ("headquarters", Text),
    ("datacenters", Texts),
    ("regions", Texts),
    ("privacy_policy_url", Text),
    ("terms_of_service_url", Text),
    ("status_page_url", Text),
];
/// Beside `offers`. `parameters` is what a new offer honours that does not say so itself.
const MODEL: &[(&str, Type)] = &[
    ("hidden", Flag),
    ("name", Text),
    ("description", Text),
    ("created", Number),
    ("expires", Text),
    ("successor", Text),
    ("distillable", Flag),
    ("context_length", Number),
    ("input", Texts),
    ("output", Texts),
    ("tokenizer", Text),
    ("hugging_face_id", Text),
    ("knowledge_cutoff", Text),
    ("categories", Texts),
    ("reasoning", Reasoning),
    ("parameters", Texts),
];
const REASONING: &[(&str, Type)] =
    &[("mandatory", Flag), ("default_enabled", Flag), ("default_effort", Text), ("efforts", Texts)];
const OFFER: &[(&str, Type)] = &[
    ("hidden", Flag),
    ("model", Text),
    ("protocol", Text),
    ("context_length", Number),
    ("max_output", Number),
    ("quantization", Text),
    ("region", Text),
    ("service_tier", Text),
    ("trains", Flag),
    ("retains", Flag),
    ("retention_days", Number),
    ("zdr", Flag),
    ("parameters", Texts),
    ("prompt", Text),
    ("completion", Text),
    ("request", Text),
    ("image_tokens", Number),
    ("cache_read", Text),
    ("cache_write", Text),
    ("cache_write_1h", Text),
    ("reasoning", Text),
    ("audio_input", Text),
    ("audio_output", Text),
    ("image_output", Text),
    ("web_search", Text),
    ("web_search_once", Flag),
    ("tiers", Tiers),
];
const TIER: &[(&str, Type)] = &[
    ("above_prompt_tokens", Number),
    ("prompt", Text),
    ("completion", Text),
    ("cache_read", Text),
    ("cache_write", Text),
    ("cache_write_1h", Text),
    ("audio_input", Text),
];

impl Document {
    /// The longest document, in bytes of JSON.
    pub const MOST_BYTES: usize = 1024 * 1024;

    /// Reads a document, or says why it is none. A null is refused: in a change it takes a member
    /// away, in a document it would look like a price of nothing.
    pub fn read(text: &str) -> Result<Document, String> {
        if text.len() > Document::MOST_BYTES {
            return Err(format!("the document is longer than {} bytes", Document::MOST_BYTES));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(path) = find_null(&value) {
            return Err(format!("{path}: null means nothing here; leave the member out"));
        }
        let mut document = Document::default();
        for (part, rows) in object("the document", value)? {
            let rows = object(&part, rows)?;
            for (name, row) in rows {
                let path = format!("{part}.{name}");
                match part.as_str() {
                    "providers" => {
                        document.providers.insert(name, Patch::read(&path, row, PROVIDER)?);
                    }
                    "models" => {
                        document.models.insert(name, ModelPatch::read(&path, row)?);
                    }
                    "aliases" => match row {
                        Value::String(slug) => {
                            document.aliases.insert(name, slug);
                        }
                        _ => return Err(format!("{path}: must be a string")),
                    },
                    _ => {}
                }
            }
            if !["providers", "models", "aliases"].contains(&part.as_str()) {
                return Err(format!("{part}: no such member; known are providers, models, aliases"));
            }
        }
        Ok(document)
    }
}

impl ModelPatch {
    fn read(path: &str, row: Value) -> Result<ModelPatch, String> {
        let mut members = object(path, row)?;
        let mut offers = BTreeMap::new();
        if let Some(rows) = members.remove("offers") {
            for (tag, offer) in object(&format!("{path}.offers"), rows)? {
                let path = format!("{path}.offers.{tag}");
                offers.insert(tag, Patch::read(&path, offer, OFFER)?);
            }
        }
        Ok(ModelPatch { members: Patch::read(path, Value::Object(members), MODEL)?, offers })
    }
}

impl Patch {
    fn read(path: &str, row: Value, known: &[(&str, Type)]) -> Result<Patch, String> {
        let members = object(path, row)?;
        for (name, value) in &members {
            let path = format!("{path}.{name}");
            let Some((_, kind)) = known.iter().find(|(other, _)| other == name) else {
                return Err(format!("{path}: no such member"));
            };
            check(&path, value, *kind)?;
        }
        Ok(Patch(members))
    }

    pub fn is_empty_but_for(&self, names: &[&str]) -> bool {
        self.0.keys().all(|name| names.contains(&name.as_str()))
    }

    pub fn hidden(&self) -> bool {
        self.flag("hidden").unwrap_or(false)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let list = self.0.get(name)?.as_array()?;
        Some(list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect())
    }

    /// The members of an object within.
    pub fn within(&self, name: &str) -> Option<Patch> {
        Some(Patch(self.0.get(name)?.as_object()?.clone()))
    }

    /// The members of each object of a list.
    pub fn each(&self, name: &str) -> Option<Vec<Patch>> {
        let list = self.0.get(name)?.as_array()?;
        Some(list.iter().filter_map(|one| Some(Patch(one.as_object()?.clone()))).collect())
    }
}

fn object(path: &str, value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(format!("{path}: must be an object")),
    }
}

fn check(path: &str, value: &Value, kind: Type) -> Result<(), String> {
    let must_be = |what: &str| Err(format!("{path}: must be {what}"));
    match (kind, value) {
        (Text, Value::String(_)) | (Flag, Value::Bool(_)) => Ok(()),
        (Number, Value::Number(number)) if number.is_u64() => Ok(()),
        (Texts, Value::Array(list)) if list.iter().all(Value::is_string) => Ok(()),
        (Reasoning, value) => Patch::read(path, value.clone(), REASONING).map(|_| ()),
        (Tiers, Value::Array(list)) => list.iter().try_for_each(|tier| {
            let tier = Patch::read(path, tier.clone(), TIER)?;
            tier.number("above_prompt_tokens")
                .map_or_else(|| must_be("tiers with above_prompt_tokens"), |_| Ok(()))
        }),
        (Text, _) => must_be("a string"),
        (Flag, _) => must_be("true or false"),
        (Number, _) => must_be("a whole number"),
        (Texts, _) => must_be("a list of strings"),
        (Tiers, _) => must_be("a list of tiers"),
    }
}

/// Changes a document as RFC 7396 says: objects are merged member by member, a null takes a member
/// away, all else takes the place of what was there. An object that loses its last member goes.
pub fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = document else {
        return;
    };
    for (name, value) in members {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Where a null stands, if there is one: `models.acme/one.offers`.
fn find_null(value: &Value) -> Option<String> {
    let below = |name: &str, value: &Value| {
        let rest = find_null(value)?;
        Some(if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") })
    };
    match value {
        Value::Null => Some(String::new()),
        Value::Object(members) => members.iter().find_map(|(name, value)| below(name, value)),
        Value::Array(list) => list.iter().enumerate().find_map(|(at, value)| below(&at.to_string(), value)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
