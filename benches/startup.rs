//! Start-up: whole processes that have next to nothing to do, beside the `sqlite3` shell that has as little.
//!
//! ```text
//! cargo bench --bench startup            a hundred rounds
//! cargo bench --bench startup -- 500     five hundred
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark shows figures")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[expect(dead_code, reason = "each benchmark uses its part")]
mod support;

use support::figures::{Promise, Times, against};
use support::process::{PROGRAM, run, run_where};
use support::shell::Shell;
use support::{Config, rounds, scratch};

/// It may take so many times as long as the shell.
const PROMISE: Promise = Promise::AtMost(2.0);

/// What the shell is asked of the small database: something of every table that the verdict rests on.
const LOOK: &str =
    "SELECT count(*) FROM series; SELECT count(*) FROM runs; SELECT count(*) FROM failures";

/// What systemd's program says of units that wait for their time.
const SHOWN: &str = "#!/bin/sh
cat <<'END'
Id=mdctl-backfill.timer
LoadState=loaded
ActiveState=active
END
";

fn main() {
    let rounds = rounds(100);
    let folder = scratch();
    let folder = folder.path();
    set(folder);
    let bytes = fs::metadata(PROGRAM.as_path()).expect("the program").len() as f64;
    println!("start-up: {rounds} rounds; the program has {:.1} MB", bytes / 1e6);
    let Some(shell) = Shell::find() else { return };
    let database = folder.join("bench.db");
    compare("--version", rounds, || shell.version(), || run(folder, &["--version"]).wall);
    let look = || shell.ask(&database, LOOK, false);
    compare("health", rounds, look, || run(folder, &["health"]).wall);
    compare("health --json", rounds, look, || run(folder, &["health", "--json"]).wall);
    let units = units(folder);
    let asked = || run_where(folder, &["health"], &units).wall;
    compare("health that asks systemd, too", rounds, look, asked);
}

/// Makes a small config with its database.
fn set(folder: &Path) {
    let symbols = ["AAPL", "MSFT", "NVDA"].map(str::to_owned);
    let config = Config {
        url: "http://127.0.0.1:9",
        asset_class: "stock",
        timeframes: &["1h", "1d"],
        lookback: 365 * 86_400,
        symbols: &symbols,
    };
    config.write(folder);
    run(folder, &["db", "migrate"]).expect(0, folder);
}

/// Lets units be there, and a systemd that answers at once: the variables by which they are found.
fn units(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    };
    write("config/systemd/user/mdctl-backfill.timer", "");
    fs::create_dir_all(folder.join("runtime/systemd")).expect("a folder");
    let program = write("bin/systemctl", SHOWN);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::join_paths([folder.join("bin"), "/usr/bin".into(), "/bin".into()]);
    vec![
        ("PATH", path.expect("folders").into()),
        ("XDG_CONFIG_HOME", folder.join("config")),
        ("XDG_RUNTIME_DIR", folder.join("runtime")),
    ]
}

/// Measures the program and the shell in turn, so that what disturbs one disturbs the other.
fn compare(name: &str, rounds: usize, floor: impl Fn() -> Duration, ours: impl Fn() -> Duration) {
    let (mut floors, mut times) = (Times::new(), Times::new());
    for _ in 0..rounds {
        floors.add(floor());
        times.add(ours());
    }
    let millis = |times: &Times| (times.median() * 1000.0, times.best() * 1000.0);
    let ((median, best), (floor_median, floor_best)) = (millis(&times), millis(&floors));
    println!("  {name:<44} {median:8.2} ms   best {best:.2} ms");
    println!("    the shell {floor_median:42.2} ms   best {floor_best:.2} ms");
    println!("{}", against("  of the shell's time", median / floor_median, "x", PROMISE));
}
