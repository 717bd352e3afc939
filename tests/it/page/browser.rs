//! The page in a real browser: it is drawn, it can be used, it fits, and nothing leaves it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::html::figure;
use super::{HOSTILE, assert_agrees, page, rich};
use crate::support::Sandbox;
use crate::support::server::{Answer, Reply, Server};

/// Widths of a telephone, a tablet and a desk, in CSS pixels.
const WIDTHS: [u32; 3] = [400, 1000, 1600];

/// Loads the page in frames of these widths, uses it, and writes down what it saw.
const HARNESS: &str = include_str!("harness.html");

#[expect(clippy::disallowed_methods, reason = "a test asks where it runs")]
fn is_everything_tested() -> bool {
    std::env::var_os("CI").is_some()
}

/// The browser; `None`, said aloud, where there is none. Where all is to be tested there has to be one.
fn browser() -> Option<PathBuf> {
    let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = names.into_iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        assert!(!is_everything_tested(), "there is no chromium; apt-get install chromium");
        let _ = writeln!(
            std::io::stderr(),
            "\n!!! SKIPPED: there is no chromium, so that nobody has looked at the page; apt-get install chromium\n"
        );
    }
    found
}

/// What one start of the browser gave.
struct Seen {
    dom: String,
    said: String,
}

fn open(browser: &Path, url: &str, width: u32, more: &[&str]) -> Seen {
    let home = tempfile::tempdir().expect("a folder for the browser");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--virtual-time-budget=5000"])
        .args(["--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!("--window-size={width},2400"))
        .args(more)
        .arg(url)
        .env("HOME", home.path())
        .output()
        .expect("the browser starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Seen { dom: text(&output.stdout), said: text(&output.stderr) }
}

#[track_caller]
fn assert_calm(seen: &Seen) {
    let loud: Vec<&str> = seen.said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(loud.is_empty(), "the page complains:\n{}", loud.join("\n"));
}

/// The page under a loopback server, with the harness at its root.
fn serve(sandbox: &Sandbox) -> Server {
    let text = page(sandbox, &["--symbol", "HOLE"]);
    let frame = |width: &u32| {
        format!(
            r#"<iframe src="/page.html" width="{width}" height="2400" style="border:0"></iframe>"#
        )
    };
    let frames: String = WIDTHS.iter().map(frame).collect();
    let harness = HARNESS.replace("FRAMES", &frames);
    Server::start(move |request| {
        let body = match request.path.as_str() {
            "/" => harness.clone(),
            "/page.html" => text.clone(),
            _ => return Answer::status(404, "nothing else is here"),
        };
        Answer::Whole(Reply::new(200, body).with("content-type", "text/html; charset=utf-8"))
    })
}

#[test]
fn in_a_browser_it_is_drawn_and_can_be_used_at_every_width() {
    let Some(browser) = browser() else { return };
    let (_provider, sandbox) = rich();
    let server = serve(&sandbox);
    let seen = open(&browser, &format!("{}/", server.url()), 1700, &["--dump-dom"]);
    assert_calm(&seen);
    let told = seen.dom.split_once("SEEN").and_then(|(_, rest)| rest.split_once("NEES"));
    let told =
        told.unwrap_or_else(|| panic!("the harness saw nothing:\n{}\n{}", seen.dom, seen.said)).0;
    let told = told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let looks: Vec<Value> =
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error} in {told}"));
    assert_eq!(looks.len(), WIDTHS.len());
    for (look, width) in looks.iter().zip(WIDTHS) {
        assert_eq!(look["error"], Value::Null);
        assert_eq!((&look["drawn"], &look["width"]), (&"yes".into(), &width.into()), "{look}");
        assert!(look["wide"].as_u64() <= Some(width.into()), "it is wider than its window: {look}");
        assert_ne!(look["title"], "owned");
        for nothing in ["images", "unnamed", "scopeless", "mute"] {
            assert_eq!(look[nothing], 0, "{nothing}: {look}");
        }
        for inks in ["inks", "darkInks"] {
            let inks = look[inks].as_array().expect("canvases");
            assert!(inks.len() >= 7, "{look}");
            assert!(inks.iter().all(|inks| inks.as_u64() >= Some(3)), "a canvas is blank: {look}");
        }
        assert!(
            look["order"].as_str().is_some_and(|order| order.starts_with("H1 H2 H2")),
            "{look}"
        );
        assert_eq!((&look["focused"], &look["polite"]), (&true.into(), &"polite".into()));
        assert_eq!(look["pointed"], "BBB 1d: missing");
        assert!(
            look["covered"]
                .as_str()
                .is_some_and(|said| said.contains("missing, most of them failed")),
            "{look}"
        );
        assert!(
            look["ran"].as_str().is_some_and(|said| said.contains("backfill: partial")),
            "{look}"
        );
        let panes = |name: &str| look[name].as_u64().expect("a count");
        assert_eq!(panes("morePanes"), panes("panes") + 1, "{look}");
        let papers = look["papers"].as_array().expect("colours");
        assert_ne!(papers[1], papers[2], "light and dark are one");
    }
    // Nothing was asked for but the harness and the page itself.
    let mut asked: Vec<String> =
        server.requests().into_iter().map(|request| request.path).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["/", "/page.html"]);
}

#[test]
fn in_a_browser_its_figures_are_those_of_the_documents() {
    let Some(browser) = browser() else { return };
    let (_provider, sandbox) = rich();
    page(&sandbox, &[]);
    let url = format!("file://{}", sandbox.path("page.html").display());
    let seen = open(&browser, &url, 1000, &["--dump-dom"]);
    assert_calm(&seen);
    assert!(seen.dom.contains("data-drawn=\"yes\""), "{}", seen.dom);
    assert_agrees(&seen.dom, &sandbox);
    assert!(!seen.dom.contains("<img"), "{HOSTILE} became an element");
}

#[test]
fn in_a_browser_a_page_of_nothing_is_no_error() {
    let Some(browser) = browser() else { return };
    let config = crate::support::polygon("http://127.0.0.1:9", "")
        + &crate::support::group("p", "stock", &["AAA"], crate::support::DAILY);
    let sandbox = Sandbox::with(&config);
    for status in ["unknown", "critical"] {
        page(&sandbox, &[]);
        let url = format!("file://{}", sandbox.path("page.html").display());
        let seen = open(&browser, &url, 1000, &["--dump-dom"]);
        assert_calm(&seen);
        assert_eq!(figure(&seen.dom, "status"), status);
        sandbox.mdctl(&["db", "migrate"]).expect_code(0);
    }
}

#[test]
fn a_picture_of_it_is_not_blank() {
    let Some(browser) = browser() else { return };
    let (_provider, sandbox) = rich();
    page(&sandbox, &[]);
    let url = format!("file://{}", sandbox.path("page.html").display());
    for width in WIDTHS {
        let picture = sandbox.path(&format!("{width}.png"));
        let seen = open(&browser, &url, width, &[&format!("--screenshot={}", picture.display())]);
        let bytes = fs::read(&picture).unwrap_or_else(|error| panic!("{error}\n{}", seen.said));
        assert_calm(&seen);
        let wide = u32::from_be_bytes(bytes[16..20].try_into().expect("a header"));
        assert_eq!(wide, width);
        // One colour alone packs into a hundredth of that.
        assert!(bytes.len() > 60_000, "{} bytes", bytes.len());
    }
}
