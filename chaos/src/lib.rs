//! What a whole system survives: many payouts at once while calls fail, answers are lost, webhooks come in any order
//! and workers are killed; and an auditor that compares all books afterwards.
//!
//! Start with [`payouts::run`]. [`audit`] shares no rule and no type with the system it looks at: it reads the other
//! side's ledger, the histories and the records as plain values.

pub mod audit;
mod books;
mod drive;
pub mod limits;
mod load;
pub mod payouts;
pub mod report;
mod workers;
