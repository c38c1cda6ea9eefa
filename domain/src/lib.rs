//! What a payout is: money, ids, states and the rules between them.
//!
//! Plain values and pure functions. Nothing here does IO, reads a clock, or knows Temporal, SQL, HTTP or a
//! provider's words; that is what lets every rule be tested in milliseconds and replayed years later.
//!
//! Reading order: [`PayoutRequest`] (what is asked), [`PayoutKey`] (how it is recognised for ever),
//! [`PayoutView`] (what the provider says of it), [`Outcome`] (how it ended).

mod beneficiary;
mod echo;
mod guards;
mod ids;
mod money;
mod outcome;
pub mod policy;
mod purpose;
mod request;
mod retry;
mod source;
mod states;
mod transfer;
mod view;

pub use beneficiary::BeneficiaryName;
pub use echo::{Difference, echo_check};
pub use guards::{Breach, Guards, OnBreach};
pub use ids::{Attempt, ExternalId, PayoutKey, Program, WalletId};
pub use money::{Amount, Asset, Fiat};
pub use outcome::{Decided, Ending, Money, Outcome, ending_of};
pub use purpose::Purpose;
pub use request::{BankDestination, Destination, FieldError, PayoutRequest, Refusal, SignedStart};
pub use retry::{Before, may_follow};
pub use source::Source;
pub use states::{Cause, Stage, TRANSITIONS, diagram};
pub use transfer::TransferProgress;
pub use view::{Asked, Offer, PayoutView, Progress, Requester, Until};
