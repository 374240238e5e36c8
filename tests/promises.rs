//! Every test that `SECURITY.md` names exists, so that each promise stays held.
#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with tests.
const FOLDERS: [&str; 5] = ["src", "trainer/src", "trainer/tests", "tests", "web/tests"];

/// The names between backticks, or titles between quotes, of the paragraphs that begin with `- Held by`.
fn named(page: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in page.split("\n- Held by").skip(1) {
        let paragraph = part.split("\n\n").next().unwrap_or_default().replace("\n ", "");
        names.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    names
}

/// The text of all source files under a folder.
fn sources(folder: &Path, out: &mut String) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| ["rs", "ts", "mjs"].iter().any(|known| e == *known)) {
            out.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// Whether the sources have a test of this name: a Rust function, or the title of a test in JavaScript.
fn is_there(name: &str, sources: &str) -> bool {
    let function = sources.contains(&format!("\nfn {name}()")) || sources.contains(&format!("    fn {name}()"));
    let titled = |quote: char| sources.contains(&format!("test({quote}{name}{quote}"));
    function || titled('\'') || titled('"') || titled('`')
}

#[test]
fn every_promise_of_the_security_page_names_a_test() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(checkout.join("SECURITY.md")).expect("the page");
    let mut text = String::new();
    FOLDERS.iter().for_each(|folder| sources(&checkout.join(folder), &mut text));
    let names = named(&page);
    assert!(names.len() > 10, "the page names {} tests", names.len());
    let missing: Vec<&String> = names.iter().filter(|name| !is_there(name, &text)).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
    for promise in
        page.split("## What is promised").nth(1).unwrap_or_default().split("## ").next().unwrap_or_default().split("\n**").skip(1)
    {
        assert!(promise.contains("- Held by"), "a promise without a test: {}", promise.lines().next().unwrap_or_default());
    }
}

#[test]
fn names_are_found_on_the_page_and_in_the_sources() {
    assert_eq!(named("text `no`\n\n- Held by `one`, `a\n  title`.\n\n`no`\n- Held by `two`"), ["one", "a title", "two"]);
    let sources = "#[test]\nfn one() {}\n    fn two() {}\ntest('a title', () => {});\nfn three_more() {}";
    assert!(["one", "two", "a title"].iter().all(|name| is_there(name, sources)));
    assert!(!is_there("three", sources) && !is_there("title", sources));
}
