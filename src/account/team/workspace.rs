//! Workspaces: keys that share defaults, a guardrail and budgets. Every account has one, which keys are
//! in that name none; it is in the tables when it is first changed.

use super::row::{self, cell, data, merged, with};
use super::{
    Answered, DEFAULT_WORKSPACE, Deed, Office, TeamAnswer, TeamCommand, WORKSPACES, guardrail_of_workspace,
    not_found, request,
};
use crate::account::budget::{self, Budget, Per, Scope, Standing};
use crate::account::limit::LimitReset;
use crate::account::store::{Column, Fault, Row};
use crate::id::named_uuid;
use crate::json;
use crate::money::Money;
use crate::time::Time;

const COLUMNS: &str = "id, body, creator, CAST(include_byok AS TEXT), CAST(created_at AS TEXT),
    CAST(updated_at AS TEXT)";

/// One that there is.
pub(super) struct Workspace {
    /// As clients see it.
    pub id: String,
    body: String,
    creator: Option<String>,
    include_byok: bool,
    created_at: Time,
    updated_at: Option<Time>,
}

impl Workspace {
    fn read(mut row: Row) -> Result<Workspace, Fault> {
        Ok(Workspace {
            id: row.next()?,
            body: row.next()?,
            creator: row.next()?,
            include_byok: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }

    fn shown(&self) -> Result<String, Fault> {
        let more = [
            ("id", json::quote(&self.id)),
            ("default_guardrail_id", json::quote(&guardrail_of_workspace(&self.id))),
            ("include_byok_in_budgets", self.include_byok.to_string()),
            ("created_by", self.creator.as_deref().map_or("null".to_owned(), json::quote)),
            ("created_at", row::time(Some(self.created_at))),
            ("updated_at", row::time(self.updated_at)),
        ];
        with(&self.body, &more)
    }
}

impl Office<'_> {
    pub(super) fn workspaces(&self, command: &TeamCommand) -> Answered {
        match command.deed {
            Deed::ListWorkspaces => {
                self.make_default()?;
                let show = |row| Workspace::read(row)?.shown();
                let page = (command.offset, command.limit);
                // Those that are named, or all of them.
                let from = "workspace WHERE ?1 = '' OR instr(?1, id) > 0 ORDER BY created_at, id";
                let named = cell(&command.names.join(" "));
                return row::page(self.store, COLUMNS, from, &[named], page, show);
            }
            Deed::CreateWorkspace => return self.create_workspace(command),
            _ => {}
        }
        let Some(workspace) = self.workspace(&command.at)? else {
            return Ok(not_found("workspace"));
        };
        match command.deed {
            Deed::GetWorkspace => Ok(data(&workspace.shown()?)),
            Deed::UpdateWorkspace => self.update_workspace(&workspace, command),
            Deed::DeleteWorkspace => self.delete_workspace(&workspace),
            Deed::ListBudgets => self.list_budgets(&workspace),
            Deed::GetBudget => self.get_budget(&workspace, &command.id),
            Deed::SetBudget => self.set_budget(workspace, command),
            Deed::MoveKeys => self.move_keys(&workspace, &command.names),
            Deed::RemoveBudget => {
                budget::remove(self.store, &budget_id(&workspace, &command.id))?;
                let cells = [cell(&workspace.id), cell(&command.id)];
                self.store
                    .write("DELETE FROM workspace_budget WHERE workspace = ?1 AND interval = ?2", &cells)?;
                Ok(TeamAnswer::Done(r#"{"deleted":true}"#.to_owned()))
            }
            _ => Ok(not_found("deed")),
        }
    }

    /// By its id or its slug.
    pub(super) fn workspace(&self, at: &str) -> Result<Option<Workspace>, Fault> {
        if at == self.account.as_str() || at == DEFAULT_WORKSPACE {
            self.make_default()?;
        }
        let statement = format!("SELECT {COLUMNS} FROM workspace WHERE id = ?1 OR slug = ?1");
        self.store.row(&statement, &[cell(at)])?.map(Workspace::read).transpose()
    }

    /// As tables have it.
    pub(super) fn kept_workspace(&self, id: &str) -> String {
        if id == self.account.as_str() { String::new() } else { id.to_owned() }
    }

    fn make_default(&self) -> Result<(), Fault> {
        let body = merged(
            request::WORKSPACE_DEFAULTS,
            &format!(r#"{{"name":"Default Workspace","slug":"{DEFAULT_WORKSPACE}"}}"#),
        )?;
        self.store.write(
            "INSERT INTO workspace (id, slug, body, created_at) SELECT ?1, ?2, ?3, created_at FROM account
             WHERE NOT EXISTS (SELECT 1 FROM workspace WHERE id = ?1)",
            &[cell(self.account.as_str()), cell(DEFAULT_WORKSPACE), body.cell()],
        )
    }

    fn create_workspace(&self, command: &TeamCommand) -> Answered {
        self.make_default()?;
        if let Some(workspace) = self.workspace(&command.id)? {
            return Ok(data(&workspace.shown()?));
        }
        if row::count(self.store, "workspace", &[])? >= WORKSPACES {
            return Ok(TeamAnswer::Conflict(format!("An account has at most {WORKSPACES} workspaces")));
        }
        let body = merged(request::WORKSPACE_DEFAULTS, &command.body)?;
        let slug = slug_of(&body)?;
        if self.workspace(&slug)?.is_some() {
            return Ok(taken());
        }
        self.store.write(
            "INSERT INTO workspace (id, slug, body, creator, created_at)
             VALUES (?1, ?2, ?3, ?4, CAST(?5 AS INTEGER))",
            &[cell(&command.id), slug.cell(), body.cell(), cell(&command.by), self.now.cell()],
        )?;
        self.show_workspace(&command.id)
    }

    fn show_workspace(&self, id: &str) -> Answered {
        Ok(data(&self.workspace(id)?.ok_or(Fault::Corrupt("workspace"))?.shown()?))
    }

    fn update_workspace(&self, workspace: &Workspace, command: &TeamCommand) -> Answered {
        let body = merged(&workspace.body, &command.body)?;
        if body == workspace.body {
            return self.show_workspace(&workspace.id);
        }
        let slug = slug_of(&body)?;
        if self.workspace(&slug)?.is_some_and(|other| other.id != workspace.id) {
            return Ok(taken());
        }
        self.store.write(
            "UPDATE workspace SET slug = ?2, body = ?3, updated_at = CAST(?4 AS INTEGER) WHERE id = ?1",
            &[cell(&workspace.id), slug.cell(), body.cell(), self.now.cell()],
        )?;
        self.touch("workspace_id = ?1", &self.kept_workspace(&workspace.id))?;
        self.show_workspace(&workspace.id)
    }

    fn delete_workspace(&self, workspace: &Workspace) -> Answered {
        if workspace.id == self.account.as_str() {
            return Ok(TeamAnswer::Forbidden("The default workspace cannot be deleted".to_owned()));
        }
        let id = [cell(&workspace.id)];
        if row::count(self.store, "api_key WHERE workspace_id = ?1 AND deleted_at IS NULL", &id)? > 0 {
            let words = "Workspaces with active API keys cannot be deleted; remove the keys first";
            return Ok(TeamAnswer::Invalid(words.to_owned()));
        }
        for standing in self.budgets_of(workspace)? {
            budget::remove(self.store, &standing.budget.id)?;
        }
        let guardrails = self.guardrails_in(&workspace.id)?;
        guardrails.iter().try_for_each(|guardrail| self.drop_guardrail(guardrail))?;
        for table in
            ["workspace_budget WHERE workspace", "workspace_member WHERE workspace", "workspace WHERE id"]
        {
            self.store.write(&format!("DELETE FROM {table} = ?1"), &id)?;
        }
        Ok(TeamAnswer::Done(r#"{"deleted":true}"#.to_owned()))
    }

    fn move_keys(&self, workspace: &Workspace, hashes: &[String]) -> Answered {
        let kept = self.kept_workspace(&workspace.id);
        for hash in hashes {
            self.store.write(
                "UPDATE api_key SET workspace_id = ?2, version = version + 1, policy_due = 1,
                 updated_at = CAST(?3 AS INTEGER) WHERE hash = ?1 AND workspace_id <> ?2
                 AND kind = 'inference' AND deleted_at IS NULL",
                &[cell(hash), kept.cell(), self.now.cell()],
            )?;
        }
        Ok(TeamAnswer::Done("{}".to_owned()))
    }

    fn list_budgets(&self, workspace: &Workspace) -> Answered {
        let rows = self.store.rows(
            &format!("SELECT {BUDGET} FROM workspace_budget WHERE workspace = ?1 ORDER BY created_at, id"),
            &[cell(&workspace.id)],
        )?;
        let rows = rows.into_iter().map(|row| show_budget(row, &workspace.id));
        let rows: Vec<String> = rows.collect::<Result<_, Fault>>()?;
        let list = format!("[{}]", rows.join(","));
        Ok(TeamAnswer::Done(with_byok(&list, workspace.include_byok)))
    }

    fn get_budget(&self, workspace: &Workspace, interval: &str) -> Answered {
        let statement =
            format!("SELECT {BUDGET} FROM workspace_budget WHERE workspace = ?1 AND interval = ?2");
        match self.store.row(&statement, &[cell(&workspace.id), cell(interval)])? {
            Some(row) => {
                Ok(TeamAnswer::Done(with_byok(&show_budget(row, &workspace.id)?, workspace.include_byok)))
            }
            None => Ok(not_found("budget")),
        }
    }

    /// The body is `{"limit_usd": picodollars as text, "include_byok_in_budgets"?}`.
    fn set_budget(&self, mut workspace: Workspace, command: &TeamCommand) -> Answered {
        let wanted = json::members(&command.body).map_err(|_| Fault::Corrupt("JSON"))?;
        let amount = wanted.string("limit_usd").and_then(|text| Money::from_text(&text).ok());
        let amount = amount.ok_or(Fault::Corrupt("amount"))?;
        if let Some(words) = self.out_of_order(&workspace, &command.id, amount)? {
            return Ok(TeamAnswer::Invalid(words));
        }
        if let Some(include) = wanted.get("include_byok_in_budgets").and_then(json::boolean) {
            workspace.include_byok = include;
            self.store.write(
                "UPDATE workspace SET include_byok = CAST(?2 AS INTEGER) WHERE id = ?1",
                &[cell(&workspace.id), include.cell()],
            )?;
        }
        self.store.write(
            "INSERT INTO workspace_budget (workspace, interval, id, amount, created_at, updated_at)
             VALUES (?1, ?2, ?3, CAST(?4 AS INTEGER), CAST(?5 AS INTEGER), CAST(?5 AS INTEGER))
             ON CONFLICT (workspace, interval) DO UPDATE SET amount = excluded.amount,
             updated_at = excluded.updated_at",
            &[
                cell(&workspace.id),
                cell(&command.id),
                cell(&named_uuid(&budget_id(&workspace, &command.id))),
                amount.cell(),
                self.now.cell(),
            ],
        )?;
        self.enforce_budgets(&workspace)?;
        self.get_budget(&workspace, &command.id)
    }

    /// What is wrong with a limit beside those of other intervals.
    fn out_of_order(
        &self,
        workspace: &Workspace,
        interval: &str,
        amount: Money,
    ) -> Result<Option<String>, Fault> {
        let place = |name: &str| INTERVALS.iter().position(|one| *one == name);
        for (other, limit) in self.limits(workspace)? {
            let (wide, narrow) = match place(&other).cmp(&place(interval)) {
                std::cmp::Ordering::Less => ((other.as_str(), limit), (interval, amount)),
                std::cmp::Ordering::Greater => ((interval, amount), (other.as_str(), limit)),
                std::cmp::Ordering::Equal => continue,
            };
            if wide.1 <= narrow.1 {
                return Ok(Some(format!(
                    "Budget limits must be strictly decreasing as scope narrows: the {} limit (${}) must be \
                     greater than the {} limit (${}).",
                    wide.0,
                    wide.1.to_usd(),
                    narrow.0,
                    narrow.1.to_usd()
                )));
            }
        }
        Ok(None)
    }

    fn limits(&self, workspace: &Workspace) -> Result<Vec<(String, Money)>, Fault> {
        let rows = self.store.rows(
            "SELECT interval, CAST(amount AS TEXT) FROM workspace_budget WHERE workspace = ?1",
            &[cell(&workspace.id)],
        )?;
        rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
    }

    fn enforce_budgets(&self, workspace: &Workspace) -> Result<(), Fault> {
        for (interval, amount) in self.limits(workspace)? {
            let budget = Budget {
                id: budget_id(workspace, &interval),
                scope: Scope::Workspace,
                subject: self.kept_workspace(&workspace.id),
                per: Per::All,
                model: None,
                window: LimitReset::parse(&interval),
                amount,
                include_byok: workspace.include_byok,
                source: Some(format!("workspace:{}", workspace.id)),
            };
            budget::set(self.store, self.now, &budget)?;
        }
        Ok(())
    }

    fn budgets_of(&self, workspace: &Workspace) -> Result<Vec<Standing>, Fault> {
        let subject = self.kept_workspace(&workspace.id);
        budget::list(self.store, self.now, Some((Scope::Workspace, &subject)))
    }
}

/// From the widest.
pub(super) const INTERVALS: [&str; 4] = ["lifetime", "monthly", "weekly", "daily"];
const BUDGET: &str = "id, interval, CAST(amount AS TEXT), CAST(created_at AS TEXT), CAST(updated_at AS TEXT)";

fn budget_id(workspace: &Workspace, interval: &str) -> String {
    format!("workspace:{}:{interval}", workspace.id)
}

fn show_budget(mut row: Row, workspace: &str) -> Result<String, Fault> {
    let (id, interval): (String, String) = (row.next()?, row.next()?);
    let amount: Money = row.next()?;
    let (created_at, updated_at): (Time, Time) = (row.next()?, row.next()?);
    let interval = if interval == "lifetime" { "null".to_owned() } else { json::quote(&interval) };
    Ok(format!(
        r#"{{"id":{},"workspace_id":{},"limit_usd":{},"reset_interval":{interval},"created_at":{},"updated_at":{}}}"#,
        json::quote(&id),
        json::quote(workspace),
        amount.to_usd(),
        row::time(Some(created_at)),
        row::time(Some(updated_at)),
    ))
}

fn with_byok(data: &str, include_byok: bool) -> String {
    format!(r#"{{"data":{data},"include_byok_in_budgets":{include_byok}}}"#)
}

fn slug_of(body: &str) -> Result<String, Fault> {
    let members = json::members(body).map_err(|_| Fault::Corrupt("JSON"))?;
    members.string("slug").map(Into::into).ok_or(Fault::Corrupt("slug"))
}

fn taken() -> TeamAnswer {
    TeamAnswer::Invalid("slug: another workspace has this slug".to_owned())
}
