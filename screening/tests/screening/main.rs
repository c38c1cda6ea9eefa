//! The public API on real files and on a server on this machine.

mod files;
mod screener;
mod sdn;
mod support;
mod watchman;
