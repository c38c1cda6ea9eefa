//! The stages of a payout, and every way from one to another. The table is the state machine: the workflow moves by it,
//! and the diagram in `docs/states.md` is drawn from it.

use serde::{Deserialize, Serialize};

use crate::Ending;

/// Where a payout is, as operations people search for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Asked for; being claimed and checked.
    Requested,
    /// Waits for the people whose approval the policy asks for.
    AwaitingApproval,
    /// Being quoted and created at the provider.
    Creating,
    /// Waiting for the provider's deposit address.
    AwaitingInstructions,
    /// Ready to be confirmed, but an operator holds it back.
    OnHold,
    /// Being checked and confirmed: from here on money may move.
    Confirming,
    /// Confirmed; on its way to the bank.
    Settling,
    /// Over, see [`Ending`].
    Completed,
    /// Over, see [`Ending`].
    Failed,
    /// Over, see [`Ending`].
    Rejected,
    /// Over, see [`Ending`].
    Expired,
    /// Over, see [`Ending`].
    Canceled,
    /// Over, see [`Ending`].
    Blocked,
    /// Over, see [`Ending`].
    Denied,
    /// In doubt: waits for a person, and for nothing else.
    NeedsPerson,
}

impl Stage {
    /// The text that is searched for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Creating => "Creating",
            Self::AwaitingInstructions => "AwaitingInstructions",
            Self::OnHold => "OnHold",
            Self::Confirming => "Confirming",
            Self::Settling => "Settling",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Canceled => "Canceled",
            Self::Blocked => "Blocked",
            Self::Denied => "Denied",
            Self::NeedsPerson => "NeedsPerson",
        }
    }
}

/// Why a payout goes from one stage to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its id is claimed, or was by an earlier run.
    Claimed,
    /// The policy asks for people's approval.
    ApprovalWanted,
    /// They have approved it before anything was created.
    Approved,
    /// They have approved it after it was created, before Confirm.
    ApprovedToConfirm,
    /// The provider has it.
    Created,
    /// An operator holds it back.
    Held,
    /// The operator lets it go on.
    Released,
    /// The deposit address is known and checked.
    Ready,
    /// Confirm was not sent: what is read has changed since it was ready.
    NotSent,
    /// Confirm has been sent, or what is read says so.
    Confirmed,
    /// Something does not fit, or cannot be known.
    InDoubt,
    /// A person has looked and lets it be checked again.
    CheckedAgain,
    /// It is over.
    Ended(Ending),
}

impl Cause {
    /// In words, for the diagram and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::ApprovalWanted => "approval wanted",
            Self::Approved => "approved",
            Self::ApprovedToConfirm => "approved to be confirmed",
            Self::Created => "created at the provider",
            Self::Held => "held by an operator",
            Self::Released => "released",
            Self::Ready => "deposit address read and checked",
            Self::NotSent => "not sent, changed",
            Self::Confirmed => "confirmed",
            Self::InDoubt => "in doubt",
            Self::CheckedAgain => "checked again by a person",
            Self::Ended(Ending::Completed) => "bank paid",
            Self::Ended(Ending::Failed) => "failed",
            Self::Ended(Ending::Rejected) => "rejected",
            Self::Ended(Ending::Expired) => "too late",
            Self::Ended(Ending::Canceled) => "called off",
            Self::Ended(Ending::Blocked) => "forbidden by policy",
            Self::Ended(Ending::Denied) => "not approved",
        }
    }
}

