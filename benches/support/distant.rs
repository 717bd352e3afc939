//! A server at a distance: every answer takes its time, however many are asked for at once, and no thread
//! waits for it. It notes when each request arrived, and how many connections were opened.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// The longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 16 * 1_024;

type Answers = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// A running server; dropped, it ends.
pub(crate) struct Distant {
    address: SocketAddr,
    seen: Arc<Seen>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Seen {
    arrivals: Mutex<Vec<Instant>>,
    connections: AtomicUsize,
}

impl Seen {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Distant {
    /// Starts a server that answers a path after `latency`; what `answers` knows nothing of is not found.
    pub(crate) fn start(
        latency: Duration,
        answers: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Seen::default());
        runtime.spawn(accept(listener, latency, Arc::new(answers), Arc::clone(&seen)));
        Self { address, seen, _runtime: runtime }
    }

    /// Scheme, host and port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// When requests arrived, in their order, and how many connections were opened, since the last time.
    pub(crate) fn take(&self) -> (Vec<Instant>, usize) {
        let arrivals = std::mem::take(&mut *self.seen.arrivals());
        (arrivals, self.seen.connections.swap(0, Ordering::SeqCst))
    }
}

async fn accept(listener: TcpListener, latency: Duration, answers: Arc<Answers>, seen: Arc<Seen>) {
    while let Ok((connection, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        tokio::spawn(async move {
            // A client that hangs up in the middle is its own business.
            let _ = serve(&connection, latency, &*answers, &seen).await;
        });
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(
    connection: &TcpStream,
    latency: Duration,
    answers: &Answers,
    seen: &Seen,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    while let Some(path) = read_path(connection).await? {
        let arrived = Instant::now();
        seen.arrivals().push(arrived);
        let answer = answers(&path);
        tokio::time::sleep_until((arrived + latency).into()).await;
        let (status, body) = answer.map_or((404, b"{}".to_vec()), |body| (200, body));
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        write_all(connection, &[head.into_bytes(), body].concat()).await?;
    }
    Ok(())
}

/// The path of the next request, which has no body; `None` when the client is done.
async fn read_path(connection: &TcpStream) -> io::Result<Option<String>> {
    let mut head = vec![0; LONGEST_HEAD];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        connection.readable().await?;
        match connection.try_read(&mut head[length..]) {
            Ok(0) => return Ok(None),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8_lossy(&head[..length]);
    let target = head.split(' ').nth(1).unwrap_or_default();
    Ok(Some(target.split('?').next().unwrap_or_default().to_owned()))
}

async fn write_all(connection: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        connection.writable().await?;
        match connection.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
