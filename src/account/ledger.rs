//! The account's money: what was granted and what was charged, as rows that are only ever added,
//! and the totals they add up to.

use super::books::{Counted, activity};
use super::budget::{self, Tags};
use super::charges::{self, Made};
use super::command::{AccountRow, Answer, Refusal};
use super::report::{Settle, Settled};
use super::store::{Column, Fault, Row, Store};
use super::{byok, difference, keyring, lease};
use crate::id::{AccountId, GenerationId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use litemap::LiteMap;
use std::time::Duration;

/// The longest record of a reply that is kept, in bytes.
pub const RECORD_BYTES: usize = 64 * 1024;

/// How long records of replies are kept. The ledger is kept for good.
pub const RECORD_RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// The most records that one alarm drops.
const RECORDS_PER_ALARM: u64 = 1000;

pub(super) fn create(store: &Store, now: Time, account: &AccountId, name: &str) -> Result<Answer, Fault> {
    let inserted = store.row(
        "INSERT INTO account (one, id, name, created_at) VALUES (1, ?1, ?2, CAST(?3 AS INTEGER))
         ON CONFLICT DO NOTHING RETURNING id",
        &[account.cell(), name.to_owned().cell(), now.cell()],
    )?;
    let row = describe(store)?;
    if row.id != *account {
        return Ok(invalid("this object is another account's"));
    }
    Ok(Answer::Created { already: inserted.is_none(), account: row })
}

pub(super) fn describe(store: &Store) -> Result<AccountRow, Fault> {
    let row = store.row(&format!("SELECT {COLUMNS} FROM account"), &[])?;
    read(&mut row.ok_or(Fault::Corrupt("account"))?)
}

/// The columns of [`read`].
pub(super) const COLUMNS: &str = "account.id, account.name, CAST(account.created_at AS TEXT),
    CAST(account.granted AS TEXT), CAST(account.charged AS TEXT), CAST(account.held AS TEXT)";

pub(super) fn read(row: &mut Row) -> Result<AccountRow, Fault> {
    let (id, name, created_at) = (row.next()?, row.next()?, row.next()?);
    let (granted, charged, held) = (row.next()?, row.next()?, row.next()?);
    let available = difference(difference(granted, charged)?, held)?;
    Ok(AccountRow { id, name, created_at, granted, charged, held, available })
}

pub(super) fn grant(
    store: &Store,
    now: Time,
    id: &str,
    amount: Money,
    reason: &str,
) -> Result<Answer, Fault> {
    let account = describe(store)?;
    if let Some(amount) = granted_before(store, id)? {
        return Ok(Answer::Granted { already: true, amount, account });
    }
    let (Some(granted), Some(available)) =
        (account.granted.checked_add(amount), account.available.checked_add(amount))
    else {
        return Ok(invalid("more than an account can hold"));
    };
    // Money that was spent or is held cannot be taken back.
    if amount.is_negative() && available.is_negative() {
        let missing = difference(Money::ZERO, available)?;
        return Ok(refused(Refusal::Credit { available: account.available, missing }));
    }
    add_grant(store, now, id, amount, granted, reason)?;
    Ok(Answer::Granted { already: false, amount, account: AccountRow { granted, available, ..account } })
}

/// Writes a grant and the total that it leads to.
pub(super) fn add_grant(
    store: &Store,
    now: Time,
    id: &str,
    amount: Money,
    granted: Money,
    reason: &str,
) -> Result<(), Fault> {
    store.write(
        "INSERT INTO ledger (id, kind, amount, reason, at)
         VALUES (?1, 'grant', CAST(?2 AS INTEGER), ?3, CAST(?4 AS INTEGER))",
        &[id.to_owned().cell(), amount.cell(), reason.to_owned().cell(), now.cell()],
    )?;
    store.write("UPDATE account SET granted = CAST(?1 AS INTEGER)", &[granted.cell()])
}

fn granted_before(store: &Store, id: &str) -> Result<Option<Money>, Fault> {
    let statement = "SELECT CAST(amount AS TEXT) FROM ledger WHERE id = ?1 AND kind = 'grant'";
    store.row(statement, &[id.to_owned().cell()])?.map(|mut row| row.next()).transpose()
}

/// Charges each generation once, whether its money is held, has expired or never was. `charged` is the account's
/// total before. `None` where the sum is more than an account can hold; then nothing was written.
pub(super) fn charge(
    store: &Store,
    now: Time,
    charges: &[Settle],
    charged: Money,
) -> Result<Option<Vec<Settled>>, Fault> {
    let sum = |total: Option<Money>, settle: &Settle| total?.checked_add(settle.amount);
    if charges.is_empty() {
        return Ok(Some(Vec::new()));
    }
    if charges.iter().fold(Some(charged), sum).is_none() {
        return Ok(None);
    }
    let has_budgets = budget::any(store)?;
    let Made { settled, released } = charges::make(store, now, charges)?;
    let made = charges.iter().zip(&settled).filter(|(_, one)| !one.already);
    let made: Vec<(&Settle, Counted<'_>)> =
        made.map(|(settle, _)| (settle, Counted::read(settle.record.as_deref()))).collect();
    let own = byok::countable(store, made.iter().map(|(_, counted)| counted.listed))?;
    let mut by_tags: LiteMap<_, (Money, Money)> = LiteMap::new_vec();
    if has_budgets {
        for ((settle, counted), own) in made.iter().zip(&own) {
            let (spent, byok) = by_tags.entry((&settle.key, told(counted))).or_default();
            *spent = sum_of(*spent, settle.amount)?;
            *byok = sum_of(*byok, *own)?;
        }
    }
    add_to_totals(store, now, &made, &own, released)?;
    activity::add(store, now, &made)?;
    for ((key, (model, end_user)), (spent, byok)) in by_tags {
        let owner = keyring::owner(store, key)?;
        let tags = Tags { key: key.clone(), owner, end_user, models: model.into_iter().collect() };
        budget::spend(store, now, &tags, spent, byok)?;
    }
    Ok(Some(settled))
}

/// The model that served a request and the user it named.
fn told(counted: &Counted<'_>) -> (Option<String>, Option<String>) {
    let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (told(&counted.model), told(&counted.external_user))
}

/// What charges change of the totals of the account, or of one key.
#[derive(Clone, Copy, Default)]
struct Change {
    spent: Money,
    /// At the account's own keys.
    byok: Money,
    /// No longer held.
    released: Money,
    is_use: bool,
}

impl Change {
    fn add(&mut self, other: Change) -> Result<(), Fault> {
        self.spent = sum_of(self.spent, other.spent)?;
        self.byok = sum_of(self.byok, other.byok)?;
        self.released = sum_of(self.released, other.released)?;
        self.is_use |= other.is_use;
        Ok(())
    }
}

pub(super) fn sum_of(left: Money, right: Money) -> Result<Money, Fault> {
    left.checked_add(right).ok_or(Fault::Corrupt("amount"))
}

fn add_to_totals(
    store: &Store,
    now: Time,
    made: &[(&Settle, Counted<'_>)],
    own: &[Money],
    released: LiteMap<KeyHash, Money>,
) -> Result<(), Fault> {
    let mut by_key: LiteMap<KeyHash, Change> = LiteMap::new_vec();
    for ((settle, _), byok) in made.iter().zip(own) {
        let change = Change { spent: settle.amount, byok: *byok, is_use: true, ..Change::default() };
        by_key.entry(settle.key.clone()).or_default().add(change)?;
    }
    for (key, released) in released {
        by_key.entry(key).or_default().add(Change { released, ..Change::default() })?;
    }
    let mut total = Change::default();
    for (key, change) in by_key {
        total.add(change)?;
        add_to_key(store, now, &key, change)?;
    }
    if [total.spent, total.byok, total.released] == [Money::ZERO; 3] {
        return Ok(());
    }
    store.write(
        "UPDATE account SET charged = charged + CAST(?1 AS INTEGER), byok_used = byok_used + CAST(?2 AS INTEGER),
         held = held - CAST(?3 AS INTEGER)",
        &[total.spent.cell(), total.byok.cell(), total.released.cell()],
    )
}

fn add_to_key(store: &Store, now: Time, key: &KeyHash, change: Change) -> Result<(), Fault> {
    let used_at = change.is_use.then_some(now);
    store.write(
        "UPDATE api_key SET last_used_at = COALESCE(CAST(?2 AS INTEGER), last_used_at),
         held = held - CAST(?3 AS INTEGER) WHERE hash = ?1",
        &[key.cell(), used_at.cell(), change.released.cell()],
    )?;
    if [change.spent, change.byok] == [Money::ZERO; 2] {
        return Ok(());
    }
    store.write(
        "INSERT INTO key_day (key_hash, day, usage, byok_usage)
         VALUES (?1, CAST(?2 AS INTEGER), CAST(?3 AS INTEGER), CAST(?4 AS INTEGER))
         ON CONFLICT (key_hash, day) DO UPDATE
         SET usage = usage + excluded.usage, byok_usage = byok_usage + excluded.byok_usage",
        &[key.cell(), now.day().cell(), change.spent.cell(), change.byok.cell()],
    )
}

pub(super) fn generation(store: &Store, id: &GenerationId) -> Result<Answer, Fault> {
    let row = store.row(
        "SELECT CAST(ledger.amount AS TEXT), generation.record FROM ledger
         JOIN generation ON generation.number = ledger.number
         WHERE ledger.id = ?1 AND ledger.kind = 'charge'",
        &[id.cell()],
    )?;
    match row {
        Some(mut row) => Ok(Answer::Found { id: id.clone(), cost: row.next()?, record: row.next()? }),
        None if lease::is_open(store, id)? => Ok(Answer::Pending),
        None => Ok(Answer::NotFound),
    }
}

/// Drops records beyond their retention, a bounded number at a time.
pub(super) fn drop_old_records(store: &Store, now: Time) -> Result<u64, Fault> {
    let cutoff = Time::from_ms(now.ms().saturating_sub(RECORD_RETENTION.as_millis() as u64));
    let dropped = store.rows(
        "DELETE FROM generation WHERE at <= CAST(?1 AS INTEGER) AND number IN
         (SELECT number FROM generation ORDER BY number LIMIT CAST(?2 AS INTEGER))
         RETURNING CAST(number AS TEXT)",
        &[cutoff.cell(), RECORDS_PER_ALARM.cell()],
    )?;
    Ok(dropped.len() as u64)
}

pub(super) fn refused(refusal: Refusal) -> Answer {
    Answer::Refused { refusal }
}

pub(super) fn invalid(message: &str) -> Answer {
    Answer::Invalid { message: message.to_owned() }
}
