//! Stripe's events, whatever they hold: read, told to an account in one order and in another, with
//! repetitions. The account's money follows from which they were, not from how they came.

use std::collections::BTreeMap;

use millrace::account::billing::BillingCommand;
use millrace::account::{Answer, Command};
use millrace::billing::Told;
use millrace::billing::event::read_event;

use crate::account::script::{Database, check_line, time};

const MOST_EVENTS: usize = 64;

/// The input has an event on each line.
pub fn check(data: &[u8]) {
    let told = data.split(|byte| *byte == b'\n').take(MOST_EVENTS).filter_map(|line| read_event(line).ok());
    let commands: Vec<BillingCommand> = told
        .filter_map(|told| match told {
            Told::Nothing => None,
            Told::ForAccount(_, command) | Told::ForOwnerOf(_, command) => Some(command),
        })
        .collect();
    let commands = consistent(commands);
    let forth = tell(commands.iter());
    let back = tell(commands.iter().rev().chain(&commands));
    assert_eq!(forth, back, "{commands:?}");
}

/// Without what Stripe never says: another amount of the same payment or refund.
fn consistent(commands: Vec<BillingCommand>) -> Vec<BillingCommand> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut is_first = |id: String, what: String| *first.entry(id).or_insert(what.clone()) == what;
    commands
        .into_iter()
        .filter(|command| match command {
            BillingCommand::Paid(paid) => {
                is_first(format!("payment {}", paid.id), format!("{:?}", (paid.credit, paid.paid)))
            }
            BillingCommand::Reversed(it) => {
                let what = format!("{:?} {:?} {}", it.payment, it.amount, it.state.is_refund());
                is_first(format!("reversal {}", it.id), what)
            }
            BillingCommand::Refunded { .. } => true,
            // Of an automatic top-up, which has not begun here.
            _ => false,
        })
        .collect()
}

/// What an account was granted after hearing all of it.
fn tell<'a>(commands: impl Iterator<Item = &'a BillingCommand>) -> String {
    let mut database = Database::new();
    check_line(&mut database, "0s create => created");
    for command in commands {
        let answer = database.tell(time("1s"), &Command::Billing { command: command.clone() });
        assert!(matches!(answer, Answer::Billing { .. } | Answer::Invalid { .. }), "{answer:?}");
        let granted = database.text("SELECT granted FROM account");
        assert_eq!(database.text("SELECT COALESCE(SUM(amount), 0) FROM ledger"), granted);
        assert_eq!(database.text("SELECT COALESCE(SUM(net), 0) FROM purchase"), granted);
        assert_eq!(database.text("SELECT COUNT(*) FROM purchase WHERE net < 0 OR net > credit"), "0");
    }
    database.text("SELECT granted FROM account")
}
