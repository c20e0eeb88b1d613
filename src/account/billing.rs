//! What an account object can be told of purchases, top-ups and codes, and what it answers. Carried
//! as JSON in a string by commands and answers of type `billing`.

use super::command::{Answer, TEXT_BYTES};
use super::store::{Fault, Store};
use super::{code, purchase, text, top_up};
use crate::id::{AccountId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most that one purchase, top-up or code may be worth: a million dollars.
pub const MOST: Money = Money::from_pico(1_000_000 * crate::money::PICO_PER_USD);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BillingCommand {
    /// A payment came in. Credits it once, whoever tells of it and how often.
    Paid(Payment),
    /// So much of a payment was refunded in all.
    Refunded {
        payment: String,
        #[serde(with = "text")]
        total: Money,
    },
    /// What became of one refund or dispute.
    Reversed(Reversal),
    /// Takes back credit that is to be refunded, before Stripe is asked to.
    AskRefund {
        id: String,
        payment: String,
        /// `None` for all that can be refunded.
        #[serde(with = "text::optional", default)]
        amount: Option<Money>,
    },
    /// Asks for the last 100 purchases, latest first.
    Purchases,
    SetTopUp(TopUpRule),
    GetTopUp,
    /// Asks whether a top-up is due, and if so, begins it. What the alarm runs.
    TopUpDue,
    /// What became of a top-up that was not paid.
    TopUpEnded {
        attempt: u64,
        outcome: TopUpOutcome,
    },
    IssueCode(NewCode),
    /// Asks for a page of 100 codes, oldest first.
    ListCodes {
        #[serde(default)]
        offset: u64,
    },
    RevokeCode {
        #[serde(with = "text")]
        hash: KeyHash,
    },
    /// Uses a code up, once for each account. The credit itself is a grant at the account.
    Redeem {
        #[serde(with = "text")]
        hash: KeyHash,
        #[serde(with = "text")]
        account: AccountId,
    },
}

/// A payment that Stripe has taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// `pi_…`
    pub id: String,
    #[serde(with = "text")]
    pub credit: Money,
    /// With the fee.
    #[serde(with = "text")]
    pub paid: Money,
    /// The automatic top-up that it was.
    #[serde(default)]
    pub attempt: Option<u64>,
    /// A card that may be charged again.
    #[serde(default)]
    pub card: Option<Card>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// `cus_…`
    pub customer: String,
    /// `pm_…`
    pub method: String,
    /// Of two, the later is kept.
    #[serde(with = "text::ms")]
    pub saved_at: Time,
}

/// A refund or dispute of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reversal {
    /// `re_…`, `dp_…`, or the id of a refund that was asked for here.
    pub id: String,
    pub payment: String,
    #[serde(with = "text")]
    pub amount: Money,
    pub state: ReversalState,
}

