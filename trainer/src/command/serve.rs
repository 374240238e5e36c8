//! `foretaste serve`.

mod compressed;
mod inside;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use foretaste_trainer::files::is_hashed;
use foretaste_trainer::verify::host;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tower_http::services::ServeDir;

use super::output;
use inside::Inside;

/// A client that takes longer than this to send the head of a request is cut off. Clients close idle connections after
/// 5 s.
const HEAD_TIMEOUT: Duration = Duration::from_secs(6);
/// Most open connections. A file is open for each too, and some systems allow a process 256 of both together.
const MOST_CONNECTIONS: usize = 100;
/// Most bytes of a path with its query, and of one name in it.
const MAX_PATH: usize = 1024;
const MAX_NAME: usize = 255;
/// Most headers of a request, and most bytes of them together.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Most bytes of a request's head. It is more than the limits above allow, so that what is too long is told why.
const MAX_HEAD: usize = 128 * 1024;
/// Most faults of the folder that are told.
const MOST_TOLD: usize = 5;

/// Serve a folder of static files, such as a page and its bundle, to this machine only.
///
/// Browsers may cache files with a hash in their name for ever and ask again for all others. Files are compressed with
/// gzip on the way, unless `foretaste compress` has put NAME.br or NAME.gz beside NAME. In production any static host
/// can take its place; `foretaste verify --host` looks at what it makes of the files.
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(serve(args));
    // Open connections and reads end with the process.
    runtime.shutdown_background();
    result
}

async fn serve(args: Args) -> Result<()> {
    let root = args.dir.canonicalize().with_context(|| args.dir.display().to_string())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("port {} cannot be used; choose another with --port", args.port))?;
    println!("serving {} at http://{}/ (Ctrl-C ends it)", args.dir.display(), listener.local_addr()?);
    warn(&root);
    // A compressed file that is asked for by its own name is a file like any other.
    let named = ServeDir::with_backend(&root, Inside::new(&root));
    let files = ServeDir::with_backend(&root, Inside::stand_ins(&root)).precompressed_br().precompressed_gzip().fallback(named);
    let layers = Router::new()
        .fallback_service(files)
        .layer(compressed::layer())
        .layer(from_fn_with_state(compressed::Kept::default(), compressed::keep))
        .layer(from_fn(bounded))
        .layer(from_fn(own_host))
        .layer(from_fn(headers));
    tokio::select! {
        // If no handler can be set, Ctrl-C ends the process and the server with it.
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
        () = accept(listener, layers) => Ok(()),
    }
}

/// Tells what visitors of the folder would miss on any host.
fn warn(root: &Path) {
    let faults = host::of_folder(root);
    faults.iter().take(MOST_TOLD).for_each(|fault| output::warn(fault));
    if faults.len() > MOST_TOLD {
        output::warn(&format!("and {} more", faults.len() - MOST_TOLD));
    }
}

/// An open connection.
struct Connection {
    task: AbortHandle,
    /// Whether the client has sent a whole request.
    asked: Arc<AtomicBool>,
}

/// Accepts connections without end. Each has [`HEAD_TIMEOUT`] to send a request. Above [`MOST_CONNECTIONS`] the oldest
/// one that has sent none gives way, else the oldest.
async fn accept(listener: TcpListener, files: Router) {
    let mut open: Vec<Connection> = Vec::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Such as too many open files: some are closed in a moment.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        open.retain(|connection| !connection.task.is_finished());
        if open.len() >= MOST_CONNECTIONS {
            let idle = open.iter().position(|connection| !connection.asked.load(Ordering::Relaxed));
            open.remove(idle.unwrap_or(0)).task.abort();
        }
        let asked = Arc::new(AtomicBool::new(false));
        let (files, flag) = (TowerToHyperService::new(files.clone()), asked.clone());
        let service = service_fn(move |request| {
            flag.store(true, Ordering::Relaxed);
            files.call(request)
        });
        let task = tokio::spawn(http.serve_connection(TokioIo::new(stream), service)).abort_handle();
        open.push(Connection { task, asked });
    }
}

/// Answers only requests whose path and headers are of a usual size.
async fn bounded(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let all = request.uri().path_and_query().map_or(0, |all| all.as_str().len());
    // Three characters of a path, such as %20, are one byte of the name.
    let name = path.split('/').map(|name| name.len() - 2 * name.matches('%').count().min(name.len() / 3)).max();
    let header_bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if all > MAX_PATH || name.is_some_and(|bytes| bytes > MAX_NAME) {
        StatusCode::URI_TOO_LONG.into_response()
    } else if header_bytes > MAX_HEADER_BYTES {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()
    } else {
        next.run(request).await
    }
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
    set(header::VARY, "accept-encoding");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; object-src 'none'; base-uri 'none'",
    );
    if binary {
        set(header::CONTENT_TYPE, "application/octet-stream");
    }
    // The form is told by the name; the letters of a text file are not.
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if let Some(kind) = kind.filter(|kind| kind.starts_with("text/") && !kind.contains(';'))
        && let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8"))
    {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
