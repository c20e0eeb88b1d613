//! The tools of a request in one flat list. A namespace is a drawer of tools that only Responses
//! knows: elsewhere its tools stand under `<namespace>__<name>`, and a reply's calls get both
//! names back. What a vendor's own servers would do cannot be done elsewhere.

use crate::chat::conversation::{CacheMark, Tool, ToolChoice, ToolKind};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::fields::{self, must_be};
use crate::protocol::search;

/// The longest name of a tool that every provider takes.
const LONGEST: usize = 64;

/// A tool in a namespace and the one name that it has in the flat list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub namespace: String,
    pub name: String,
    pub flat: String,
}

/// The flat names of all tools in namespaces. The same request always gives the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drawers(Vec<Drawn>);

impl Drawers {
    pub fn of(body: &Members<'_>) -> Drawers {
        let all: Vec<Members<'_>> = lists(body).into_iter().flat_map(objects).collect();
        let mut taken: Vec<String> =
            all.iter().filter(|tool| !is_namespace(tool)).filter_map(|tool| text(tool, "name")).collect();
        let mut drawn: Vec<Drawn> = Vec::new();
        for drawer in all.iter().filter(|tool| is_namespace(tool)) {
            let namespace = text(drawer, "name").unwrap_or_default();
            for tool in drawer.get("tools").map(objects).unwrap_or_default() {
                let Some(name) = text(&tool, "name") else { continue };
                if drawn.iter().any(|it| it.namespace == namespace && it.name == name) {
                    continue;
                }
                let flat = free_name(&flat_name(&namespace, &name), LONGEST, &taken);
                taken.push(flat.clone());
                drawn.push(Drawn { namespace: namespace.clone(), name, flat });
            }
        }
        Drawers(drawn)
    }

    pub fn flat(&self, namespace: &str, name: &str) -> String {
        let found = self.0.iter().find(|drawn| drawn.namespace == namespace && drawn.name == name);
        found.map_or_else(|| flat_name(namespace, name), |drawn| drawn.flat.clone())
    }

    /// The tool in a namespace that goes by a flat name.
    pub fn find(&self, flat: &str) -> Option<&Drawn> {
        self.0.iter().find(|drawn| drawn.flat == flat)
    }
}

fn flat_name(namespace: &str, name: &str) -> String {
    format!("{namespace}__{name}")
}

/// `name`, or one like it, no longer than `longest` and not `taken`.
pub(super) fn free_name(name: &str, longest: usize, taken: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let is_free = |name: &String| !taken.contains(name);
    if name.len() <= longest && is_free(&name) {
        return name;
    }
    let spell = |number: usize| {
        let ending = format!("_{number}");
        let kept = name.len().min(longest.saturating_sub(ending.len()));
        format!("{}{ending}", &name[..kept])
    };
    // One of the first that many numbers is free.
    (2..taken.len() + 3).map(spell).find(is_free).unwrap_or(name)
}

/// Every list of tools in the request: of `tools`, and of the items that add some on the way.
fn lists<'a>(body: &Members<'a>) -> Vec<&'a str> {
    let mut lists: Vec<&str> = body.value("tools").into_iter().collect();
    for item in body.value("input").map(objects).unwrap_or_default() {
        if matches!(item.string("type").as_deref(), Some("additional_tools" | "tool_search_output")) {
            lists.extend(item.value("tools"));
        }
    }
    lists
}

fn objects(array: &str) -> Vec<Members<'_>> {
    let elements = json::elements(array).unwrap_or_default();
    elements.into_iter().filter_map(|element| json::members(element).ok()).collect()
}

fn is_namespace(tool: &Members<'_>) -> bool {
    tool.string("type").as_deref() == Some("namespace")
}

fn text(members: &Members<'_>, key: &str) -> Option<String> {
    members.string(key).map(|text| text.into_owned())
}

/// Reads one list of tools into `tools`; `unspoken` gets what has no word.
pub(super) fn read_tools(
    list: &str,
    path: &str,
    drawers: &Drawers,
    tools: &mut Vec<Tool>,
    unspoken: &mut Vec<String>,
) -> Result<(), Failure> {
    for (position, raw) in elements(list, path)?.into_iter().enumerate() {
        let path = format!("{path}[{position}]");
        let tool = members(raw, &path)?;
        let name = |key: &str| tool.string(key).filter(|name| !name.is_empty());
        match name("type").as_deref() {
            Some("function" | "custom") => tools.push(read_tool(&tool, None, &path, drawers, unspoken)?),
            Some("namespace") => {
                let namespace = name("name").ok_or_else(|| must_be(&format!("{path}.name"), "a string"))?;
                fields::note_others(&tool, &path, &["type", "name", "tools"], unspoken);
                let inner = format!("{path}.tools");
                for (position, raw) in elements(tool.get("tools").unwrap_or("[]"), &inner)?.iter().enumerate()
                {
                    let path = format!("{inner}[{position}]");
                    let tool = members(raw, &path)?;
                    tools.push(read_tool(&tool, Some(&namespace), &path, drawers, unspoken)?);
                }
            }
            // It is asked for anew, in the words of whoever answers.
            Some(kind) if search::is_search(kind) => {}
            Some(kind) if is_optional(kind) => unspoken.push(format!("{path} ({kind})")),
            Some(kind) => return Err(hosted(&path, kind)),
            None => return Err(must_be(&format!("{path}.type"), "a string")),
        }
    }
    Ok(())
}

