//! Responses on both sides: bytes are spliced. The request loses what speaks to the gateway; of
//! the reply each event keeps its members, but for the model, the id, the usage and the places
//! that some servers leave out and the OpenAI SDKs fall over.

use litemap::LiteMap;

use super::reader::{FRAME_LIMIT, Telling};
use super::seal::{self, OWN_ID};
use super::wire;
use crate::bytes;
use crate::chat::conversation::{Effort, Issuer};
use crate::chat::{Bill, Event, Facts, Identity, Quirks};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members, Outlined, quote};
use crate::protocol::fields::{accepted, unheeded};
use crate::protocol::lane::{self, Lane, Target, Written};
use crate::protocol::openai_wire;
use crate::protocol::usage;
use crate::protocol::writing::{AS_EFFORT, FOREIGN};
use crate::sse::{self, Frame};

/// Members that speak to the gateway. No provider gets them.
const OWN: &[&str] = &[
    "models",
    "route",
    "provider",
    "preset",
    "plugins",
    "session_id",
    "trace",
    "debug",
    "usage",
    "stop_server_tools_when",
    "deferred_tools",
];

/// Of them those that the gateway does not heed.
pub(super) const UNHEEDED: &[&str] = &["trace", "debug"];

/// Writes the request for a provider. `body` is one that `read_request` accepted.
pub fn splice_request(body: &Outlined, target: &Target<'_>) -> Written {
    let request = accepted(body);
    let model = quote(target.model);
    let input = request.value("input").and_then(|input| foreign_free(input, target.quirks));
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "model" => Edit::Value(model.clone()),
        "store" => Edit::Value("false".to_owned()),
        "input" => input.clone().map_or(Edit::Keep, Edit::Value),
        "reasoning" => plain_reasoning(member.value, &request, target).map_or(Edit::Keep, Edit::Value),
        key if OWN.contains(&key) => Edit::Drop,
        _ => Edit::Keep,
    };
    let mut more = Vec::new();
    if !request.has("model") {
        more.push(format!("\"model\":{model}"));
    }
    // Left out it would mean true, and this gateway promises that nothing is kept.
    if !request.has("store") {
        more.push("\"store\":false".to_owned());
    }
    let mut losses = unheeded(&request, UNHEEDED);
    losses.extend(input.is_some().then(|| FOREIGN.to_owned()));
    let budget = request.object("reasoning").is_some_and(|it| it.value("max_tokens").is_some());
    losses.extend(budget.then(|| AS_EFFORT.to_owned()));
    Written { body: request.edit(edit, &more).into_bytes(), losses, ..Written::default() }
}

/// The input without the reasoning that another provider sealed; `None` if there is none of it.
fn foreign_free(input: &str, quirks: &Quirks) -> Option<String> {
    if !input.starts_with('[') {
        return None;
    }
    let items = json::elements(input).ok()?;
    let own: Vec<&str> = items.iter().copied().filter(|item| !is_foreign(item, quirks)).collect();
    (own.len() < items.len()).then(|| format!("[{}]", own.join(",")))
}

/// Whether a reasoning item is the gateway's envelope, or made up by it, or labelled as another's.
fn is_foreign(item: &str, quirks: &Quirks) -> bool {
    let Ok(item) = json::members(item) else { return false };
    if item.string("type").as_deref() != Some("reasoning") {
        return false;
    }
    let encrypted = item.string("encrypted_content");
    let enveloped = encrypted.as_deref().is_some_and(|text| seal::open(text).is_some());
    let made_up = encrypted.is_none() && item.string("id").is_some_and(|id| id.contains(OWN_ID));
    let format = item.string("format").map(|format| Issuer::of_format(&format));
    let labelled = format.is_some_and(|issuer| quirks.sealer != Issuer::Unknown && issuer != quirks.sealer);
    enveloped || made_up || labelled
}

