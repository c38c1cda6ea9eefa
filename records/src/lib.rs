//! The SQL store: what must be remembered about a payout for ever, whatever happens to Temporal.
//!
//! One row per attempt of a payout holds the claim of its key, the exact bytes of the create request, the
//! provider's id for it, the confirm gate and the outcome. Everything in the row is written once; nothing is
//! deleted. Beside them: which of the provider's objects belong to which payout, and an inbox of the provider's
//! events; the policy's revisions, what was decided by them, what each payout holds of every limit, people's signed
//! approvals, and an audit record in which every record holds the hash of the one before. The store takes locks and
//! writes; it does not decide.
//!
//! SQLite in a file (`sqlite://path`) is the embedded default, Postgres (`postgres://…`) is for production.
//! One SQL text serves both; only the migrations differ.
//!
//! Every call may be repeated: after a lost answer the second call finds what the first one did and says so
//! as a value. An [`Error`] means there was no answer.

mod approvals;
mod attempts;
mod audit;
mod counting;
mod decisions;
mod due;
mod error;
mod event;
mod gate;
mod inbox;
mod list;
mod objects;
mod page;
mod payouts;
mod place;
mod reservations;
mod revisions;
mod routes;
mod row;
mod schema;
mod store;
mod verify;

pub use approvals::{AddedApproval, ApprovalRow, NewApproval, Void};
pub use attempts::OpenedAttempt;
pub use audit::{AuditHead, AuditRow};
pub use counting::Counted;
pub use decisions::{DecideAnswer, Decided, Deciding, DecisionRow, Ruling};
pub use error::Error;
pub use event::{NewEvent, StoredEvent};
pub use gate::{CloseAnswer, Gate, GateAnswer, GateState};
pub use inbox::{EventFilter, Stored};
pub use list::{PayoutFilter, PayoutSummary};
pub use objects::{Mapped, ObjectKind};
pub use page::{Cursor, Page};
pub use payouts::{Claim, Known, NewClaim, Noted};
pub use reservations::{Reservation, ReservationState, Settle, Settled};
pub use revisions::{AddedRevision, NewRevision, RevisionRow, SignedRevision};
pub use routes::Route;
pub use row::PayoutRow;
pub use store::{Options, Records};
pub use verify::{Chain, Checkpoint, Checkpointed, Verified};
