//! Asks a host with `curl`, which most machines have and which speaks https.
//!
//! An answer is read within limits: of the head, of the bytes that come, of the bytes that they decode to, and of time.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

/// Most bytes of the heads of an answer.
const MOST_HEAD: u64 = 64 << 10;
/// Fewest bytes a second of an answer; below it for as long as the time limit, the host counts as stalled.
const SLOWEST: u64 = 1000;
/// Bytes a second that the time for a whole answer is reckoned with.
const SLOW: u64 = 100_000;
/// What a page's browser accepts.
const ACCEPTED: (&str, &str) = ("Accept-Encoding", "gzip, br");

/// Why there is no whole answer.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// `curl` cannot be started.
    NoClient(String),
    /// No connection, no certificate, no time left, an early end: in the words of curl or of the system.
    Failed(String),
    /// What came is no answer of HTTP.
    Head,
    /// More than this many bytes.
    Long(u64),
    /// The body is not what `Content-Encoding` says.
    Encoding(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoClient(why) => write!(f, "`curl` cannot be started, which asks the host: {why}"),
            Fault::Failed(why) => f.write_str(why),
            Fault::Head => f.write_str("no head of an HTTP answer, or one of more than 64 KiB"),
            Fault::Long(most) => write!(f, "more than {most} bytes"),
            Fault::Encoding(encoding) => write!(f, "bytes that are not {encoding}, as Content-Encoding says"),
        }
    }
}

impl std::error::Error for Fault {}

/// Status and headers of an answer.
#[derive(Debug, Default)]
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, empty if it is not there. Values of repeated headers are joined.
    pub fn get(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }

    /// The status, and where a redirect leads.
    pub fn said(&self) -> String {
        match self.status {
            300..400 => format!("{} to {}: pages follow no redirect", self.status, self.get("location")),
            status => status.to_string(),
        }
    }

    fn parse(lines: &[String]) -> Option<Head> {
        let status = lines.first()?.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &String| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(Head { status, headers: lines[1..].iter().filter_map(header).collect() })
    }
}

/// A body that was read to its end.
#[derive(Debug, Default)]
pub struct Body {
    /// Bytes as they came.
    pub wire: u64,
    /// Bytes after decoding.
    pub bytes: u64,
    pub sha256: String,
}

/// Asks hosts for files.
pub struct Client {
    /// Seconds to wait for a host that does not answer or stalls.
    pub patience: u64,
}

impl Client {
    /// Gets a file of at most `most` bytes as a browser does, and writes what it decodes to. An answer with another
    /// status than 200 has no body here.
    pub fn get(&self, address: &str, headers: &[(&str, &str)], most: u64, out: &mut dyn Write) -> Result<(Head, Body), Fault> {
        let mut answer = self.open(address, &[&[ACCEPTED], headers].concat(), most)?;
        let body = if answer.head.status == 200 { answer.read(most, out)? } else { Body::default() };
        Ok((std::mem::take(&mut answer.head), body))
    }

    /// The head and the first bytes, at most `most`, of an answer as they come.
    pub fn start(&self, address: &str, headers: &[(&str, &str)], most: u64) -> Result<(Head, Vec<u8>), Fault> {
        let mut answer = self.open(address, headers, 0)?;
        let mut bytes = Vec::new();
        let read = answer.body.by_ref().take(most).read_to_end(&mut bytes);
        read.map_err(|error| Fault::Failed(error.to_string()))?;
        Ok((std::mem::take(&mut answer.head), bytes))
    }

