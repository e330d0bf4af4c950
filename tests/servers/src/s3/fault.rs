//! What goes wrong at a server, on purpose.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::Response;
use hyper::body::{Body as _, Incoming};
use s3s::{Body, HttpResponse};

use super::AnyError;

/// Something that goes wrong with requests: all, or those of a method and with a part of path or
/// query; always, or the next few times.
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<String>,
    part: Option<String>,
    times: Option<usize>,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Serve,
    Refuse { status: u16, code: String },
    Delay(Duration),
    Cut,
    CutAfterwards,
}

impl Fault {
    fn new(verdict: Verdict) -> Self {
        Self {
            method: None,
            part: None,
            times: None,
            verdict,
        }
    }

    /// Answers with a status and an error code of S3's, such as 503 `SlowDown`.
    pub fn answer(status: u16, code: &str) -> Self {
        Self::new(Verdict::Refuse {
            status,
            code: code.to_owned(),
        })
    }

    /// Waits before the request is served.
    pub fn delay(pause: Duration) -> Self {
        Self::new(Verdict::Delay(pause))
    }

    /// Cuts the connection off, and the request is not served.
    pub fn cut() -> Self {
        Self::new(Verdict::Cut)
    }

    /// Serves the request, then cuts the connection off: the answer is lost.
    pub fn lose_answer() -> Self {
        Self::new(Verdict::CutAfterwards)
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests with this in their path or query.
    #[must_use]
    pub fn containing(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    fn fits(&self, method: &str, target: &str) -> bool {
        self.times != Some(0)
            && self.method.as_deref().is_none_or(|ours| ours == method)
            && self.part.as_deref().is_none_or(|part| target.contains(part))
    }
}

/// What was seen, and what is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) seen: Vec<String>,
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn judge(&mut self, method: &str, target: &str) -> Verdict {
        self.seen.push(format!("{method} {target}"));
        let Some(fault) = self.faults.iter_mut().find(|fault| fault.fits(method, target)) else {
            return Verdict::Serve;
        };
        fault.times = fault.times.map(|times| times - 1);
        fault.verdict.clone()
    }
}

/// Reads what the client sends, so that it is there to hear the answer.
pub(super) async fn drain(body: &mut Incoming) {
    while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {}
}

pub(super) fn error(status: u16, code: &str) -> Result<HttpResponse, AnyError> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(Body::from(text))?)
}
