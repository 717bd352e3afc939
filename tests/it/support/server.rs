//! A scripted HTTP/1.1 server on a loopback port: it records what it is asked and answers as it is
//! told, faults included. Standard library only, so that benches can share it; bodies are rendered
//! beforehand and shared, never copied.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a test waits for a request before it gives up on the program that it tests.
const PATIENCE: Duration = Duration::from_secs(180);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET`.
    pub(crate) method: String,
    /// Up to the `?`, percent-encoded as it came.
    pub(crate) path: String,
    /// After the `?`; empty without one.
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// As long as it said that it is; empty when it said nothing.
    pub(crate) body: Vec<u8>,
    /// When its last byte came.
    pub(crate) at: Instant,
    /// How many requests for the same path and query came before.
    pub(crate) seen: usize,
}

impl Request {
    /// Path and query.
    pub(crate) fn target(&self) -> String {
        format!("{}?{}", self.path, self.query)
    }

    /// The value of a query parameter, as it came.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Sends all of it.
    Whole(Reply),
    /// Announces all of it, sends so many bytes of the body, and closes.
    Cut(Reply, usize),
    /// Resets the connection before the first byte.
    Reset,
    /// Announces all of it, sends so many bytes of the body, and resets the connection.
    ResetWithin(Reply, usize),
    /// Says nothing until the server goes.
    Hang,
    /// Announces all of it, sends so many bytes of the body, and nothing more until the server goes.
    Stall(Reply, usize),
    /// Sends these bytes as they are, whatever they mean, and closes.
    Raw(Arc<[u8]>),
    /// Sends the first bytes as they are, and then the others again and again, as fast as they are taken.
    Endless(Arc<[u8]>, Arc<[u8]>),
    /// Likewise, but with a pause before each time.
    Drip(Arc<[u8]>, Arc<[u8]>),
}

/// Between two drops.
const DRIP: Duration = Duration::from_millis(10);

/// Status, further headers, body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Arc<[u8]>,
}

impl Reply {
    /// A reply of that status and body.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into().into() }
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl Answer {
    /// A whole reply.
    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(Reply::new(status, body))
    }

    /// These bytes, and the end.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::Raw(bytes.as_ref().into())
    }

    /// These bytes, and then the others without end.
    pub(crate) fn endless(first: impl AsRef<[u8]>, then: impl AsRef<[u8]>) -> Self {
        Self::Endless(first.as_ref().into(), then.as_ref().into())
    }

    /// These bytes, and then the others without end, but slowly.
    pub(crate) fn drip(first: impl AsRef<[u8]>, then: impl AsRef<[u8]>) -> Self {
        Self::Drip(first.as_ref().into(), then.as_ref().into())
    }

    /// A whole reply with status 200.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }
}

type Responder = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A running server; dropped, it closes every connection and ends its threads.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    responder: RwLock<Responder>,
    state: Mutex<State>,
    /// Signalled when a request came, and when the server goes.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    seen: HashMap<String, usize>,
    connections: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn responder(&self) -> Responder {
        Arc::clone(&self.responder.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Server {
    /// Starts a server that answers as `responder` says.
    pub(crate) fn start(responder: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared {
            responder: RwLock::new(Arc::new(responder)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// From now on answers as `responder` says.
    pub(crate) fn answer_with(
        &self,
        responder: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) {
        *self.shared.responder.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(responder);
    }

    /// Scheme, host and port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The requests so far, which are forgotten.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        let mut state = self.shared.state();
        state.seen.clear();
        std::mem::take(&mut state.requests)
    }

    /// Blocks until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let waiting =
            self.shared.changed.wait_timeout_while(self.shared.state(), PATIENCE, |state| {
                state.requests.len() < count
            });
        let (state, waited) = waiting.unwrap_or_else(PoisonError::into_inner);
        let come = state.requests.len();
        assert!(!waited.timed_out(), "{come} requests came, not {count}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.stopped = true;
            for connection in &state.connections {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let mut state = shared.state();
        if state.stopped {
            return;
        }
        let Ok(connection) = connection else { continue };
        let Ok(held) = connection.try_clone() else { continue };
        state.connections.push(held);
        let serving = Arc::clone(shared);
        state.threads.push(thread::spawn(move || {
            // A client that hangs up in the middle is its own business.
            let _ = serve(connection, &serving);
        }));
    }
}

/// Answers the requests of one connection, one after the other.
fn serve(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    while let Some(head) = read_head(&mut connection)? {
        let mut request = parse(&head);
        request.body = read_body(&request, &mut connection)?;
        let answer = answer(request, shared);
        if matches!(answer, Answer::Reset) {
            break;
        }
        if let Answer::ResetWithin(reply, sent) = &answer {
            connection.write_all(&reply_head(reply))?;
            connection.write_all(&reply.body[..*sent])?;
            break;
        }
        // The last byte was left unread till here: closing with something unread is a reset.
        connection.read_exact(&mut [0])?;
        match answer {
            Answer::Whole(reply) => {
                connection.write_all(&reply_head(&reply))?;
                connection.write_all(&reply.body)?;
            }
            Answer::Cut(reply, sent) => {
                connection.write_all(&reply_head(&reply))?;
                connection.write_all(&reply.body[..sent])?;
                return connection.shutdown(Shutdown::Both);
            }
            Answer::Hang => wait_for_the_end(shared),
            Answer::Stall(reply, sent) => {
                connection.write_all(&reply_head(&reply))?;
                connection.write_all(&reply.body[..sent])?;
                wait_for_the_end(shared);
            }
            Answer::Raw(bytes) => {
                connection.write_all(&bytes)?;
                return connection.shutdown(Shutdown::Both);
            }
            // Until the client hangs up, or the server closes every connection.
            Answer::Endless(first, then) => {
                connection.write_all(&first)?;
                loop {
                    connection.write_all(&then)?;
                }
            }
            Answer::Drip(first, then) => {
                connection.write_all(&first)?;
                while !over_after(DRIP, shared) {
                    connection.write_all(&then)?;
                }
            }
            Answer::Reset | Answer::ResetWithin(..) => {}
        }
    }
    forget(&connection, shared);
    Ok(())
}

/// Lets go of the second handle of a connection, so that dropping the first one closes it.
fn forget(connection: &TcpStream, shared: &Shared) {
    let Ok(peer) = connection.peer_addr() else { return };
    shared.state().connections.retain(|held| held.peer_addr().ok() != Some(peer));
}

fn answer(mut request: Request, shared: &Shared) -> Answer {
    {
        let mut state = shared.state();
        let seen = state.seen.entry(request.target()).or_default();
        request.seen = *seen;
        *seen += 1;
        state.requests.push(request.clone());
    }
    shared.changed.notify_all();
    shared.responder()(&request)
}

fn wait_for_the_end(shared: &Shared) {
    let waiting = shared.changed.wait_while(shared.state(), |state| !state.stopped);
    drop(waiting.unwrap_or_else(PoisonError::into_inner));
}

/// Whether the server goes within that time.
fn over_after(pause: Duration, shared: &Shared) -> bool {
    let waiting = shared.changed.wait_timeout_while(shared.state(), pause, |state| !state.stopped);
    waiting.unwrap_or_else(PoisonError::into_inner).0.stopped
}

/// Reads a request up to, not including, its last byte; `None` when the client is done.
fn read_head(connection: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let peeked = connection.peek(&mut chunk)?;
        if peeked == 0 {
            return Ok(None);
        }
        let before = head.len();
        head.extend_from_slice(&chunk[..peeked]);
        let from = before.saturating_sub(3);
        let end = head[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let taken = end.map_or(peeked, |end| from + end + 3 - before);
        connection.read_exact(&mut chunk[..taken])?;
        if end.is_some() {
            head.truncate(before + taken);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
    }
}

/// Reads a request's body up to its last byte, which is only looked at. Without a body nothing is read.
fn read_body(request: &Request, connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let length: usize = length.unwrap_or(0);
    if length == 0 {
        return Ok(Vec::new());
    }
    // The head's last byte stands before it.
    connection.read_exact(&mut [0])?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body[..length - 1])?;
    connection.peek(&mut body[length - 1..])?;
    Ok(body)
}

fn parse(head: &str) -> Request {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        at: Instant::now(),
        seen: 0,
    }
}

fn reply_head(reply: &Reply) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
