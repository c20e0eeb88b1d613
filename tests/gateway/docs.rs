//! What the docs name: a table of risks is worth as much as the tests that it points to.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_the_page_on_money_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/money.md")).expect("the page");
    let native = files(&root.join("tests/gateway"));
    let worker = files(&root.join("tests/worker"));
    let tests: String = native.iter().map(|path| fs::read_to_string(path).expect("a test file")).collect();
    let has = |files: &[PathBuf], name: &str| files.iter().any(|path| path.ends_with(name));
    let (mut found, mut missing) = (0, Vec::new());
    for name in page.split('`').skip(1).step_by(2) {
        let exists = match name {
            _ if name.ends_with(".test.mjs") => has(&worker, name),
            // Those of `src/` are named there with their folder.
            _ if name.ends_with(".rs") => has(&native, name) || root.join("src").join(name).exists(),
            _ if is_test(name) => tests.contains(&format!("fn {}", name.trim_end_matches('…'))),
            _ => continue,
        };
        found += 1;
        if !exists {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    assert!(found > 20, "{found} names");
}

/// Tests are named by sentences; members of JSON are shorter.
fn is_test(name: &str) -> bool {
    let of_names = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.matches('_').count() >= 3 && name.trim_end_matches('…').bytes().all(of_names)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of tests");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let paths = paths.filter(|path| !path.ends_with("node_modules"));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