/// Every allowed transition. What is not here does not happen; a stage that never stands on the left is final.
///
/// `Completed` is reached only by a payout that was confirmed, by a person's finding, or by a run that finds on record
/// that an earlier run had completed it.
pub const TRANSITIONS: &[(Stage, Cause, Stage)] = {
    use Cause::{
        ApprovalWanted, Approved, ApprovedToConfirm, CheckedAgain, Claimed, Confirmed, Created, Ended, Held, InDoubt,
        NotSent, Ready, Released,
    };
    use Stage as S;
    &[
        (S::Requested, Claimed, S::Creating),
        (S::Requested, Ended(Ending::Completed), S::Completed),
        (S::Requested, Ended(Ending::Failed), S::Failed),
        (S::Requested, Ended(Ending::Rejected), S::Rejected),
        (S::Requested, Ended(Ending::Expired), S::Expired),
        (S::Requested, Ended(Ending::Canceled), S::Canceled),
        (S::Requested, Ended(Ending::Blocked), S::Blocked),
        (S::Requested, Ended(Ending::Denied), S::Denied),
        (S::Requested, ApprovalWanted, S::AwaitingApproval),
        (S::Requested, InDoubt, S::NeedsPerson),
        (S::AwaitingApproval, Approved, S::Requested),
        (S::AwaitingApproval, ApprovedToConfirm, S::AwaitingInstructions),
        (S::AwaitingApproval, Ended(Ending::Denied), S::Denied),
        (S::AwaitingApproval, Ended(Ending::Canceled), S::Canceled),
        (S::AwaitingApproval, Ended(Ending::Expired), S::Expired),
        (S::AwaitingApproval, InDoubt, S::NeedsPerson),
        (S::Creating, Created, S::AwaitingInstructions),
        (S::Creating, Ended(Ending::Failed), S::Failed),
        (S::Creating, Ended(Ending::Expired), S::Expired),
        (S::Creating, Ended(Ending::Canceled), S::Canceled),
        (S::Creating, InDoubt, S::NeedsPerson),
        (S::AwaitingInstructions, Held, S::OnHold),
        (S::AwaitingInstructions, Ready, S::Confirming),
        (S::AwaitingInstructions, Confirmed, S::Settling),
        (S::AwaitingInstructions, Ended(Ending::Failed), S::Failed),
        (S::AwaitingInstructions, Ended(Ending::Rejected), S::Rejected),
        (S::AwaitingInstructions, Ended(Ending::Expired), S::Expired),
        (S::AwaitingInstructions, Ended(Ending::Canceled), S::Canceled),
        (S::AwaitingInstructions, InDoubt, S::NeedsPerson),
        (S::OnHold, Released, S::AwaitingInstructions),
        (S::OnHold, Ended(Ending::Expired), S::Expired),
        (S::OnHold, Ended(Ending::Canceled), S::Canceled),
        (S::OnHold, InDoubt, S::NeedsPerson),
        (S::Confirming, NotSent, S::AwaitingInstructions),
        (S::Confirming, Confirmed, S::Settling),
        (S::Confirming, ApprovalWanted, S::AwaitingApproval),
        (S::Confirming, Ended(Ending::Blocked), S::Blocked),
        (S::Confirming, Ended(Ending::Denied), S::Denied),
        (S::Confirming, Ended(Ending::Expired), S::Expired),
        (S::Confirming, Ended(Ending::Canceled), S::Canceled),
        (S::Confirming, InDoubt, S::NeedsPerson),
        (S::Settling, Ended(Ending::Completed), S::Completed),
        (S::Settling, Ended(Ending::Failed), S::Failed),
        (S::Settling, Ended(Ending::Rejected), S::Rejected),
        (S::Settling, Ended(Ending::Expired), S::Expired),
        (S::Settling, Ended(Ending::Canceled), S::Canceled),
        (S::Settling, InDoubt, S::NeedsPerson),
        (S::NeedsPerson, CheckedAgain, S::Requested),
        (S::NeedsPerson, Ended(Ending::Completed), S::Completed),
        (S::NeedsPerson, Ended(Ending::Failed), S::Failed),
        (S::NeedsPerson, Ended(Ending::Rejected), S::Rejected),
        (S::NeedsPerson, Ended(Ending::Expired), S::Expired),
        (S::NeedsPerson, Ended(Ending::Canceled), S::Canceled),
    ]
};

impl Stage {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Requested,
        Self::AwaitingApproval,
        Self::Creating,
        Self::AwaitingInstructions,
        Self::OnHold,
        Self::Confirming,
        Self::Settling,
        Self::NeedsPerson,
        Self::Completed,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Canceled,
        Self::Blocked,
        Self::Denied,
    ];

    /// Where a payout in this stage goes for this cause; none when that does not happen.
    pub fn after(self, cause: Cause) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, by, _)| *from == self && *by == cause).map(|(_, _, to)| *to)
    }

    /// True when nothing follows.
    pub fn is_final(self) -> bool {
        !TRANSITIONS.iter().any(|(from, _, _)| *from == self)
    }
}

