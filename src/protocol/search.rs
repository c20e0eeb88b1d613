//! Searches of the web by the provider's own means: how a request asks for them in whichever words,
//! and how they are asked for in each wire's. The gateway has no engine of its own.

use super::fields::{must_be, not_supported, read_elements};
use crate::catalog::Protocol;
use crate::chat::{ChatRequest, WebSearch};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members, quote};

/// Searches that a ceiling counts with where the request sets no limit, and where it has the tool on
/// the side alone.
const USUAL_MOST: u64 = 10;
const MOST_ASIDE: u64 = 3;
/// OpenRouter's tool that stands for the endpoint's own.
const TOOL: &str = "openrouter:web_search";

/// Whether a tool of that type searches the web on the vendor's servers.
pub fn is_search(kind: &str) -> bool {
    kind.starts_with("web_search") || kind == TOOL
}

/// The most searches that a request is to be able to pay.
pub fn bound(search: &WebSearch) -> u64 {
    search.max_uses.unwrap_or(if search.optional { MOST_ASIDE } else { USUAL_MOST })
}

/// Whether some slug ends in `:online`, beside other endings.
pub fn is_online(slug: &str) -> bool {
    slug.split(':').skip(1).any(|ending| ending == "online")
}

/// Takes note of what a request of this body says of searching.
pub fn note(body: &Members<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let search = read(body)?;
    request.size.web_searches = search.as_ref().map_or(0, bound);
    request.needs.web_search = search;
    Ok(())
}

/// What a request says of searching: by a slug, the plugin `web`, `web_search_options` or a tool.
/// `None` where it says nothing.
pub fn read(body: &Members<'_>) -> Result<Option<WebSearch>, Failure> {
    let mut found = read_slugs(body).then(WebSearch::default);
    if let Some(plugins) = body.value("plugins").filter(|text| text.contains("\"web\"")) {
        for (position, plugin) in json::elements(plugins).unwrap_or_default().into_iter().enumerate() {
            let Ok(plugin) = json::members(plugin) else { continue };
            if is_web(&plugin) && plugin.get("enabled") != Some("false") {
                found = Some(read_wishes(&plugin, &format!("plugins[{position}]"))?);
            }
        }
    }
    if let Some(options) = body.value("web_search_options") {
        let options = json::members(options).map_err(|_| must_be("web_search_options", "an object"))?;
        found = Some(read_wishes(&options, "web_search_options")?);
    }
    // Every request with tools comes by here, few of them to search.
    match body.value("tools").filter(|text| text.contains("web_search")) {
        Some(tools) => Ok(read_tools(tools, body)?.or(found)),
        None => Ok(found),
    }
}

pub fn is_web(plugin: &Members<'_>) -> bool {
    plugin.string("id").as_deref() == Some("web")
}

fn read_slugs(body: &Members<'_>) -> bool {
    let listed = || {
        let models = body.value("models").filter(|models| models.contains(":online"))?;
        let slugs = json::elements(models).ok()?;
        Some(slugs.into_iter().filter_map(json::string).any(|slug| is_online(&slug)))
    };
    body.string("model").is_some_and(|slug| is_online(&slug)) || listed() == Some(true)
}

fn read_tools(tools: &str, body: &Members<'_>) -> Result<Option<WebSearch>, Failure> {
    let tools = json::elements(tools).unwrap_or_default();
    let choice = body.value("tool_choice").unwrap_or_default();
    for (position, tool) in tools.iter().enumerate() {
        let Ok(tool) = json::members(tool) else { continue };
        let Some(kind) = tool.string("type").filter(|kind| is_search(kind)) else { continue };
        let own = tool.object("parameters").filter(|_| kind == TOOL).unwrap_or_else(|| tool.clone());
        let wishes = read_wishes(&own, &format!("tools[{position}]"))?;
        // Codex offers OpenAI's tool with every request, and works without. Anthropic's has a name;
        // who sends it expects to have it.
        let aside = kind != TOOL && !tool.has("name") && tools.len() > 1 && !choice.contains("web_search");
        return Ok(Some(WebSearch { optional: aside, ..wishes }));
    }
    Ok(None)
}

/// Members that say nothing more than that a search is wanted.
const BARE: [&str; 7] = ["id", "type", "name", "enabled", "engine", "cache_control", "external_web_access"];