/// OpenRouter's members of `reasoning` as the effort that providers know; `None` if there are none.
fn plain_reasoning(raw: &str, request: &Members<'_>, target: &Target<'_>) -> Option<String> {
    let reasoning = json::members(raw).ok()?;
    let extra = |key: &str| matches!(key, "max_tokens" | "enabled" | "exclude");
    if !reasoning.iter().any(|member| extra(&member.key)) {
        return None;
    }
    let asked = request.value("max_output_tokens").and_then(json::whole);
    let room = asked.or(target.max_output).unwrap_or(32_000);
    let budget = reasoning.value("max_tokens").and_then(json::whole);
    let effort = match (reasoning.value("enabled").and_then(json::boolean), reasoning.value("effort")) {
        (Some(false), _) => Some(Effort::None),
        (_, Some(_)) => None,
        (_, None) if budget.is_some() => budget.map(|budget| Effort::nearest(budget, room)),
        (Some(true), None) => Some(Effort::Medium),
        (None, None) => None,
    };
    let more: Vec<String> = effort.iter().map(|effort| format!("\"effort\":\"{}\"", effort.name())).collect();
    let replaced = |key: &str| extra(key) || key == "effort" && effort.is_some();
    Some(reasoning.edit(|member| if replaced(&member.key) { Edit::Drop } else { Edit::Keep }, &more))
}

/// Rewrites one stream.
#[derive(Clone, Debug)]
pub struct Splice {
    frames: sse::Reader,
    events: Events,
}

/// All of a splice but the reader that feeds it.
#[derive(Clone, Debug)]
struct Events {
    identity: Identity,
    telling: Telling,
    sequence: u64,
    /// The items by place, each with its id and its name: for events that leave them out.
    items: Vec<(String, String)>,
    /// The items that are done, by place: the Codex backend ends its responses without them.
    done: LiteMap<usize, String>,
    /// The response as it was last said, for the end.
    response: Option<String>,
    /// The type of the event that ends the stream, held back for its usage.
    last: Option<String>,
    /// The events that close half a call, until the end says that a limit cut it.
    held: Vec<(String, String)>,
    /// The type of the last event, if it was written as it came.
    kept: Option<String>,
    /// What the events say in neutral words, of which only the facts are wanted.
    heard: Vec<Event>,
}

impl Splice {
    pub fn new(identity: Identity, quirks: Quirks) -> Splice {
        let events = Events {
            identity,
            telling: Telling::new(quirks, Vec::new()),
            sequence: 0,
            items: Vec::new(),
            done: LiteMap::new_vec(),
            response: None,
            last: None,
            held: Vec::new(),
            kept: None,
            heard: Vec::new(),
        };
        Splice { frames: sse::Reader::new(FRAME_LIMIT), events }
    }
}