/// Tools that agents offer on the side in every request. A model that was not told of them works
/// without; Codex would not work at all if they were refused.
fn is_optional(kind: &str) -> bool {
    matches!(kind, "local_shell" | "tool_search" | "image_generation")
}

fn hosted(path: &str, kind: &str) -> Failure {
    // The type is the client's text: only names as the vendors choose them are repeated.
    let known =
        kind.len() <= LONGEST && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:-.".contains(&b));
    let kind = if known { kind } else { "this type" };
    Failure::invalid(format!(
        "`{path}`: the tool `{kind}` runs on its vendor's servers and cannot be offered to this model; use function tools."
    ))
}

fn read_tool(
    tool: &Members<'_>,
    namespace: Option<&str>,
    path: &str,
    drawers: &Drawers,
    unspoken: &mut Vec<String>,
) -> Result<Tool, Failure> {
    let Some(name) = text(tool, "name").filter(|name| !name.is_empty()) else {
        return Err(must_be(&format!("{path}.name"), "a string that is not empty"));
    };
    for member in tool.iter().filter(|member| !json::is_null(member.value)) {
        match member.key.as_ref() {
            "type" | "name" | "description" | "parameters" | "strict" | "format" | "cache_control" => {}
            "defer_loading" if member.value == "false" => {}
            key => unspoken.push(format!("{path}.{key}")),
        }
    }
    let raw = |key| tool.value(key).map(str::to_owned);
    let kind = match tool.string("type").as_deref() {
        Some("custom") => ToolKind::Custom { format: raw("format") },
        Some("function") => ToolKind::Function {
            parameters: raw("parameters"),
            strict: tool.get("strict").and_then(json::boolean),
        },
        Some(_) | None => return Err(must_be(&format!("{path}.type"), "\"function\" or \"custom\"")),
    };
    let name = match namespace {
        Some(namespace) => drawers.flat(namespace, &name),
        None => name,
    };
    Ok(Tool { name, description: text(tool, "description"), kind, cache: cache_mark(tool) })
}

/// A mark for the prompt cache: OpenRouter's, or OpenAI's, which knows no time to live.
pub(super) fn cache_mark(members: &Members<'_>) -> Option<CacheMark> {
    if let Some(control) = members.object("cache_control") {
        let long = control.string("ttl").as_deref() == Some("1h");
        return Some(if long { CacheMark::OneHour } else { CacheMark::FiveMinutes });
    }
    members.value("prompt_cache_breakpoint").map(|_| CacheMark::FiveMinutes)
}

/// Reads `tool_choice`. A choice among some tools only keeps those in `tools`.
pub(super) fn read_choice(
    raw: &str,
    drawers: &Drawers,
    tools: &mut Vec<Tool>,
) -> Result<ToolChoice, Failure> {
    const PATH: &str = "tool_choice";
    let word = |word: &str| match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(must_be(PATH, "\"auto\", \"none\", \"required\" or an object")),
    };
    if let Some(text) = json::string(raw) {
        return word(&text);
    }
    let choice = members(raw, PATH)?;
    match choice.string("type").as_deref() {
        Some("function" | "custom") => chosen(&choice, drawers)
            .map(ToolChoice::Named)
            .ok_or_else(|| must_be("tool_choice.name", "a string")),
        Some("allowed_tools") => {
            let allowed: Vec<String> = choice
                .value("tools")
                .map(objects)
                .unwrap_or_default()
                .iter()
                .filter_map(|tool| chosen(tool, drawers))
                .collect();
            tools.retain(|tool| allowed.contains(&tool.name));
            word(choice.string("mode").as_deref().unwrap_or("auto"))
        }
        // No other protocol can force a search.
        Some(kind) if search::is_search(kind) => Ok(ToolChoice::Auto),
        Some(kind) => Err(hosted(PATH, kind)),
        None => Err(must_be("tool_choice.type", "a string")),
    }
}

/// The flat name of the tool that an object names.
pub(super) fn chosen(object: &Members<'_>, drawers: &Drawers) -> Option<String> {
    let name = text(object, "name").filter(|name| !name.is_empty())?;
    Some(match object.string("namespace") {
        Some(namespace) => drawers.flat(&namespace, &name),
        None => name,
    })
}

pub(super) fn members<'a>(raw: &'a str, path: &str) -> Result<Members<'a>, Failure> {
    json::members(raw).map_err(|_| must_be(path, "an object"))
}

/// The elements of an array, which may be too many to take apart.
pub(super) fn elements<'a>(value: &'a str, path: &str) -> Result<Vec<&'a str>, Failure> {
    fields::read_elements(value, path, "an array")
}
