//! `foretaste serve`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;

/// Hexadecimal digits of the hash in a file's name, as `export` writes it.
const HASH_DIGITS: usize = 16;

/// Serve a folder of static files, such as a page and its bundle, to this machine only.
///
/// Browsers may cache files with a hash in their name for ever and ask again for all others. In production any static
/// host can take its place.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste serve web/dist --port 8080")]
pub struct Args {
    /// The folder to serve.
    dir: PathBuf,
    /// Port on 127.0.0.1; 0 chooses a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// Runs the verb until Ctrl-C.
pub fn run(args: Args) -> Result<()> {
    ensure!(args.dir.is_dir(), "{}: no such folder", args.dir.display());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("port {} cannot be used; choose another with --port", args.port))?;
    println!("serving {} at http://{}/ (Ctrl-C ends it)", args.dir.display(), listener.local_addr()?);
    let files = Router::new().fallback_service(ServeDir::new(&args.dir)).layer(from_fn(own_host)).layer(from_fn(headers));
    let stop = async {
        // If no handler can be set, Ctrl-C ends the process and the server with it.
        _ = tokio::signal::ctrl_c().await;
    };
    Ok(axum::serve(listener, files).with_graceful_shutdown(stop).await?)
}

/// Answers only requests to the names of this machine. Any other name belongs to a page elsewhere whose DNS was pointed
/// here (DNS rebinding).
async fn own_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    if ["127.0.0.1", "localhost", "[::1]"].contains(&name) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this server answers to localhost only\n").into_response()
    }
}

/// Sets headers for caching, and headers that keep a browser from guessing types and from running foreign code.
async fn headers(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    // A missing file is not cached: it may exist later.
    let lasting = is_hashed(&path) && (response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED);
    let cache = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let binary = response.status().is_success() && (path.ends_with(".onnx") || path.ends_with(".safetensors"));
    let mut set = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
    set(header::CACHE_CONTROL, cache);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; object-src 'none'; base-uri 'none'",
    );
    if binary {
        set(header::CONTENT_TYPE, "application/octet-stream");
    }
    response
}

/// Whether the name has the form `stem.HASH.extension`.
fn is_hashed(path: &str) -> bool {
    let mut parts = path.rsplit('.').skip(1);
    parts.next().is_some_and(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::is_hashed;

    #[test]
    fn hashed_names_are_cached_for_ever() {
        assert!(is_hashed("/bundle/items-000.288e0dba2e083c84.safetensors"));
        for path in ["/bundle/manifest.json", "/bundle/golden.json", "/index.html", "/", "/a.288e0dba2e083c8.b"] {
            assert!(!is_hashed(path), "{path}");
        }
    }
}