impl Lane for Splice {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let events = &mut self.events;
        if self.frames.read(bytes, |frame| events.read_frame(frame, out)).is_err() {
            events.telling.fail("The provider sent a frame that is too long.", "");
        }
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        let events = &mut self.events;
        if lane::end_of_json(&mut self.frames, |frame| events.read_frame(frame, out)).is_err() {
            events.telling.fail("The provider sent a frame that is too long.", "");
        }
        events.telling.read_stray(self.frames.stray());
    }

    fn facts(&self) -> &Facts {
        self.events.telling.facts()
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let kind = self.events.last.clone().unwrap_or_else(|| "response.completed".to_owned());
        let response = splice_response(&self.events.whole(), &self.events.identity, Some(bill), None);
        self.events.end(&kind, &response, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        let response = splice_response(&self.events.whole(), &self.events.identity, bill, Some(failure));
        self.events.end("response.failed", &response, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }
}

impl Events {
    fn read_frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        self.heard.clear();
        if let Some(kind) = &self.kept
            && self.telling.read_alike(frame, |number| number == self.sequence, &mut self.heard)
        {
            self.sequence += 1;
            return wire::write_event(kind.as_bytes(), frame.data, out);
        }
        self.kept = None;
        let Some(text) = self.telling.frame_text(frame) else { return };
        self.telling.read_event(&text, frame.event, &mut self.heard);
        if self.telling.facts().fault.is_some() {
            return;
        }
        let Ok(event) = json::members(&text) else { return };
        let kind = event.string("type").unwrap_or_else(|| bytes::text(frame.event)).into_owned();
        if let Some(response) = event.value("response") {
            self.response = Some(response.to_owned());
        }
        if self.telling.facts().done {
            for (kind, text) in std::mem::take(&mut self.held) {
                self.write(&kind, &text, out);
            }
            self.last = Some(kind);
            return;
        }
        match kind.as_str() {
            "response.function_call_arguments.done" | "response.output_item.done"
                if self.telling.is_half(&event) =>
            {
                self.held.push((kind, text));
            }
            // Only at the end can a limit have cut a call.
            "response.output_item.added" if !self.held.is_empty() => self.telling.cut_short(),
            _ => self.write(&kind, &text, out),
        }
    }

    fn write(&mut self, kind: &str, text: &str, out: &mut Vec<u8>) {
        let Ok(event) = json::members(text) else { return };
        let more = self.missing(kind, &event);
        let data = event.edit(|member| self.edit(member), &more);
        self.sequence += 1;
        self.kept = (data == text).then(|| kind.to_owned());
        wire::write_event(kind.as_bytes(), data.as_bytes(), out);
    }

    fn edit(&self, member: &Member<'_>) -> Edit {
        match member.key.as_ref() {
            // Events are counted anew where the provider does not, or lost count.
            "sequence_number" if json::whole(member.value) == Some(self.sequence) => Edit::Keep,
            "sequence_number" => Edit::Value(self.sequence.to_string()),
            "response" => Edit::Value(splice_response(member.value, &self.identity, None, None)),
            _ => Edit::Keep,
        }
    }

    /// The members that clients rely on and llama.cpp, for one, leaves out.
    fn missing(&mut self, kind: &str, event: &Members<'_>) -> Vec<String> {
        let mut more = Vec::new();
        if !event.has("type") {
            more.push(format!("\"type\":{}", quote(kind)));
        }
        if !event.has("sequence_number") {
            more.push(format!("\"sequence_number\":{}", self.sequence));
        }
        let item = event.object("item").and_then(|item| item.string("id").map(|id| id.into_owned()));
        let id = item.or_else(|| event.string("item_id").map(|id| id.into_owned()));
        if kind == "response.output_item.added" {
            let name =
                event.object("item").and_then(|item| item.string("name").map(|name| name.into_owned()));
            self.items.push((id.clone().unwrap_or_default(), name.unwrap_or_default()));
        }
        let has_place = !kind.starts_with("response.") || event.has("response") || event.has("output_index");
        let known = || id.as_ref().and_then(|id| self.items.iter().rposition(|(known, _)| known == id));
        let place = usage::count(event, "output_index").map(|index| index as usize).or_else(known);
        let place = place.unwrap_or_else(|| self.items.len().saturating_sub(1));
        if let ("response.output_item.done", Some(item)) = (kind, event.value("item")) {
            self.done.insert(place, item.to_owned());
        }
        if !has_place {
            more.push(format!("\"output_index\":{place}"));
        }
        // Required by @openrouter/sdk; OpenAI's schema has it, its streams do not.
        if kind == "response.function_call_arguments.done" && !event.has("name") {
            let name = self.items.get(place).map(|(_, name)| name.as_str()).unwrap_or_default();
            more.push(format!("\"name\":{}", quote(name)));
        }
        match part_index(kind) {
            Some(name) if !event.has(name) => more.push(format!("\"{name}\":0")),
            Some(_) | None => {}
        }
        more
    }

    /// The response with the items that were done, where it names none itself.
    fn whole(&self) -> String {
        let response = self.response.as_deref().unwrap_or("{}");
        let Ok(members) = json::members(response) else { return response.to_owned() };
        if members.array("output").is_some_and(|output| !output.is_empty()) || self.done.is_empty() {
            return response.to_owned();
        }
        let items: Vec<&str> = self.done.values().map(String::as_str).collect();
        let output = format!("[{}]", items.join(","));
        let more = if members.has("output") { Vec::new() } else { vec![format!("\"output\":{output}")] };
        let edit = |member: &Member<'_>| match member.key.as_ref() {
            "output" => Edit::Value(output.clone()),
            _ => Edit::Keep,
        };
        members.edit(edit, &more)
    }

    fn end(&mut self, kind: &str, response: &str, out: &mut Vec<u8>) {
        let data =
            format!(r#"{{"type":"{kind}","sequence_number":{},"response":{response}}}"#, self.sequence);
        self.sequence += 1;
        wire::write_event(kind.as_bytes(), data.as_bytes(), out);
        wire::write_done(out);
    }
}

