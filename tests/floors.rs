//! The floor order of `src/docs/architecture.md` holds: a room imports only from rooms on lines below its own.
//!
//! A block opens with ```` ```floors ROOT ````; each of its lines is a floor, the top one first, its rooms between
//! blanks. A room is a folder, or a file without its ending, directly under ROOT. Rooms on one line do not know each
//! other. What stands after the first `#[cfg(test)] mod tests` of a Rust file is not looked at.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that a build makes: they are listed, and are not in a fresh checkout.
const GENERATED: [&str; 1] = ["web/src/package/wasm"];

/// The floors of one root: the line of each room, counted from the top.
struct Floors {
    root: String,
    lines: BTreeMap<String, usize>,
}

impl Floors {
    /// All blocks of a page.
    fn read(page: &str) -> Vec<Floors> {
        let blocks = page.split("```floors ").skip(1);
        let block = |text: &str| {
            let (root, rest) = text.split_once('\n').expect("the block has lines");
            let body = rest.split("```").next().unwrap_or_default();
            let mut lines = BTreeMap::new();
            for (line, rooms) in body.lines().enumerate() {
                for room in rooms.split_whitespace() {
                    assert!(lines.insert(room.to_owned(), line).is_none(), "{root}: the room `{room}` is listed twice");
                }
            }
            Floors { root: root.trim().into(), lines }
        };
        blocks.map(block).collect()
    }

    /// Whether code of room `from` may name room `to`.
    fn allow(&self, from: &str, to: &str) -> bool {
        from == to || self.lines[to] > self.lines[from]
    }

    /// What is wrong in the checkout: arrows that do not run down, rooms that are not listed or not there.
    fn faults(&self, checkout: &Path) -> Vec<String> {
        let root = checkout.join(&self.root);
        let mut faults = Vec::new();
        let mut found = Vec::new();
        for file in sources(&root) {
            let path = file.strip_prefix(&root).expect("under the root");
            let Some(room) = room_of(path) else { continue };
            if !self.lines.contains_key(&room) {
                faults.push(format!("{}: the room `{room}` has no floor", self.root));
                continue;
            }
            let text = fs::read_to_string(&file).expect("a source file");
            let named =
                if path.extension().is_some_and(|e| e == "rs") { rust_rooms(path, &text) } else { script_rooms(path, &text) };
            for to in named.into_iter().filter(|to| self.lines.contains_key(to)) {
                if !self.allow(&room, &to) {
                    faults.push(format!("{}/{}: `{room}` names `{to}`, which is not below it", self.root, path.display()));
                }
            }
            found.push(room);
        }
        let missing = self
            .lines
            .keys()
            .filter(|room| !found.contains(room) && !GENERATED.contains(&format!("{}/{room}", self.root).as_str()));
        faults.extend(missing.map(|room| format!("{}: there is no room `{room}`", self.root)));
        faults.dedup();
        faults
    }
}

/// Source files under a folder, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs" || e == "ts") {
            files.push(path);
        }
    }
    files
}

/// The room of a path under the root; the crate's own roots belong to none.
fn room_of(path: &Path) -> Option<String> {
    let first = Path::new(path.components().next()?.as_os_str());
    let name = first.file_stem()?.to_str()?.trim_end_matches(".d");
    let is_root = first.extension().is_some_and(|e| e == "rs") && ["lib", "main", "mod"].contains(&name);
    (!is_root).then(|| name.to_owned())
}

/// Rooms that a Rust file names: `crate::room`, `crate::{room, …}`, the library from its binary, and `super::` as far
/// as the root.
fn rust_rooms(path: &Path, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
    let parts = path.components().count();
    let depth = if path.ends_with("mod.rs") { parts - 1 } else { parts };
    let up = "super::".repeat(depth);
    let mut rooms = Vec::new();
    for start in ["crate::", "foretaste_trainer::", up.as_str()] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            rooms.extend(first_names(&code[at + start.len()..]));
        }
    }
    rooms
}

/// The names that a path goes on with: one, or the first ones of a group.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut names, mut depth, mut item) = (Vec::new(), 0, String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(name(std::mem::take(&mut item).trim())),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    names.push(name(item.trim()));
    names
}

/// Rooms that a TypeScript file imports by a relative path, types included.
fn script_rooms(path: &Path, text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for start in ["from '", "import '", "import('"] {
        for (at, _) in text.match_indices(start) {
            let target = text[at + start.len()..].split('\'').next().unwrap_or_default();
            if !target.starts_with('.') {
                continue;
            }
            let mut full = path.parent().map(Path::to_path_buf).unwrap_or_default();
            for part in target.split('/') {
                match part {
                    "." => {}
                    ".." => _ = full.pop(),
                    part => full.push(part),
                }
            }
            rooms.extend(room_of(&full));
        }
    }
    rooms
}

#[test]
fn every_arrow_runs_down() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(checkout.join("src/docs/architecture.md")).expect("the map");
    let floors = Floors::read(&page);
    let roots: Vec<&str> = floors.iter().map(|f| f.root.as_str()).collect();
    assert_eq!(roots, ["src", "trainer/src", "web/src", "web/src/package", "web/src/page"]);
    let faults: Vec<String> = floors.iter().flat_map(|f| f.faults(checkout)).collect();
    assert!(faults.is_empty(), "src/docs/architecture.md, Floors:\n{}", faults.join("\n"));
}

#[test]
fn arrows_are_found_in_every_form() {
    let rust = "use crate::a;\nuse crate::{b::C, d::{e, f}, g as h};\n// crate::no\nfn x() { crate::i::j(); }\nsuper::super::k;\n\
                #[cfg(test)]\nmod tests {\n use crate::late;\n}";
    assert_eq!(rust_rooms(Path::new("room/file.rs"), rust), ["a", "b", "d", "g", "i", "k"]);
    assert_eq!(rust_rooms(Path::new("room/mod.rs"), "use super::l;\nuse self::m;"), ["l"]);
    let script = "import type { A } from './a.js';\nimport { B } from '../b/x.js';\nimport c from 'c';\nawait import('./d.js');";
    assert_eq!(script_rooms(Path::new("room/file.ts"), script), ["room", "b", "room"]);
    assert_eq!(script_rooms(Path::new("file.ts"), script), ["a", "b", "d"]);
    let floors = &Floors::read("```floors r\ntop\nleft right\n```\n")[0];
    assert!(floors.allow("top", "left") && floors.allow("left", "left"));
    assert!(!floors.allow("left", "right") && !floors.allow("right", "top"));
}