/// Reads how to search, in OpenRouter's, OpenAI's or Anthropic's names.
fn read_wishes(wishes: &Members<'_>, path: &str) -> Result<WebSearch, Failure> {
    let mut search = WebSearch::default();
    for member in wishes.iter().filter(|member| !json::is_null(member.value)) {
        let (key, value) = (member.key.as_ref(), member.value);
        let here = format!("{path}.{key}");
        match key {
            "engine" if !matches!(value, "\"native\"" | "\"auto\"") => {
                return Err(not_supported(&here, ", except for \"native\": it has no engine of its own."));
            }
            key if BARE.contains(&key) => {}
            "max_uses" => {
                let most = json::whole(value).filter(|most| *most > 0);
                search.max_uses = Some(most.ok_or_else(|| must_be(&here, "a whole number, at least 1"))?);
            }
            "search_context_size" => {
                let size = json::string(value).ok_or_else(|| must_be(&here, "a string"))?;
                search.context_size = Some(size.into_owned());
            }
            "allowed_domains" | "include_domains" => search.allowed_domains = texts(value, &here)?,
            "blocked_domains" | "excluded_domains" | "exclude_domains" => {
                search.blocked_domains = texts(value, &here)?;
            }
            "filters" => {
                let filters = json::members(value).map_err(|_| must_be(&here, "an object"))?;
                let within = read_wishes(&filters, &here)?;
                search.allowed_domains = within.allowed_domains;
                search.blocked_domains = within.blocked_domains;
                search.unspoken.extend(within.unspoken);
            }
            "user_location" => search.location = Some(read_location(value, &here)?),
            _ => search.unspoken.push(here),
        }
    }
    Ok(search)
}

fn texts(value: &str, path: &str) -> Result<Vec<String>, Failure> {
    let wrong = || must_be(path, "an array of strings");
    let read = |text: &str| json::string(text).map(|text| text.into_owned()).ok_or_else(wrong);
    read_elements(value, path, "an array of strings")?.into_iter().map(read).collect()
}

/// OpenAI's Chat Completions have the place one level deeper than all others.
fn read_location(value: &str, path: &str) -> Result<String, Failure> {
    let location = json::members(value).map_err(|_| must_be(path, "an object"))?;
    let place = location.object("approximate").unwrap_or(location);
    let known = ["city", "country", "region", "timezone"];
    let known = place.iter().filter(|member| known.contains(&member.key.as_ref()));
    let known = known.filter(|member| !json::is_null(member.value));
    Ok(known.map(|member| format!("\"{}\":{}", member.key, member.value)).collect::<Vec<_>>().join(","))
}

/// A request in `wire`'s words with the search in it; without where the endpoint has no price for that, or
/// where it cannot search beside what else is asked for and need not.
pub fn apply(
    wire: Protocol,
    body: &[u8],
    search: &WebSearch,
    priced: bool,
    losses: &mut Vec<String>,
) -> Result<Vec<u8>, Failure> {
    if !priced {
        return Ok(remove(body, "the endpoint's searches have no price here", losses));
    }
    let told = losses.len();
    match add(wire, body, search, losses) {
        Err(_) if search.optional => {
            losses.truncate(told);
            Ok(remove(body, "the endpoint does not search beside functions", losses))
        }
        added => added,
    }
}

/// A request in `wire`'s words with the search in it. What the wire cannot say of it goes into `losses`.
/// Fails where the wire cannot search beside what else is asked for.
pub fn add(
    wire: Protocol,
    body: &[u8],
    search: &WebSearch,
    losses: &mut Vec<String>,
) -> Result<Vec<u8>, Failure> {
    let text = String::from_utf8_lossy(body);
    let Ok(request) = json::members(&text) else { return Ok(body.to_vec()) };
    let tools = request.array("tools").unwrap_or_default();
    let own = |tool: &str| json::members(tool).is_ok_and(|tool| is_native(&tool, wire));
    if tools.iter().any(|tool| own(tool)) || wire == Protocol::OpenAiChat && request.has("web_search_options")
    {
        return Ok(body.to_vec());
    }
    losses.extend(search.unspoken.iter().map(|path| format!("{path}: the endpoint's own search decides")));
    let mut member = None;
    let tool = match wire {
        Protocol::AnthropicMessages => Some(anthropic(search, losses)),
        Protocol::OpenAiResponses => Some(responses(search, losses)),
        Protocol::Gemini if !tools.is_empty() => {
            return Err(Failure::invalid("`tools`: Gemini takes no functions beside its search."));
        }
        Protocol::Gemini => {
            lose(search, &["context_size", "allowed", "blocked", "location", "max_uses"], losses);
            Some("{\"googleSearch\":{}}".to_owned())
        }
        Protocol::OpenAiChat => {
            lose(search, &["allowed", "blocked", "max_uses"], losses);
            let place = search
                .location
                .as_ref()
                .map(|it| format!("\"user_location\":{{\"type\":\"approximate\",\"approximate\":{{{it}}}}}"));
            let members: Vec<String> = context_size(search).into_iter().chain(place).collect();
            member = Some(format!("\"web_search_options\":{{{}}}", members.join(",")));
            None
        }
        Protocol::Cohere | Protocol::Bedrock | Protocol::Ollama | Protocol::Millrace => {
            return Err(Failure::invalid("The endpoint's protocol has no word for a search of the web."));
        }
    };
    Ok(with_tools(&request, tool, member))
}

