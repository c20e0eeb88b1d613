//! A request and its reply between a client and a provider that both speak this protocol. Bytes
//! are kept; only what routing owns is replaced, and usage is completed with what it costs.

use super::reader::{FRAME_LIMIT, Reply};
use super::seal::MARK;
use super::stream::{PING, write_error_event, write_stop};
use super::wire::{self, write_event};
use crate::bytes;
use crate::chat::{Bill, Facts, Identity, Quirks};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members, Outlined};
use crate::protocol::calls::Call;
use crate::protocol::fields::{accepted, unheeded};
use crate::protocol::lane::{self, Lane, Target, Written};
use crate::protocol::writing::FOREIGN;
use crate::sse::{self, Frame};

/// Members that speak to the gateway. No provider gets them.
pub(super) const OWN: &[&str] = &[
    "models",
    "fallbacks",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    "session_id",
    "thread",
    "trace",
    "user",
    "debug",
];

/// Of them those that the gateway does not heed.
pub(super) const UNHEEDED: &[&str] = &["max_tool_calls", "trace", "debug"];

/// Writes the request for a provider. `body` is one that `read_request` accepted. Where the client
/// set no limit of output it is the target's; a request to count tokens has none, and is written
/// for a target without.
pub fn splice_request(body: &Outlined, target: &Target<'_>) -> Written {
    let request = accepted(body);
    let model = json::quote(target.model);
    let marked = request.source().contains(MARK);
    let own = request.value("messages").filter(|_| marked).map(without_foreign);
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "model" => Edit::Value(model.clone()),
        "max_tokens" if json::is_null(member.value) => Edit::Drop,
        "messages" => own.clone().map_or(Edit::Keep, Edit::Value),
        key if OWN.contains(&key) => Edit::Drop,
        _ => Edit::Keep,
    };
    let mut more = Vec::new();
    if !request.has("model") {
        more.push(format!("\"model\":{model}"));
    }
    if let Some(limit) = target.max_output.filter(|_| request.value("max_tokens").is_none()) {
        more.push(format!("\"max_tokens\":{limit}"));
    }
    let mut losses = unheeded(&request, UNHEEDED);
    losses.extend(unheeded(&request, &["user"]));
    let foreign = own.as_deref().is_some_and(|own| request.value("messages") != Some(own));
    losses.extend(foreign.then(|| FOREIGN.to_owned()));
    Written { body: request.edit(edit, &more).into_bytes(), losses, ..Written::default() }
}

/// The messages without thinking and citations that another provider gave: no signature goes to
/// anyone but its issuer.
fn without_foreign(messages: &str) -> String {
    rebuild(messages, |message| {
        let Ok(members) = json::members(message) else { return Some(message.to_owned()) };
        let edit = |member: &Member<'_>| match member.key.as_ref() {
            "content" if member.value.contains(MARK) => Edit::Value(rebuild(member.value, without_seal)),
            _ => Edit::Keep,
        };
        Some(members.edit(edit, &[])).filter(|text| !is_emptied(text, message))
    })
}

/// A message of foreign thinking alone is gone with it: an empty one would be refused.
fn is_emptied(now: &str, before: &str) -> bool {
    let empty = |text: &str| {
        json::members(text).ok().and_then(|it| it.array("content")).is_some_and(|blocks| blocks.is_empty())
    };
    empty(now) && !empty(before)
}

fn without_seal(block: &str) -> Option<String> {
    let Ok(members) = json::members(block) else { return Some(block.to_owned()) };
    let marked = |key: &str| members.string(key).is_some_and(|text| text.starts_with(MARK));
    if marked("signature") || marked("data") {
        return None;
    }
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "citations" if member.value.contains(MARK) => {
            Edit::Value(rebuild(member.value, |it| (!it.contains(MARK)).then(|| it.to_owned())))
        }
        _ => Edit::Keep,
    };
    Some(members.edit(edit, &[]))
}

/// The array with each element replaced, or left out.
fn rebuild(array: &str, each: impl Fn(&str) -> Option<String>) -> String {
    match json::elements(array) {
        Ok(elements) => {
            let kept: Vec<String> = elements.into_iter().filter_map(each).collect();
            format!("[{}]", kept.join(","))
        }
        Err(_) => array.to_owned(),
    }
}

