//! `foretaste verify --host` beside a host that is as it should be, and beside one that is not, fault by fault.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::GzEncoder;
use foretaste::bundle::{Manifest, sha256_hex};
use foretaste_trainer::verify::Check;
use foretaste_trainer::verify::host::{Options, Report, host};

use crate::serve::Server;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")
}

/// The name of a file of the packaged bundle that starts like this.
fn named(start: &str) -> String {
    let names = fs::read_dir(tiny()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.into_iter().find(|name| name.starts_with(start)).unwrap()
}

/// A request, and how many there were for its path before it.
struct Asked {
    name: String,
    headers: String,
    before: usize,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        let value = |line: &str| line.split_once(": ").is_some_and(|(of, _)| of.eq_ignore_ascii_case(name));
        self.headers.lines().find(|line| value(line)).map_or("", |line| line.split_once(": ").unwrap().1)
    }
}

/// A good answer, which a fault changes.
#[derive(Clone)]
struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes without end after the body.
    endless: bool,
    /// Seconds of silence before the connection ends.
    silent: u64,
}

impl Reply {
    /// The answer of a host as it should be, from the files of the packaged bundle.
    fn good(asked: &Asked) -> Reply {
        let mut reply = Reply { status: "200 OK", headers: vec![], body: vec![], endless: false, silent: 0 };
        reply.set("Access-Control-Allow-Origin", "*");
        let Ok(body) = fs::read(tiny().join(&asked.name)) else {
            reply.status = "404 Not Found";
            return reply;
        };
        reply.set("Content-Type", if asked.name.ends_with(".json") { "application/json" } else { "application/octet-stream" });
        let keeping = if asked.name == "manifest.json" { "no-cache" } else { "public, max-age=31536000, immutable" };
        reply.set("Cache-Control", keeping);
        reply.set("ETag", "\"1\"");
        if asked.header("If-None-Match") == "\"1\"" {
            reply.status = "304 Not Modified";
            return reply;
        }
        reply.body = body;
        if asked.header("Accept-Encoding").contains("gzip") {
            reply.gzip();
        }
        reply
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(of, _)| *of != name);
        if !value.is_empty() {
            self.headers.push((name, value.into()));
        }
    }

    fn gzip(&mut self) {
        let mut packed = Vec::new();
        GzEncoder::new(self.body.as_slice(), Compression::default()).read_to_end(&mut packed).unwrap();
        self.body = packed;
        self.set("Content-Encoding", "gzip");
    }

    /// As it would be without compression.
    fn plain(&mut self, asked: &Asked) {
        self.body = fs::read(tiny().join(&asked.name)).unwrap_or_default();
        self.set("Content-Encoding", "");
    }

    fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let has_length = self.endless || self.headers.iter().any(|(name, _)| *name == "Content-Length");
        let length = if has_length { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        stream.write_all(format!("{head}{length}Connection: close\r\n\r\n").as_bytes())?;
        stream.write_all(&self.body)?;
        if self.endless {
            loop {
                stream.write_all(&[b' '; 1 << 16])?;
            }
        }
        thread::sleep(Duration::from_secs(self.silent));
        Ok(())
    }
}

/// What a host does with a request, given the good answer: an answer, or bytes that are none.
type Fault = dyn Fn(&Asked, &mut Reply) -> Option<Vec<u8>> + Send + Sync;

/// Starts a host of the packaged bundle, and returns its address. It ends with the process.
fn start(fault: impl Fn(&Asked, &mut Reply) -> Option<Vec<u8>> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/b", listener.local_addr().unwrap());
    let fault: Arc<Fault> = Arc::new(fault);
    let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (fault, seen) = (fault.clone(), seen.clone());
            // A client that has read enough cuts the connection off.
            thread::spawn(move || _ = answer(stream, &*fault, &seen));
        }
    });
    address
}

fn answer(mut stream: TcpStream, fault: &Fault, seen: &Mutex<HashMap<String, usize>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut headers) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    while reader.read_line(&mut headers)? > 2 {}
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches("/b/").to_owned();
    let before = {
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let asked = Asked { name, headers, before };
    let mut reply = Reply::good(&asked);
    match fault(&asked, &mut reply) {
        Some(bytes) => stream.write_all(&bytes),
        None => reply.send(&mut stream),
    }
}

fn visit(address: &str, origin: Option<&str>) -> Report {
    host(address, Options { origin, modules: &[], patience: 2 }).unwrap()
}

