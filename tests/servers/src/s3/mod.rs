//! A server that speaks S3, with signatures, over a folder.

mod fault;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpRequest, HttpResponse};
use s3s_fs::FileSystem;
use tokio::sync::oneshot;

pub use self::fault::Fault;
use self::fault::{Faults, Verdict, drain, error};

const BUCKET: &str = "exeat";
const ACCESS_KEY: &str = "exeat-access-key";
const SECRET_KEY: &str = "exeat-secret-key";
const REGION: &str = "us-east-1";

/// An S3 server on a port of its own, with one bucket. It checks signatures. It stops when it is
/// dropped, and what it kept in a folder of its own is removed.
///
/// It serves from a thread of its own, so that tests without a runtime can use it.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    folder: PathBuf,
    shared: Arc<Mutex<Faults>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _temporary: Option<tempfile::TempDir>,
}

impl S3Server {
    /// Starts a server that keeps its objects in a temporary folder.
    ///
    /// # Panics
    /// No port or no folder can be had.
    pub fn start() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::start_in(temporary.path(), 0);
        server._temporary = Some(temporary);
        server
    }

    /// Starts a server on a port (0: any) that keeps its objects in a folder and leaves them there.
    ///
    /// # Panics
    /// The port or the folder cannot be used.
    pub fn start_in(folder: &Path, port: u16) -> Self {
        std::fs::create_dir_all(folder.join(BUCKET)).expect("a folder that can be written to");
        let files = FileSystem::new(folder).expect("a folder that can be read");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a socket").port();
        let shared = Arc::new(Mutex::new(Faults::default()));
        let (stop, stopped) = oneshot::channel();
        let front = Front {
            service,
            folder: folder.to_owned(),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(listener, front) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            port,
            folder: folder.to_owned(),
            shared,
            stop: Some(stop),
            thread: Some(thread),
            _temporary: None,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The bucket, which exists.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// Id of the only key.
    pub fn access_key(&self) -> &str {
        ACCESS_KEY
    }

    /// Secret of the only key.
    pub fn secret_key(&self) -> &str {
        SECRET_KEY
    }

    /// `s3://BUCKET/PREFIX`.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// What a client finds in its environment: endpoint, region, key.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Lets requests fail, until the fault has struck as often as it says. Of several that fit a
    /// request, the first strikes.
    pub fn fail(&self, fault: Fault) {
        self.lock().add(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.lock().clear();
    }

    /// The requests so far, those that failed included: `PUT /exeat/exports/…?partNumber=1…`.
    pub fn requests(&self) -> Vec<String> {
        self.lock().seen.clone()
    }

    /// How many requests with a method and a part of path or query there were so far.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let fits = |request: &&String| {
            request
                .split_once(' ')
                .is_some_and(|(its_method, target)| its_method == method && target.contains(part))
        };
        self.lock().seen.iter().filter(fits).count()
    }

    /// The keys of all objects, sorted.
    pub fn objects(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.folder.join(BUCKET), "", &mut keys);
        keys.sort();
        keys
    }

    /// The ids of the multipart uploads that were neither completed nor aborted.
    pub fn incomplete_uploads(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).expect("the server's folder");
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let id = name.strip_prefix(".upload-")?.strip_suffix(".json")?;
                Some(id.to_owned())
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn collect(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), &format!("{prefix}{name}/"), keys);
        } else {
            keys.push(format!("{prefix}{name}"));
        }
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What stands before the service: it counts, and lets fail what is to fail.
#[derive(Clone)]
struct Front {
    service: S3Service,
    folder: PathBuf,
    shared: Arc<Mutex<Faults>>,
}

async fn serve(listener: TcpListener, front: Front) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let front = front.clone();
        let answer = service_fn(move |request| front.clone().answer(request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

impl Front {
    async fn answer(self, mut request: HttpRequest<Incoming>) -> Result<HttpResponse, AnyError> {
        let method = request.method().to_string();
        let target = request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default();
        let verdict = self
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .judge(&method, &target);
        match verdict {
            Verdict::Serve => {}
            Verdict::Delay(pause) => tokio::time::sleep(pause).await,
            Verdict::Refuse { status, code } => {
                drain(request.body_mut()).await;
                return error(status, &code);
            }
            Verdict::Cut => return Err("cut off".into()),
            Verdict::CutAfterwards => {
                self.service.call(request.map(Into::into)).await?;
                return Err("cut off".into());
            }
        }
        if !self.has_bucket(request.uri().path()) {
            drain(request.body_mut()).await;
            return error(404, "NoSuchBucket");
        }
        if self.is_over(request.uri().query().unwrap_or_default()) {
            drain(request.body_mut()).await;
            return error(404, "NoSuchUpload");
        }
        Ok(self.service.call(request.map(Into::into)).await?)
    }

    /// Whether the bucket of a request's path exists. The service would say of an object alone that
    /// it is missing.
    fn has_bucket(&self, path: &str) -> bool {
        let bucket = path.split('/').nth(1).unwrap_or_default();
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        bucket.bytes().all(is_name) && self.folder.join(bucket).is_dir()
    }

    /// Whether the upload that a request names is not there any more. The service would answer that
    /// with 403; S3 does with 404.
    fn is_over(&self, query: &str) -> bool {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("uploadId="))
            .is_some_and(|id| {
                let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                !is_id || !self.folder.join(format!(".upload-{id}.json")).exists()
            })
    }
}