/// Rewrites one stream.
#[derive(Clone, Debug)]
pub struct Splice {
    frames: sse::Reader,
    rest: Rest,
}

/// All of a splice but the reader that feeds it.
#[derive(Clone, Debug)]
struct Rest {
    identity: Identity,
    reply: Reply,
    /// The last `message_delta`, held back for what the reply costs.
    ending: Option<String>,
    opened: bool,
    /// The index of the block that is open, as it was written.
    block: Option<String>,
}

impl Splice {
    pub fn new(identity: Identity, quirks: Quirks) -> Splice {
        let reply = Reply::new(&quirks, Vec::new());
        Splice {
            frames: sse::Reader::new(FRAME_LIMIT),
            rest: Rest { identity, reply, ending: None, opened: false, block: None },
        }
    }
}

impl Lane for Splice {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let rest = &mut self.rest;
        if self.frames.read(bytes, |frame| rest.read_frame(frame, out)).is_err() {
            self.rest.reply.fail("The provider sent a frame that is too long.", "");
        }
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        let rest = &mut self.rest;
        if lane::end_of_json(&mut self.frames, |frame| rest.read_frame(frame, out)).is_err() {
            self.rest.reply.fail("The provider sent a frame that is too long.", "");
        }
        self.rest.reply.read_stray(self.frames.stray());
    }

    fn facts(&self) -> &Facts {
        &self.rest.reply.facts
    }

    fn calls(&self) -> &[Call] {
        &self.rest.reply.made
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let none = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
        let ending = self.rest.ending.take().unwrap_or_else(|| none.to_owned());
        write_event(b"message_delta", ending_with(&ending, bill).as_bytes(), out);
        write_stop(bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        write_error_event(&self.rest.identity, failure, bill, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        PING
    }
}

impl Rest {
    fn read_frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if self.reply.read_plain(frame).is_some() {
            return write_event(b"content_block_delta", frame.data, out);
        }
        let Some(kind) = self.reply.read_frame(frame, &mut Vec::new()) else { return };
        if self.reply.facts.fault.is_some() {
            return;
        }
        let text = bytes::text(frame.data);
        match kind.as_str() {
            // A second opening says nothing new to a client that had the first.
            "message_start" => {
                if !std::mem::replace(&mut self.opened, true) {
                    write_event(b"message_start", self.opening(&text).as_bytes(), out);
                }
            }
            "message_delta" => {
                if !self.reply.ends_half() {
                    self.close_block(out);
                }
                if let Some(earlier) = self.ending.replace(text.into_owned()) {
                    write_event(b"message_delta", earlier.as_bytes(), out);
                }
            }
            "message_stop" => {}
            "content_block_start" => {
                self.close_block(out);
                let index = json::members(text.trim()).ok().and_then(|it| it.get("index"));
                self.block = index.map(str::to_owned);
                write_event(b"content_block_start", frame.data, out);
            }
            // Closed when the reason to finish says that a limit cut the call.
            "content_block_stop" if self.reply.is_half() => {}
            "content_block_stop" => {
                self.block = None;
                write_event(b"content_block_stop", frame.data, out);
            }
            name if name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                write_event(name.as_bytes(), frame.data, out);
            }
            _ => sse::write_frame(frame.data, out),
        }
    }

    /// Some providers forget to close a block, which a limit cut off for one.
    fn close_block(&mut self, out: &mut Vec<u8>) {
        if let Some(index) = self.block.take() {
            let data = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
            write_event(b"content_block_stop", data.as_bytes(), out);
        }
    }

    fn opening(&self, text: &str) -> String {
        let Ok(event) = json::members(text.trim()) else { return text.to_owned() };
        let edit = |member: &Member<'_>| match (member.key.as_ref(), json::members(member.value)) {
            ("message", Ok(message)) => Edit::Value(identify(&message, &self.identity, None)),
            _ => Edit::Keep,
        };
        event.edit(edit, &[])
    }
}

