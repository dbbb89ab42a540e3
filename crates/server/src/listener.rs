//! Connections: accepted, bounded in number, time and size, and finished in peace when the service stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::idle::{Progress, Watched};
use crate::limiter::network;
use crate::limits::{
    ACCEPT_PAUSE, CONNECTIONS, CONNECTIONS_PER_ADDRESS, DRAIN_TIMEOUT, FAREWELL_TIMEOUT, HANDLING_TIMEOUT,
    HEAD_BYTES, HEADER_TIMEOUT, STREAMS,
};

/// What bounds the connections of a listener.
#[derive(Clone)]
pub struct Bounds {
    /// How long a connection may be without progress.
    idle: Duration,
    /// The same while a request is being handled on it.
    handling: Duration,
    /// How long an idle peer has for the end of its connection.
    farewell: Duration,
    /// Open connections of one address.
    per_address: u32,
    /// Whose addresses have any number of connections: many clients stand behind each.
    proxies: Vec<IpNet>,
}

impl Bounds {
    /// Those of [`crate::limits`]; `proxies` may have as many connections as the listener has.
    pub fn new(proxies: Vec<IpNet>) -> Self {
        Self {
            idle: HEADER_TIMEOUT,
            handling: HANDLING_TIMEOUT,
            farewell: FAREWELL_TIMEOUT,
            per_address: CONNECTIONS_PER_ADDRESS,
            proxies,
        }
    }

    fn most_of(&self, peer: IpAddr) -> u32 {
        if self.proxies.iter().any(|net| net.contains(&peer)) { u32::MAX } else { self.per_address }
    }
}

/// Serves connections with `answer` until `stop` says so, then finishes what is in flight, [`DRAIN_TIMEOUT`] at most.
pub async fn serve<A, F>(listener: TcpListener, answer: A, bounds: Bounds, mut stop: watch::Receiver<bool>)
where
    A: Fn(IpAddr, Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let bounds = Arc::new(bounds);
    let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let addresses = Addresses::default();
    let builder = builder();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async {
            let place = place.await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(counted) = addresses.admit(peer, bounds.most_of(peer)) else {
            tracing::debug!(%peer, "an address has too many connections; one more was closed");
            continue;
        };
        // An answer is one small write: waiting to fill a packet only adds delay.
        let _ = stream.set_nodelay(true);
        let connection =
            attend(builder.clone(), stream, peer, answer.clone(), Arc::clone(&bounds), stop.clone());
        tokio::spawn(async move {
            let _places = (place, counted);
            connection.await;
        });
    }
    drop(listener);
    // All places are free when no connection is left.
    if tokio::time::timeout(DRAIN_TIMEOUT, places.acquire_many(CONNECTIONS)).await.is_err() {
        tracing::warn!("some requests were still in flight after {} s", DRAIN_TIMEOUT.as_secs());
    }
}

/// Serves one connection to its end: the peer's, that of a peer that does not get on, or the service's.
async fn attend<A, F>(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    peer: IpAddr,
    answer: A,
    bounds: Arc<Bounds>,
    mut stop: watch::Receiver<bool>,
) where
    A: Fn(IpAddr, Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let progress = Arc::new(Progress::new());
    let noted = Arc::clone(&progress);
    let service = service_fn(move |request: Request<Incoming>| {
        let handling = noted.handling();
        let is_head = request.method() == Method::HEAD;
        let answer = answer(peer, request.map(Body::new));
        async move {
            let mut answer = answer.await;
            if is_head {
                leave_out_body(&mut answer);
            }
            drop(handling);
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&progress)));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut stopping = false;
    let ended = loop {
        let stalled = tokio::select! {
            ended = connection.as_mut() => break Some(ended),
            _ = stop.wait_for(|stop| *stop), if !stopping => false,
            // hyper's own time limit begins when it knows the version of HTTP, and ends with a request's head.
            () = progress.stalls(bounds.idle, bounds.handling) => true,
        };
        connection.as_mut().graceful_shutdown();
        if stalled {
            tracing::debug!(%peer, "a connection was idle for too long");
            break tokio::time::timeout(bounds.farewell, connection).await.ok();
        }
        stopping = true;
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(error, %peer, "a connection ended badly");
    }
}

