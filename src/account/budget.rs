//! Budgets: what may be spent in a window by an account, a workspace, a key or a user, by each of them
//! or each end user, on all models or on some. What is spent and held is counted for each budget in
//! the turn that spends or holds; leases look into it by [`standings`].

mod aim;
pub mod command;
mod tags;

pub(super) use aim::{Aim, Breadth};
pub(super) use tags::Tags;

use super::difference;
use super::limit::LimitReset;
use super::store::{Column, Fault, Row, Store};
use super::text;
use crate::money::Money;
use crate::time::{Day, Time};
use serde::{Deserialize, Serialize};

/// The most budgets that an account may have.
pub const MOST: u64 = 10_000;
/// The longest id, subject or pattern, in bytes.
pub const TEXT_BYTES: usize = 256;

/// Whose money a budget is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// That of one key.
    Key,
    /// That of the keys of one member.
    User,
    /// That of the keys in one workspace; the account's own workspace is the empty subject.
    Workspace,
    Account,
}

impl Scope {
    const ALL: [(Scope, &str); 4] = [
        (Scope::Key, "key"),
        (Scope::User, "user"),
        (Scope::Workspace, "workspace"),
        (Scope::Account, "account"),
    ];

    pub fn as_str(self) -> &'static str {
        spelling(&Scope::ALL, self)
    }

    pub fn parse(text: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|(_, spelt)| *spelt == text).map(|(scope, _)| scope)
    }
}

/// For whom a budget is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// All of the scope together.
    All,
    /// Each key by itself.
    Key,
    /// Each member by itself; keys of nobody are not counted.
    User,
    /// Each `user` that requests name; those that name none are one.
    EndUser,
}

impl Per {
    const ALL: [(Per, &str); 4] =
        [(Per::All, "all"), (Per::Key, "key"), (Per::User, "user"), (Per::EndUser, "end_user")];

    pub fn as_str(self) -> &'static str {
        spelling(&Per::ALL, self)
    }

    pub fn parse(text: &str) -> Option<Per> {
        Per::ALL.into_iter().find(|(_, spelt)| *spelt == text).map(|(per, _)| per)
    }
}

fn spelling<T: PartialEq + Copy>(all: &[(T, &'static str)], one: T) -> &'static str {
    all.iter().find(|(other, _)| *other == one).map_or("", |(_, spelt)| spelt)
}

/// A budget. One that is about some models or end users is exact from the moment it is set, but knows
/// nothing of before; others begin with what was spent in their window already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The caller's name for it: setting it again replaces it.
    pub id: String,
    pub scope: Scope,
    /// A key's hash, a member's or a workspace's id; empty for the account.
    pub subject: String,
    pub per: Per,
    /// A slug, in which stars stand for anything; `None` for all models.
    pub model: Option<String>,
    /// `None` for all time.
    pub window: Option<LimitReset>,
    #[serde(with = "text")]
    pub amount: Money,
    /// Whether what is spent at providers with the owner's own keys counts as well.
    pub include_byok: bool,
    /// What it belongs to, such as a guardrail's id.
    pub source: Option<String>,
}

/// How a budget stands for one of those it is counted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub budget: Budget,
    /// The key, member or end user; empty where all are counted together.
    pub who: String,
    #[serde(with = "text")]
    pub spent: Money,
    #[serde(with = "text")]
    pub held: Money,
    #[serde(with = "text::optional_ms")]
    pub resets_at: Option<Time>,
}

const COLUMNS: &str = "budget.id, scope, subject, per, model, window, CAST(amount AS TEXT),
    CAST(include_byok AS TEXT), source";

/// The budgets that are about a key `?1`, in a workspace `?2`, of a member `?3`.
pub(super) const ABOUT: &str = "((scope = 'account') OR (scope = 'workspace' AND subject = ?2)
    OR (scope = 'key' AND subject = ?1) OR (scope = 'user' AND subject = ?3))";

/// What comes of [`set`].
#[derive(Debug, PartialEq)]
pub(super) enum Set {
    Done,
    /// There are [`MOST`] already.
    Full,
}

