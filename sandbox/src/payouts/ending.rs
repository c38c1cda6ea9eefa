//! Magic amounts: the last two digits of `asset.amount` decide how a payout ends.

/// How a payout will go, decided when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// 00 to 89.
    Completes,
    /// 90: the bank refuses after the deposit.
    BankRefuses,
    /// 91: the provider fails before it gives instructions.
    ProviderFails,
    /// 92: instructions never come.
    NeverInstructions,
    /// 93: the transfer fails on chain.
    TransferFails,
    /// 94: the bank takes five days.
    SlowBank,
    /// 95: the deposit is confirmed and the payout fails.
    FailsAfterDeposit,
    /// 96: quotes have no offers; a payout made anyway completes.
    NoOffers,
    /// 97: the transfer is broadcast and never confirmed.
    NeverConfirmed,
    /// 98: an unknown word for a while, between deposit and bank.
    UnknownWord,
    /// 99: instructions take an hour.
    SlowInstructions,
}

impl Ending {
    pub(super) fn of(amount: u128) -> Self {
        match amount % 100 {
            90 => Self::BankRefuses,
            91 => Self::ProviderFails,
            92 => Self::NeverInstructions,
            93 => Self::TransferFails,
            94 => Self::SlowBank,
            95 => Self::FailsAfterDeposit,
            96 => Self::NoOffers,
            97 => Self::NeverConfirmed,
            98 => Self::UnknownWord,
            99 => Self::SlowInstructions,
            _ => Self::Completes,
        }
    }
}