/// A HEAD is told the length of its GET's body in the place of the body (RFC 9110 section 9.3.2).
fn leave_out_body(answer: &mut Response<Body>) {
    let bytes = answer.body().size_hint().exact().filter(|bytes| *bytes > 0);
    if let Some(bytes) = bytes {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(bytes));
    }
    *answer.body_mut() = Body::empty();
}

/// Open connections by address.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, u32>>>);

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // Counts have no state between two of them that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection of `peer` until the answer is dropped; `None` when it has `most` already.
    fn admit(&self, peer: IpAddr, most: u32) -> Option<Counted> {
        let address = network(peer);
        let mut open = self.lock();
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted { addresses: self.clone(), address })
    }
}

/// A connection that is counted for its address.
struct Counted {
    addresses: Addresses,
    address: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES as usize)
        // Names are the same in any case, but the official Python client keeps them in a plain dictionary, where
        // `Retry-After` and `X-Total-Count` are found as everyone writes them.
        .title_case_headers(true)
        // No pings: their answers would be the progress of a peer that does nothing else.
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
    builder
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::mpsc;

    use axum::body::Bytes;
    use futures_util::{StreamExt as _, stream};
    use tokio::runtime::Runtime;
    use tokio::sync::Notify;

    use super::*;

    /// How long a test waits for something that must happen.
    const PATIENCE: Duration = Duration::from_mins(1);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    fn bounds() -> Bounds {
        let idle = Duration::from_millis(50);
        Bounds { idle, handling: PATIENCE, farewell: idle, per_address: 100, proxies: Vec::new() }
    }

    /// A listener whose connections stay within `bounds`; it ends with the runtime.
    struct Serving {
        address: SocketAddr,
        _stop: watch::Sender<bool>,
        _runtime: Runtime,
    }

    impl Serving {
        fn start<A, F>(bounds: Bounds, answer: A) -> Self
        where
            A: Fn() -> F + Clone + Send + 'static,
            F: Future<Output = Response<Body>> + Send + 'static,
        {
            let runtime = Runtime::new().unwrap();
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = watch::channel(false);
            runtime.spawn(serve(listener, move |_, _| answer(), bounds, stopped));
            Self { address, _stop: stop, _runtime: runtime }
        }

        fn empty(bounds: Bounds) -> Self {
            Self::start(bounds, || async { Response::new(Body::empty()) })
        }

        fn connect(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(bytes).unwrap();
            stream
        }
    }

    /// What comes until the other side closes, which it must.
    #[track_caller]
    fn rest_of(mut stream: TcpStream) -> String {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it stays open"),
        }
        String::from_utf8(rest).unwrap()
    }

    #[test]
    fn who_says_nothing_or_too_little_is_closed() {
        let serving = Serving::empty(bounds());
        // Nothing; the beginning of HTTP/2's preface; of a request; all of the preface and no more.
        for said in ["", "PRI * HT", "GET / HTTP/1.1\r\nHost", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut stream = serving.connect(said.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).inspect_err(|error| {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{said}: it stays open");
            });
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{said}");
        }
        // One that was answered and then says nothing more.
        let answer = rest_of(serving.connect(REQUEST));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    #[test]
    fn a_head_has_the_length_of_its_get_and_no_body() {
        let serving = Serving::start(bounds(), || async { Response::new(Body::from("seven b")) });
        let answer = rest_of(serving.connect(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("Content-Length: 7\r\n"), "{answer}");
    }

    #[test]
    fn who_never_reads_loses_its_place() {
        struct Dropped(mpsc::Sender<()>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (dropped, when_dropped) = mpsc::channel();
        let serving = Serving::start(bounds(), move || {
            let dropped = Dropped(dropped.clone());
            let endless = stream::repeat_with(move || {
                let _kept = &dropped;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]))
            });
            async { Response::new(Body::from_stream(endless)) }
        });
        let stream = serving.connect(&REQUEST.repeat(10));
        when_dropped.recv_timeout(PATIENCE).unwrap();
        drop(stream);
    }

    #[test]
    fn a_handler_may_work_for_longer_than_a_client_may_be_silent() {
        let (entered, when_entered) = mpsc::channel();
        let release = Arc::new(Notify::new());
        let released = Arc::clone(&release);
        let serving = Serving::start(bounds(), move || {
            let (entered, released) = (entered.clone(), Arc::clone(&released));
            async move {
                entered.send(()).unwrap();
                released.notified().await;
                Response::new(Body::empty())
            }
        });
        let working = serving.connect(REQUEST);
        when_entered.recv_timeout(PATIENCE).unwrap();
        // One that is silent from now on is closed: that long has passed, and more.
        rest_of(serving.connect(b""));
        rest_of(serving.connect(b""));
        release.notify_one();
        let answer = rest_of(working);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

        // But not for ever.
        let serving = Serving::start(Bounds { handling: Duration::from_millis(100), ..bounds() }, || {
            std::future::pending::<Response<Body>>()
        });
        assert_eq!(rest_of(serving.connect(REQUEST)), "");
    }

    #[test]
    fn an_answer_that_gets_on_takes_as_long_as_it_takes() {
        let (chunks, from) = tokio::sync::mpsc::channel::<Bytes>(1);
        let from = Arc::new(Mutex::new(Some(from)));
        // Between two chunks the test may be held up by others on the same machine.
        let serving = Serving::start(Bounds { idle: Duration::from_secs(1), ..bounds() }, move || {
            let mut from = from.lock().unwrap().take().unwrap();
            let chunks = stream::poll_fn(move |context| from.poll_recv(context));
            let body = Body::from_stream(chunks.map(Ok::<_, Infallible>));
            async { Response::new(body) }
        });
        let mut reading = serving.connect(REQUEST);
        let (closed, when_closed) = mpsc::channel();
        let silent = serving.connect(b"");
        let address = serving.address;
        // By then twice as long has passed as one may be silent.
        let watching = std::thread::spawn(move || {
            rest_of(silent);
            rest_of(TcpStream::connect(address).unwrap());
            closed.send(()).unwrap();
        });
        let mut answer = Vec::new();
        while when_closed.try_recv().is_err() {
            chunks.blocking_send(Bytes::from_static(b"chunk")).unwrap();
            let so_far = answer.len();
            while !answer[so_far..].windows(5).any(|text| text == b"chunk") {
                let mut some = [0; 1024];
                let read = reading.read(&mut some).unwrap();
                assert_ne!(read, 0, "it was cut");
                answer.extend_from_slice(&some[..read]);
            }
        }
        watching.join().unwrap();
        drop(chunks);
        assert!(rest_of(reading).ends_with("0\r\n\r\n"), "it was cut");
    }

    #[test]
    fn an_address_has_so_many_connections() {
        let few = Bounds { idle: PATIENCE, per_address: 2, ..bounds() };
        let answered = |stream: &mut TcpStream| matches!(stream.read(&mut [0; 1]), Ok(1));
        let serving = Serving::empty(few.clone());
        let mut open = [serving.connect(REQUEST), serving.connect(REQUEST)];
        assert!(open.iter_mut().all(answered));
        let mut third = TcpStream::connect(serving.address).unwrap();
        third.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be closed before it has said anything.
        let _ = third.write_all(REQUEST);
        assert!(!answered(&mut third));
        // The places of those that have ended are free again.
        drop(open);
        let another = || {
            let mut stream = TcpStream::connect(serving.address).unwrap();
            let _ = stream.write_all(REQUEST);
            answered(&mut stream)
        };
        while !another() {}

        // Many clients stand behind a proxy.
        let serving = Serving::empty(Bounds { proxies: vec!["127.0.0.0/8".parse().unwrap()], ..few });
        let mut open: Vec<_> = (0..5).map(|_| serving.connect(REQUEST)).collect();
        assert!(open.iter_mut().all(answered));
    }

    #[test]
    fn addresses_are_counted_apart_and_forgotten() {
        let addresses = Addresses::default();
        let admit = |address: &str| addresses.admit(address.parse().unwrap(), 1);
        let first = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("::ffff:192.0.2.1").is_none());
        let second = admit("192.0.2.2").unwrap();
        // What one customer gets.
        let third = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::ffff:1").is_none());
        assert_eq!(addresses.lock().len(), 3);
        drop((first, second, third));
        assert!(addresses.lock().is_empty());
    }
}