/// Name and `got` of each check.
fn names(checks: &[Check], ok: bool) -> Vec<String> {
    checks.iter().filter(|check| check.ok == ok).map(|check| format!("{}: {}", check.name, check.got)).collect()
}

#[test]
fn a_good_host_has_no_faults() {
    let report = visit(&start(|_, _| None), None);
    assert!(report.ok && report.warnings.is_empty(), "{report:?}");
    let good = names(&report.checks, true).join("\n");
    for part in ["golden rows replay", "opens, graphs included", "any page may load the bundle", "SHA-256"] {
        assert!(good.contains(part), "{good}");
    }
    let travel = report.checks.iter().find(|check| check.name == "compression").unwrap();
    let numbers: Vec<u64> = travel.got.split(' ').filter_map(|word| word.parse().ok()).collect();
    let whole: u64 = fs::read_dir(tiny()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(numbers[1] == whole && numbers[0] < whole * 6 / 10, "{travel:?}");
    // Brotli is read too.
    let report = visit(
        &start(|asked, reply| {
            if asked.header("Accept-Encoding").contains("br") {
                reply.plain(asked);
                let body = std::mem::take(&mut reply.body);
                brotli::CompressorWriter::new(&mut reply.body, 4096, 5, 22).write_all(&body).unwrap();
                reply.set("Content-Encoding", "br");
            }
            None
        }),
        None,
    );
    assert!(report.ok && report.warnings.is_empty(), "{report:?}");
}

/// A fault, and what the one check has to say that fails.
#[test]
fn what_keeps_a_page_from_working_is_wrong() {
    let is = |start: &str| {
        let name = named(start);
        move |asked: &Asked| asked.name == name
    };
    let (items, catalog, tower, golden) = (is("items-"), is("catalog-"), is("user_tower"), is("golden"));
    let manifest = |asked: &Asked| asked.name == "manifest.json";
    let cases: Vec<(&str, &str, Box<Fault>)> = vec![
        (
            "items-",
            "302 to https://elsewhere.example/: pages follow no redirect",
            Box::new(move |asked, reply| {
                if items(asked) {
                    reply.status = "302 Found";
                    reply.set("Location", "https://elsewhere.example/");
                }
                None
            }),
        ),
        (
            "manifest.json is there",
            "301 to /b/: pages follow no redirect",
            Box::new(move |asked, reply| {
                if manifest(asked) {
                    reply.status = "301 Moved Permanently";
                    reply.set("Location", "/b/");
                }
                None
            }),
        ),
        (
            "manifest.json",
            "HTML",
            Box::new(|_, reply| {
                (reply.status, reply.body) = ("200 OK", b"\n<!doctype html><p>Home".to_vec());
                reply.set("Content-Encoding", "");
                None
            }),
        ),
        (
            "catalog-",
            "more than 3922 bytes",
            Box::new(move |asked, reply| {
                if catalog(asked) {
                    reply.plain(asked);
                    reply.endless = true;
                }
                None
            }),
        ),
        (
            "user_tower",
            "503",
            Box::new(move |asked, reply| {
                if tower(asked) {
                    reply.status = "503 Service Unavailable";
                }
                None
            }),
        ),
        (
            "golden.json bytes",
            "more than 36860 bytes",
            Box::new(move |asked, reply| {
                if golden(asked) {
                    // A few kilobytes that decode to a hundred million.
                    reply.body = vec![0; 100 << 20];
                    reply.gzip();
                }
                None
            }),
        ),
    ];
    for (name, got, fault) in cases {
        let start_time = Instant::now();
        let report = visit(&start(move |asked, reply| fault(asked, reply)), None);
        let wrong = names(&report.checks, false);
        assert!(
            !report.ok && wrong.len() == 1 && wrong[0].starts_with(name) && wrong[0].contains(got),
            "{name} {got}: {wrong:?}"
        );
        assert!(start_time.elapsed() < Duration::from_secs(15), "{name} {got}: {:?}", start_time.elapsed());
    }
}

#[test]
fn answers_that_are_none_are_told_in_time() {
    let catalog = named("catalog-");
    let cut = |reply: &mut Reply, length: usize| {
        reply.set("Content-Length", &reply.body.len().to_string());
        reply.body.truncate(length);
    };
    type Spoil = dyn Fn(&mut Reply) -> Option<Vec<u8>> + Send + Sync;
    let cases: Vec<(&str, Box<Spoil>)> = vec![
        // The words are those of curl, of several versions.
        (
            "clos|end of response",
            Box::new(move |reply| {
                cut(reply, 500);
                None
            }),
        ),
        (
            "time|slow",
            Box::new(move |reply| {
                cut(reply, 500);
                reply.silent = 60;
                None
            }),
        ),
        ("HTTP/0.9|not allowed|Weird", Box::new(|_| Some(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()))),
        ("mpty reply|no head", Box::new(|_| Some(Vec::new()))),
        ("head|header", Box::new(|_| Some([b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(40_000)].concat()))),
        (
            "not br",
            Box::new(|reply| {
                reply.set("Content-Encoding", "br");
                None
            }),
        ),
        (
            "not gzip or br but zstd",
            Box::new(|reply| {
                reply.set("Content-Encoding", "zstd");
                None
            }),
        ),
    ];
    for (got, fault) in cases {
        let name = catalog.clone();
        let start_time = Instant::now();
        let report = visit(&start(move |asked, reply| if asked.name == name { fault(reply) } else { None }), None);
        let wrong = names(&report.checks, false);
        let is_told = |wrong: &String| wrong.starts_with("catalog-") && got.split('|').any(|part| wrong.contains(part));
        assert!(wrong.len() == 1 && is_told(&wrong[0]), "{got}: {wrong:?}");
        assert!(start_time.elapsed() < Duration::from_secs(15), "{got}: {:?}", start_time.elapsed());
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = visit(&format!("http://{nobody}/b"), None);
    assert!(names(&report.checks, false)[0].starts_with("manifest.json is there: curl: (7)"), "{report:?}");
}

#[test]
fn other_bytes_are_found() {
    let items = named("items-");
    let report = visit(
        &start(move |asked, reply| {
            if asked.name == items {
                reply.plain(asked);
                *reply.body.last_mut().unwrap() ^= 1;
            }
            None
        }),
        None,
    );
    let wrong = names(&report.checks, false);
    assert!(wrong.len() == 1 && wrong[0].starts_with("items-") && wrong[0].contains("SHA-256: "), "{wrong:?}");
}

#[test]
fn what_only_costs_time_is_a_warning() {
    let hashed = |asked: &Asked| asked.name.split('.').count() == 3;
    let cases: Vec<(&str, &str, Box<Fault>)> = vec![
        (
            "a missing file",
            "200, text/html",
            Box::new(|asked, reply| {
                if asked.name.starts_with("no-such-file") {
                    (reply.status, reply.body) = ("200 OK", b"<!doctype html>".to_vec());
                    reply.set("Content-Type", "text/html");
                }
                None
            }),
        ),
        (
            "content types",
            "manifest.json has text/plain",
            Box::new(|asked, reply| {
                if asked.name == "manifest.json" {
                    reply.set("Content-Type", "text/plain; charset=utf-8");
                }
                None
            }),
        ),
        (
            "compression",
            "golden.json: 36860 bytes, with gzip about ",
            Box::new(|asked, reply| {
                if asked.name == "golden.json" {
                    reply.plain(asked);
                }
                None
            }),
        ),
        (
            "keeping of the manifest",
            "kept for 600 s",
            Box::new(|_, reply| {
                if reply.headers.iter().any(|(_, value)| value == "no-cache") {
                    reply.set("Cache-Control", "max-age=600");
                }
                None
            }),
        ),
        (
            "keeping of the manifest",
            "no Cache-Control",
            Box::new(|_, reply| {
                if reply.headers.iter().any(|(_, value)| value == "no-cache") {
                    reply.set("Cache-Control", "");
                }
                None
            }),
        ),
        (
            "keeping of the files",
            "and 1 more",
            Box::new(move |asked, reply| {
                if hashed(asked) {
                    reply.set("Cache-Control", "max-age=600");
                }
                None
            }),
        ),
        (
            "an unchanged manifest",
            "200 to If-None-Match",
            Box::new(|_, reply| {
                reply.status = if reply.status.starts_with("304") { "200 OK" } else { reply.status };
                None
            }),
        ),
        (
            "ranges",
            "206 with 11 other bytes, compressed",
            Box::new(|asked, reply| {
                if !asked.header("Range").is_empty() {
                    reply.status = "206 Partial Content";
                    reply.gzip();
                }
                None
            }),
        ),
    ];
    for (name, got, fault) in cases {
        let report = visit(&start(move |asked, reply| fault(asked, reply)), None);
        let warned = names(&report.warnings, false);
        assert!(report.ok, "{name}: {report:?}");
        assert!(warned.len() == 1 && warned[0].starts_with(name) && warned[0].contains(got), "{name} {got}: {warned:?}");
    }
}

#[test]
fn a_page_of_another_host_has_to_be_allowed() {
    let shop = "https://shop.example";
    let allowing = |allowed: &'static str| {
        start(move |_, reply| {
            reply.set("Access-Control-Allow-Origin", allowed);
            None
        })
    };
    for (allowed, ok) in [("*", true), (shop, true), ("https://other.example", false), ("", false)] {
        let report = visit(&allowing(allowed), Some(shop));
        assert_eq!(report.ok, ok, "{allowed}: {report:?}");
        let wrong = names(&report.checks, false);
        assert!(ok || wrong.len() == 1 && wrong[0].starts_with("pages of https://shop.example: manifest.json"), "{wrong:?}");
    }
    // Without an origin the page is on the host of the bundle, and needs nothing.
    let report = visit(&allowing(""), None);
    assert!(report.ok && report.warnings.is_empty());
    assert!(names(&report.checks, true).contains(&"pages of other hosts: only pages of this host may load the bundle".into()));
}

#[test]
fn a_new_version_keeps_the_files_of_the_old_one() {
    let mut next = Manifest::parse(&fs::read(tiny().join("manifest.json")).unwrap()).unwrap();
    let golden = next.files.iter_mut().find(|file| file.role == "golden").unwrap();
    golden.path = "golden-2.json".into();
    golden.sha256 = sha256_hex(b"2");
    golden.bytes = 1;
    next.model_id = next.id_of_files();
    let next = serde_json::to_vec(&next).unwrap();
    for (there, ok) in [(["golden.json", "golden-2.json"], true), (["golden.json", ""], false), (["", "golden-2.json"], false)] {
        let next = next.clone();
        let report = visit(
            &start(move |asked, reply| {
                let swapped = asked.name == "manifest.json" && asked.before >= 3;
                if swapped || asked.name == "golden-2.json" && there[1] == asked.name {
                    reply.status = "200 OK";
                    reply.set("Content-Encoding", "");
                    reply.body = if swapped { next.clone() } else { b"2".to_vec() };
                }
                // It was there when it was first fetched.
                if asked.name == "golden.json" && asked.before > 0 && there[0] != asked.name {
                    reply.status = "404 Not Found";
                }
                None
            }),
            None,
        );
        assert_eq!(report.ok, ok, "{there:?}: {report:?}");
        let checks: Vec<String> = names(&report.checks, ok).into_iter().filter(|name| name.starts_with("version ")).collect();
        assert_eq!(checks.len(), 1, "{report:?}");
        assert!(checks[0].contains(if ok { "all are there" } else { ": 404" }), "{checks:?}");
    }
}

#[test]
fn the_command_says_it_and_serve_is_a_good_host() {
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_foretaste")).arg("verify").args(args).output().unwrap();
    let server = Server::start(&tiny());
    let address = format!("http://{}", server.address);
    let good = run(&["--host", &address, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((good.status.code(), &report["ok"], &report["warnings"]), (Some(0), &true.into(), &serde_json::json!([])));
    let lines = String::from_utf8(run(&["--host", &format!("{address}/manifest.json")]).stdout).unwrap();
    assert!(lines.lines().all(|line| line.starts_with("ok ")), "{lines}");
    // `serve` allows no page of another host.
    let bad = run(&["--host", &address, "--origin", "https://shop.example"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("WRONG  pages of https://shop.example: expected Access-Control"));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("1 of "), "{bad:?}");
    // Not a bundle, no address, and arguments that exclude each other.
    assert_eq!(run(&["--host", &format!("{address}/nowhere/")]).status.code(), Some(1));
    assert_eq!(run(&["--host", "shop.example"]).status.code(), Some(1));
    assert_eq!(run(&["--host", &address, "bundle"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
}

#[test]
fn serve_tells_the_faults_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(tiny()).unwrap().flatten() {
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    fs::remove_file(folder.path().join("golden.json")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_foretaste"))
        .args(["serve", folder.path().to_str().unwrap(), "--port", "0"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, "warning: manifest.json: golden.json is missing\n");
}
