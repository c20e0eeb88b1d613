//! Recorded exchanges of real providers, where they are at hand: the one place that loads them.
//! `MILLRACE_FIXTURES` names their folder, of which nothing is known but its layout:
//! `<provider>/<case>/<number>.{meta.json,request.json,response.*}`.

mod coverage;
mod errors;
mod usage;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use millrace::chat::{Event, Quirks};
use serde_json::Value;

pub use usage::facts;
pub use wire::Wire;

/// One exchange.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Folder, case and number: `groq/case/01`. For people: no test looks for one.
    pub name: String,
    /// Without its query.
    pub url: String,
    pub wire: Wire,
    pub status: u64,
    pub request: Option<Vec<u8>>,
    pub reply: Option<Reply>,
}

#[derive(Clone, Debug)]
pub enum Reply {
    Stream(Vec<u8>),
    Whole(Vec<u8>),
}

impl Recording {
    /// The streamed reply of a provider that took the request.
    pub fn stream(&self) -> Option<&[u8]> {
        match &self.reply {
            Some(Reply::Stream(bytes)) if self.status < 400 => Some(bytes),
            Some(Reply::Stream(_) | Reply::Whole(_)) | None => None,
        }
    }

    /// The whole reply of a provider that took the request.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.reply {
            Some(Reply::Whole(bytes)) if self.status < 400 => Some(bytes),
            Some(Reply::Stream(_) | Reply::Whole(_)) | None => None,
        }
    }

    /// The body of a provider that refused.
    pub fn error(&self) -> Option<&[u8]> {
        match &self.reply {
            Some(Reply::Stream(bytes) | Reply::Whole(bytes)) if self.status >= 400 => Some(bytes),
            Some(Reply::Stream(_) | Reply::Whole(_)) | None => None,
        }
    }

    /// What the catalog says of the provider, known by its address, or by its folder if it has none.
    pub fn quirks(&self) -> Quirks {
        let by = |host: &str, folder: &str| {
            self.url.contains(host) || self.url.is_empty() && self.name.starts_with(folder)
        };
        Quirks {
            usage_excludes_reasoning: by("api.x.ai", "xai/"),
            reports_cost: by("openrouter.ai", "openrouter/"),
            ..Quirks::NONE
        }
    }
}

/// The recordings of a protocol; none, and a word about it, where there are none at hand.
pub fn recordings(wire: Wire) -> impl Iterator<Item = &'static Recording> {
    all().iter().filter(move |recording| recording.wire == wire)
}

/// All recordings, read once.
pub fn all() -> &'static [Recording] {
    static ALL: OnceLock<Vec<Recording>> = OnceLock::new();
    let all = ALL.get_or_init(load);
    if all.is_empty() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
    }
    all
}

fn load() -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    let mut found = Vec::new();
    for case in list(&root).iter().flat_map(|provider| list(provider)) {
        let files = list(&case);
        let metas = files.iter().filter(|file| file.to_string_lossy().ends_with(".meta.json"));
        found.extend(metas.filter_map(|meta| recording(&root, meta, &files)));
    }
    found
}

/// What lies in a folder, in order; nothing, if it is none.
fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}

fn recording(root: &Path, meta: &Path, files: &[PathBuf]) -> Option<Recording> {
    let stem = meta.to_string_lossy().strip_suffix("meta.json")?.to_owned();
    let about: Value = serde_json::from_slice(&std::fs::read(meta).ok()?).ok()?;
    let response = format!("{stem}response.");
    let reply = files.iter().find(|file| file.to_string_lossy().starts_with(&response)).and_then(|file| {
        let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
        Some(reply(std::fs::read(file).ok()?, &extension))
    });
    let name = Path::new(stem.trim_end_matches('.')).strip_prefix(root).ok()?;
    let name = name.to_string_lossy().into_owned();
    let url = about["url"].as_str().unwrap_or_default().split(['?', '#']).next()?.to_owned();
    let method = about["method"].as_str().unwrap_or("POST");
    Some(Recording {
        wire: wire::recognise(method, &url, reply.as_ref()),
        status: about["status"].as_u64().unwrap_or(200),
        request: std::fs::read(format!("{stem}request.json")).ok(),
        name,
        url,
        reply,
    })
}

/// A refused stream is often one JSON body, whatever its file is called.
fn reply(bytes: Vec<u8>, extension: &str) -> Reply {
    let streamed = match extension {
        "sse" => !bytes.trim_ascii_start().starts_with(b"{"),
        "ndjson" | "eventstream" | "bin" => true,
        _ => false,
    };
    if streamed { Reply::Stream(bytes) } else { Reply::Whole(bytes) }
}

/// Whether `events` show that a reply claims an end that is none: a call is open, or there is no
/// reason to finish.
pub fn lack_an_end(events: &[Event]) -> bool {
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    let opened = count(|event| matches!(event, Event::ToolCall { .. }));
    let ended = count(|event| matches!(event, Event::ToolCallEnd { .. }));
    let finished = events.iter().any(|event| matches!(event, Event::Finish { .. }));
    opened > ended || !finished
}

/// The JSON of every `data:` of a stream of server-sent events.
pub fn frames(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}