/// The message under the gateway's names, with the members that OpenRouter's form demands.
fn identify(message: &Members<'_>, identity: &Identity, bill: Option<&Bill>) -> String {
    let edit = |member: &Member<'_>| match (member.key.as_ref(), json::members(member.value)) {
        ("id", _) => Edit::Value(json::quote(&identity.generation)),
        ("model", _) => Edit::Value(json::quote(&identity.model)),
        ("provider" | "openrouter_metadata", _) => Edit::Drop,
        ("usage", Ok(usage)) => Edit::Value(complete_usage(&usage, bill, Form::Message)),
        _ => Edit::Keep,
    };
    let mut more = vec![format!("\"provider\":{}", json::quote(&identity.provider))];
    for name in ["container", "stop_details"] {
        if !message.has(name) {
            more.push(format!("\"{name}\":null"));
        }
    }
    if let (Some(bill), false) = (bill, message.value("usage").is_some_and(|it| it.starts_with('{'))) {
        let mut usage = wire::usage_members(&bill.usage);
        usage.extend(wire::whole_usage_members());
        usage.extend(wire::bill_members(bill));
        more.push(format!("\"usage\":{}", wire::object(&usage)));
    }
    if let Some(metadata) = bill.and_then(|bill| bill.metadata.as_ref()) {
        more.push(format!("\"openrouter_metadata\":{metadata}"));
    }
    message.edit(edit, &more)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In a message: whole, or as a stream opens.
    Message,
    /// In a `message_delta`.
    Delta,
}

/// The provider's usage with what it costs, and null under the names that must be there. In a
/// `message_delta` counts that only the opening had are restated.
fn complete_usage(usage: &Members<'_>, bill: Option<&Bill>, form: Form) -> String {
    let cost = bill.map(wire::bill_members).unwrap_or_default();
    let owned = |key: &str| cost.iter().any(|(name, _)| *name == key);
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        key if owned(key) => Edit::Drop,
        _ => Edit::Keep,
    };
    let known = match (form, bill) {
        (Form::Delta, Some(bill)) => wire::usage_members(&bill.usage),
        (Form::Delta | Form::Message, _) => nulls(),
    };
    let missing = known.into_iter().filter(|(name, _)| !usage.has(name));
    let more: Vec<String> =
        missing.chain(cost.clone()).map(|(name, it)| format!("\"{name}\":{it}")).collect();
    usage.edit(edit, &more)
}

fn nulls() -> Vec<(&'static str, String)> {
    let numbers = [("input_tokens", "0".to_owned()), ("output_tokens", "0".to_owned())];
    let names = [
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens_details",
        "server_tool_use",
    ];
    let nulls = names.map(|name| (name, "null".to_owned()));
    numbers.into_iter().chain(nulls).chain(wire::whole_usage_members()).collect()
}

/// A `message_delta` with its usage completed.
fn ending_with(text: &str, bill: &Bill) -> String {
    let Ok(event) = json::members(text.trim()) else { return text.to_owned() };
    let edit = |member: &Member<'_>| match (member.key.as_ref(), json::members(member.value)) {
        ("usage", Ok(usage)) => Edit::Value(complete_usage(&usage, Some(bill), Form::Delta)),
        ("usage", Err(_)) => Edit::Drop,
        ("delta", Ok(delta)) => {
            let names = ["stop_reason", "stop_sequence", "stop_details", "container"];
            let missing = names.into_iter().filter(|name| !delta.has(name));
            let more: Vec<String> = missing.map(|name| format!("\"{name}\":null")).collect();
            Edit::Value(delta.edit(|_| Edit::Keep, &more))
        }
        _ => Edit::Keep,
    };
    let mut more = Vec::new();
    if event.object("usage").is_none() {
        let mut usage = wire::usage_members(&bill.usage);
        usage.extend(wire::bill_members(bill));
        more.push(format!("\"usage\":{}", wire::object(&usage)));
    }
    event.edit(edit, &more)
}

/// Writes a whole message for the client. `body` is one that `read_whole` accepted.
pub fn splice_whole(body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
    let text = bytes::text(body);
    let message = json::members(text.trim()).expect("this body was read before");
    identify(&message, identity, Some(bill)).into_bytes()
}
