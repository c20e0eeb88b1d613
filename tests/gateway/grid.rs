//! The golden grid: every recorded request of every face at every upstream, every recorded reply
//! of every upstream at every face. The strict validator of the target's protocol checks each
//! result. Another protocol is another row in `grid/rows.rs`.

pub mod rows;
mod said;

use crate::bill::for_prompt;
use crate::outlined;
use std::collections::BTreeMap;

use millrace::chat::{Bill, Event, Facts, Identity, Quirks, ReplyFault};
use millrace::error::{Cause, Failure};
use millrace::money::Money;
use millrace::protocol::lane::Target;
use rows::{Face, Upstream, faces, handmade, upstreams};
use said::said;

use crate::recorded::{Recording, Reply, all};

/// What became of the cells of one pair: passed, refused, by which reasons.
#[derive(Default)]
struct Tally {
    passed: usize,
    refused: BTreeMap<String, usize>,
    losses: usize,
}

type Table = BTreeMap<(&'static str, &'static str), Tally>;

#[test]
fn every_recorded_request_of_every_face_at_every_upstream() {
    let (mut table, mut wrong) = (Table::new(), Vec::new());
    for face in faces() {
        let handmade = handmade(face.name).iter().map(|(name, body)| {
            let request = Some(body.as_bytes().to_vec());
            let (name, url) = (format!("cases/{name}"), String::new());
            Recording { name, url, wire: face.wire, status: 200, request, reply: None }
        });
        let handmade: Vec<Recording> = handmade.collect();
        let recorded = all().iter().filter(|recording| recording.status < 400 && recording.wire == face.wire);
        for recording in handmade.iter().chain(recorded) {
            for upstream in upstreams() {
                let tally = table.entry((face.name, upstream.name)).or_default();
                if let Err(error) = check_request(&face, &upstream, recording, tally) {
                    wrong.push(format!("{} -> {}: {}: {error}", face.name, upstream.name, recording.name));
                }
            }
        }
    }
    print(&table, "requests");
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_recorded_reply_of_every_upstream_at_every_face() {
    let (mut table, mut wrong) = (Table::new(), Vec::new());
    for upstream in upstreams() {
        for recording in all().iter().filter(|it| it.status < 400 && it.wire == upstream.wire) {
            for face in faces() {
                let tally = table.entry((upstream.name, face.name)).or_default();
                if let Err(error) = check_reply(&upstream, &face, recording, tally) {
                    wrong.push(format!("{} -> {}: {}: {error}", upstream.name, face.name, recording.name));
                }
            }
        }
    }
    print(&table, "replies");
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_recorded_stream_that_breaks_off_never_looks_complete() {
    let mut wrong = Vec::new();
    for upstream in upstreams() {
        for recording in all().iter().filter(|it| it.status < 400 && it.wire == upstream.wire) {
            let Some(stream) = recording.stream() else { continue };
            for cut in (0..stream.len()).step_by((stream.len() / 12).max(1)) {
                if let Err(error) = check_cut(&upstream, &stream[..cut]) {
                    wrong.push(format!("{}: {} cut at {cut}: {error}", upstream.name, recording.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
}

fn check_request(
    face: &Face,
    upstream: &Upstream,
    recording: &Recording,
    tally: &mut Tally,
) -> Result<(), String> {
    let Some(body) = &recording.request else { return Ok(()) };
    let conversation = match (face.read)(&outlined(body)) {
        Ok(conversation) => conversation,
        Err(failure) => return refusal(failure, "the face", tally),
    };
    let target = Target { model: upstream.model, quirks: &Quirks::NONE, max_output: Some(8192) };
    for stream in [false, true] {
        let written = match (upstream.write)(&conversation, &target, stream) {
            Ok(written) => written,
            Err(failure) => return refusal(failure, "the upstream", tally),
        };
        (upstream.check_request)(&written.body)
            .map_err(|error| format!("{error}\n  {}", String::from_utf8_lossy(cut(&written.body))))?;
        tally.losses += usize::from(!written.losses.is_empty());
    }
    tally.passed += 1;
    Ok(())
}

/// A refusal is an answer, if it is a 400 that names what is refused.
fn refusal(failure: Failure, by: &str, tally: &mut Tally) -> Result<(), String> {
    if failure.cause.status() != 400 {
        return Err(format!("refused with {}: {}", failure.cause.status(), failure.message));
    }
    *tally.refused.entry(format!("{by}: {}", failure.message)).or_default() += 1;
    Ok(())
}

fn check_reply(
    upstream: &Upstream,
    face: &Face,
    recording: &Recording,
    tally: &mut Tally,
) -> Result<(), String> {
    match &recording.reply {
        None => Ok(()),
        Some(Reply::Stream(stream)) => check_stream(upstream, face, recording, stream, tally),
        Some(Reply::Whole(body)) => match (upstream.read_whole)(body, &recording.quirks(), &[]) {
            Ok(whole) => {
                let bill = bill(&whole.facts);
                let out = (face.write_whole)(&whole.events, &whole.facts, &identity(), &bill);
                let shown = || String::from_utf8_lossy(cut(&out)).into_owned();
                (face.check_whole)(&out).map_err(|error| format!("{error}\n  {}", shown()))?;
                tally.passed += 1;
                let Some(own) = upstreams().into_iter().find(|own| own.name == face.name) else {
                    return Ok(());
                };
                let again = (own.read_whole)(&out, &Quirks::NONE, &[]);
                let again =
                    again.map_err(|fault| format!("cannot be read again: {fault:?}\n  {}", shown()))?;
                same(&whole.events, &again.events, &shown())
            }
            Err(ReplyFault::Error(error)) => {
                *tally.refused.entry(format!("an error: {}", error.message)).or_default() += 1;
                Ok(())
            }
            Err(fault) => {
                *tally.refused.entry(format!("{fault:?}")).or_default() += 1;
                Ok(())
            }
        },
    }
}

fn check_stream(
    upstream: &Upstream,
    face: &Face,
    recording: &Recording,
    stream: &[u8],
    tally: &mut Tally,
) -> Result<(), String> {
    let (events, facts) = read_stream(upstream, stream, recording.quirks());
    let mut writer = (face.writer)(identity());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    let whole = facts.fault.is_none() && facts.finish.is_some();
    if whole {
        writer.write_end(&bill(&facts), &mut out);
    } else {
        let failure = Failure::new(Cause::ProviderUnavailable, "The provider broke off.");
        writer.write_error(&failure, Some(&bill(&facts)), &mut out);
    }
    let shown = || String::from_utf8_lossy(&out[out.len().saturating_sub(1500)..]).into_owned();
    (face.check_stream)(&out).map_err(|error| format!("{error}\n  {}", shown()))?;
    tally.passed += 1;
    let own = upstreams().into_iter().find(|own| own.name == face.name && whole);
    match own {
        Some(own) => same(&events, &read_stream(&own, &out, Quirks::NONE).0, &shown()),
        None => Ok(()),
    }
}

fn read_stream(upstream: &Upstream, stream: &[u8], quirks: Quirks) -> (Vec<Event>, Facts) {
    let mut reader = (upstream.reader)(quirks, Vec::new());
    let mut events = Vec::new();
    reader.read(stream, &mut events);
    reader.end_of_input(&mut events);
    (events, reader.facts().clone())
}

/// What the first reading said, the second says as well.
fn same(one: &[Event], other: &[Event], shown: &str) -> Result<(), String> {
    let (one, mut other) = (said(one), said(other));
    other.finish = other.finish.filter(|_| one.finish.is_some());
    if one == other { Ok(()) } else { Err(format!("says\n  {other:?}\ninstead of\n  {one:?}\n  {shown}")) }
}

/// A stream that lacks its reason to finish has no end, and one that lacks the end of a call
/// none of that either.
fn check_cut(upstream: &Upstream, stream: &[u8]) -> Result<(), String> {
    let (events, facts) = read_stream(upstream, stream, Quirks::NONE);
    let finish = events.iter().any(|event| matches!(event, Event::Finish { .. }));
    if finish && facts.finish.is_none() {
        return Err("finished without a reason".into());
    }
    let mut arguments: BTreeMap<usize, (bool, String)> = BTreeMap::new();
    for event in &events {
        match event {
            Event::ToolCall { call, custom, .. } => {
                arguments.insert(*call, (*custom, String::new()));
            }
            Event::Arguments { call, text } => {
                let open = arguments.get_mut(call).ok_or("arguments of no call")?;
                open.1.push_str(text);
            }
            Event::ToolCallEnd { call } => {
                let (custom, text) = arguments.remove(call).ok_or("the end of no call")?;
                let whole = text.is_empty() || serde_json::from_str::<serde_json::Value>(&text).is_ok();
                if !whole && !custom {
                    return Err(format!("half a call is ended: {text}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn identity() -> Identity {
    Identity {
        generation: "gen-1-abc".into(),
        created: 1_800_000_000,
        model: "author/model".into(),
        provider: "Some \"Provider\"".into(),
    }
}

fn bill(facts: &Facts) -> Bill {
    let cost = Money::from_pico(123_456_789);
    let usage = facts.usage.unwrap_or_default();
    for_prompt(usage, cost)
}

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(3000)]
}

fn print(table: &Table, what: &str) {
    for ((from, to), tally) in table {
        let refused: usize = tally.refused.values().sum();
        println!("{from} -> {to}: {} {what}, {refused} refused, {} with losses", tally.passed, tally.losses);
        for (reason, count) in &tally.refused {
            println!("    {count} x {}", reason.chars().take(160).collect::<String>());
        }
    }
}