/// Makes a budget, or replaces the one of the same id. Where only the amount changes, or whether the
/// owner's own keys count, what was counted stays.
pub(super) fn set(store: &Store, now: Time, budget: &Budget) -> Result<Set, Fault> {
    let budget = &Budget { subject: budget.aim().subject_in_line(store)?, ..budget.clone() };
    if let Some((number, before)) = find(store, &budget.id)? {
        if before.counts_like(budget) {
            store.write(
                "UPDATE budget SET amount = CAST(?2 AS INTEGER), source = ?3
                 WHERE number = CAST(?1 AS INTEGER)",
                &[number.cell(), budget.amount.cell(), budget.source.cell()],
            )?;
            return Ok(Set::Done);
        }
        drop_one(store, number)?;
    }
    let count: u64 = match store.row("SELECT CAST(COUNT(*) AS TEXT) FROM budget", &[])? {
        Some(mut row) => row.next()?,
        None => 0,
    };
    if count >= MOST {
        return Ok(Set::Full);
    }
    let row = store.row(
        "INSERT INTO budget (id, scope, subject, per, model, window, amount, include_byok, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS INTEGER), CAST(?8 AS INTEGER), ?9)
         RETURNING CAST(number AS TEXT)",
        &[
            budget.id.cell(),
            budget.scope.cell(),
            budget.subject.cell(),
            budget.per.cell(),
            budget.model.cell(),
            budget.window.cell(),
            budget.amount.cell(),
            budget.include_byok.cell(),
            budget.source.cell(),
        ],
    )?;
    let number: u64 = row.ok_or(Fault::Corrupt("budget"))?.next()?;
    count_spent(store, now, number, budget)?;
    count_held(store, number, budget)?;
    Ok(Set::Done)
}

/// Ends a budget; whether there was one.
pub(super) fn remove(store: &Store, id: &str) -> Result<bool, Fault> {
    match find(store, id)? {
        Some((number, _)) => drop_one(store, number).map(|()| true),
        None => Ok(false),
    }
}

/// All budgets, or those of one subject, each as it stands in all. Where each key or user has a count
/// of its own, `who` says whose it is.
pub(super) fn list(store: &Store, now: Time, about: Option<(Scope, &str)>) -> Result<Vec<Standing>, Fault> {
    let (scope, subject) = about.unzip();
    let rows = store.rows(
        &format!(
            "SELECT {COLUMNS}, who, CAST(since AS TEXT), CAST(spent AS TEXT), CAST(held AS TEXT)
             FROM budget LEFT JOIN budget_count ON budget_count.budget = budget.number
             WHERE ?1 IS NULL OR (scope = ?1 AND subject = ?2) ORDER BY budget.number, who"
        ),
        &[scope.cell(), subject.map(str::to_owned).cell()],
    )?;
    rows.into_iter().map(|row| Standing::read(row, now)).collect()
}

/// How every budget stands that money with these tags would come out of, the narrowest first; of
/// those as narrow, the longest window first.
pub(super) fn standings(store: &Store, now: Time, tags: &Tags) -> Result<Vec<Standing>, Fault> {
    if has_none(store) {
        return Ok(Vec::new());
    }
    let rows = store.rows(
        &format!(
            "SELECT {COLUMNS}, CASE per WHEN 'key' THEN ?1 WHEN 'user' THEN ?3 WHEN 'end_user' THEN ?4
             ELSE '' END AS whose, CAST(since AS TEXT), CAST(spent AS TEXT), CAST(held AS TEXT)
             FROM budget LEFT JOIN budget_count ON budget_count.budget = budget.number
             AND budget_count.who = CASE per WHEN 'key' THEN ?1 WHEN 'user' THEN ?3
             WHEN 'end_user' THEN ?4 ELSE '' END
             WHERE {ABOUT} AND (per <> 'user' OR ?3 IS NOT NULL)"
        ),
        &tags.cells(),
    )?;
    let found = rows.into_iter().map(|row| Standing::read(row, now));
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.retain(|standing| tags.may_go_to(standing.budget.model.as_deref()));
    found.sort_by_key(|standing| standing.budget.breadth());
    Ok(found)
}

/// Counts a change of what is held with these tags.
pub(super) fn add_to_held(store: &Store, tags: &Tags, amount: Money) -> Result<(), Fault> {
    for ((number, ..), who) in counted(store, tags)? {
        hold_one(store, number, &who, amount)?;
    }
    Ok(())
}

fn hold_one(store: &Store, number: u64, who: &str, amount: Money) -> Result<(), Fault> {
    let (number, who) = (number.cell(), who.to_owned().cell());
    store.write(
        "INSERT INTO budget_count (budget, who, since, spent, held)
         VALUES (CAST(?1 AS INTEGER), ?2, 0, 0, 0) ON CONFLICT DO NOTHING",
        &[number.clone(), who.clone()],
    )?;
    store.write(
        "UPDATE budget_count SET held = held + CAST(?3 AS INTEGER)
         WHERE budget = CAST(?1 AS INTEGER) AND who = ?2",
        &[number, who, amount.cell()],
    )
}

