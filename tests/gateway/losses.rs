//! Nothing is dropped in silence. Each member that a client may send, at each protocol of a
//! provider: the provider's body shows it, the losses name it, or the request is refused. Told by
//! the difference that the member makes: with it and without it, nothing else changed.

mod replies;

use crate::outlined;
use millrace::catalog;
use millrace::chat::Quirks;
use millrace::error::Failure;
use millrace::media::Fetched;
use millrace::protocol::bridge::{Face, cross};
use millrace::protocol::gemini::Framing;
use millrace::protocol::lane::Target;
use serde_json::Value;

use crate::grid::rows::{Upstream, upstreams};

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Carried,
    Lost,
    Refused,
    Silent,
}

/// The members of a face's requests, as its vendor and OpenRouter document them.
struct Grammar {
    face: Face,
    /// The least that the face takes.
    base: &'static str,
    rows: Vec<Row>,
}

/// A line of a grammar: a place in the request, and the members that are put over the least
/// request so that it is there. Behind a `=` stands the other value to compare with, for members
/// that cannot be left out; behind a `|` what else may be named as lost, that the member is of.
struct Row {
    place: &'static str,
    holder: Option<&'static str>,
    members: &'static str,
    doer: Doer,
}

/// Who does what a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doer {
    Provider,
    /// The gateway alone: no provider gets it. Marked `own`.
    Gateway,
    /// The gateway, and the provider where it knows how. Marked `both`.
    Both,
}

fn grammars() -> Vec<Grammar> {
    let all = [
        (
            Face::Chat,
            r#"{"model":"a/m","messages":[{"role":"user","content":"Hi"}]}"#,
            include_str!("losses/chat.txt"),
        ),
        (Face::Completions, r#"{"model":"a/m","prompt":"Hi"}"#, include_str!("losses/completions.txt")),
        (Face::Responses, r#"{"model":"a/m","input":"Hi"}"#, include_str!("losses/responses.txt")),
        (
            Face::Messages,
            r#"{"model":"a/m","max_tokens":4096,"messages":[{"role":"user","content":"Hi"}]}"#,
            include_str!("losses/messages.txt"),
        ),
        (
            Face::Gemini(Framing::Sse),
            r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
            include_str!("losses/gemini.txt"),
        ),
    ];
    let read = |text: &'static str| text.lines().filter_map(row).collect();
    all.into_iter().map(|(face, base, text)| Grammar { face, base, rows: read(text) }).collect()
}

fn row(line: &'static str) -> Option<Row> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (place, members) = line.split_once("  ").unwrap_or_else(|| panic!("{line}"));
    let marks = [("own ", Doer::Gateway), ("both ", Doer::Both), ("", Doer::Provider)];
    let marked = |(mark, doer): &(&str, Doer)| Some((place.strip_prefix(mark)?, *doer));
    let (whole, doer) = marks.iter().find_map(marked)?;
    let (place, holder) = whole.rsplit_once('|').map_or((whole, None), |(place, it)| (place, Some(it)));
    Some(Row { place, holder, members, doer })
}

#[test]
fn every_member_of_a_request_is_carried_or_lost_or_refused() {
    let mut wrong = Vec::new();
    for grammar in grammars() {
        for row in grammar.rows.iter().filter(|row| row.doer == Doer::Provider) {
            let silent = |upstream: &Upstream| fate(&grammar, row, upstream) == Fate::Silent;
            let silent: Vec<&str> = upstreams().iter().filter(|it| silent(it)).map(|it| it.name).collect();
            if !silent.is_empty() {
                wrong.push(format!("{:?} {}  ->  {}", grammar.face, row.place, silent.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} members are dropped in silence:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_speaks_to_the_gateway_goes_to_no_provider() {
    for grammar in grammars() {
        for row in grammar.rows.iter().filter(|row| row.doer != Doer::Provider) {
            for upstream in upstreams() {
                let found = fate(&grammar, row, &upstream);
                let alone = row.doer == Doer::Gateway;
                let wrong = if alone { found != Fate::Silent } else { found == Fate::Refused };
                assert!(!wrong, "{:?} -> {}: {}: {found:?}", grammar.face, upstream.name, row.place);
            }
        }
    }
}

fn fate(grammar: &Grammar, row: &Row, upstream: &Upstream) -> Fate {
    let (with, without) = pair(grammar.base, row);
    let without = write(grammar.face, upstream, &without);
    let (body, losses) = match &without {
        Ok(written) => written,
        Err(failure) if failure.cause.status() == 400 => return Fate::Refused,
        Err(failure) => panic!("{}: {}", row.place, failure.message),
    };
    match write(grammar.face, upstream, &with) {
        Err(failure) => {
            assert_eq!(failure.cause.status(), 400, "{}: {}", row.place, failure.message);
            Fate::Refused
        }
        Ok((other, _)) if other != *body => Fate::Carried,
        Ok((_, more)) if more.iter().any(|loss| !losses.contains(loss)) => Fate::Lost,
        Ok((_, more)) if row.holder.is_some_and(|it| more.iter().any(|loss| loss.contains(it))) => Fate::Lost,
        Ok(_) => Fate::Silent,
    }
}

/// The body for the provider, and the losses.
fn write(face: Face, upstream: &Upstream, request: &Value) -> Result<(Vec<u8>, Vec<String>), Failure> {
    let text = request.to_string();
    let read = face.read_request(&outlined(&text), "a/m", false)?;
    let provider = catalog::provider("openai").expect("a row of the catalog");
    let target = Target { model: upstream.model, quirks: &Quirks::NONE, max_output: Some(8192) };
    let crossing =
        cross(face, upstream.protocol, &outlined(&text), &read, provider, &target, &Fetched::default())?;
    let crossing = match &read.needs.web_search {
        Some(search) => crossing.searching(search, true)?,
        None => crossing,
    };
    Ok((crossing.body, crossing.bridge.losses().to_vec()))
}

/// The request with the row's member and the one without, or with another value for it.
fn pair(base: &str, Row { place, members, .. }: &Row) -> (Value, Value) {
    let parse = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"))
    };
    let mut with = parse(base);
    let more = parse(members);
    for (key, value) in more.as_object().expect("members") {
        with[key] = value.clone();
    }
    let (pointer, other) = match place.split_once('=') {
        Some((pointer, other)) => (pointer, Some(parse(other))),
        None => (*place, None),
    };
    let (parent, last) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let parent = if parent.is_empty() { String::new() } else { format!("/{parent}") };
    let mut without = with.clone();
    let holder = without.pointer_mut(&parent).unwrap_or_else(|| panic!("{place} is in no request"));
    let found = match (holder, other) {
        (Value::Object(members), Some(other)) => members.insert(last.to_owned(), other).is_some(),
        (Value::Object(members), None) => members.remove(last).is_some(),
        (Value::Array(elements), None) => {
            elements.remove(last.parse().expect("a position"));
            true
        }
        _ => false,
    };
    assert!(found, "{place} is in no request");
    (with, without)
}