/// From one to a later one, never back: so the order in which events come does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReversalState {
    /// An inquiry: no money has moved.
    DisputeWarned,
    DisputeTaken,
    DisputeReinstated,
    DisputeLost,
    DisputeWon,
    /// Asked for or made.
    RefundMade,
    /// The money is back with the operator.
    RefundFailed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUpRule {
    pub enabled: bool,
    /// Below this balance, credit is bought.
    #[serde(with = "text")]
    pub threshold: Money,
    #[serde(with = "text")]
    pub amount: Money,
    /// The most credit that is bought so in a month of UTC.
    #[serde(with = "text::optional", default)]
    pub monthly_cap: Option<Money>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpOutcome {
    /// No money was taken.
    Declined(String),
    /// Stripe will tell later.
    Processing,
    /// Nobody knows: the same attempt is made again.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCode {
    #[serde(with = "text")]
    pub hash: KeyHash,
    /// What of the code may be shown.
    pub label: String,
    pub reason: String,
    #[serde(with = "text")]
    pub amount: Money,
    pub uses: u64,
    #[serde(with = "text::optional_ms", default)]
    pub expires_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingAnswer {
    /// To `Paid`, `Refunded` and `Reversed`. `changed` is what the balance changed by.
    Recorded {
        #[serde(with = "text")]
        changed: Money,
    },
    /// To `AskRefund`: this much is taken back.
    RefundAsked {
        payment: String,
        #[serde(with = "text")]
        amount: Money,
        already: bool,
        state: ReversalState,
    },
    Purchases {
        purchases: Vec<PurchaseRow>,
    },
    TopUp(TopUpRow),
    /// To `TopUpDue`.
    Due(TopUpAttempt),
    /// To `TopUpDue` and `TopUpEnded`.
    NotDue {
        #[serde(with = "text::optional_ms")]
        next_alarm: Option<Time>,
    },
    CodeIssued {
        code: CodeRow,
    },
    Codes {
        codes: Vec<CodeRow>,
    },
    /// To `Redeem`: the account may be given this.
    Redeemed {
        #[serde(with = "text")]
        amount: Money,
        already: bool,
    },
    Refused {
        why: BillingRefusal,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingRefusal {
    UnknownPayment,
    /// More than 24 hours ago.
    TooLate,
    /// More than is left of the payment's credit, or of the account's.
    Spent,
    /// No card may be charged without its owner.
    NoCard,
    UnknownCode,
    CodeExpired,
    CodeRevoked,
    CodeUsedUp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurchaseRow {
    pub payment: String,
    #[serde(with = "text")]
    pub credit: Money,
    #[serde(with = "text")]
    pub paid: Money,
    /// The credit that is left of it, beside what was spent.
    #[serde(with = "text")]
    pub net: Money,
    pub automatic: bool,
    #[serde(with = "text::ms")]
    pub at: Time,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopUpRow {
    pub rule: TopUpRule,
    pub has_card: bool,
    /// Of the card that is kept.
    pub customer: Option<String>,
    pub pending: bool,
    pub failures: u64,
    /// Why it was switched off, or why the last attempt failed.
    pub reason: Option<String>,
    #[serde(with = "text::optional_ms")]
    pub next_alarm: Option<Time>,
}

/// A top-up that has begun. Made again, it is the same to Stripe by its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopUpAttempt {
    #[serde(with = "text")]
    pub account: AccountId,
    pub attempt: u64,
    #[serde(with = "text")]
    pub amount: Money,
    pub customer: String,
    pub method: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRow {
    #[serde(with = "text")]
    pub hash: KeyHash,
    pub label: String,
    pub reason: String,
    #[serde(with = "text")]
    pub amount: Money,
    pub uses: u64,
    pub used: u64,
    #[serde(with = "text::optional_ms")]
    pub expires_at: Option<Time>,
    pub revoked: bool,
    #[serde(with = "text::ms")]
    pub created_at: Time,
}

impl ReversalState {
    /// Whether the payment's money is with the customer.
    pub fn takes(self) -> bool {
        match self {
            ReversalState::DisputeTaken | ReversalState::DisputeLost | ReversalState::RefundMade => true,
            ReversalState::DisputeWarned
            | ReversalState::DisputeReinstated
            | ReversalState::DisputeWon
            | ReversalState::RefundFailed => false,
        }
    }

    pub fn is_refund(self) -> bool {
        matches!(self, ReversalState::RefundMade | ReversalState::RefundFailed)
    }
}

impl BillingAnswer {
    /// When the alarm has to look whether a top-up is due.
    pub fn next_alarm(&self) -> Option<Time> {
        match self {
            BillingAnswer::NotDue { next_alarm } | BillingAnswer::TopUp(TopUpRow { next_alarm, .. }) => {
                *next_alarm
            }
            _ => None,
        }
    }
}

impl BillingCommand {
    /// Whether it may be the first that an object hears: the object of the codes has no account.
    pub fn makes_tables(&self) -> bool {
        matches!(self, BillingCommand::IssueCode(_))
    }

    /// What makes the command senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let bad_id = |id: &str| id.is_empty() || id.len() > TEXT_BYTES;
        let bad_amount = |amount: &Money| *amount <= Money::ZERO || *amount > MOST;
        let below = |amount: &Money| amount.is_negative() || *amount > MOST;
        let flaw = match self {
            BillingCommand::Paid(payment) => {
                bad_id(&payment.id) || bad_amount(&payment.credit) || below(&payment.paid)
            }
            BillingCommand::Refunded { payment, total } => bad_id(payment) || below(total),
            BillingCommand::Reversed(reversal) => {
                bad_id(&reversal.id) || bad_id(&reversal.payment) || below(&reversal.amount)
            }
            BillingCommand::AskRefund { id, payment, amount } => {
                bad_id(id) || bad_id(payment) || amount.as_ref().is_some_and(bad_amount)
            }
            BillingCommand::SetTopUp(rule) => {
                (rule.enabled && bad_amount(&rule.amount))
                    || below(&rule.amount)
                    || below(&rule.threshold)
                    || rule.monthly_cap.is_some_and(|cap| cap.is_negative())
            }
            BillingCommand::IssueCode(code) => {
                bad_amount(&code.amount)
                    || code.uses == 0
                    || code.uses > i64::MAX as u64
                    || code.label.len() > TEXT_BYTES
                    || code.reason.len() > TEXT_BYTES
            }
            BillingCommand::TopUpEnded { attempt, .. } => *attempt > i64::MAX as u64,
            BillingCommand::Purchases
            | BillingCommand::GetTopUp
            | BillingCommand::TopUpDue
            | BillingCommand::ListCodes { .. }
            | BillingCommand::RevokeCode { .. }
            | BillingCommand::Redeem { .. } => false,
        };
        flaw.then_some("an id has 1 to 1024 bytes; amounts are positive and at most a million dollars")
    }
}

pub(super) fn carry_out(store: &Store, now: Time, command: &BillingCommand) -> Result<Answer, Fault> {
    let answer = match command {
        BillingCommand::Paid(payment) => purchase::paid(store, now, payment)?,
        BillingCommand::Refunded { payment, total } => purchase::refunded(store, now, payment, *total)?,
        BillingCommand::Reversed(reversal) => purchase::reversed(store, now, reversal)?,
        BillingCommand::AskRefund { id, payment, amount } => {
            purchase::ask_refund(store, now, id, payment, *amount)?
        }
        BillingCommand::Purchases => BillingAnswer::Purchases { purchases: purchase::list(store)? },
        BillingCommand::SetTopUp(rule) => top_up::set(store, rule)?,
        BillingCommand::GetTopUp => BillingAnswer::TopUp(top_up::get(store)?),
        BillingCommand::TopUpDue => top_up::begin(store, now)?,
        BillingCommand::TopUpEnded { attempt, outcome } => top_up::end(store, now, *attempt, outcome)?,
        BillingCommand::IssueCode(new) => code::issue(store, now, new)?,
        BillingCommand::ListCodes { offset } => BillingAnswer::Codes { codes: code::list(store, *offset)? },
        BillingCommand::RevokeCode { hash } => code::revoke(store, hash)?,
        BillingCommand::Redeem { hash, account } => code::redeem(store, now, hash, account)?,
    };
    Ok(Answer::Billing { answer })
}