    fn open(&self, address: &str, headers: &[(&str, &str)], most: u64) -> Result<Answer, Fault> {
        let mut curl = Command::new("curl");
        // `--disable` has to be the first: no settings of the user's.
        curl.args(["--disable", "--silent", "--show-error", "--include", "--suppress-connect-headers", "--globoff"]);
        curl.args(["--proto", "=http,https", "--user-agent", concat!("foretaste/", env!("CARGO_PKG_VERSION"))]);
        let patience = self.patience.to_string();
        curl.args(["--connect-timeout", &patience, "--speed-time", &patience, "--speed-limit", &SLOWEST.to_string()]);
        curl.args(["--max-time", &(4 * self.patience + most / SLOW).to_string()]);
        for (name, value) in headers {
            curl.args(["--header", &format!("{name}: {value}")]);
        }
        curl.args(["--url", address]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = curl.spawn().map_err(|error| Fault::NoClient(error.to_string()))?;
        let body = BufReader::with_capacity(64 << 10, child.stdout.take().expect("stdout is piped"));
        let mut answer = Answer { child, head: Head::default(), body };
        // Heads such as 103 (Early Hints) come before that of the answer.
        let mut left = MOST_HEAD;
        while answer.head.status < 200 {
            answer.head = answer.next_head(&mut left)?;
        }
        Ok(answer)
    }
}

/// An answer whose head is read. It is cut off when it is dropped.
struct Answer {
    child: Child,
    head: Head,
    body: BufReader<ChildStdout>,
}

impl Answer {
    fn next_head(&mut self, left: &mut u64) -> Result<Head, Fault> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = self.body.by_ref().take(*left).read_until(b'\n', &mut line);
            *left -= read.map_err(|error| Fault::Failed(error.to_string()))? as u64;
            if !line.ends_with(b"\n") {
                self.end()?;
                return Err(Fault::Head);
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                return Head::parse(&lines).ok_or(Fault::Head);
            }
            lines.push(line);
        }
    }

    fn read(&mut self, most: u64, out: &mut dyn Write) -> Result<Body, Fault> {
        let encoding = self.head.get("content-encoding").to_ascii_lowercase();
        // What does not get shorter gets a little longer.
        let most_wire = if encoding.is_empty() { most } else { most + most / 8 + 1024 };
        let mut wire = BufReader::new(Counted { inner: &mut self.body, count: 0 }.take(most_wire + 1));
        let mut sum = Sha256::new();
        let mut bytes = 0;
        let result = {
            let mut decoded: Box<dyn Read> = match encoding.as_str() {
                "" | "identity" => Box::new(&mut wire),
                "gzip" | "x-gzip" => Box::new(MultiGzDecoder::new(&mut wire)),
                "br" => Box::new(brotli::Decompressor::new(&mut wire, 64 << 10)),
                _ => return Err(Fault::Encoding(format!("gzip or br but {encoding}"))),
            };
            let mut buffer = vec![0; 64 << 10];
            loop {
                match decoded.read(&mut buffer) {
                    Ok(0) => break Ok(()),
                    Ok(n) => {
                        bytes += n as u64;
                        if bytes > most {
                            return Err(Fault::Long(most));
                        }
                        sum.update(&buffer[..n]);
                        out.write_all(&buffer[..n]).map_err(|error| Fault::Failed(error.to_string()))?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break Err(Fault::Encoding(encoding.clone())),
                }
            }
        };
        // What stands behind the end of a compressed stream is read too, so that the count is right.
        let rest = io::copy(&mut wire, &mut io::sink());
        let count = wire.get_ref().get_ref().count;
        if count > most_wire {
            return Err(Fault::Long(most));
        }
        // A connection that ended early is the cause of bytes that cannot be decoded.
        self.end()?;
        result?;
        rest.map_err(|error| Fault::Failed(error.to_string()))?;
        let sha256 = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Body { wire: count, bytes, sha256 })
    }

    /// Waits for the end of the client, whose output is read.
    fn end(&mut self) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::Failed(error.to_string());
        if self.child.try_wait().map_err(failed)?.is_none() && !self.body.fill_buf().map_err(failed)?.is_empty() {
            return Ok(());
        }
        let status = self.child.wait().map_err(failed)?;
        let mut text = String::new();
        if let Some(errors) = self.child.stderr.take() {
            errors.take(4096).read_to_string(&mut text).map_err(failed)?;
        }
        if status.success() {
            return Ok(());
        }
        Err(Fault::Failed(complaint(&text)))
    }
}

/// What curl complains of. More lines may follow, such as where to read about certificates.
fn complaint(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("curl: ")).or_else(|| text.lines().next());
    line.map_or("curl failed without a word", str::trim).to_owned()
}

impl Drop for Answer {
    fn drop(&mut self) {
        // It may have ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
impl Head {
    /// The head of a good answer with these header lines.
    pub fn of(lines: &[&str]) -> Head {
        let lines: Vec<String> = ["HTTP/1.1 200 OK"].iter().chain(lines).map(|&line| line.into()).collect();
        Head::parse(&lines).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_told_of_what_curl_says() {
        let text =
            "curl: (60) SSL certificate problem: self-signed certificate\nMore details here: https://curl.se/docs\n\nand so on\n";
        assert_eq!(complaint(text), "curl: (60) SSL certificate problem: self-signed certificate");
        assert_eq!(
            (complaint("Warning: a\ncurl: (7) b"), complaint("")),
            ("curl: (7) b".into(), "curl failed without a word".into())
        );
    }

    #[test]
    fn heads_are_read() {
        let head = Head::of(&["content-type: text/html", "Vary: a", "VARY:b", "no header"]);
        assert_eq!((head.status, head.get("Content-Type"), head.get("vary")), (200, "text/html".into(), "a, b".into()));
        assert_eq!(head.get("x"), "");
        let parse = |line: &str| Head::parse(&[line.into(), "Location: /b".into()]);
        assert_eq!(parse("HTTP/2 301").unwrap().said(), "301 to /b: pages follow no redirect");
        for line in ["", "HTTP/1.1", "HTTP/1.1 ok", "ICY 200 OK"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
