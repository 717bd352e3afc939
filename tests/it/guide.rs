//! The documents against the program: nothing is missing in them, nothing is left over, and their commands
//! work.
//!
//! What can be made from the program is: a page holds it between `<!-- made: NAME -->` and
//! `<!-- made. -->`. With `MDCTL_WRITE_GUIDE=1` the tests write it anew instead of failing.

mod blocks;
mod config;
mod exits;
mod json;
mod links;
mod page;
mod parser;
mod runbook;
mod tables;
mod typed;
mod units;
