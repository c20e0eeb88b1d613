//! Schemas, between JSON Schema and the OpenAPI subset that Gemini began with. As text, so that
//! what needs no change keeps its bytes.

use crate::json::{self, Edit, Member, Members};

/// Deeper schemas stay as they are.
const DEPTH: usize = 48;
/// As many schemas as one may come to when its references are followed.
const MOST: usize = 4096;

const COUNTS: &[&str] = &["minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"];

/// Gemini's dialect as JSON Schema.
pub(super) fn to_json_schema(text: &str) -> String {
    widen(text, DEPTH)
}

fn widen(text: &str, depth: usize) -> String {
    let Ok(schema) = json::members(text) else { return text.to_owned() };
    if depth == 0 {
        return text.to_owned();
    }
    let nullable = schema.get("nullable") == Some("true");
    let edit = |member: &Member<'_>| {
        let value = member.value;
        match member.key.as_ref() {
            "nullable" | "propertyOrdering" | "property_ordering" => Edit::Drop,
            "type" => widen_type(value, nullable),
            "properties" => Edit::Value(each_value(value, |value| widen(value, depth - 1))),
            "items" => Edit::Value(widen(value, depth - 1)),
            "anyOf" | "any_of" => {
                let mut choices = each_element(value, |value| widen(value, depth - 1));
                if nullable {
                    choices.push(r#"{"type":"null"}"#.to_owned());
                }
                Edit::Member(format!("\"anyOf\":[{}]", choices.join(",")))
            }
            "format" if value == "\"enum\"" => Edit::Drop,
            "example" => Edit::Member(format!("\"examples\":[{value}]")),
            // Google's JSON spells whole numbers of 64 bits as strings.
            key if COUNTS.contains(&key) => Edit::Value(value.trim_matches('"').to_owned()),
            _ => Edit::Keep,
        }
    };
    schema.edit(edit, &[])
}

fn widen_type(value: &str, nullable: bool) -> Edit {
    let Some(name) = json::string(value) else { return Edit::Keep };
    let name = name.to_ascii_lowercase();
    match (name.as_str(), nullable) {
        ("type_unspecified", _) => Edit::Drop,
        (name, true) => Edit::Value(format!("[{},\"null\"]", json::quote(name))),
        (name, false) => Edit::Value(json::quote(name)),
    }
}

fn each_value(text: &str, change: impl Fn(&str) -> String) -> String {
    match json::members(text) {
        Ok(members) => members.edit(|member| Edit::Value(change(member.value)), &[]),
        Err(_) => text.to_owned(),
    }
}

fn each_element(text: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    json::elements(text).unwrap_or_default().into_iter().map(change).collect()
}

/// JSON Schema in Gemini's dialect; what it cannot say is added to `losses`. `None` for an object
/// without properties, which Gemini refuses.
pub(super) fn to_gemini(text: &str, path: &str, losses: &mut Vec<String>) -> Option<String> {
    let root = json::members(text).ok()?;
    let empty = root.string("type").as_deref() == Some("object")
        && root.object("properties").is_none_or(|properties| properties.is_empty());
    if empty {
        return None;
    }
    let mut narrow = Narrow { root: &root, path, losses, inside: Vec::new(), left: MOST };
    Some(narrow.schema(text))
}

/// Keywords that both dialects share.
const SHARED: &[&str] = &[
    "title",
    "description",
    "nullable",
    "required",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "pattern",
];
const FORMATS: &[&str] = &["date-time", "enum", "int32", "int64", "float", "double"];
/// Keywords that restrict nothing that a model would do otherwise.
const IDLE: &[&str] = &["$schema", "$id", "$defs", "definitions", "$comment", "default", "examples"];

struct Narrow<'a, 't> {
    root: &'a Members<'t>,
    path: &'a str,
    losses: &'a mut Vec<String>,
    /// The references that are being followed.
    inside: Vec<String>,
    /// How many schemas may still be written: references can multiply them without bound.
    left: usize,
}

