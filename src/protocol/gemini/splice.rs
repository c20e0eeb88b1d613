//! The same protocol on both sides: bytes are kept, and only what the gateway owns is changed.
//! The response that carries a reason to finish is held back until the bill is known; old models
//! put one on every response, so each is let go when the next comes.

use super::family::Family;
use super::reader::{FRAME_LIMIT, read_frame, read_stray};
use super::reply::Reply;
use super::writer::{Frames, Framing, KEEP_ALIVE};
use super::{error, seal, wire};
use crate::chat::{Bill, Event, Facts, Identity, Quirks};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members};
use crate::protocol::fault;
use crate::protocol::lane::{self, Lane, Target, Written};
use crate::protocol::usage::cost_members;
use crate::protocol::writing::FOREIGN;
use crate::sse;

/// The request as the provider gets it: the client's bytes without what speaks to the gateway,
/// and without the seals of other issuers.
pub fn splice_request(body: &[u8], target: &Target<'_>) -> Written {
    let text = crate::bytes::text(body);
    let same = || Written { body: body.to_vec(), ..Written::default() };
    let Ok(request) = json::members(&text) else { return same() };
    let sealed = seal::may_hold_envelope(&text);
    if !sealed && !request.has("model") && !request.has("provider") {
        return same();
    }
    let family = Family::of(target.model);
    let contents = request.value("contents");
    let own = contents.filter(|_| sealed).map(|it| each(it, |content| unseal_content(content, family)));
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        // The model stands in the URL.
        "model" | "provider" => Edit::Drop,
        "contents" => own.clone().map_or(Edit::Keep, Edit::Value),
        _ => Edit::Keep,
    };
    let foreign = own.is_some() && own.as_deref() != contents;
    let losses = foreign.then(|| FOREIGN.to_owned()).into_iter().collect();
    Written { body: request.edit(edit, &[]).into_bytes(), losses, ..Written::default() }
}

fn each(array: &str, change: impl Fn(&str) -> Option<String>) -> String {
    match json::elements(array) {
        Ok(elements) => {
            let changed: Vec<String> = elements.into_iter().filter_map(change).collect();
            format!("[{}]", changed.join(","))
        }
        Err(_) => change(array).unwrap_or_else(|| "[]".to_owned()),
    }
}

fn unseal_content(text: &str, family: Family) -> Option<String> {
    let Ok(content) = json::members(text) else { return Some(text.to_owned()) };
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "parts" => Edit::Value(each(member.value, |part| unseal_part(part, family))),
        _ => Edit::Keep,
    };
    Some(content.edit(edit, &[]))
}

/// The part without another issuer's seal; `None` if nothing is left of it.
fn unseal_part(text: &str, family: Family) -> Option<String> {
    let Ok(part) = json::members(text) else { return Some(text.to_owned()) };
    let is_foreign = |member: &Member<'_>| {
        let name = matches!(member.key.as_ref(), "thoughtSignature" | "thought_signature");
        name && json::string(member.value).is_some_and(|signature| seal::is_envelope(&signature))
    };
    if !part.iter().any(is_foreign) {
        return Some(text.to_owned());
    }
    if part.string("text").is_some_and(|text| text.is_empty()) {
        return None;
    }
    let call = part.has("functionCall") || part.has("function_call");
    let edit = |member: &Member<'_>| match is_foreign(member) {
        true if call && family.wants_signatures() => Edit::Value(json::quote(seal::FOREIGN_CALL)),
        true => Edit::Drop,
        false => Edit::Keep,
    };
    Some(part.edit(edit, &[]))
}

/// Carries one stream.
#[derive(Clone, Debug)]
pub struct Splice {
    input: sse::Reader,
    output: Output,
}

/// All of a splice but the reader that feeds it.
#[derive(Clone, Debug)]
struct Output {
    identity: Identity,
    frames: Frames,
    reply: Reply,
    /// The last response, where it may be the end.
    held: Option<String>,
    /// What the reply says is told to nobody here.
    events: Vec<Event>,
}

impl Splice {
    pub fn new(identity: Identity, _quirks: Quirks) -> Splice {
        let output = Output {
            identity,
            frames: Frames::new(Framing::Sse),
            reply: Reply::new(Vec::new()),
            held: None,
            events: Vec::new(),
        };
        Splice { input: sse::Reader::new(FRAME_LIMIT), output }
    }

    pub fn framed(mut self, framing: Framing) -> Splice {
        self.output.frames = Frames::new(framing);
        self
    }
}