/// The member that tells which part of its item an event is about.
fn part_index(kind: &str) -> Option<&'static str> {
    let of = |prefix: &str| kind.starts_with(prefix);
    if of("response.content_part.") || of("response.output_text.") || of("response.refusal.") {
        return Some("content_index");
    }
    if of("response.reasoning_text.") {
        return Some("content_index");
    }
    (of("response.reasoning_summary_part.") || of("response.reasoning_summary_text."))
        .then_some("summary_index")
}

/// Members of a response that strict clients require, for servers that leave them out.
const REQUIRED: &[(&str, &str)] = &[
    ("object", "\"response\""),
    ("completed_at", "null"),
    ("error", "null"),
    ("incomplete_details", "null"),
    ("instructions", "null"),
    ("metadata", "null"),
    ("temperature", "null"),
    ("top_p", "null"),
    ("frequency_penalty", "null"),
    ("presence_penalty", "null"),
    ("parallel_tool_calls", "true"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("output", "[]"),
];

fn splice_response(raw: &str, identity: &Identity, bill: Option<&Bill>, failure: Option<&Failure>) -> String {
    let Ok(response) = json::members(raw) else { return raw.to_owned() };
    let mut own = vec![
        ("id", quote(&identity.generation)),
        ("model", quote(&identity.model)),
        ("usage", bill.map_or_else(|| "null".to_owned(), wire::usage)),
    ];
    if !response.has("created_at") {
        own.push(("created_at", usage::safe(identity.created).to_string()));
    }
    own.extend(bill.and_then(|bill| bill.metadata.clone()).map(|metadata| ("openrouter_metadata", metadata)));
    if let Some(failure) = failure {
        own.push(("status", "\"failed\"".to_owned()));
        own.push(("error", wire::error_field(failure)));
        own.push(("error_type", quote(failure.cause.error_type())));
    } else if bill.is_some() {
        own.push(("output_text", quote(&output_text(&response))));
    }
    if !response.has("status") && failure.is_none() {
        own.push(("status", if bill.is_some() { "\"completed\"" } else { "\"in_progress\"" }.to_owned()));
    }
    let edit = |member: &Member<'_>| match own.iter().find(|(key, _)| *key == member.key) {
        Some((_, value)) => Edit::Value(value.clone()),
        None => Edit::Keep,
    };
    let missing = REQUIRED.iter().filter(|(key, _)| !own.iter().any(|(known, _)| known == key));
    let missing = missing.map(|(key, value)| (*key, (*value).to_owned()));
    let more = own.iter().cloned().chain(missing).filter(|(key, _)| !response.has(key));
    let more: Vec<String> = more.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    response.edit(edit, &more)
}

/// All text of all messages: OpenRouter sends it along, OpenAI's SDKs compute it.
fn output_text(response: &Members<'_>) -> String {
    let mut text = String::new();
    for item in response.array("output").unwrap_or_default() {
        let content = json::members(item).ok().and_then(|item| item.array("content")).unwrap_or_default();
        for part in content.into_iter().filter_map(|part| json::members(part).ok()) {
            if part.string("type").as_deref() == Some("output_text") {
                text.push_str(&part.string("text").unwrap_or_default());
            }
        }
    }
    text
}

/// Writes a whole response. `body` is one that `read_whole` accepted.
pub fn splice_whole(body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
    let text = bytes::text(body);
    splice_response(text.trim(), identity, Some(bill), None).into_bytes()
}
