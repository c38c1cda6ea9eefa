//! The `remit` program: one file per sub-command, thin. The rules are in the crates beside it.

pub mod approval;
pub mod audit;
pub mod cli;
pub mod codec;
pub mod demo;
pub mod deployment;
pub mod dev;
pub mod doctor;
pub mod exit;
pub mod key;
pub mod logging;
pub mod out;
pub mod payout;
pub mod policy;
pub mod relay;
pub mod replay;
pub mod reservation;
pub mod sandbox;
pub mod screening;
pub mod settings;
mod signing;
pub mod table;
pub mod temporal;
pub mod temporal_server;
pub mod time;
pub mod webhook;
pub mod worker;
