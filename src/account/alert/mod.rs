//! Alerts: what an account's owner is told of its spending, by a webhook. Decided in the turn that
//! charges, kept until delivered; nothing here may hold up or fail a charge.

pub mod message;
pub mod outbox;
pub mod view;
mod watch;

pub(super) use watch::{watch, watch_refusal};

use super::command::{Answer, Command};
use super::ledger::invalid;
use super::store::{Column, Fault, Store};
use super::text;
use crate::money::Money;
use crate::time::Time;
use message::Delivery;
use serde::{Deserialize, Serialize};

/// The longest address or secret, in bytes.
const TEXT_BYTES: usize = 4096;

/// Where alerts go, and what they are about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub url: String,
    pub enabled: bool,
    /// Below this balance the owner is told; `None` for never.
    #[serde(with = "text::optional")]
    pub low_balance: Option<Money>,
    pub unusual_spend: Option<UnusualSpend>,
    pub fallback_spike: Option<FallbackSpike>,
}

/// An hour's spending beyond what is usual: more than `factor` times the mean of the hours of the last
/// seven days, and more than `floor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnusualSpend {
    pub factor: u64,
    #[serde(with = "text")]
    pub floor: Money,
}

/// In ten minutes at least `requests` replies, of which `percent` came only after another attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FallbackSpike {
    pub percent: u64,
    pub requests: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCommand {
    /// Replaces the settings. The secret is kept if there is one and another is not wanted.
    Set {
        settings: Settings,
        /// To be used if there is none, or if `renew`.
        secret: String,
        renew: bool,
    },
    Get,
    /// Puts an alert that means nothing among those to be delivered.
    Test,
    /// Begins the deliveries that are due. What the alarm runs.
    Due,
    /// What became of them.
    Ended(Vec<Ended>),
}

/// How one delivery went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub number: u64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Delivered,
    /// It is tried again later; why not now, without an address.
    Failed(String),
    /// Nobody is there any longer: nothing more is sent.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertAnswer {
    /// To `Set`, `Get` and `Test`. The secret only if it was just taken.
    Standing { standing: Option<Standing>, new_secret: Option<String> },
    /// To `Due`.
    Due(Vec<Delivery>),
    /// To `Ended`.
    Noted,
}

/// The settings with what became of the alerts so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub settings: Settings,
    pub waiting: u64,
    #[serde(with = "text::optional_ms")]
    pub last_delivered_at: Option<Time>,
    pub last_error: Option<String>,
    /// Alerts that were given up.
    pub lost: u64,
}

impl AlertCommand {
    /// The command as an account is told it.
    pub fn told(&self) -> Command {
        let command = serde_json::to_string(self).expect("texts, numbers and nulls are always JSON");
        Command::Alert { command }
    }

    /// What makes the command senseless in any account, if anything does.
    fn flaw(&self) -> Option<&'static str> {
        let AlertCommand::Set { settings, secret, .. } = self else {
            return None;
        };
        let below = |amount: Option<Money>| amount.is_some_and(Money::is_negative);
        let flaws = [
            (settings.url.len() > TEXT_BYTES || secret.len() > TEXT_BYTES, "a text is too long"),
            (below(settings.low_balance), "a balance below zero"),
            (below(settings.unusual_spend.as_ref().map(|unusual| unusual.floor)), "a floor below zero"),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words)
    }
}

impl AlertAnswer {
    /// Reads the answer to [`AlertCommand::told`]; `None` for any other.
    pub fn read(answer: &Answer) -> Option<AlertAnswer> {
        match answer {
            Answer::Alert { answer, .. } => crate::json::read(answer).ok(),
            _ => None,
        }
    }
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read::<AlertCommand>(command) else {
        return Ok(invalid("not a command for alerts"));
    };
    if let Some(flaw) = command.flaw() {
        return Ok(invalid(flaw));
    }
    let answer = match command {
        AlertCommand::Set { settings, secret, renew } => set(store, now, &settings, secret, renew)?,
        AlertCommand::Get => AlertAnswer::Standing { standing: get(store)?, new_secret: None },
        AlertCommand::Test => {
            if get(store)?.is_some_and(|standing| standing.settings.enabled) {
                outbox::add(store, now, "test", "{}")?;
            }
            AlertAnswer::Standing { standing: get(store)?, new_secret: None }
        }
        AlertCommand::Due => AlertAnswer::Due(outbox::begin(store, now)?),
        AlertCommand::Ended(ended) => {
            ended.iter().try_for_each(|ended| outbox::end(store, now, ended))?;
            AlertAnswer::Noted
        }
    };
    let answer = serde_json::to_string(&answer).expect("texts, numbers and nulls are always JSON");
    Ok(Answer::Alert { answer, next_alarm: outbox::next_at(store)? })
}

fn set(
    store: &Store,
    now: Time,
    settings: &Settings,
    secret: String,
    renew: bool,
) -> Result<AlertAnswer, Fault> {
    let is_new = get(store)?.is_none();
    let unusual = settings.unusual_spend.as_ref();
    let fallback = settings.fallback_spike.as_ref();
    store.write(
        "INSERT INTO alert_settings (one, url, secret, since) VALUES (1, ?1, ?2, CAST(?3 AS INTEGER))
         ON CONFLICT DO UPDATE SET url = ?1, secret = CASE WHEN ?4 = '1' THEN ?2 ELSE secret END",
        &[settings.url.cell(), secret.cell(), now.cell(), renew.cell()],
    )?;
    store.write(
        "UPDATE alert_settings SET enabled = CAST(?1 AS INTEGER), low_balance = CAST(?2 AS INTEGER),
         unusual_factor = CAST(?3 AS INTEGER), unusual_floor = CAST(?4 AS INTEGER),
         fallback_percent = CAST(?5 AS INTEGER), fallback_requests = CAST(?6 AS INTEGER)",
        &[
            settings.enabled.cell(),
            settings.low_balance.cell(),
            unusual.map(|unusual| unusual.factor).cell(),
            unusual.map(|unusual| unusual.floor).cell(),
            fallback.map(|fallback| fallback.percent).cell(),
            fallback.map(|fallback| fallback.requests).cell(),
        ],
    )?;
    Ok(AlertAnswer::Standing { standing: get(store)?, new_secret: (is_new || renew).then_some(secret) })
}

pub(super) fn get(store: &Store) -> Result<Option<Standing>, Fault> {
    let row = store.row(
        "SELECT url, CAST(enabled AS TEXT), CAST(low_balance AS TEXT), CAST(unusual_factor AS TEXT),
         CAST(unusual_floor AS TEXT), CAST(fallback_percent AS TEXT), CAST(fallback_requests AS TEXT),
         CAST((SELECT COUNT(*) FROM alert) AS TEXT), CAST(last_delivered_at AS TEXT), last_error,
         CAST(lost AS TEXT) FROM alert_settings",
        &[],
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let (url, enabled, low_balance) = (row.next()?, row.next()?, row.next()?);
    let (factor, floor): (Option<u64>, Option<Money>) = (row.next()?, row.next()?);
    let (percent, requests): (Option<u64>, Option<u64>) = (row.next()?, row.next()?);
    let unusual_spend = factor.zip(floor).map(|(factor, floor)| UnusualSpend { factor, floor });
    let fallback_spike = percent.zip(requests).map(|(percent, requests)| FallbackSpike { percent, requests });
    Ok(Some(Standing {
        settings: Settings { url, enabled, low_balance, unusual_spend, fallback_spike },
        waiting: row.next()?,
        last_delivered_at: row.next()?,
        last_error: row.next()?,
        lost: row.next()?,
    }))
}
