//! Purchases, top-ups and codes at the account: every payment credits once, whatever comes first.

use crate::account::script::{Database, START, check_line, time, usd};
use millrace::account::billing::{
    BillingAnswer, BillingCommand, BillingRefusal, Card, NewCode, Payment, Reversal, ReversalState,
    TopUpOutcome, TopUpRule,
};
use millrace::account::{Answer, Command};
use millrace::id::{AccountId, KeyHash};
use millrace::money::Money;
use millrace::time::Time;
use proptest::prelude::*;

struct Account(Database);

impl Account {
    fn new() -> Account {
        let mut database = Database::new();
        check_line(&mut database, "0s create => created");
        Account(database)
    }

    fn tell(&mut self, at: &str, command: BillingCommand) -> BillingAnswer {
        match self.0.tell(time(at), &Command::Billing { command }) {
            Answer::Billing { answer } => answer,
            other => panic!("{other:?}"),
        }
    }

    fn granted(&self) -> Money {
        Money::from_text(&self.0.text("SELECT granted FROM account")).unwrap()
    }

    fn line(&mut self, line: &str) {
        check_line(&mut self.0, line);
    }
}

fn paid(id: &str, credit: &str) -> BillingCommand {
    let (credit, paid) = (usd(credit), usd(credit));
    BillingCommand::Paid(Payment { id: id.into(), credit, paid, attempt: None, card: None })
}

fn refunded(payment: &str, total: &str) -> BillingCommand {
    BillingCommand::Refunded { payment: payment.into(), total: usd(total) }
}

fn reversed(id: &str, payment: &str, amount: &str, state: ReversalState) -> BillingCommand {
    let (id, payment) = (id.to_owned(), payment.to_owned());
    BillingCommand::Reversed(Reversal { id, payment, amount: usd(amount), state })
}

fn ask(id: &str, amount: Option<&str>) -> BillingCommand {
    BillingCommand::AskRefund { id: id.into(), payment: "pi_1".into(), amount: amount.map(usd) }
}

#[test]
fn what_events_leave_of_a_payment() {
    use ReversalState::*;
    let dispute = |state| reversed("dp_1", "pi_1", "100", state);
    let cases: Vec<(Vec<BillingCommand>, &str)> = vec![
        (vec![paid("pi_1", "100")], "100"),
        (vec![paid("pi_1", "100"), paid("pi_1", "100"), paid("pi_2", "5")], "105"),
        (vec![paid("pi_1", "100"), refunded("pi_1", "30"), refunded("pi_1", "30")], "70"),
        (vec![paid("pi_1", "100"), refunded("pi_1", "70"), refunded("pi_1", "30")], "30"),
        // The fee is last to be given back.
        (vec![paid("pi_1", "100"), refunded("pi_1", "105.5")], "0"),
        (vec![refunded("pi_1", "105.5")], "0"),
        (vec![refunded("pi_1", "40"), paid("pi_1", "100")], "60"),
        (vec![dispute(DisputeTaken), paid("pi_1", "100")], "0"),
        (vec![paid("pi_1", "100"), dispute(DisputeWarned)], "100"),
        (vec![paid("pi_1", "100"), dispute(DisputeTaken), dispute(DisputeReinstated)], "100"),
        (vec![paid("pi_1", "100"), dispute(DisputeWon), dispute(DisputeTaken)], "100"),
        (vec![paid("pi_1", "100"), dispute(DisputeReinstated), dispute(DisputeLost)], "0"),
        (vec![paid("pi_1", "100"), refunded("pi_1", "80"), dispute(DisputeLost)], "0"),
        (vec![paid("pi_1", "100"), reversed("re_1", "pi_1", "10", RefundMade), refunded("pi_1", "10")], "90"),
        (
            vec![
                paid("pi_1", "100"),
                refunded("pi_1", "10"),
                reversed("re_1", "pi_1", "10", RefundFailed),
                reversed("re_1", "pi_1", "10", RefundMade),
            ],
            "100",
        ),
    ];
    for (commands, left) in cases {
        let mut account = Account::new();
        for command in &commands {
            account.tell("1s", command.clone());
        }
        assert_eq!(account.granted(), usd(left), "{commands:?}");
    }
}

#[test]
fn a_dispute_takes_back_what_was_spent_and_nothing_is_served_after_it() {
    let mut account = Account::new();
    account.tell("1s", paid("pi_1", "10"));
    account.line("2s key ada => key ada version 1");
    account.line("3s settle 1 ada 4 => settled 4 exceeded");
    account.tell("4s", reversed("dp_1", "pi_1", "10.8", ReversalState::DisputeTaken));
    account.line("5s hold 2 ada 1 until 60s => refused credit available -4 missing 5");
    account.tell("6s", reversed("dp_1", "pi_1", "10.8", ReversalState::DisputeWon));
    account.line("7s hold 3 ada 6 until 60s => held 6 until 60s alarm 60s");
}

