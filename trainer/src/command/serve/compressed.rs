//! Compression of the files that `serve` hands out.
//!
//! A file `NAME.br` or `NAME.gz` takes the place of NAME ([`Inside`](super::inside::Inside) says when). Other files are
//! compressed with gzip when they are first asked for, and kept in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;

/// Fewest bytes of a file that is compressed: less than this fits into one packet anyway.
const FEWEST: u64 = 1024;
/// Most bytes of a file that is compressed while a client waits.
const MOST: u64 = 16 << 20;
/// Most bytes of compressed files in memory.
const MOST_KEPT: usize = 64 << 20;
/// Types that are compressed already, as they start.
const COMPRESSED: [&str; 8] =
    ["application/gzip", "application/pdf", "application/zip", "application/zstd", "audio/", "font/woff", "image/", "video/"];

/// Whether a response is worth compressing.
type Worthwhile = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses responses with gzip for clients that accept it.
pub(super) fn layer() -> CompressionLayer<Worthwhile> {
    CompressionLayer::new().compress_when(is_worthwhile as Worthwhile)
}

fn is_worthwhile(status: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The answer to HEAD has the length of the file too, and is to have the headers of GET.
    let fits = text(header::CONTENT_LENGTH).parse().is_ok_and(|bytes: u64| (FEWEST..=MOST).contains(&bytes));
    let kind = text(header::CONTENT_TYPE);
    let packed = COMPRESSED.iter().any(|start| kind.starts_with(start)) && kind != "image/svg+xml";
    status == StatusCode::OK && fits && !packed
}

/// Compressed files in memory by path and tag, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<VecDeque<(Key, Bytes)>>>);

/// The path of a request, and the tag of the file as it was compressed.
type Key = (String, HeaderValue);

impl Kept {
    fn get(&self, key: &Key) -> Option<Bytes> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find(|(of, _)| of == key).map(|(_, bytes)| bytes.clone())
    }

    /// Adds a file. The oldest ones give way if all have more than `most` bytes.
    fn put(&self, key: Key, bytes: Bytes, most: usize) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An older state of the file is never asked for again.
        files.retain(|((path, _), _)| *path != key.0);
        files.push_back((key, bytes));
        while files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > most {
            files.pop_front();
        }
    }
}

/// Answers with what [`layer`] has compressed before, or keeps what it compresses. Stands around it.
pub(super) async fn keep(State(kept): State<Kept>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_head = request.method() == Method::HEAD;
    if is_as_it_is(&path, request.headers()) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    let (mut parts, body) = next.run(request).await.into_parts();
    // Files that were compressed beforehand have a length.
    let made = parts.headers.contains_key(header::CONTENT_ENCODING) && !parts.headers.contains_key(header::CONTENT_LENGTH);
    let Some(tag) = parts.headers.get(header::ETAG).filter(|_| made).cloned() else { return Response::from_parts(parts, body) };
    // The tag is that of the file, and names other bytes here.
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        parts.headers.insert(header::ETAG, weak);
    }
    let key = (path, tag);
    let bytes = match kept.get(&key) {
        Some(bytes) => bytes,
        None if is_head => return Response::from_parts(parts, body),
        None => {
            // gzip adds a few bytes to what it cannot make shorter.
            let Ok(bytes) = to_bytes(body, MOST as usize + (1 << 20)).await else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            kept.put(key, bytes.clone(), MOST_KEPT);
            bytes
        }
    };
    parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
    Response::from_parts(parts, if is_head { Body::empty() } else { bytes.into() })
}

/// Whether a request is for bytes as they lie in the folder: a range, or a file that is compressed itself.
fn is_as_it_is(path: &str, headers: &HeaderMap) -> bool {
    headers.contains_key(header::RANGE) || path.ends_with(".gz") || path.ends_with(".br")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed() {
        let worthwhile = |status, kind, bytes: u64| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(header::CONTENT_LENGTH, bytes.into());
            is_worthwhile(status, Version::HTTP_11, &headers, &Extensions::new())
        };
        for kind in ["text/html", "application/json", "application/wasm", "application/octet-stream", "image/svg+xml"] {
            assert!(worthwhile(StatusCode::OK, kind, 1024), "{kind}");
            assert!(!worthwhile(StatusCode::OK, kind, 1023), "{kind}");
            assert!(!worthwhile(StatusCode::OK, kind, (16 << 20) + 1), "{kind}");
            assert!(!worthwhile(StatusCode::PARTIAL_CONTENT, kind, 4096), "{kind}");
        }
        for kind in ["image/png", "font/woff2", "video/mp4", "application/gzip"] {
            assert!(!worthwhile(StatusCode::OK, kind, 4096), "{kind}");
        }
    }

    #[test]
    fn the_oldest_give_way() {
        let kept = Kept::default();
        let key = |path: &str, tag| (path.to_owned(), HeaderValue::from_static(tag));
        for (path, tag) in [("/a", "1"), ("/b", "1"), ("/b", "2")] {
            kept.put(key(path, tag), vec![0; 4].into(), 10);
        }
        let has = |path, tag| kept.get(&key(path, tag)).is_some();
        assert!(has("/a", "1") && has("/b", "2") && !has("/b", "1"));
        kept.put(key("/c", "1"), vec![0; 4].into(), 10);
        assert!(!has("/a", "1") && has("/b", "2") && has("/c", "1"));
        kept.put(key("/d", "1"), vec![0; 11].into(), 10);
        assert!(!has("/c", "1") && !has("/d", "1"));
    }
}
