//! Opens a bundle at its address, as the browser of a visitor does, and looks at what the host makes of it.
//!
//! `foretaste verify --host` prints these checks. What keeps a page from working is a check that fails; what only costs
//! the visitors time, or may fail later, is a warning.

mod client;
mod keeping;
mod limits;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use foretaste::bundle::{DEFAULT_MAX_BYTES, FileEntry, MAX_MANIFEST_BYTES, Manifest};

use self::client::{Body, Client, Fault, Head};
use self::keeping::Keeping;
pub use self::limits::{large_files, of_folder};
use super::{Check, opened};
use crate::files;

/// The first file that a page asks for.
const MANIFEST: &str = "manifest.json";
/// Longest time in seconds that browsers should keep a manifest, and shortest that they should keep other files.
const MOST_KEPT: u64 = 60;
const LEAST_KEPT: u64 = 86_400;
/// Compression is missed where gzip saves this many bytes and a tenth.
const WORTH: u64 = 4096;
/// Bytes of a file that are compressed to see what gzip would save.
const SAMPLE: u64 = 1 << 20;
/// Most bytes of a module.
const MOST_MODULE: u64 = 64 << 20;
/// Where modules lie beside a bundle in our own page.
const USUAL_MODULES: [&str; 2] = ["../package/wasm/core-simd128.wasm", "../package/wasm/tower.wasm"];
/// A name that no bundle has.
const MISSING: &str = "no-such-file.0000000000000000.json";
/// An origin that no host knows (RFC 2606).
const FOREIGN: &str = "https://foretaste.invalid";

/// What is asked beside the address.
pub struct Options<'a> {
    /// The origin of the page, if it is not that of the bundle.
    pub origin: Option<&'a str>,
    /// Addresses of the package's modules.
    pub modules: &'a [String],
    /// Seconds to wait for a host that does not answer or stalls.
    pub patience: u64,
}

/// What was found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// Whether a page works with this host.
    pub ok: bool,
    /// What was found in order, or keeps a page from working.
    pub checks: Vec<Check>,
    /// What costs visitors time, or may fail later.
    pub warnings: Vec<Check>,
}

impl Report {
    fn must(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// A check whose faults are warnings.
    fn should(&mut self, name: &str, expected: &str, faults: &[String], good: impl ToString) {
        let ok = faults.is_empty();
        let got = if ok { good.to_string() } else { listed(faults) };
        let check = Check { name: name.into(), ok, expected: expected.into(), got };
        if ok { self.checks.push(check) } else { self.warnings.push(check) }
    }
}

/// The first faults, and how many there are besides.
fn listed(faults: &[String]) -> String {
    let shown = faults[..faults.len().min(3)].join("; ");
    if faults.len() > 3 { format!("{shown}; and {} more", faults.len() - 3) } else { shown }
}

/// A file that the host has sent.
struct Sent {
    name: String,
    head: Head,
    body: Body,
    /// Bytes that gzip would make of the file, about.
    gzip: u64,
}

/// The visit of a host.
struct Visit<'a> {
    /// The address of the bundle, with a slash at its end.
    folder: String,
    client: Client,
    options: Options<'a>,
    report: Report,
    sent: Vec<Sent>,
}

/// Opens the bundle at an address and makes all checks.
///
/// # Errors
/// An address that is none, a machine without `curl`, a temporary folder that cannot be written.
pub fn host(address: &str, options: Options) -> Result<Report> {
    let client = Client { patience: options.patience };
    let mut visit = Visit { folder: folder_of(address)?, client, options, report: Report::default(), sent: Vec::new() };
    let folder = tempfile::tempdir().context("a temporary folder cannot be made")?;
    if let Some(manifest) = visit.manifest(folder.path())? {
        visit.files(&manifest, folder.path())?;
        visit.modules(folder.path())?;
        visit.habits(&manifest, folder.path());
        visit.again(&manifest);
    }
    let mut report = visit.report;
    report.ok = report.checks.iter().all(|check| check.ok);
    Ok(report)
}

