//! A whole completion from a provider to a client of the same protocol. It is read once for what
//! the gateway has to know, and written with the gateway's members in place of the provider's.

use super::splice::{Absent, Seen, write_others};
use super::wire::{self, Counts};
use crate::chat::{Bill, Event, Facts, Finish, Identity, Quirks, ReplyFault};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::lane::WholeReply;
use crate::protocol::openai_wire;

/// Reads a body that came with status 200. The events are those of the first choice.
pub fn read_whole(body: &[u8], quirks: &Quirks) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = json::members(fault::first_object(&text)).map_err(|e| ReplyFault::NotJson(e.to_string()))?;
    if let Some(fault) = openai_wire::fault_in(&reply, text.trim()) {
        return Err(ReplyFault::Error(fault));
    }
    let choices = reply.array("choices").unwrap_or_default();
    let mut seen = Seen::default();
    seen.write_choices(&choices, Absent::Empty, &mut Vec::new());
    if !seen.output
        && let Some(fault) =
            choices.iter().find_map(|choice| openai_wire::choice_fault(choice, &text, wire::finish_reason))
    {
        return Err(ReplyFault::Error(fault));
    }
    if !seen.output && seen.finish.is_none() {
        return Err(ReplyFault::Empty);
    }
    Ok(WholeReply { events: read_events(&choices), facts: read_facts(&reply, &seen, quirks) })
}

fn read_events(choices: &[&str]) -> Vec<Event> {
    let Some(choice) = choices.first().and_then(|choice| json::members(choice).ok()) else {
        return Vec::new();
    };
    let text = choice.string("text").filter(|text| !text.is_empty());
    let finish = choice
        .string("finish_reason")
        .map(|native| Event::Finish { reason: finish(&native), native: native.into_owned() });
    text.map(|text| Event::Text(text.into_owned())).into_iter().chain(finish).collect()
}

fn finish(native: &str) -> Finish {
    match wire::finish_reason(native) {
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        "error" => Finish::Error,
        _ => Finish::Stop,
    }
}

fn read_facts(reply: &Members<'_>, seen: &Seen, quirks: &Quirks) -> Facts {
    let mut counts = Counts::default();
    if let Some(usage) = reply.value("usage") {
        counts.read(usage, quirks);
    }
    let own = |key| reply.string(key).map(|text| text.into_owned());
    Facts {
        began: true,
        finish: seen.finish.clone(),
        finish_reason: seen.finish.as_deref().map(wire::finish_reason),
        done: true,
        usage: counts.usage(quirks),
        web_searches: 0,
        cost: counts.cost(),
        output_bytes: seen.bytes,
        fault: None,
        truncated: false,
        upstream_id: own("id"),
        system_fingerprint: own("system_fingerprint"),
        service_tier: own("service_tier"),
        losses: Vec::new(),
    }
}

/// Writes the reply for the client. `body` is one that `read_whole` accepted.
pub fn splice_whole(body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
    let text = crate::bytes::text(body);
    let reply = json::members(fault::first_object(&text)).expect("this body was read before");
    let mut out = openai_wire::opening(identity, wire::OBJECT);
    out.reserve(text.len() + 512);
    write_others(&reply, &mut out);
    out.extend_from_slice(b",\"choices\":");
    let choices = reply.array("choices").unwrap_or_default();
    Seen::default().write_choices(&choices, Absent::Empty, &mut out);
    openai_wire::write_closing(bill, &mut out);
    out
}
