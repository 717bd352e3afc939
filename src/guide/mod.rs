//! The guide: a page for each thing that whoever runs mdctl, or reads what it leaves, may want to look up.
//!
//! The way in is the README. These pages go on from there; each is held against the program by
//! `tests/it/guide.rs`, so that nothing is missing in them and nothing left over.
//!
//! | page | what stands there |
//! |---|---|
//! | [`runbook`] | what to type first when something is wrong; every issue that `health` names, and what to do |
//! | [`systemd`] | timers, the system user, keys, reading the database as a member of the group; cron |
//! | [`config`] | every key of the config, and every environment variable |
//! | [`exit_codes`] | every exit code, and the kinds of errors |
//! | [`tables`] | every table, view and column of the database |
//! | [`json`] | every field of every JSON document |
//! | [`architecture`] | how it is built, and how to change it; the map itself is [the crate's first page](crate) |

/// Where the links of the pages lead here: they are links to files for those who read them on a code host,
/// and of two definitions of a link the first one holds.
macro_rules! links {
    () => {
        "
[runbook]: crate::guide::runbook
[systemd]: crate::guide::systemd
[config]: crate::guide::config
[exit codes]: crate::guide::exit_codes
[kinds of errors]: crate::guide::exit_codes#kinds-of-errors
[tables]: crate::guide::tables
[features]: crate::guide::tables#features
[codes of findings]: crate::guide::tables#codes-of-findings
[reasons of gaps]: crate::guide::tables#reasons-of-gaps
[JSON]: crate::guide::json
[architecture]: crate::guide::architecture
[map]: crate

"
    };
}

macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = links!()]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(runbook, "runbook.md");
page!(systemd, "systemd.md");
page!(config, "config.md");
page!(exit_codes, "exit_codes.md");
page!(tables, "tables.md");
page!(json, "json.md");
page!(architecture, "architecture.md");