/// The table as a Mermaid state diagram.
pub fn diagram() -> String {
    let mut text = "stateDiagram-v2\n    [*] --> Requested\n".to_owned();
    for (from, cause, to) in TRANSITIONS {
        text += &format!("    {} --> {}: {}\n", from.as_str(), to.as_str(), cause.as_str());
    }
    for stage in Stage::ALL.into_iter().filter(|stage| stage.is_final()) {
        text += &format!("    {} --> [*]\n", stage.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn causes() -> Vec<Cause> {
        let mut all = vec![
            Cause::Claimed,
            Cause::ApprovalWanted,
            Cause::Approved,
            Cause::ApprovedToConfirm,
            Cause::Created,
            Cause::Held,
            Cause::Released,
            Cause::Ready,
            Cause::NotSent,
            Cause::Confirmed,
            Cause::InDoubt,
            Cause::CheckedAgain,
        ];
        all.extend(Ending::ALL.map(Cause::Ended));
        all
    }

    #[test]
    fn a_stage_and_a_cause_lead_to_one_stage() {
        for (n, (from, cause, _)) in TRANSITIONS.iter().enumerate() {
            let twins = TRANSITIONS.iter().skip(n + 1).filter(|(f, c, _)| f == from && c == cause);
            assert_eq!(twins.count(), 0, "{from:?} {cause:?} is listed twice");
        }
    }

    #[test]
    fn exactly_the_seven_endings_are_final_and_an_ending_leads_to_its_own_stage() {
        let last: BTreeSet<Stage> = Stage::ALL.into_iter().filter(|stage| stage.is_final()).collect();
        assert_eq!(last, Ending::ALL.map(Ending::stage).into());
        for (_, cause, to) in TRANSITIONS {
            match cause {
                Cause::Ended(ending) => assert_eq!(*to, ending.stage()),
                Cause::Claimed
                | Cause::ApprovalWanted
                | Cause::Approved
                | Cause::ApprovedToConfirm
                | Cause::Created
                | Cause::Held
                | Cause::Released
                | Cause::Ready
                | Cause::NotSent
                | Cause::Confirmed
                | Cause::InDoubt
                | Cause::CheckedAgain => assert!(!to.is_final()),
            }
        }
    }

    #[test]
    fn every_stage_is_reached_and_every_stage_reaches_an_end() {
        let step = |from: &BTreeSet<Stage>| -> BTreeSet<Stage> {
            TRANSITIONS
                .iter()
                .filter(|(f, ..)| from.contains(f))
                .map(|(.., to)| *to)
                .chain(from.iter().copied())
                .collect()
        };
        let closure = |start: Stage| (0..20).fold(BTreeSet::from([start]), |reached, _| step(&reached));
        assert_eq!(closure(Stage::Requested).len(), Stage::ALL.len());
        for stage in Stage::ALL {
            assert!(closure(stage).iter().any(|stage| stage.is_final()), "{stage:?} never ends");
        }
    }

    proptest! {
        /// Whatever happens in whatever order: what is over stays as it is, and nothing is paid that was not confirmed
        /// or looked at by a person.
        #[test]
        fn a_walk_of_random_causes_never_leaves_an_end_and_never_completes_unconfirmed(
            walk in proptest::collection::vec(0usize..19, 0..60)
        ) {
            let causes = causes();
            let (mut stage, mut vouched, mut over) = (Stage::Requested, true, None);
            for step in walk {
                let before = stage;
                stage = stage.after(causes[step]).unwrap_or(stage);
                if let Some(end) = over {
                    prop_assert_eq!(stage, end);
                }
                if before != stage {
                    if stage == Stage::Completed {
                        prop_assert!(vouched);
                    }
                    // Someone stands for it: the record of an earlier run, a Confirm, a person.
                    vouched = matches!(stage, Stage::Requested | Stage::Settling | Stage::NeedsPerson);
                }
                if stage.is_final() {
                    over = Some(stage);
                }
            }
        }
    }

    #[test]
    fn the_diagram_in_the_documents_is_the_table() {
        let page = include_str!("../../docs/states.md").replace("\r\n", "\n");
        let drawn = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
        assert!(drawn == Some(diagram().as_str()), "docs/states.md should hold this diagram:\n{}", diagram());
    }

    #[test]
    fn every_stage_is_explained_in_the_documents() {
        let page = include_str!("../../docs/states.md");
        for stage in Stage::ALL {
            assert!(page.contains(&format!("| `{}` |", stage.as_str())), "{} is not explained", stage.as_str());
        }
    }
}
