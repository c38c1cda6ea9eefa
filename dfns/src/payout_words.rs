//! The words of the payout API: providers, statuses, purposes.
//!
//! Sources: Dfns guide "Process payouts via API"; OpenAPI 1.807 and 2.0.155.

use crate::open::open_enum;

open_enum! {
    /// Who turns the tokens into a bank payment.
    Provider {
        Borderless = "Borderless",
        /// Known to the Python SDK only; its bodies are not documented.
        CircleMint = "CircleMint",
    }
}

open_enum! {
    /// Where a payout stands, coarsely. All but `Processing` are final.
    PayoutStatus {
        Processing = "Processing",
        Completed = "Completed",
        Failed = "Failed",
        /// A Dfns policy rejected the transfer.
        Rejected = "Rejected",
        /// 24 h without confirmation, or 4 h without a submitted transfer.
        Expired = "Expired",
        Canceled = "Canceled",
    }
}

open_enum! {
    /// Where a payout stands, finely. States may be skipped between two reads.
    ExecutionStatus {
        Initializing = "Initializing",
        /// Waiting for the provider's deposit address.
        AwaitingPayoutInstructions = "AwaitingPayoutInstructions",
        /// The deposit address is known; waiting for Confirm or Cancel.
        AwaitingPayoutConfirmation = "AwaitingPayoutConfirmation",
        /// Confirmed; the transfer is being made.
        SubmittingPayoutTransfer = "SubmittingPayoutTransfer",
        /// The transfer waits for an approval that a Dfns policy asks for.
        PendingPolicyApproval = "PendingPolicyApproval",
        /// The transfer is broadcast; waiting for the deposit.
        DepositProcessing = "DepositProcessing",
        /// The deposit arrived; the bank payment is under way.
        DisbursementPending = "DisbursementPending",
        Completed = "Completed",
        Rejected = "Rejected",
        /// After `DepositProcessing` this means that the tokens have left the wallet.
        Failed = "Failed",
        Expired = "Expired",
        Canceled = "Canceled",
    }
}

open_enum! {
    /// Why money is sent, in the words Dfns takes.
    PaymentPurpose {
        SalaryPayment = "salary payment",
        PersonalRemittance = "personal remittance",
        RentPayment = "rent payment",
        PropertyPurchase = "property purchase",
        OwnedAccountAbroad = "owned account abroad",
        AdvertisingExpenses = "advertising expenses",
        AdvisoryFees = "advisory fees",
        BusinessInsurance = "business insurance",
        Construction = "construction",
        DeliveryFees = "delivery fees",
        Education = "education",
        Exports = "exports",
        Donation = "donation",
        Hotel = "hotel",
        LoanPayment = "loan payment",
        MaintenanceExpenses = "maintenance expenses",
        MedicalExpense = "medical expense",
        OfficeExpenses = "office expenses",
        RoyaltyFees = "royalty fees",
        ServiceCharge = "service charge",
        SharesInvestment = "shares investment",
        TaxPayment = "tax payment",
        TransportationFees = "transportation fees",
        Travel = "travel",
        UtilityBills = "utility bills",
        Other = "other",
    }
}