#[test]
fn a_command_that_makes_no_sense_changes_nothing() {
    let mut account = Account::new();
    let before = account.0.dump();
    for command in [paid("", "1"), paid("pi_1", "0"), paid("pi_1", "1000001"), refunded("pi_1", "-1")] {
        let answer = account.0.tell(time("1s"), &Command::Billing { command: command.clone() });
        assert!(matches!(answer, Answer::Invalid { .. }), "{command:?}: {answer:?}");
    }
    assert_eq!(account.0.dump(), before);
}

#[test]
fn unspent_credit_is_refunded_within_a_day_and_once() {
    let refused = |why| BillingAnswer::Refused { why };
    let asked = |amount: &str, already, state| BillingAnswer::RefundAsked {
        payment: "pi_1".into(),
        amount: usd(amount),
        already,
        state,
    };
    let made = ReversalState::RefundMade;
    let mut account = Account::new();
    assert_eq!(account.tell("1s", ask("refund-0", None)), refused(BillingRefusal::UnknownPayment));
    account.tell("1s", paid("pi_1", "10"));
    account.line("2s key ada => key ada version 1");
    account.line("3s settle 1 ada 4.001 => settled 4.001 exceeded");
    assert_eq!(account.tell("4s", ask("refund-1", Some("6"))), refused(BillingRefusal::Spent));
    assert_eq!(account.tell("5s", ask("refund-2", Some("2"))), asked("2", false, made));
    assert_eq!(account.tell("6s", ask("refund-2", Some("2"))), asked("2", true, made));
    // The event that tells of it changes nothing more.
    account.tell("7s", refunded("pi_1", "2"));
    account.tell("7s", reversed("refund-2", "pi_1", "2", made));
    assert_eq!(account.granted(), usd("8"));
    // All that is left, in whole cents.
    assert_eq!(account.tell("8s", ask("refund-3", None)), asked("3.99", false, made));
    account.tell("9s", reversed("refund-3", "pi_1", "3.99", ReversalState::RefundFailed));
    assert_eq!(account.granted(), usd("8"));
    assert_eq!(account.tell("10s", ask("refund-3", None)), asked("3.99", true, ReversalState::RefundFailed));
    assert_eq!(account.tell("2d", ask("refund-4", None)), refused(BillingRefusal::TooLate));
}

fn rule(enabled: bool, cap: Option<&str>) -> BillingCommand {
    let (threshold, amount) = (usd("5"), usd("25"));
    BillingCommand::SetTopUp(TopUpRule { enabled, threshold, amount, monthly_cap: cap.map(usd) })
}

fn with_card(id: &str, saved_at: u64, method: &str) -> BillingCommand {
    let (customer, method) = ("cus_1".to_owned(), method.to_owned());
    let card = Some(Card { customer, method, saved_at: Time::from_ms(saved_at) });
    let (credit, paid) = (usd("10"), usd("10.8"));
    BillingCommand::Paid(Payment { id: id.into(), credit, paid, attempt: None, card })
}

fn topped_up(id: &str, attempt: u64) -> BillingCommand {
    let (credit, paid) = (usd("25"), usd("26.38"));
    BillingCommand::Paid(Payment { id: id.into(), credit, paid, attempt: Some(attempt), card: None })
}

