//! Prometheus' own programs, where they are installed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::tools::is_there;

/// Runs promtool with `text` on its stdin; panics with what it says when it is not content.
#[track_caller]
pub(super) fn promtool(arguments: &[&str], text: &str) {
    if !is_there("promtool", "prometheus") {
        return;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("its stdin");
    let text = text.to_owned();
    // It need not read it all before it says something.
    let feeding = thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("promtool ends");
    let _ = feeding.join();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}\n{out}\n{err}");
}

/// A running node exporter that reads text files and nothing else; dropped, it ends.
pub(super) struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    /// Starts one on a loopback port of its own choice; `None` where there is none to start.
    pub(super) fn start(folder: &Path) -> Option<Self> {
        if !is_there("prometheus-node-exporter", "prometheus-node-exporter") {
            return None;
        }
        let mut child = Command::new("prometheus-node-exporter")
            .args(["--web.listen-address=127.0.0.1:0", "--collector.disable-defaults"])
            .arg("--collector.textfile")
            .arg(format!("--collector.textfile.directory={}", folder.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node exporter starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let address = lines.find_map(|line| {
            let line = line.expect("it says text");
            let (_, address) = line.split_once("\"Listening on\" address=")?;
            Some(address.trim().to_owned())
        });
        let address = address.expect("it says where it listens");
        // What it says later must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address })
    }

    /// What Prometheus would read of it.
    pub(super) fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let ask = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(ask.as_bytes()).expect("it is asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains("200 OK"), "{head}\n{body}");
        body.to_owned()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
