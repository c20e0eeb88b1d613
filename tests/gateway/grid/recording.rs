//! Recorded exchanges of all protocols, where they are at hand. `MILLRACE_FIXTURES` names their
//! folder.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One exchange.
pub struct Recording {
    /// The folder and the number: `groq/case/01`.
    pub name: String,
    /// Without its query.
    pub url: String,
    pub status: u64,
    pub request: Option<Vec<u8>>,
    pub reply: Option<Reply>,
}

pub enum Reply {
    Stream(Vec<u8>),
    Whole(Vec<u8>),
}

/// All recordings, or none, and a word about it.
pub fn recordings() -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let cases = list(&root).into_iter().flat_map(|protocol| list(&protocol));
    let files = cases.flat_map(|case| list(&case));
    let metas = files.filter(|file| file.to_string_lossy().ends_with(".meta.json"));
    metas.filter_map(|meta| recording(&root, &meta)).collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}

fn recording(root: &Path, file: &Path) -> Option<Recording> {
    let stem = file.to_string_lossy().strip_suffix(".meta.json")?.to_owned();
    let meta: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let read = |suffix: &str| std::fs::read(format!("{stem}.{suffix}")).ok();
    let stream = ["response.sse", "response.ndjson", "response.eventstream", "response.bin"];
    let stream = stream.into_iter().find_map(read).map(Reply::Stream);
    let relative = Path::new(&stem).strip_prefix(root).ok()?;
    Some(Recording {
        name: relative.to_string_lossy().into_owned(),
        url: meta["url"].as_str().unwrap_or_default().split('?').next()?.to_owned(),
        status: meta["status"].as_u64().unwrap_or(200),
        request: read("request.json"),
        reply: stream.or_else(|| read("response.json").map(Reply::Whole)),
    })
}
