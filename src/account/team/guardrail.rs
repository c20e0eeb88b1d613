//! Guardrails: rules and budgets that hold for the keys and members they are assigned to. One is a
//! workspace's own and one the account's: they hold for everybody there, and exist once they say something.

use super::row::{self, cell, data, merged, with};
use super::{
    ACCOUNT_GUARDRAIL, Answered, Deed, GUARDRAILS, Office, TeamAnswer, TeamCommand, guardrail_of_account,
    guardrail_of_workspace, not_found, request,
};
use crate::account::budget::{self, Budget, Per, Scope};
use crate::account::limit::LimitReset;
use crate::account::store::{Column, Fault, Row};
use crate::json;
use crate::money::Money;
use crate::time::Time;

const COLUMNS: &str = "id, workspace, default_for, body, CAST(created_at AS TEXT), CAST(updated_at AS TEXT)";

pub(super) struct Guardrail {
    pub id: String,
    workspace: Option<String>,
    /// The workspace or the account that it holds for as a whole.
    pub default_for: Option<String>,
    body: String,
    created_at: Time,
    updated_at: Option<Time>,
}

impl Guardrail {
    fn read(mut row: Row) -> Result<Guardrail, Fault> {
        Ok(Guardrail {
            id: row.next()?,
            workspace: row.next()?,
            default_for: row.next()?,
            body: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }

    fn shown(&self) -> Result<String, Fault> {
        let more = [
            ("id", json::quote(&self.id)),
            ("workspace_id", self.workspace.as_deref().map_or("null".to_owned(), json::quote)),
            ("created_at", row::time(Some(self.created_at))),
            ("updated_at", row::time(self.updated_at)),
        ];
        with(&self.body, &more)
    }

    fn source(&self) -> String {
        format!("guardrail:{}", self.id)
    }
}

impl Office<'_> {
    pub(super) fn guardrails(&self, command: &TeamCommand) -> Answered {
        match command.deed {
            Deed::ListGuardrails => self.list_guardrails(command),
            Deed::CreateGuardrail => self.create_guardrail(command),
            Deed::GetGuardrail => match self.guardrail(&command.at)? {
                Some(guardrail) => Ok(data(&guardrail.shown()?)),
                None => Ok(not_found("guardrail")),
            },
            Deed::UpdateGuardrail => self.update_guardrail(command),
            _ => match self.guardrail(&command.at)? {
                Some(guardrail) => {
                    self.drop_guardrail(&guardrail)?;
                    Ok(TeamAnswer::Done(r#"{"deleted":true}"#.to_owned()))
                }
                None => Ok(not_found("guardrail")),
            },
        }
    }

    pub(super) fn guardrail(&self, at: &str) -> Result<Option<Guardrail>, Fault> {
        let id = if at == ACCOUNT_GUARDRAIL { guardrail_of_account(&self.account) } else { at.to_owned() };
        let statement = format!("SELECT {COLUMNS} FROM guardrail WHERE id = ?1");
        self.store.row(&statement, &[id.cell()])?.map(Guardrail::read).transpose()
    }

    pub(super) fn guardrails_in(&self, workspace: &str) -> Result<Vec<Guardrail>, Fault> {
        let statement = format!("SELECT {COLUMNS} FROM guardrail WHERE workspace = ?1");
        self.store.rows(&statement, &[cell(workspace)])?.into_iter().map(Guardrail::read).collect()
    }

    fn list_guardrails(&self, command: &TeamCommand) -> Answered {
        let workspace = match command.names.first() {
            None => self.account.to_string(),
            Some(at) => match self.workspace(at)? {
                Some(workspace) => workspace.id,
                None => return Ok(not_found("workspace")),
            },
        };
        let from = "guardrail WHERE workspace = ?1 ORDER BY number";
        let show = |row| Guardrail::read(row)?.shown();
        row::page(self.store, COLUMNS, from, &[workspace.cell()], (command.offset, command.limit), show)
    }

    fn create_guardrail(&self, command: &TeamCommand) -> Answered {
        if let Some(guardrail) = self.guardrail(&command.id)? {
            return Ok(data(&guardrail.shown()?));
        }
        let workspace = match command.names.first() {
            None => self.account.to_string(),
            Some(at) => match self.workspace(at)? {
                Some(workspace) => workspace.id,
                None => return Ok(TeamAnswer::Invalid("workspace_id: no such workspace".to_owned())),
            },
        };
        if row::count(self.store, "guardrail", &[])? >= GUARDRAILS {
            return Ok(TeamAnswer::Conflict(format!("An account has at most {GUARDRAILS} guardrails")));
        }
        let body = merged(request::GUARDRAIL_DEFAULTS, &command.body)?;
        self.insert(&command.id, Some(&workspace), None, &body)?;
        let made = self.guardrail(&command.id)?.ok_or(Fault::Corrupt("guardrail"))?;
        Ok(data(&made.shown()?))
    }

    fn insert(
        &self,
        id: &str,
        workspace: Option<&str>,
        default_for: Option<&str>,
        body: &str,
    ) -> Result<(), Fault> {
        let cells = [
            cell(id),
            workspace.map(str::to_owned).cell(),
            default_for.map(str::to_owned).cell(),
            cell(body),
            self.now.cell(),
        ];
        self.store.write(
            "INSERT INTO guardrail (id, workspace, default_for, body, created_at)
             VALUES (?1, ?2, ?3, ?4, CAST(?5 AS INTEGER))",
            &cells,
        )
    }

    fn update_guardrail(&self, command: &TeamCommand) -> Answered {
        let Some(old) = self.found_or_made(&command.at)? else { return Ok(not_found("guardrail")) };
        let body = merged(&old.body, &command.body)?;
        let named =
            |body: &str| json::members(body).ok().and_then(|members| members.get("name").map(str::to_owned));
        if old.default_for.is_some() && named(&body) != named(&old.body) {
            return Ok(TeamAnswer::Invalid("name: a default guardrail cannot be renamed".to_owned()));
        }
        self.store.write(
            "UPDATE guardrail SET body = ?2, updated_at = CAST(?3 AS INTEGER) WHERE id = ?1",
            &[cell(&old.id), body.cell(), self.now.cell()],
        )?;
        let new = Guardrail { body, updated_at: Some(self.now), ..old };
        self.enforce(&new)?;
        self.touch_by(&new)?;
        Ok(data(&new.shown()?))
    }

    /// The default guardrail of the account or of a workspace comes into being when it is changed.
    fn found_or_made(&self, at: &str) -> Result<Option<Guardrail>, Fault> {
        if let Some(guardrail) = self.guardrail(at)? {
            return Ok(Some(guardrail));
        }
        let of_account = guardrail_of_account(&self.account);
        let (id, workspace, name) = if at == ACCOUNT_GUARDRAIL || at == of_account {
            (of_account, None, "Account Default".to_owned())
        } else {
            // The default workspace may not have been looked at.
            self.workspace(self.account.as_str())?;
            let rows = self.store.rows("SELECT id FROM workspace", &[])?;
            let ids: Vec<String> =
                rows.into_iter().map(|mut row| row.next()).collect::<Result<_, Fault>>()?;
            let Some(workspace) = ids.into_iter().find(|id| guardrail_of_workspace(id) == at) else {
                return Ok(None);
            };
            let name = format!("Workspace {workspace} Default");
            (at.to_owned(), Some(workspace), name)
        };
        let body = merged(request::GUARDRAIL_DEFAULTS, &format!("{{\"name\":{}}}", json::quote(&name)))?;
        let default_for = workspace.as_deref().unwrap_or(ACCOUNT_GUARDRAIL);
        self.insert(&id, workspace.as_deref(), Some(default_for), &body)?;
        self.guardrail(&id)
    }

    pub(super) fn drop_guardrail(&self, guardrail: &Guardrail) -> Result<(), Fault> {
        self.touch_by(guardrail)?;
        for id in self.budgets_by(guardrail)? {
            budget::remove(self.store, &id)?;
        }
        for table in ["guardrail_assignment WHERE guardrail", "guardrail WHERE id"] {
            self.store.write(&format!("DELETE FROM {table} = ?1"), &[cell(&guardrail.id)])?;
        }
        Ok(())
    }

    fn budgets_by(&self, guardrail: &Guardrail) -> Result<Vec<String>, Fault> {
        let rows =
            self.store.rows("SELECT id FROM budget WHERE source = ?1", &[guardrail.source().cell()])?;
        rows.into_iter().map(|mut row| row.next()).collect()
    }

    /// Sets the budgets that follow from a guardrail: one for each key and member that it is assigned
    /// to, or for each of those it holds for anyway.
    pub(super) fn enforce(&self, guardrail: &Guardrail) -> Result<(), Fault> {
        let wanted = self.budgets_wanted(guardrail)?;
        for id in self.budgets_by(guardrail)? {
            if wanted.iter().all(|budget| budget.id != id) {
                budget::remove(self.store, &id)?;
            }
        }
        for budget in wanted {
            budget::set(self.store, self.now, &budget)?;
        }
        Ok(())
    }

    fn budgets_wanted(&self, guardrail: &Guardrail) -> Result<Vec<Budget>, Fault> {
        let members = json::members(&guardrail.body).map_err(|_| Fault::Corrupt("JSON"))?;
        let Some(limit) = members.value("limit_usd") else { return Ok(Vec::new()) };
        let amount = Money::parse_usd(limit).map_err(|_| Fault::Corrupt("amount"))?;
        let budget = |scope: Scope, subject: &str, per: Per| Budget {
            id: format!("{}:{}:{}:{subject}", guardrail.source(), scope.as_str(), per.as_str()),
            scope,
            subject: subject.to_owned(),
            per,
            model: None,
            window: members.string("reset_interval").and_then(|name| LimitReset::parse(&name)),
            amount,
            include_byok: members.get("include_byok_in_budgets") == Some("true"),
            source: Some(guardrail.source()),
        };
        if let Some(of) = &guardrail.default_for {
            let (scope, subject) = match of == ACCOUNT_GUARDRAIL {
                true => (Scope::Account, String::new()),
                false => (Scope::Workspace, self.kept_workspace(of)),
            };
            return Ok([Per::Key, Per::User].map(|per| budget(scope, &subject, per)).into());
        }
        let rows = self.store.rows(
            "SELECT kind, subject FROM guardrail_assignment WHERE guardrail = ?1",
            &[cell(&guardrail.id)],
        )?;
        let mut budgets = Vec::new();
        for mut row in rows {
            let (kind, subject): (String, String) = (row.next()?, row.next()?);
            let scope = if kind == "key" { Scope::Key } else { Scope::User };
            budgets.push(budget(scope, &subject, Per::All));
        }
        Ok(budgets)
    }

    /// Marks the keys that a guardrail holds for.
    fn touch_by(&self, guardrail: &Guardrail) -> Result<(), Fault> {
        match &guardrail.default_for {
            Some(of) if of == ACCOUNT_GUARDRAIL => self.touch("?1 = ''", ""),
            Some(of) => self.touch("workspace_id = ?1", &self.kept_workspace(of)),
            None => {
                let assigned = "IN (SELECT subject FROM guardrail_assignment WHERE guardrail = ?1 AND kind =";
                let about = format!("hash {assigned} 'key') OR creator_user_id {assigned} 'member')");
                self.touch(&about, &guardrail.id)
            }
        }
    }

    /// Marks keys whose policy is another from here on: KV is to be told of it. `about` is a condition
    /// with `subject` for its `?1`.
    pub(super) fn touch(&self, about: &str, subject: &str) -> Result<(), Fault> {
        let statement = format!(
            "UPDATE api_key SET version = version + 1, policy_due = 1
             WHERE kind = 'inference' AND deleted_at IS NULL AND ({about})"
        );
        self.store.write(&statement, &[cell(subject)])
    }
}