/// Counts what was spent: of the account's credit, and at providers with the owner's own keys.
pub(super) fn spend(store: &Store, now: Time, tags: &Tags, amount: Money, byok: Money) -> Result<(), Fault> {
    for ((number, window, include_byok), who) in counted(store, tags)? {
        let spent = match include_byok {
            true => amount.checked_add(byok).ok_or(Fault::Corrupt("amount"))?,
            false => amount,
        };
        let since = window_start(window, now);
        store.write(
            "INSERT INTO budget_count (budget, who, since, spent, held)
             VALUES (CAST(?1 AS INTEGER), ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER), 0)
             ON CONFLICT (budget, who) DO UPDATE SET spent = excluded.spent +
             CASE WHEN since < excluded.since THEN 0 ELSE spent END, since = MAX(since, excluded.since)",
            &[number.cell(), who.cell(), since.cell(), spent.cell()],
        )?;
    }
    Ok(())
}

/// Whether there are any, so that an account without them pays for none.
pub(super) fn any(store: &Store) -> Result<bool, Fault> {
    match store.has() {
        Some(has) => Ok(has.budgets),
        None => Ok(store.row("SELECT id FROM budget LIMIT 1", &[])?.is_some()),
    }
}

/// Whether it is known that there are none.
fn has_none(store: &Store) -> bool {
    store.has().is_some_and(|has| !has.budgets)
}

/// Drops counts of windows that are over, so that they do not add up by users and days.
pub(super) fn drop_old(store: &Store, now: Time) -> Result<(), Fault> {
    if !any(store)? {
        return Ok(());
    }
    for window in [LimitReset::Daily, LimitReset::Weekly, LimitReset::Monthly] {
        store.write(
            "DELETE FROM budget_count WHERE held = 0 AND since < CAST(?2 AS INTEGER)
             AND budget IN (SELECT number FROM budget WHERE window = ?1)",
            &[window.cell(), window.window_start(now.day()).cell()],
        )?;
    }
    Ok(())
}

type Counted = ((u64, Option<LimitReset>, bool), String);

/// The budgets that money with these tags is counted in, and for whom.
fn counted(store: &Store, tags: &Tags) -> Result<Vec<Counted>, Fault> {
    if has_none(store) {
        return Ok(Vec::new());
    }
    let rows = store.rows(
        &format!(
            "SELECT CAST(number AS TEXT), window, CAST(include_byok AS TEXT), model, CASE per
             WHEN 'key' THEN ?1 WHEN 'user' THEN ?3 WHEN 'end_user' THEN ?4 ELSE '' END
             FROM budget WHERE {ABOUT} AND (per <> 'user' OR ?3 IS NOT NULL)"
        ),
        &tags.cells(),
    )?;
    let mut found = Vec::new();
    for mut row in rows {
        let budget = (row.next()?, row.next()?, row.next()?);
        let model: Option<String> = row.next()?;
        if tags.may_go_to(model.as_deref()) {
            found.push((budget, row.next()?));
        }
    }
    Ok(found)
}

fn find(store: &Store, id: &str) -> Result<Option<(u64, Budget)>, Fault> {
    let statement = format!("SELECT CAST(number AS TEXT), {COLUMNS} FROM budget WHERE id = ?1");
    let row = store.row(&statement, &[id.to_owned().cell()])?;
    row.map(|mut row| Ok((row.next()?, Budget::read(&mut row)?))).transpose()
}

fn drop_one(store: &Store, number: u64) -> Result<(), Fault> {
    store.write("DELETE FROM budget_count WHERE budget = CAST(?1 AS INTEGER)", &[number.cell()])?;
    store.write("DELETE FROM budget WHERE number = CAST(?1 AS INTEGER)", &[number.cell()])
}

