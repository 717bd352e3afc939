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
[runbook]: super::runbook
[systemd]: super::systemd
[config]: super::config
[exit codes]: super::exit_codes
[kinds of errors]: super::exit_codes#kinds-of-errors
[tables]: super::tables
[features]: super::tables#features
[codes of findings]: super::tables#codes-of-findings
[reasons of gaps]: super::tables#reasons-of-gaps
[JSON]: super::json
[architecture]: super::architecture
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
