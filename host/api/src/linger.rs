//! A body that nobody wants is still read to its end, within bounds.
//!
//! A server that answers and hangs up while its caller still sends makes the caller's system throw
//! the answer away with the connection (RFC 9112 §9.6). Who is refused would then see a broken
//! pipe and not why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};

/// How long it is read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of it: as much as the largest body that any operation takes.
const MAX_BYTES: usize = exeat_sandbox::MAX_COMPONENT_BYTES + (1 << 20);

/// Has the request's body read, whether or not its handler does.
pub(crate) async fn linger(request: Request) -> Request {
    request.map(|body| Body::new(Lingering(Some(body))))
}

/// A body; nothing once it has ended.
struct Lingering(Option<Body>);

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let left = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(PATIENCE, read_to_end(body)));
        }
    }
}

async fn read_to_end(body: Body) {
    let mut body = Limited::new(body, MAX_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
}