impl Lane for Splice {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let output = &mut self.output;
        if self.input.read(bytes, |frame| output.read(frame, out)).is_err() {
            output.reply.fail("The provider sent a frame that is too long.", "", None);
        }
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        let output = &mut self.output;
        if lane::end_of_json(&mut self.input, |frame| output.read(frame, out)).is_err() {
            output.reply.fail("The provider sent a frame that is too long.", "", None);
        }
        read_stray(&mut output.reply, self.input.stray());
        output.reply.end(&mut output.events);
        output.events.clear();
    }

    fn facts(&self) -> &Facts {
        &self.output.reply.facts
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let output = &mut self.output;
        let held = output.held.take().unwrap_or_else(|| "{\"candidates\":[]}".to_owned());
        let last = with_bill(&held, &output.identity, bill);
        output.frames.write(last.as_bytes(), out);
        output.frames.end(out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        let output = &mut self.output;
        let held = output.held.take().map(|held| unfinished(&held));
        match (held, bill) {
            (None, None) => {}
            (Some(held), None) => output.frames.write(held.as_bytes(), out),
            (held, Some(bill)) => {
                let held = held.unwrap_or_else(|| "{\"candidates\":[]}".to_owned());
                let last = with_bill(&held, &output.identity, bill);
                output.frames.write(last.as_bytes(), out);
            }
        }
        let error = error::write_error(failure, Some(&output.identity.generation));
        output.frames.write_error(&error, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}

impl Output {
    fn read(&mut self, frame: sse::Frame<'_>, out: &mut Vec<u8>) {
        let is_response = read_frame(&mut self.reply, frame, &mut self.events);
        self.events.clear();
        if !is_response {
            return;
        }
        if let Some(held) = self.held.take() {
            self.frames.write(held.as_bytes(), out);
        }
        let text = crate::bytes::text(frame.data);
        let Ok(response) = json::members(fault::first_object(text.trim())) else { return };
        let own = response.edit(|member| own_member(member, &self.identity), &[]);
        if self.reply.may_be_over() {
            self.held = Some(own);
        } else {
            self.frames.write(own.as_bytes(), out);
        }
    }
}

fn own_member(member: &Member<'_>, identity: &Identity) -> Edit {
    match member.key.as_ref() {
        "modelVersion" => Edit::Value(json::quote(&identity.model)),
        "responseId" => Edit::Value(json::quote(&identity.generation)),
        _ => Edit::Keep,
    }
}

/// A whole reply for the client. `body` is one that `read_whole` accepted.
pub fn splice_whole(body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
    let text = crate::bytes::text(body);
    with_bill(text.trim(), identity, bill).into_bytes()
}

/// A response with what it costs beside the provider's counts.
fn with_bill(response: &str, identity: &Identity, bill: &Bill) -> String {
    let Ok(response) = json::members(response) else { return response.to_owned() };
    let mut more = Vec::new();
    let counted = response.object("usageMetadata").filter(has_counts);
    if counted.is_none() {
        let mut usage = b"\"usageMetadata\":".to_vec();
        wire::write_usage(bill, &mut usage);
        more.extend(String::from_utf8(usage));
    }
    let names = ["modelVersion", "responseId"];
    for (name, value) in names.into_iter().zip([&identity.model, &identity.generation]) {
        if !response.has(name) {
            more.push(format!("\"{name}\":{}", json::quote(value)));
        }
    }
    more.push(format!("\"provider\":{}", json::quote(&identity.provider)));
    if let Some(metadata) = &bill.metadata {
        more.push(format!("\"openrouter_metadata\":{metadata}"));
    }
    let edit = |member: &Member<'_>| match (member.key.as_ref(), &counted) {
        ("usageMetadata", Some(usage)) => Edit::Value(usage.edit(|_| Edit::Keep, &[cost_members(bill)])),
        ("usageMetadata", None) | ("provider" | "openrouter_metadata", _) => Edit::Drop,
        _ => own_member(member, identity),
    };
    response.edit(edit, &more)
}

fn has_counts(usage: &Members<'_>) -> bool {
    usage.iter().any(|member| member.key.ends_with("TokenCount"))
}

/// A response without its reason to finish: an error followed it.
fn unfinished(response: &str) -> String {
    let Ok(members) = json::members(response) else { return response.to_owned() };
    let drop = |member: &Member<'_>| if member.key == "finishReason" { Edit::Drop } else { Edit::Keep };
    let candidate = |text: &str| json::members(text).ok().map(|candidate| candidate.edit(drop, &[]));
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "candidates" => Edit::Value(each(member.value, candidate)),
        _ => Edit::Keep,
    };
    members.edit(edit, &[])
}
