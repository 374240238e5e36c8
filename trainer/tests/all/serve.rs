//! `foretaste serve`: what it compresses, and clients that mean no good: half requests, other methods, paths that lead
//! elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flate2::read::GzDecoder;

/// A server over a folder; it ends with the test.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(folder: &Path) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_foretaste"))
            .args(["serve", folder.to_str().unwrap(), "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Server { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The head and the body of the answer to a request with more header lines, each with its line end.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address);
        // The server may answer and close before it has read all.
        _ = stream.write_all(head.as_bytes());
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end..].to_vec())
    }

    fn status(&self, method: &str, path: &str, headers: &str) -> u16 {
        let (head, _) = self.ask(method, path, headers);
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{path:.80}: {head:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A folder `site` with two files, beside a file that is not in it.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("site/sub")).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(folder.path().join("site/index.html"), "<p>home</p>").unwrap();
    fs::write(folder.path().join("site/sub/a.txt"), "0123456789").unwrap();
    folder
}

#[test]
fn only_the_files_of_the_folder_are_handed_out() {
    let folder = site();
    let at = |name: &str| folder.path().join("site").join(name);
    fs::write(at(".env"), "secret").unwrap();
    fs::create_dir(at(".git")).unwrap();
    fs::write(at(".git/config"), "secret").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../secret.txt", at("out.txt")).unwrap();
        symlink("..", at("up")).unwrap();
        symlink(".env", at("env.txt")).unwrap();
        symlink("sub/a.txt", at("in.txt")).unwrap();
        fs::create_dir(at("linked")).unwrap();
        symlink("../../secret.txt", at("linked/index.html")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    }
    let server = Server::start(&folder.path().join("site"));
    for path in ["/", "/index.html", "/sub/a.txt", "/sub/../index.html", "/sub/%61.txt"] {
        let expected = if path.contains("..") { 404 } else { 200 };
        assert_eq!(server.status("GET", path, ""), expected, "{path}");
    }
    for path in ["/.env", "/%2eenv", "/.git/config", "/.git/", "/.git", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/", "/a%00b"]
    {
        assert_eq!(server.status("GET", path, ""), 404, "{path}");
    }
    #[cfg(unix)]
    {
        for path in ["/out.txt", "/up/secret.txt", "/up/", "/up", "/env.txt", "/linked/", "/pipe"] {
            for method in ["GET", "HEAD"] {
                assert_eq!(server.status(method, path, ""), 404, "{method} {path}");
            }
        }
        assert_eq!(server.ask("GET", "/in.txt", "").1, b"0123456789", "a link inside the folder");
    }
    assert_eq!(server.ask("GET", "/sub/a.txt", "Range: bytes=2-4\r\n").1, b"234");
    assert_eq!(server.ask("HEAD", "/sub/a.txt", "").1, b"");
    assert_eq!(server.status("HEAD", "/sub/a.txt", ""), 200);
}

/// The value of a header in the head of an answer, empty if it is not there.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.split_once(": ").filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    head.lines().find_map(value).unwrap_or("")
}

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn files_are_compressed_for_those_who_ask() {
    let folder = site();
    let text = "all work and no play ".repeat(500);
    let at = |name: &str| folder.path().join("site").join(name);
    for name in ["long.json", "long.wasm", "long.png"] {
        fs::write(at(name), &text).unwrap();
    }
    fs::write(at("short.json"), &text[..1000]).unwrap();
    let server = Server::start(&folder.path().join("site"));
    for (path, accepted, encoding) in [
        ("/long.json", "gzip, deflate, br, zstd", "gzip"),
        ("/long.wasm", "GZIP", "gzip"),
        ("/long.json", "*", "gzip"),
        ("/long.json", "gzip;q=0.1, br;q=0.9", "gzip"),
        ("/long.json", "gzip;q=0", ""),
        ("/long.json", "gzip;q=0.4, identity;q=0.5", ""),
        ("/long.json", "br", ""),
        ("/long.json", "gzipped, x", ""),
        ("/long.json", "", ""),
        ("/long.png", "gzip", ""),
        ("/short.json", "gzip", ""),
    ] {
        let whole = if path == "/short.json" { &text[..1000] } else { &text };
        // Twice: made, and kept.
        for _ in 0..2 {
            let (head, body) = server.ask("GET", path, &format!("Accept-Encoding: {accepted}\r\n"));
            assert_eq!(header(&head, "content-encoding"), encoding, "{path} {accepted}");
            assert_eq!(header(&head, "vary"), "accept-encoding", "{path} {accepted}");
            assert_eq!(header(&head, "content-length"), body.len().to_string(), "{path} {accepted}");
            let body = if encoding.is_empty() { body } else { gunzipped(&body) };
            assert!(body == whole.as_bytes(), "{path} {accepted}");
        }
        let (get, _) = server.ask("GET", path, &format!("Accept-Encoding: {accepted}\r\n"));
        let (head, body) = server.ask("HEAD", path, &format!("Accept-Encoding: {accepted}\r\n"));
        assert!(body.is_empty());
        for name in ["content-encoding", "content-length", "content-type", "etag"] {
            assert_eq!(header(&head, name), header(&get, name), "{path} {accepted} {name}");
        }
    }
}

