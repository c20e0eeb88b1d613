//! The arrows between modules, checked against the text of `src/`: a module may use those below
//! it, never those above, and only the shell may wait, read clocks or name the runtime.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the lowest up. Modules in one row do not use each other, but where said.
const ROWS: &[&[&str]] = &[
    &["base64", "bytes", "money", "time"],
    &["id", "error"],
    &["json", "query", "sse"],
    &["chat"],
    &["tokens"],
    &["catalog"],
    &["media"],
    &["protocol"],
    &["pricing", "health"],
    &["routing"],
    &["guard"],
    &["account"],
    &["authorization", "billing"],
    &["config", "endpoint", "preset"],
    &["byok"],
    &["exchange"],
    &["shell"],
];

/// What only the shell may say, and why.
const SHELL_ONLY: &[(&str, &str)] = &[
    ("worker::", "the runtime"),
    ("wasm_bindgen", "the runtime"),
    ("js_sys", "the runtime"),
    ("web_sys", "the runtime"),
    (".await", "waiting"),
    ("async fn", "waiting"),
    ("SystemTime", "a clock"),
    ("Instant::now", "a clock"),
    ("std::net", "the network"),
    ("std::fs", "a disk"),
    ("println!", "output"),
    // What a panic leaves in the core is not cleaned up (scripts/lib/cleanups.mjs): nothing in it may have to be.
    ("Drop for", "a cleanup"),
    ("RefCell", "a cell"),
    ("Mutex", "a lock"),
    ("RwLock", "a lock"),
];

#[test]
fn modules_use_only_those_below() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        let row = row_of(&module).unwrap_or_else(|| panic!("{module} has no row"));
        for used in used_modules(&text) {
            let below = row_of(&used).is_some_and(|other| other < row);
            if used != module && !below {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_shell_waits_or_names_the_runtime() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources().into_iter().filter(|(module, ..)| module != "shell") {
        for (word, what) in SHELL_ONLY {
            if code_of(&text).contains(word) {
                wrong.push(format!("{} ({module}) says `{word}`: {what}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_protocol_uses_another() {
    let protocols: Vec<_> = sources().into_iter().filter(|(module, ..)| module == "protocol").collect();
    let folder_of =
        |path: &Path| path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let shared = ["bridge.rs", "lane.rs", "mod.rs"];
    let folders: BTreeSet<String> = protocols.iter().filter_map(|(_, path, _)| folder_of(path)).collect();
    for (_, path, text) in &protocols {
        let own = folder_of(path).expect("lies in the protocol folder");
        for other in folders.iter().filter(|other| **other != own && !shared.contains(&own.as_str())) {
            let arrows = [format!("protocol::{other}::"), format!("super::super::{other}::")];
            let used = arrows.iter().any(|arrow| code_of(text).contains(arrow));
            assert!(!used, "{} uses {other}", path.display());
        }
    }
}

#[test]
fn the_conversation_is_not_serializable() {
    for (_, path, text) in sources().into_iter().filter(|(module, ..)| module == "chat") {
        assert!(!code_of(&text).contains("serde"), "{} names serde", path.display());
    }
}

#[test]
fn money_is_no_float() {
    for (module, path, text) in sources() {
        let about_money = ["money", "pricing", "account", "billing"].contains(&module.as_str());
        if about_money {
            let code = code_of(&text);
            assert!(!code.contains("f64") && !code.contains("f32"), "{} names a float", path.display());
        }
    }
}

/// Every source file with the module it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources are where this test looks for them");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("src/lib.rs")
        {
            let relative = path.strip_prefix(root).expect("found under the root").to_path_buf();
            let first = relative.components().next().expect("has a name").as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("the file is text");
            found.push((module, relative, text));
        }
    }
}

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The top-level modules that a file names after `crate::`, one by one or in braces.
fn used_modules(text: &str) -> Vec<String> {
    let known: Vec<&str> = ROWS.iter().flat_map(|row| row.iter().copied()).collect();
    let code = code_of(text);
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if known.contains(&name.as_str()) {
                used.push(name);
            }
        }
    }
    used
}

/// The text without its comments.
fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