/// The address of a folder, with a slash at its end; the address of its manifest stands for it.
fn folder_of(address: &str) -> Result<String> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let rest = rest.with_context(|| format!("`{address}` is no address of a bundle: https://… or http://… is expected"))?;
    let good = !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(|c| !c.is_control() && c != ' ' && c != '\\');
    ensure!(good && !rest.contains(['?', '#', '@']), "`{address}` is no address of a folder: no ?, #, @ or blanks are expected");
    let folder = address.strip_suffix(MANIFEST).filter(|folder| folder.ends_with('/')).unwrap_or(address);
    Ok(if folder.ends_with('/') { folder.into() } else { format!("{folder}/") })
}

/// Host and port of an address.
fn authority(address: &str) -> &str {
    address.split('/').nth(2).unwrap_or_default()
}

/// Whether browsers give all that a page can use: crypto, Cache Storage, brotli.
fn is_secure(address: &str) -> bool {
    let authority = authority(address);
    let name = if authority.starts_with('[') { authority } else { authority.split(':').next().unwrap_or_default() };
    let local = name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") || name.starts_with("[::1]");
    address.starts_with("https://") || local
}

impl Visit<'_> {
    fn at(&self, name: &str) -> String {
        match name.strip_prefix("../") {
            _ if name.starts_with("https://") || name.starts_with("http://") => name.into(),
            None => format!("{}{name}", self.folder),
            Some(name) => {
                let folder = self.folder.trim_end_matches('/');
                let parent = folder.rfind('/').filter(|&at| at > "https://".len()).unwrap_or(folder.len());
                format!("{}/{name}", &folder[..parent])
            }
        }
    }

    /// Gets a file into `folder`.
    fn get(&mut self, name: &str, most: u64, folder: &Path) -> Result<Result<(Head, Body), String>> {
        let origin: Vec<_> = self.options.origin.map(|origin| ("Origin", origin)).into_iter().collect();
        let mut file = File::create(folder.join(name.rsplit('/').next().unwrap_or_default()))?;
        match self.client.get(&self.at(name), &origin, most, &mut file) {
            Err(fault @ Fault::NoClient(_)) => Err(fault.into()),
            Err(fault) => Ok(Err(fault.to_string())),
            Ok((head, _)) if head.status != 200 => Ok(Err(head.said())),
            Ok(answer) => Ok(Ok(answer)),
        }
    }

    fn keep(&mut self, name: &str, head: Head, body: Body, folder: &Path) -> Result<()> {
        let gzip = gzip_bytes(&folder.join(name.rsplit('/').next().unwrap_or_default()), body.bytes)?;
        self.sent.push(Sent { name: name.into(), head, body, gzip });
        Ok(())
    }

    /// Gets the manifest. `None` if there is none that a page could use.
    fn manifest(&mut self, folder: &Path) -> Result<Option<Manifest>> {
        let got = self.get(MANIFEST, MAX_MANIFEST_BYTES, folder)?;
        let name = "manifest.json is there";
        let (head, body) = match got {
            Ok(answer) => answer,
            Err(got) => {
                self.report.must(Check { name: name.into(), ok: false, expected: "200".into(), got });
                return Ok(None);
            }
        };
        self.report.must(Check::new(name, "200", "200"));
        let bytes = files::read(&folder.join(MANIFEST), MAX_MANIFEST_BYTES)?;
        let manifest = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Err(anyhow::anyhow!("HTML: the host has no such file, or asks for a log-in")),
            _ => Manifest::parse(&bytes).map_err(Into::into),
        };
        let (check, manifest) = Check::works(MANIFEST, manifest);
        self.report.must(check);
        let Some(manifest) = manifest else { return Ok(None) };
        self.report.must(Check::new("model_id is that of the files", manifest.id_of_files(), &manifest.model_id));
        let fits = manifest.bytes() <= DEFAULT_MAX_BYTES;
        self.report.must(Check::new("total bytes within the limit", true, fits));
        self.keep(MANIFEST, head, body, folder)?;
        Ok(Some(manifest).filter(|_| fits))
    }

    /// Gets the files, and opens the bundle if all are whole.
    fn files(&mut self, manifest: &Manifest, folder: &Path) -> Result<()> {
        let mut whole = true;
        for file in listed_files(manifest) {
            let (expected, name) = (file.bytes, format!("{} bytes", file.path));
            match self.get(&file.path, file.bytes, folder)? {
                Err(got) => {
                    self.report.must(Check { name, ok: false, expected: expected.to_string(), got });
                    whole = false;
                }
                Ok((head, body)) => {
                    let sum = Check::new(format!("{} SHA-256", file.path), &file.sha256, &body.sha256);
                    whole &= sum.ok;
                    self.report.must(Check::new(name, expected, body.bytes));
                    self.report.must(sum);
                    self.keep(&file.path, head, body, folder)?;
                }
            }
        }
        if whole {
            let golden = match manifest.files_of("golden").next() {
                Some(file) => files::read(&folder.join(&file.path), file.bytes)?,
                None => Vec::new(),
            };
            self.report.checks.extend(opened(folder, &golden));
        }
        Ok(())
    }

    /// Gets the modules that were named, or those that lie where our own page has them.
    fn modules(&mut self, folder: &Path) -> Result<()> {
        for name in self.options.modules {
            let check = format!("{name} is there");
            match self.get(name, MOST_MODULE, folder)? {
                Ok((head, body)) => {
                    self.report.must(Check::new(check, "200", "200"));
                    self.keep(name, head, body, folder)?;
                }
                Err(got) => self.report.must(Check { name: check, ok: false, expected: "200".into(), got }),
            }
        }
        if self.options.modules.is_empty() {
            for name in USUAL_MODULES {
                let start = self.client.start(&self.at(name), &[], 4);
                let there = start.is_ok_and(|(head, start)| head.status == 200 && start == b"\0asm");
                if there && let Ok((head, body)) = self.get(name, MOST_MODULE, folder)? {
                    self.keep(name, head, body, folder)?;
                }
            }
        }
        Ok(())
    }

    /// What the host does to all files alike.
    fn habits(&mut self, manifest: &Manifest, folder: &Path) {
        self.secure();
        self.types();
        self.compression();
        self.caching();
        self.origins();
        self.missing();
        self.ranges(folder);
        let files: Vec<(&str, u64)> = self.sent.iter().map(|sent| (sent.name.as_str(), sent.body.bytes)).collect();
        let large = large_files(&files);
        let bytes = manifest.bytes();
        self.report.should("size limits of hosts", "files that every host takes", &large, format!("{bytes} bytes in all"));
    }

    fn secure(&mut self) {
        let plain = "http: browsers keep no files there, so each visit fetches all of them".to_owned();
        let faults = if is_secure(&self.folder) { vec![] } else { vec![plain] };
        self.report.should("secure address", "https", &faults, "https or this machine");
    }

    fn types(&mut self) {
        let fault = |sent: &Sent| {
            let got = sent.head.get("content-type").to_ascii_lowercase();
            let kind = got.split(';').next().unwrap_or_default().trim();
            let expected = match sent.name.rsplit('.').next() {
                Some("json") => "application/json",
                // Compiled while it arrives only with this type.
                Some("wasm") => "application/wasm",
                // Any but this one, which hosts and the programs between rewrite.
                _ => return (kind == "text/html").then(|| format!("{} has {kind}", sent.name)),
            };
            (kind != expected).then(|| format!("{} has {}", sent.name, if kind.is_empty() { "none" } else { kind }))
        };
        let faults: Vec<String> = self.sent.iter().filter_map(fault).collect();
        let expected = "application/json, and application/wasm for modules";
        self.report.should("content types", expected, &faults, "those of the files");
    }

    fn compression(&mut self) {
        let fault = |sent: &Sent| {
            let plain = matches!(sent.head.get("content-encoding").as_str(), "" | "identity");
            let saved = sent.body.bytes.saturating_sub(sent.gzip);
            let worth = saved >= WORTH && saved * 10 >= sent.body.bytes;
            (plain && worth).then(|| format!("{}: {} bytes, with gzip about {}", sent.name, sent.body.bytes, sent.gzip))
        };
        let faults: Vec<String> = self.sent.iter().filter_map(fault).collect();
        let sum = |of: fn(&Sent) -> u64| self.sent.iter().map(of).sum::<u64>();
        let good = format!("{} of {} bytes travel", sum(|sent| sent.body.wire), sum(|sent| sent.body.bytes));
        self.report.should("compression", "gzip or brotli where it saves a tenth", &faults, good);
    }

    fn caching(&mut self) {
        let Some(manifest) = self.sent.iter().find(|sent| sent.name == MANIFEST) else { return };
        let keeping = Keeping::of(&manifest.head);
        let said = format!("{MANIFEST} is {}", keeping.said());
        let faults = if keeping.is_at_most(MOST_KEPT) { vec![] } else { vec![said.clone()] };
        let expected = format!("no-cache, or at most {MOST_KEPT} s: a new version is seen only after that");
        let tag = ["etag", "last-modified"].map(|name| manifest.head.get(name));
        self.report.should("keeping of the manifest", &expected, &faults, said);
        self.asking_again(&tag);
        let hashed = || self.sent.iter().filter(|sent| files::is_hashed(&sent.name));
        let fault = |sent: &Sent| {
            let keeping = Keeping::of(&sent.head);
            (!keeping.is_at_least(LEAST_KEPT)).then(|| format!("{}: {}", sent.name, keeping.said()))
        };
        let faults: Vec<String> = hashed().filter_map(fault).collect();
        let good = format!("{} files are kept for a day or more", hashed().count());
        let expected = "a day or more for names with a hash, best `max-age=31536000, immutable`";
        self.report.should("keeping of the files", expected, &faults, good);
    }

    /// Whether an unchanged manifest costs one short answer.
    fn asking_again(&mut self, [etag, modified]: &[String; 2]) {
        let ask = match (etag.as_str(), modified.as_str()) {
            ("", "") => None,
            ("", modified) => Some(("If-Modified-Since", modified)),
            (etag, _) => Some(("If-None-Match", etag)),
        };
        let fault = match ask {
            None => Some("neither ETag nor Last-Modified".to_owned()),
            Some(header) => match self.client.start(&self.at(MANIFEST), &[("Accept-Encoding", "gzip, br"), header], 0) {
                Ok((head, _)) => (head.status != 304).then(|| format!("{} to {}", head.said(), header.0)),
                Err(fault) => Some(fault.to_string()),
            },
        };
        let faults: Vec<String> = fault.into_iter().collect();
        self.report.should("an unchanged manifest", "304", &faults, "304");
    }

    fn origins(&mut self) {
        let Some(origin) = self.options.origin else {
            let allowed = self.client.start(&self.at(MANIFEST), &[("Origin", FOREIGN)], 0);
            let any = allowed.is_ok_and(|(head, _)| allows(&head, FOREIGN));
            let good = if any { "any page may load the bundle" } else { "only pages of this host may load the bundle" };
            return self.report.should("pages of other hosts", "any answer", &[], good);
        };
        let fault = |sent: &Sent| {
            let got = sent.head.get("access-control-allow-origin");
            (!allows(&sent.head, origin)).then(|| format!("{}: {}", sent.name, if got.is_empty() { "none" } else { &got }))
        };
        let faults: Vec<String> = self.sent.iter().filter_map(fault).collect();
        let got = if faults.is_empty() { "allowed".into() } else { listed(&faults) };
        let name = format!("pages of {origin}");
        let expected = format!("Access-Control-Allow-Origin: {origin} or *");
        self.report.must(Check { name, ok: faults.is_empty(), expected, got });
    }

    fn missing(&mut self) {
        let fault = match self.client.start(&self.at(MISSING), &[], 0) {
            Ok((head, _)) if matches!(head.status, 404 | 410) => None,
            Ok((head, _)) => Some(format!("{}, {}", head.said(), head.get("content-type"))),
            Err(fault) => Some(fault.to_string()),
        };
        let faults: Vec<String> = fault.into_iter().collect();
        self.report.should("a missing file", "404: another answer passes for the file", &faults, "404");
    }

    /// A host may know no ranges; wrong ones spoil a download that goes on where it was cut.
    fn ranges(&mut self, folder: &Path) {
        let Some(sent) = self.sent.iter().find(|sent| sent.name != MANIFEST && sent.body.bytes > 10) else { return };
        let headers = [("Range", "bytes=0-9"), ("Accept-Encoding", "identity")];
        let answer = self.client.start(&self.at(&sent.name), &headers, 11);
        let mut first = vec![0; 10];
        let read = File::open(folder.join(&sent.name)).and_then(|mut file| file.read_exact(&mut first));
        let fault = match answer {
            _ if read.is_err() => None,
            Ok((head, _)) if head.status == 200 => None,
            Ok((head, bytes)) if head.status == 206 && bytes == first => None,
            Ok((head, bytes)) if head.status == 206 => {
                let encoding = head.get("content-encoding");
                Some(format!("206 with {} other bytes{}", bytes.len(), if encoding.is_empty() { "" } else { ", compressed" }))
            }
            Ok((head, _)) => Some(head.said()),
            Err(fault) => Some(fault.to_string()),
        };
        let faults: Vec<String> = fault.into_iter().map(|fault| format!("{}: {fault}", sent.name)).collect();
        self.report.should("ranges", "206 with the bytes that were asked for, or 200", &faults, "as asked for, or whole files");
    }

    /// Asks for the manifest once more. If there is another version meanwhile, pages need the files of both.
    fn again(&mut self, before: &Manifest) {
        let mut bytes = Vec::new();
        let now = match self.client.get(&self.at(MANIFEST), &[], MAX_MANIFEST_BYTES, &mut bytes) {
            Ok((head, _)) if head.status != 200 => Err(anyhow::anyhow!("{}", head.said())),
            Ok(_) => Manifest::parse(&bytes).map_err(Into::into),
            Err(fault) => Err(fault.into()),
        };
        let (check, now) = Check::works("manifest.json once more", now);
        let Some(now) = now else { return self.report.must(check) };
        if now.model_id == before.model_id {
            return self.report.must(check);
        }
        let both = listed_files(before).chain(listed_files(&now));
        let gone = both.filter_map(|file| match self.client.start(&self.at(&file.path), &[], 0) {
            Ok((head, _)) if head.status == 200 => None,
            Ok((head, _)) => Some(format!("{}: {}", file.path, head.said())),
            Err(fault) => Some(format!("{}: {fault}", file.path)),
        });
        let faults: Vec<String> = gone.collect();
        let name = format!("version {} came while {} was fetched", now.model_id, before.model_id);
        let got = if faults.is_empty() { "all are there".into() } else { listed(&faults) };
        self.report.must(Check { name, ok: faults.is_empty(), expected: "the files of both are there".into(), got });
    }
}

