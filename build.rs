//! Turns `catalog/*.json` into Rust tables, so that nothing is parsed when the gateway starts.
//! A mistake in the catalog fails the build and says where.

#[path = "catalog/build.rs"]
mod catalog;
#[allow(dead_code)]
#[path = "src/catalog/index.rs"]
mod index;
#[allow(dead_code)]
#[path = "src/money.rs"]
mod money;
#[path = "src/catalog/vocabulary.rs"]
mod vocabulary;

use std::path::Path;
use std::{env, fs, process};

const INPUTS: [&str; 11] = [
    "build.rs",
    "catalog/alias.rs",
    "catalog/build.rs",
    "catalog/check.rs",
    "catalog/models.json",
    "catalog/pack.rs",
    "catalog/providers.json",
    "catalog/write.rs",
    "src/catalog/index.rs",
    "src/catalog/vocabulary.rs",
    "src/money.rs",
];

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    for name in INPUTS {
        println!("cargo::rerun-if-changed={name}");
    }
    let read = |name: &str| fs::read_to_string(Path::new(&root).join("catalog").join(name)).expect(name);
    match catalog::tables(&read("providers.json"), &read("models.json")) {
        Ok(tables) => fs::write(Path::new(&out).join("catalog.rs"), tables).expect("OUT_DIR is writable"),
        Err(mistakes) => {
            for mistake in mistakes {
                println!("cargo::error=catalog: {mistake}");
            }
            process::exit(1);
        }
    }
}
