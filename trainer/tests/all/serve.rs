//! `foretaste serve` beside clients that mean no good: half requests, other methods, paths that lead elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server over a folder; it ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Server {
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