/// Begins with what keys have spent in the window by now, as far as days by key tell.
fn count_spent(store: &Store, now: Time, number: u64, budget: &Budget) -> Result<(), Fault> {
    if budget.is_tagged() {
        return Ok(());
    }
    let who = match budget.per {
        Per::All | Per::EndUser => "''",
        Per::Key => "COALESCE(line, key_hash)",
        Per::User => "creator_user_id",
    };
    let about = match budget.scope {
        Scope::Account => "?3 = ''",
        Scope::Workspace => "COALESCE(workspace_id, '') = ?3",
        Scope::User => "creator_user_id = ?3",
        Scope::Key => "COALESCE(line, key_hash) = ?3",
    };
    let byok = if budget.include_byok { " + byok_usage" } else { "" };
    let statement = format!(
        "INSERT INTO budget_count (budget, who, since, spent, held)
         SELECT CAST(?1 AS INTEGER), {who}, CAST(?2 AS INTEGER), SUM(usage{byok}), 0
         FROM key_day LEFT JOIN api_key ON hash = key_hash
         WHERE day >= CAST(?2 AS INTEGER) AND {about} AND {who} IS NOT NULL GROUP BY {who}"
    );
    let since = window_start(budget.window, now);
    store.write(&statement, &[number.cell(), since.cell(), budget.subject.cell()])
}

/// Begins with what leases hold at the moment.
fn count_held(store: &Store, number: u64, budget: &Budget) -> Result<(), Fault> {
    let leases = store.rows(
        "SELECT CAST(amount AS TEXT), key_hash, workspace_id, creator_user_id, line, end_user, models FROM lease",
        &[],
    )?;
    for mut row in leases {
        let amount: Money = row.next()?;
        let tags = Tags::read(row.next()?, &mut row)?;
        if let Some(who) = budget.aim().whose(&tags) {
            hold_one(store, number, &who, amount)?;
        }
    }
    Ok(())
}

fn window_start(window: Option<LimitReset>, now: Time) -> Day {
    window.map_or(Day::from_number(0), |window| window.window_start(now.day()))
}

impl Budget {
    /// What makes it senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let long = self.source.as_ref().is_some_and(|text| text.len() > TEXT_BYTES);
        let flaws = [
            (long, "a text of 1 to 256 bytes is expected"),
            (self.amount.is_negative(), "a budget below zero"),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words).or_else(|| self.aim().flaw(&self.id))
    }

    pub(super) fn aim(&self) -> Aim<'_> {
        let Budget { scope, subject, per, model, .. } = self;
        Aim { scope: *scope, subject, per: *per, model: model.as_deref() }
    }

    /// Whether it tells models or end users apart: see [`Aim::is_tagged`].
    pub fn is_tagged(&self) -> bool {
        self.aim().is_tagged()
    }

    fn counts_like(&self, other: &Budget) -> bool {
        let Budget { id: _, amount: _, source: _, scope, subject, per, model, window, include_byok } = self;
        (scope, subject, per, model, window, include_byok)
            == (&other.scope, &other.subject, &other.per, &other.model, &other.window, &other.include_byok)
    }

    /// Sorts the narrowest first.
    fn breadth(&self) -> (Breadth, u8, String) {
        let window = match self.window {
            None => 0,
            Some(LimitReset::Monthly) => 1,
            Some(LimitReset::Weekly) => 2,
            Some(LimitReset::Daily) => 3,
        };
        (self.aim().breadth(), window, self.id.clone())
    }

    fn read(row: &mut Row) -> Result<Budget, Fault> {
        Ok(Budget {
            id: row.next()?,
            scope: row.next()?,
            subject: row.next()?,
            per: row.next()?,
            model: row.next()?,
            window: row.next()?,
            amount: row.next()?,
            include_byok: row.next()?,
            source: row.next()?,
        })
    }
}

impl Standing {
    fn read(mut row: Row, now: Time) -> Result<Standing, Fault> {
        let budget = Budget::read(&mut row)?;
        let (who, since): (Option<String>, Option<Day>) = (row.next()?, row.next()?);
        let (spent, held): (Option<Money>, Option<Money>) = (row.next()?, row.next()?);
        let counts = since.is_some_and(|since| since >= window_start(budget.window, now));
        Ok(Standing {
            who: who.unwrap_or_default(),
            spent: spent.filter(|_| counts).unwrap_or_default(),
            held: held.unwrap_or_default(),
            resets_at: budget.window.map(|window| window.resets_at(now)),
            budget,
        })
    }

    /// What can still be set aside. Below zero after a charge beyond its hold, or when the budget was
    /// lowered.
    pub(super) fn available(&self) -> Result<Money, Fault> {
        difference(difference(self.budget.amount, self.spent)?, self.held)
    }

    /// Whether it is narrower than the limit of a key.
    pub(super) fn is_within_key(&self) -> bool {
        self.budget.breadth().0 <= Breadth::Key
    }
}