#[test]
fn a_compressed_answer_has_a_tag_of_its_own_and_no_ranges() {
    let folder = site();
    let path = folder.path().join("site/long.json");
    fs::write(&path, "a".repeat(4000)).unwrap();
    let server = Server::start(&folder.path().join("site"));
    let gzip = "Accept-Encoding: gzip\r\n";
    let (plain, packed) = (server.ask("GET", "/long.json", "").0, server.ask("GET", "/long.json", gzip).0);
    let (strong, weak) = (header(&plain, "etag"), header(&packed, "etag"));
    assert!(strong.starts_with('"') && weak == format!("W/{strong}"), "{strong} {weak}");
    assert_eq!((header(&plain, "accept-ranges"), header(&packed, "accept-ranges")), ("bytes", ""));
    for tag in [strong, weak] {
        assert_eq!(server.status("GET", "/long.json", &format!("{gzip}If-None-Match: {tag}\r\n")), 304, "{tag}");
    }
    let (head, body) = server.ask("GET", "/long.json", &format!("{gzip}Range: bytes=10-19\r\n"));
    assert_eq!((header(&head, "content-encoding"), header(&head, "content-range")), ("", "bytes 10-19/4000"));
    assert_eq!(body, b"aaaaaaaaaa");
    // Other bytes of the same length, in the same second.
    fs::write(&path, "b".repeat(4000)).unwrap();
    let (head, body) = server.ask("GET", "/long.json", &format!("{gzip}If-None-Match: {weak}\r\n"));
    assert_ne!(header(&head, "etag"), weak);
    assert!(gunzipped(&body) == "b".repeat(4000).as_bytes());
}

#[test]
fn files_that_were_compressed_beforehand_take_their_place() {
    let folder = site();
    let at = |name: &str| folder.path().join("site").join(name);
    let write = |name: &str, text: &str, age: u64| {
        fs::write(at(name), text).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(at(name)).unwrap().set_modified(time).unwrap();
    };
    let hashed = "items-000.288e0dba2e083c84.safetensors";
    for name in ["new.json", "old.json", hashed] {
        write(name, "plain", 50);
        // The tests need no brotli: the server sends the bytes as they lie there.
        write(&format!("{name}.br"), "brotli", if name == "new.json" { 50 } else { 99 });
        write(&format!("{name}.gz"), "gzip", if name == "new.json" { 10 } else { 99 });
    }
    let server = Server::start(&folder.path().join("site"));
    for (path, accepted, encoding, body) in [
        ("/new.json", "gzip, br", "br", "brotli"),
        ("/new.json", "gzip, br;q=0.5", "gzip", "gzip"),
        ("/new.json", "br;q=0", "", "plain"),
        ("/new.json", "", "", "plain"),
        ("/old.json", "gzip, br", "", "plain"),
        // Its bytes never change, so its time says nothing.
        (&format!("/{hashed}"), "br", "br", "brotli"),
        // By its own name it is a file like any other.
        ("/old.json.gz", "gzip, br", "", "gzip"),
        ("/old.json.br", "", "", "brotli"),
    ] {
        let (head, got) = server.ask("GET", path, &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!((header(&head, "content-encoding"), got.as_slice()), (encoding, body.as_bytes()), "{path} {accepted}");
        assert_eq!(header(&head, "content-length"), body.len().to_string(), "{path} {accepted}");
        if path == "/new.json" {
            assert_eq!(header(&head, "content-type"), "application/json", "{path} {accepted}");
        }
    }
    let (head, body) = server.ask("GET", "/new.json", "Accept-Encoding: br\r\nRange: bytes=1-2\r\n");
    assert_eq!((header(&head, "content-range"), body.as_slice()), ("bytes 1-2/5", b"la".as_slice()));
    let tags = ["br", "gzip", ""].map(|accepted| {
        let (head, _) = server.ask("GET", "/new.json", &format!("Accept-Encoding: {accepted}\r\n"));
        header(&head, "etag").to_owned()
    });
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
}

#[test]
fn requests_have_bounds() {
    let folder = site();
    let server = Server::start(&folder.path().join("site"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        assert_eq!(server.status(method, "/index.html", ""), 405, "{method}");
    }
    for path in ["a".repeat(256), "a/".repeat(600), "a".repeat(70_000), format!("index.html?{}", "a".repeat(2000))] {
        assert_eq!(server.status("GET", &format!("/{path}"), ""), 414, "{path:.20}");
    }
    assert_eq!(server.status("GET", &format!("/{}", "a".repeat(255)), ""), 404, "as long as a name may be");
    assert_eq!(server.status("GET", &format!("/{}", "%61".repeat(255)), ""), 404, "as long as a name may be");
    for headers in ["X: y\r\n".repeat(100), format!("X: {}\r\n", "y".repeat(17_000)), format!("X: {}\r\n", "y".repeat(200_000))] {
        assert_eq!(server.status("GET", "/", &headers), 431, "{headers:.20}");
    }
    assert_eq!(server.status("GET", "/", &"X: y\r\n".repeat(50)), 200);
}

#[test]
fn half_a_request_is_cut_off_and_stops_nobody() {
    let folder = site();
    let server = Server::start(&folder.path().join("site"));
    let halves: Vec<TcpStream> = (0..300)
        .map(|i| {
            let mut half = server.connect();
            half.write_all(&b"GET / HTTP/1.1\r\nHost: 127"[..[0, 5, 25][i % 3]]).unwrap();
            half
        })
        .collect();
    let start = Instant::now();
    assert_eq!(server.status("GET", "/", ""), 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for mut half in halves {
        // Closed or reset, within the time that a request may take.
        _ = half.read_to_end(&mut Vec::new());
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(server.status("GET", "/", ""), 200);
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_at_once() {
    let folder = site();
    // Much more than the buffers between the server and a client that reads nothing.
    fs::write(folder.path().join("site/large.bin"), vec![0; 64 << 20]).unwrap();
    let mut server = Server::start(&folder.path().join("site"));
    let (mut half, mut reading) = (server.connect(), server.connect());
    half.write_all(b"GET / HT").unwrap();
    reading.write_all(format!("GET /large.bin HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes()).unwrap();
    reading.read_exact(&mut [0; 100]).unwrap();
    let start = Instant::now();
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = server.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