/// The number and card of the attempt that is due, or when to look again, in seconds after the start.
fn due(account: &mut Account, at: &str) -> Result<(u64, String), Option<u64>> {
    match account.tell(at, BillingCommand::TopUpDue) {
        BillingAnswer::Due(attempt) => Ok((attempt.attempt, attempt.method)),
        BillingAnswer::NotDue { next_alarm } => {
            Err(next_alarm.map(|at| at.ms().saturating_sub(START) / 1000))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_is_charged_when_the_balance_is_low_and_one_time_at_once() {
    let mut account = Account::new();
    assert_eq!(account.tell("1s", rule(true, None)), BillingAnswer::Refused { why: BillingRefusal::NoCard });
    account.tell("2s", with_card("pi_1", 1000, "pm_new"));
    account.tell("2s", with_card("pi_0", 500, "pm_old"));
    account.tell("3s", rule(true, None));
    assert_eq!(due(&mut account, "3s"), Err(None));
    account.line("4s key ada => key ada version 1");
    account.line("5s settle 1 ada 15.5 => settled 15.5 exceeded");
    // The alarm is asked for by whatever command comes next.
    account.line("6s hold 2 ada 1 until 60s => held 1 until 60s alarm 0s");
    assert_eq!(due(&mut account, "7s"), Ok((1, "pm_new".into())));
    assert_eq!(due(&mut account, "8s"), Err(Some(127)));
    // Nothing was heard of it: the same attempt.
    assert_eq!(due(&mut account, "127s"), Ok((1, "pm_new".into())));
    account.tell("128s", topped_up("pi_2", 1));
    account.tell("128s", topped_up("pi_2", 1));
    assert_eq!(account.granted(), usd("45"));
    assert_eq!(due(&mut account, "129s"), Err(None));
}

#[test]
fn a_card_that_fails_is_left_alone_and_in_the_end_for_good() {
    let mut account = low_account(None);
    let declined = |attempt| BillingCommand::TopUpEnded {
        attempt,
        outcome: TopUpOutcome::Declined("Your card was declined.".into()),
    };
    assert_eq!(due(&mut account, "10s"), Ok((1, "pm_1".into())));
    account.tell("11s", declined(1));
    account.tell("11s", declined(1));
    assert_eq!(due(&mut account, "12s"), Err(Some(3611)));
    assert_eq!(due(&mut account, "3611s"), Ok((2, "pm_1".into())));
    // What is heard of an attempt that has ended is not heard.
    account.tell("3612s", declined(1));
    account.tell("3612s", declined(2));
    assert_eq!(due(&mut account, "3613s"), Err(Some(3612 + 4 * 3600)));
    assert_eq!(due(&mut account, "1d"), Ok((3, "pm_1".into())));
    account.tell("1d", declined(3));
    assert_eq!(due(&mut account, "20d"), Err(None));
    match account.tell("20d", BillingCommand::GetTopUp) {
        BillingAnswer::TopUp(row) => {
            assert_eq!((row.rule.enabled, row.failures, row.pending), (false, 3, false));
            assert_eq!(row.reason.as_deref(), Some("Your card was declined."));
        }
        other => panic!("{other:?}"),
    }
    account.tell("20d", rule(true, None));
    assert_eq!(due(&mut account, "20d"), Ok((4, "pm_1".into())));
}

#[test]
fn an_attempt_that_nobody_knows_of_is_given_up_before_stripe_forgets_it() {
    let mut account = low_account(None);
    assert_eq!(due(&mut account, "10s"), Ok((1, "pm_1".into())));
    account.tell("11s", BillingCommand::TopUpEnded { attempt: 1, outcome: TopUpOutcome::Unknown });
    assert_eq!(due(&mut account, "131s"), Ok((1, "pm_1".into())));
    account.tell("132s", BillingCommand::TopUpEnded { attempt: 1, outcome: TopUpOutcome::Processing });
    assert_eq!(due(&mut account, "43210s"), Err(None));
    assert_eq!(due(&mut account, "5d"), Err(None));
    // It was made after all.
    account.tell("5d", topped_up("pi_2", 1));
    assert_eq!(account.granted(), usd("35"));
}

#[test]
fn no_more_is_bought_in_a_month_than_its_cap() {
    let mut account = low_account(Some("30"));
    assert_eq!(due(&mut account, "10s"), Ok((1, "pm_1".into())));
    account.tell("11s", topped_up("pi_2", 1));
    account.line("12s settle 9 ada 30 => settled 30 exceeded");
    // The start is 21 November: ten days until December.
    assert_eq!(due(&mut account, "13s"), Err(Some(864_000)));
    assert_eq!(due(&mut account, "9d"), Err(Some(864_000)));
    assert_eq!(due(&mut account, "10d"), Ok((2, "pm_1".into())));
}

fn low_account(cap: Option<&str>) -> Account {
    let mut account = Account::new();
    account.tell("1s", with_card("pi_1", 1, "pm_1"));
    account.line("2s key ada => key ada version 1");
    account.line("3s settle 1 ada 7 => settled 7 exceeded");
    account.tell("4s", rule(true, cap));
    account
}

#[test]
fn a_code_is_used_up_and_once_by_each() {
    let mut database = Database::new();
    let hash = KeyHash::of("mr-credit-x");
    let redeem = |hash: &KeyHash, account: u8| {
        let account = AccountId::new(&[account; AccountId::LENGTH]);
        BillingCommand::Redeem { hash: hash.clone(), account }
    };
    let tell = |database: &mut Database, at: &str, command: BillingCommand| {
        database.tell(time(at), &Command::Billing { command })
    };
    let redeemed =
        |already| Answer::Billing { answer: BillingAnswer::Redeemed { amount: usd("10"), already } };
    let refused = |why| Answer::Billing { answer: BillingAnswer::Refused { why } };
    assert_eq!(tell(&mut database, "0s", redeem(&hash, 1)), Answer::Missing);
    let new = |hash: &KeyHash, uses, expires_at| {
        let (label, reason) = ("mr-credit-x…".to_owned(), "conference".to_owned());
        BillingCommand::IssueCode(NewCode {
            hash: hash.clone(),
            label,
            reason,
            amount: usd("10"),
            uses,
            expires_at,
        })
    };
    tell(&mut database, "1s", new(&hash, 2, None));
    tell(&mut database, "1s", new(&hash, 9, None));
    assert_eq!(tell(&mut database, "2s", redeem(&KeyHash::of("y"), 1)), refused(BillingRefusal::UnknownCode));
    assert_eq!(tell(&mut database, "2s", redeem(&hash, 1)), redeemed(false));
    assert_eq!(tell(&mut database, "2s", redeem(&hash, 1)), redeemed(true));
    assert_eq!(tell(&mut database, "2s", redeem(&hash, 2)), redeemed(false));
    assert_eq!(tell(&mut database, "2s", redeem(&hash, 3)), refused(BillingRefusal::CodeUsedUp));
    let (late, gone) = (KeyHash::of("late"), KeyHash::of("gone"));
    tell(&mut database, "3s", new(&late, 1, Some(time("5s"))));
    assert_eq!(tell(&mut database, "5s", redeem(&late, 1)), refused(BillingRefusal::CodeExpired));
    tell(&mut database, "3s", new(&gone, 2, None));
    assert_eq!(tell(&mut database, "4s", redeem(&gone, 1)), redeemed(false));
    tell(&mut database, "5s", BillingCommand::RevokeCode { hash: gone.clone() });
    assert_eq!(tell(&mut database, "6s", redeem(&gone, 2)), refused(BillingRefusal::CodeRevoked));
    assert_eq!(tell(&mut database, "6s", redeem(&gone, 1)), redeemed(true));
    match tell(&mut database, "7s", BillingCommand::ListCodes { offset: 1 }) {
        Answer::Billing { answer: BillingAnswer::Codes { codes } } => {
            let used: Vec<_> = codes.iter().map(|code| (code.used, code.revoked)).collect();
            assert_eq!(used, [(0, false), (1, true)]);
        }
        other => panic!("{other:?}"),
    }
}

/// What Stripe may tell of two payments.
fn told() -> impl Strategy<Value = BillingCommand> {
    use ReversalState::*;
    let payment = prop::sample::select(vec!["pi_1", "pi_2"]);
    let cents = 0_u64..12_000;
    let states = vec![DisputeWarned, DisputeTaken, DisputeReinstated, DisputeLost, DisputeWon];
    let amount = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    prop_oneof![
        payment.clone().prop_map(|payment| paid(payment, "100")),
        (payment.clone(), cents.clone()).prop_map(move |(payment, cents)| refunded(payment, &amount(cents))),
        // A refund has one amount, and belongs to one payment.
        (0_u64..4, prop::sample::select(vec![RefundMade, RefundFailed])).prop_map(move |(number, state)| {
            let payment = if number < 2 { "pi_1" } else { "pi_2" };
            reversed(&format!("re_{number}"), payment, &amount(700 * number + 1), state)
        }),
        (payment, prop::sample::select(states)).prop_map(move |(payment, state)| {
            reversed(&format!("dp_{payment}"), payment, "105.50", state)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_of_events_change_nothing(
        (events, other) in prop::collection::vec(told(), 1..14)
            .prop_flat_map(|events| (Just(events.clone()), Just([events.clone(), events].concat()).prop_shuffle()))
    ) {
        let mut left = Account::new();
        let mut right = Account::new();
        for event in &events {
            left.tell("1s", event.clone());
            check_sum(&left)?;
        }
        for event in &other {
            right.tell("1s", event.clone());
        }
        check_sum(&right)?;
        prop_assert_eq!(left.granted(), right.granted(), "{:?}", events);
        let state = "SELECT group_concat(payment || ' ' || credit || ' ' || net) FROM purchase";
        prop_assert_eq!(left.0.text(state), right.0.text(state));
        let credits = "SELECT group_concat(id || ' ' || amount) FROM (SELECT * FROM ledger
            WHERE id IN ('stripe:pi_1', 'stripe:pi_2') ORDER BY id)";
        prop_assert_eq!(left.0.text(credits), right.0.text(credits));
    }
}

/// The total is what the ledger and what the purchases add up to, and no payment is worth less than nothing.
fn check_sum(account: &Account) -> Result<(), TestCaseError> {
    let granted = account.granted().to_text();
    prop_assert_eq!(&account.0.text("SELECT COALESCE(SUM(amount), 0) FROM ledger"), &granted);
    prop_assert_eq!(&account.0.text("SELECT COALESCE(SUM(net), 0) FROM purchase"), &granted);
    prop_assert_eq!(account.0.text("SELECT COUNT(*) FROM purchase WHERE net < 0 OR net > credit"), "0");
    Ok(())
}
