//! The S3 server of the crate `s3s-fs`, as a process of its own.
//!
//! It looks whether an object is there, and writes it later: of several writers under
//! `If-None-Match` more than one may win. So writes under a condition wait for each other here.
//!
//! It takes the folder to serve as its argument, and the access key and the secret key as the
//! first two lines of its standard input. It prints its endpoint, and ends with its input.

use std::io::{self, BufRead, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{IF_MATCH, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.ok_or_else(|| io::Error::other("the folder to serve is not named"))?;
    let mut lines = io::stdin().lock().lines();
    let mut line = || lines.next().unwrap_or_else(|| Ok(String::new()));
    let (access_key, secret_key) = (line()?, line()?);
    let files = FileSystem::new(folder).map_err(|err| io::Error::other(format!("{err:?}")))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(access_key, secret_key));
    std::thread::spawn(|| {
        // Whoever started us holds the other end, and lets go of it even when killed.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(serve(service.build()))
}

/// Lets one write under a condition run at a time.
async fn answer(
    service: S3Service,
    conditional_write: Arc<Mutex<()>>,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let headers = request.headers();
    let conditional = headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH);
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let _alone = if writes && conditional {
        Some(conditional_write.lock().await)
    } else {
        None
    };
    hyper::service::Service::call(&service, request).await
}

async fn serve(service: S3Service) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let conditional_write = Arc::new(Mutex::new(()));
    let mut out = io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (service, one) = (service.clone(), Arc::clone(&conditional_write));
        let service = service_fn(move |request| answer(service.clone(), Arc::clone(&one), request));
        tokio::spawn(async move {
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = serving.await;
        });
    }
}