impl<'t> Narrow<'_, 't> {
    fn schema(&mut self, text: &str) -> String {
        let Ok(schema) = json::members(text) else { return r#"{"type":"STRING"}"#.to_owned() };
        self.left = self.left.saturating_sub(1);
        if self.inside.len() > DEPTH || self.left == 0 {
            return self.lose("a schema too deep or too large", r#"{"type":"OBJECT"}"#);
        }
        if let Some(reference) = schema.string("$ref") {
            return self.reference(&reference);
        }
        self.inside.push(String::new());
        let mut members: Vec<String> = Vec::new();
        for member in schema.iter() {
            self.keyword(member, &schema, &mut members);
        }
        self.inside.pop();
        format!("{{{}}}", members.join(","))
    }

    fn keyword(&mut self, member: &Member<'_>, schema: &Members<'_>, members: &mut Vec<String>) {
        let value = member.value;
        match member.key.as_ref() {
            "type" => self.kind(value, members),
            "properties" => {
                let each = json::members(value).ok();
                let each = each.iter().flat_map(|properties| properties.iter());
                let properties: Vec<String> =
                    each.map(|it| format!("{}:{}", json::quote(&it.key), self.schema(it.value))).collect();
                if !properties.is_empty() {
                    members.push(format!("\"properties\":{{{}}}", properties.join(",")));
                }
            }
            "items" => members.push(format!("\"items\":{}", self.schema(value))),
            "anyOf" | "oneOf" => self.choices(value, members),
            "allOf" => {
                let parts = json::elements(value).unwrap_or_default();
                match parts.as_slice() {
                    [one] => {
                        let inner = self.schema(one);
                        let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
                        members.extend(inner.filter(|inner| !inner.is_empty()).map(str::to_owned));
                    }
                    _ => _ = self.lose("`allOf`", ""),
                }
            }
            "const" if value.starts_with('"') && !schema.has("enum") => {
                members.push(format!("\"enum\":[{value}]"));
            }
            "enum" if json::elements(value).is_ok_and(|all| all.iter().all(|it| it.starts_with('"'))) => {
                members.push(format!("\"enum\":{value}"));
            }
            "format" if json::string(value).is_some_and(|format| FORMATS.contains(&format.as_ref())) => {
                members.push(member.text.to_owned());
            }
            key if SHARED.contains(&key) => members.push(format!("\"{key}\":{value}")),
            key if IDLE.contains(&key) => {}
            key => _ = self.lose(&format!("`{key}`"), ""),
        }
    }

    fn kind(&mut self, value: &str, members: &mut Vec<String>) {
        let upper = |name: &str| format!("\"{}\"", name.to_ascii_uppercase());
        if let Some(name) = json::string(value) {
            members.push(format!("\"type\":{}", upper(&name)));
            return;
        }
        let kinds = json::elements(value).unwrap_or_default();
        let kinds: Vec<_> = kinds.into_iter().filter_map(json::string).collect();
        let real: Vec<_> = kinds.iter().filter(|kind| *kind != "null").collect();
        if real.len() < kinds.len() {
            members.push("\"nullable\":true".to_owned());
        }
        match real.as_slice() {
            [one] => members.push(format!("\"type\":{}", upper(one))),
            several => {
                let choices: Vec<String> =
                    several.iter().map(|kind| format!("{{\"type\":{}}}", upper(kind))).collect();
                members.push(format!("\"anyOf\":[{}]", choices.join(",")));
            }
        }
    }

    fn choices(&mut self, value: &str, members: &mut Vec<String>) {
        let choices = json::elements(value).unwrap_or_default();
        let is_null = |choice: &&str| {
            json::members(choice).is_ok_and(|choice| choice.string("type").as_deref() == Some("null"))
        };
        let (nulls, real): (Vec<&str>, Vec<&str>) = choices.into_iter().partition(is_null);
        if !nulls.is_empty() {
            members.push("\"nullable\":true".to_owned());
        }
        let real: Vec<String> = real.into_iter().map(|choice| self.schema(choice)).collect();
        members.push(format!("\"anyOf\":[{}]", real.join(",")));
    }

    /// Puts what a reference names in its place: Gemini's dialect has none.
    fn reference(&mut self, reference: &str) -> String {
        if self.inside.iter().any(|known| known == reference) {
            return self.lose("a recursive `$ref`", r#"{"type":"OBJECT"}"#);
        }
        let Some(text) = self.find(reference) else {
            return self.lose("a `$ref` that leads nowhere", r#"{"type":"OBJECT"}"#);
        };
        self.inside.push(reference.to_owned());
        let schema = self.schema(text);
        self.inside.pop();
        schema
    }

    fn find(&self, reference: &str) -> Option<&'t str> {
        let (list, name) = reference.strip_prefix("#/")?.split_once('/')?;
        let definitions = json::members(self.root.get(list)?).ok()?;
        definitions.get(&name.replace("~1", "/").replace("~0", "~"))
    }

    fn lose(&mut self, what: &str, instead: &str) -> String {
        let loss = format!("{}: {what} has no word in this Gemini model's schemas", self.path);
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
        instead.to_owned()
    }
}