/// The request without what asks for searches, and `why` among the losses.
pub fn remove(body: &[u8], why: &str, losses: &mut Vec<String>) -> Vec<u8> {
    losses.push(format!("tools (web_search): {why}"));
    let text = String::from_utf8_lossy(body);
    json::members(&text).map_or_else(|_| body.to_vec(), |request| with_tools(&request, None, None))
}

/// The request with these tools but for those that search, and one more; `member` stands beside them.
fn with_tools(request: &Members<'_>, tool: Option<String>, member: Option<String>) -> Vec<u8> {
    let searches = |tool: &&str| {
        json::members(tool).is_ok_and(|tool| tool.string("type").is_some_and(|kind| is_search(&kind)))
    };
    let tools = request.array("tools").unwrap_or_default();
    let kept = tools.into_iter().filter(|tool| !searches(tool)).map(str::to_owned);
    let kept: Vec<String> = kept.chain(tool).collect();
    let written = (!kept.is_empty()).then(|| format!("[{}]", kept.join(",")));
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "tools" => written.clone().map_or(Edit::Drop, Edit::Value),
        _ => Edit::Keep,
    };
    let new = written.as_ref().filter(|_| !request.has("tools")).map(|it| format!("\"tools\":{it}"));
    let more: Vec<String> = new.into_iter().chain(member).collect();
    request.edit(edit, &more).into_bytes()
}

/// Whether a tool is the wire's own word for a search.
fn is_native(tool: &Members<'_>, wire: Protocol) -> bool {
    let kind = tool.string("type").unwrap_or_default();
    match wire {
        Protocol::AnthropicMessages => kind.starts_with("web_search_2") && tool.has("name"),
        Protocol::OpenAiResponses => kind.starts_with("web_search") && !tool.has("name"),
        Protocol::Gemini => is_google(tool),
        Protocol::OpenAiChat
        | Protocol::Cohere
        | Protocol::Bedrock
        | Protocol::Ollama
        | Protocol::Millrace => false,
    }
}

/// Whether a tool of Gemini's is a search of the web.
pub fn is_google(tool: &Members<'_>) -> bool {
    let names = ["googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"];
    names.iter().any(|name| tool.has(name))
}

fn anthropic(search: &WebSearch, losses: &mut Vec<String>) -> String {
    let mut members = vec![r#""type":"web_search_20250305","name":"web_search""#.to_owned()];
    members.extend(search.max_uses.map(|most| format!("\"max_uses\":{most}")));
    // One of the two at a time.
    members.extend(domains("allowed_domains", &search.allowed_domains));
    if search.allowed_domains.is_empty() {
        members.extend(domains("blocked_domains", &search.blocked_domains));
        lose(search, &["context_size"], losses);
    } else {
        lose(search, &["context_size", "blocked"], losses);
    }
    members.extend(place(search));
    format!("{{{}}}", members.join(","))
}

fn responses(search: &WebSearch, losses: &mut Vec<String>) -> String {
    lose(search, &["blocked", "max_uses"], losses);
    let filters = domains("allowed_domains", &search.allowed_domains);
    let filters = filters.map(|allowed| format!("\"filters\":{{{allowed}}}"));
    let kind = Some("\"type\":\"web_search\"".to_owned());
    let members = [kind, context_size(search), filters, place(search)];
    format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
}

fn context_size(search: &WebSearch) -> Option<String> {
    search.context_size.as_ref().map(|size| format!("\"search_context_size\":{}", quote(size)))
}

fn domains(name: &str, list: &[String]) -> Option<String> {
    let quoted: Vec<String> = list.iter().map(|domain| quote(domain)).collect();
    (!quoted.is_empty()).then(|| format!("\"{name}\":[{}]", quoted.join(",")))
}

fn place(search: &WebSearch) -> Option<String> {
    let place = search.location.as_ref()?;
    let comma = if place.is_empty() { "" } else { "," };
    Some(format!("\"user_location\":{{\"type\":\"approximate\"{comma}{place}}}"))
}

/// Names the wishes of those given that the request has.
fn lose(search: &WebSearch, which: &[&str], losses: &mut Vec<String>) {
    let wishes = [
        ("context_size", "search_context_size", search.context_size.is_some()),
        ("allowed", "allowed_domains", !search.allowed_domains.is_empty()),
        ("blocked", "blocked_domains", !search.blocked_domains.is_empty()),
        ("location", "user_location", search.location.is_some()),
        ("max_uses", "max_uses", search.max_uses.is_some()),
    ];
    let lost = wishes.into_iter().filter(|(id, _, wished)| *wished && which.contains(id));
    losses.extend(
        lost.map(|(_, name, _)| format!("web search.{name}: the endpoint's search does not know it")),
    );
}
