//! Codes that an operator gives out and customers turn into credit. All codes are in one object, so
//! that a code is used up exactly once; the credit is granted by the account, under the code's hash.

use super::billing::{BillingAnswer, BillingRefusal, CodeRow, NewCode};
use super::store::{Column, Fault, Row, Store};
use crate::id::{AccountId, KeyHash};
use crate::money::Money;
use crate::time::Time;

const COLUMNS: &str = "hash, label, reason, CAST(amount AS TEXT), CAST(uses AS TEXT), CAST(used AS TEXT),
    CAST(expires_at AS TEXT), CAST(revoked AS TEXT), CAST(created_at AS TEXT)";

/// The id of the grant that a code is at an account.
pub fn grant_id(hash: &KeyHash) -> String {
    format!("code:{hash}")
}

pub(super) fn issue(store: &Store, now: Time, new: &NewCode) -> Result<BillingAnswer, Fault> {
    store.write(
        "INSERT INTO code (hash, label, reason, amount, uses, expires_at, created_at)
         VALUES (?1, ?2, ?3, CAST(?4 AS INTEGER), CAST(?5 AS INTEGER), CAST(?6 AS INTEGER),
         CAST(?7 AS INTEGER)) ON CONFLICT DO NOTHING",
        &[
            new.hash.cell(),
            new.label.cell(),
            new.reason.cell(),
            new.amount.cell(),
            new.uses.cell(),
            new.expires_at.cell(),
            now.cell(),
        ],
    )?;
    let code = find(store, &new.hash)?.ok_or(Fault::Corrupt("code"))?;
    Ok(BillingAnswer::CodeIssued { code })
}

pub(super) fn list(store: &Store, offset: u64) -> Result<Vec<CodeRow>, Fault> {
    let statement =
        format!("SELECT {COLUMNS} FROM code ORDER BY number LIMIT 100 OFFSET CAST(?1 AS INTEGER)");
    let offset = offset.min(i64::MAX as u64);
    store.rows(&statement, &[offset.cell()])?.into_iter().map(read).collect()
}

/// Ends a code for good. What was redeemed stays.
pub(super) fn revoke(store: &Store, hash: &KeyHash) -> Result<BillingAnswer, Fault> {
    store.write("UPDATE code SET revoked = 1 WHERE hash = ?1", &[hash.cell()])?;
    Ok(match find(store, hash)? {
        Some(code) => BillingAnswer::Codes { codes: vec![code] },
        None => BillingAnswer::Refused { why: BillingRefusal::UnknownCode },
    })
}

pub(super) fn redeem(
    store: &Store,
    now: Time,
    hash: &KeyHash,
    account: &AccountId,
) -> Result<BillingAnswer, Fault> {
    let refused = |why| Ok(BillingAnswer::Refused { why });
    let Some(code) = find(store, hash)? else {
        return refused(BillingRefusal::UnknownCode);
    };
    let before = store.row(
        "SELECT account FROM redemption WHERE hash = ?1 AND account = ?2",
        &[hash.cell(), account.cell()],
    )?;
    // Whoever redeemed it may ask again, also when it has ended since: the grant may not have been made.
    if before.is_some() {
        return Ok(BillingAnswer::Redeemed { amount: code.amount, already: true });
    }
    if code.revoked {
        return refused(BillingRefusal::CodeRevoked);
    }
    if code.expires_at.is_some_and(|end| end <= now) {
        return refused(BillingRefusal::CodeExpired);
    }
    if code.used >= code.uses {
        return refused(BillingRefusal::CodeUsedUp);
    }
    store.write("UPDATE code SET used = used + 1 WHERE hash = ?1", &[hash.cell()])?;
    store.write(
        "INSERT INTO redemption (hash, account, at) VALUES (?1, ?2, CAST(?3 AS INTEGER))",
        &[hash.cell(), account.cell(), now.cell()],
    )?;
    Ok(BillingAnswer::Redeemed { amount: code.amount, already: false })
}

fn find(store: &Store, hash: &KeyHash) -> Result<Option<CodeRow>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM code WHERE hash = ?1");
    store.row(&statement, &[hash.cell()])?.map(read).transpose()
}

fn read(mut row: Row) -> Result<CodeRow, Fault> {
    let (hash, label, reason) = (row.next()?, row.next()?, row.next()?);
    let amount: Money = row.next()?;
    let (uses, used, expires_at) = (row.next()?, row.next()?, row.next()?);
    let (revoked, created_at) = (row.next()?, row.next()?);
    Ok(CodeRow { hash, label, reason, amount, uses, used, expires_at, revoked, created_at })
}
