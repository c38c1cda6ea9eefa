//! What a whole system survives: a system in processes of its own, hundreds of which are killed at random while payouts
//! are open and calls fail; and an auditor that compares four books afterwards.
//!
//! Start with [`run::run`]. [`audit`] shares no code with the system it looks at: it reads the other side's ledger, the
//! results of the runs, the records and what the starters wrote down, all as plain values.

mod attackers;
pub mod audit;
pub mod books;
mod coverage;
pub mod disk;
pub mod limits;
mod operators;
mod people;
pub mod report;
pub mod run;
pub mod script;
pub mod starter;
pub mod system;
mod torment;
pub mod trace;
mod watch;
