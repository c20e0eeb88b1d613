//! What must be known before money moves, by one statement each: how many there are is what an account's time
//! goes into.

use super::command::AccountRow;
use super::key::KeyRefusal;
use super::keyring::{self, Key, Owner};
use super::lease::{self, Lease};
use super::ledger;
use super::store::{Column, Fault, Has, Store};
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;

/// What a report needs to know of the account.
pub(super) struct Account {
    pub has: Has,
    pub charged: Money,
    /// When the first lease is over.
    pub first_expiry: Option<Time>,
}

/// What setting money aside needs to know.
pub(super) struct Spender {
    pub account: AccountRow,
    /// There are limits of rate.
    pub rated: bool,
    /// The key if it may spend, or why it may not.
    pub key: Result<Key, KeyRefusal>,
    /// The lease, if it is open.
    pub lease: Option<Lease>,
    /// There was such a lease, or a charge for it, and it is over.
    pub ended: bool,
}

pub(super) fn at_account(store: &Store) -> Result<Account, Fault> {
    let row = store.row(
        "SELECT CAST(charged AS TEXT), CAST((SELECT MIN(expires_at) FROM lease) AS TEXT),
         CAST(EXISTS (SELECT 1 FROM budget) AS TEXT), CAST(EXISTS (SELECT 1 FROM byok_key) AS TEXT),
         CAST(EXISTS (SELECT 1 FROM alert_settings WHERE enabled = 1) AS TEXT) FROM account",
        &[],
    )?;
    let mut row = row.ok_or(Fault::Corrupt("account"))?;
    let (charged, first_expiry) = (row.next()?, row.next()?);
    let has = Has { budgets: row.next()?, byok: row.next()?, alerts: row.next()? };
    Ok(Account { has, charged, first_expiry })
}

/// Looks at a key, and at a lease by its id.
pub(super) fn at_spender(store: &Store, now: Time, key: &KeyHash, lease: &str) -> Result<Spender, Fault> {
    let statement = format!(
        "SELECT {}, CAST(EXISTS (SELECT 1 FROM rate_limit) AS TEXT),
         CAST(EXISTS (SELECT 1 FROM ledger WHERE id = ?2 AND kind IN ('charge', 'expiry')) AS TEXT),
         CAST(lease.id IS NOT NULL AS TEXT), {}, CAST(one.hash IS NOT NULL AS TEXT), one.*
         FROM account LEFT JOIN lease ON lease.id = ?2
         LEFT JOIN (SELECT {} FROM api_key WHERE hash = ?1) AS one",
        ledger::COLUMNS,
        lease::COLUMNS,
        keyring::COLUMNS
    );
    let row = store.row(&statement, &[key.cell(), lease.to_owned().cell()])?;
    let mut row = row.ok_or(Fault::Corrupt("account"))?;
    let (account, rated, ended) = (ledger::read(&mut row)?, row.next()?, row.next()?);
    let lease = match row.next()? {
        true => Some(Lease::read(&mut row)?),
        false => {
            row.skip(lease::WIDTH);
            None
        }
    };
    let key = match row.next()? {
        true => {
            let key = Key::read(row)?;
            key.state(account.id.clone()).check_spending(now).map(|()| key)
        }
        false => Err(KeyRefusal::Unknown),
    };
    Ok(Spender { account, rated, key, lease, ended })
}

impl Spender {
    /// Whom the key's money belongs to, if it may spend any.
    pub fn owner(&self) -> Owner {
        self.key.as_ref().map(Key::owner).unwrap_or_default()
    }
}