/// The files that a manifest names, without those of optional features if all together are too many bytes.
fn listed_files(manifest: &Manifest) -> impl Iterator<Item = &FileEntry> {
    let all = manifest.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add) <= DEFAULT_MAX_BYTES;
    manifest.files.iter().filter(move |file| all || manifest.used_files().any(|used| used.path == file.path))
}

fn allows(head: &Head, origin: &str) -> bool {
    ["*", origin].contains(&head.get("access-control-allow-origin").as_str())
}

/// Bytes that gzip makes of a file, reckoned from its start.
fn gzip_bytes(file: &Path, bytes: u64) -> Result<u64> {
    let mut start = Vec::new();
    File::open(file)?.take(SAMPLE).read_to_end(&mut start)?;
    if start.is_empty() {
        return Ok(0);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&start)?;
    Ok((gzip.finish()?.len() as f64 * bytes as f64 / start.len() as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_folders() {
        for (address, folder) in [
            ("https://a.example/bundle", "https://a.example/bundle/"),
            ("https://a.example", "https://a.example/"),
            ("http://[::1]:80/b/manifest.json", "http://[::1]:80/b/"),
        ] {
            assert_eq!(folder_of(address).unwrap(), folder);
        }
        for address in ["", "a.example", "file:///etc", "ftp://a", "https://", "https:///b", "https://a/?b", "https://a@b/", "-K"]
        {
            assert!(folder_of(address).is_err(), "{address}");
        }
        for (address, secure) in [
            ("https://a.example/", true),
            ("http://localhost:80/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]:8080/", true),
            ("http://a.example/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(is_secure(address), secure, "{address}");
        }
    }

    #[test]
    fn the_first_faults_are_named() {
        let faults: Vec<String> = ["a", "b", "c", "d", "e"].map(String::from).into();
        assert_eq!((listed(&faults[..2]), listed(&faults)), ("a; b".into(), "a; b; c; and 2 more".into()));
    }
}
