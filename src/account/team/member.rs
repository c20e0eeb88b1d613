//! The people of an account, and which workspaces they are in. Everybody is in the default workspace.

use super::row::{self, cell, data, merged, with};
use super::workspace::Workspace;
use super::{Answered, Deed, MEMBERS, Office, TeamAnswer, TeamCommand, not_found, request};
use crate::account::store::{Column, Fault, Row};
use crate::id::named_uuid;
use crate::json;
use crate::time::Time;

impl Office<'_> {
    pub(super) fn members(&self, command: &TeamCommand) -> Answered {
        let page = (command.offset, command.limit);
        match command.deed {
            Deed::ListMembers => {
                return row::page(self.store, "id, body", "member ORDER BY created_at, id", &[], page, show);
            }
            Deed::CreateMember => return self.create_member(command),
            Deed::UpdateMember => return self.update_member(command),
            Deed::RemoveMember => return self.remove_member(command),
            _ => {}
        }
        let Some(workspace) = self.workspace(&command.at)? else {
            return Ok(not_found("workspace"));
        };
        match command.deed {
            Deed::ListWorkspaceMembers => self.list_workspace_members(&workspace, page),
            Deed::AddWorkspaceMembers => self.add(&workspace, command),
            _ => self.remove(&workspace, &command.names),
        }
    }

    /// By id or address: the id.
    pub(super) fn member(&self, name: &str) -> Result<Option<String>, Fault> {
        let row = self.store.row("SELECT id FROM member WHERE id = ?1 OR email = ?1", &[cell(name)])?;
        row.map(|mut row| row.next()).transpose()
    }

    /// The ids of members, or the answer for the first who is none.
    pub(super) fn known(&self, names: &[String]) -> Result<Result<Vec<String>, TeamAnswer>, Fault> {
        let mut ids = Vec::new();
        for name in names {
            match self.member(name)? {
                Some(id) => ids.push(id),
                None => {
                    let words = format!("{name} is not a member of this organization");
                    return Ok(Err(TeamAnswer::Invalid(words)));
                }
            }
        }
        Ok(Ok(ids))
    }

    fn create_member(&self, command: &TeamCommand) -> Answered {
        let body = merged(request::MEMBER_DEFAULTS, &command.body)?;
        let email = email_of(&body)?;
        if let Some(id) = self.member(&email)? {
            let words = format!("{email} is {id} already");
            return if id == command.id { self.show_member(&id) } else { Ok(TeamAnswer::Conflict(words)) };
        }
        if self.member(&command.id)?.is_some() {
            return Ok(TeamAnswer::Conflict("There is a member of this id already".to_owned()));
        }
        if row::count(self.store, "member", &[])? >= MEMBERS {
            return Ok(TeamAnswer::Conflict(format!("An account has at most {MEMBERS} members")));
        }
        self.store.write(
            "INSERT INTO member (id, email, body, created_at) VALUES (?1, ?2, ?3, CAST(?4 AS INTEGER))",
            &[cell(&command.id), email.cell(), body.cell(), self.now.cell()],
        )?;
        self.show_member(&command.id)
    }

    fn show_member(&self, id: &str) -> Answered {
        match self.store.row("SELECT id, body FROM member WHERE id = ?1", &[cell(id)])? {
            Some(row) => Ok(data(&show(row)?)),
            None => Ok(not_found("member")),
        }
    }

    fn update_member(&self, command: &TeamCommand) -> Answered {
        let Some(id) = self.member(&command.at)? else { return Ok(not_found("member")) };
        let row = self.store.row("SELECT body FROM member WHERE id = ?1", &[cell(&id)])?;
        let old: String = row.ok_or(Fault::Corrupt("member"))?.next()?;
        let body = merged(&old, &command.body)?;
        let email = email_of(&body)?;
        if self.member(&email)?.is_some_and(|other| other != id) {
            return Ok(TeamAnswer::Conflict(format!("{email} is another member's")));
        }
        self.store.write(
            "UPDATE member SET email = ?2, body = ?3 WHERE id = ?1",
            &[cell(&id), email.cell(), body.cell()],
        )?;
        self.show_member(&id)
    }

    /// With another member's name in `names`, that one has the keys from here on; without, they are
    /// disabled.
    fn remove_member(&self, command: &TeamCommand) -> Answered {
        let Some(id) = self.member(&command.at)? else { return Ok(not_found("member")) };
        let heir = command.names.first().map(|name| self.member(name)).transpose()?;
        match heir.map(|heir| heir.filter(|heir| *heir != id)) {
            None => self.disable_keys(&id)?,
            Some(Some(heir)) => self.hand_over(&id, &heir)?,
            Some(None) => {
                let words = "hand_over_to: not another member of this organization";
                return Ok(TeamAnswer::Invalid(words.to_owned()));
            }
        }
        self.unassign("member", &id)?;
        for table in [
            "auth_code WHERE key_hash IS NULL AND creator_user_id",
            "workspace_member WHERE user_id",
            "member WHERE id",
        ] {
            self.store.write(&format!("DELETE FROM {table} = ?1"), &[cell(&id)])?;
        }
        Ok(TeamAnswer::Done(r#"{"deleted":true}"#.to_owned()))
    }

    fn disable_keys(&self, user: &str) -> Result<(), Fault> {
        self.store.write(
            "UPDATE api_key SET disabled = 1, version = version + 1, policy_due = 1,
             updated_at = CAST(?2 AS INTEGER) WHERE creator_user_id = ?1 AND deleted_at IS NULL",
            &[cell(user), self.now.cell()],
        )
    }

    /// Who gets keys is in their workspaces from here on.
    fn hand_over(&self, user: &str, heir: &str) -> Result<(), Fault> {
        let cells = [cell(user), cell(heir), self.now.cell()];
        self.store.write(
            "INSERT INTO workspace_member (workspace, user_id, created_at)
             SELECT DISTINCT workspace_id, ?2, CAST(?3 AS INTEGER) FROM api_key
             WHERE creator_user_id = ?1 AND deleted_at IS NULL AND workspace_id <> ''
             ON CONFLICT DO NOTHING",
            &cells,
        )?;
        self.store.write(
            "UPDATE api_key SET creator_user_id = ?2, version = version + 1, policy_due = 1,
             updated_at = CAST(?3 AS INTEGER) WHERE creator_user_id = ?1 AND deleted_at IS NULL",
            &cells,
        )
    }

    fn list_workspace_members(&self, workspace: &Workspace, page: (u64, u64)) -> Answered {
        let arguments = [cell(&workspace.id)];
        let show = |row| show_membership(row, &workspace.id);
        if workspace.id == self.account.as_str() {
            let from = "member AS m LEFT JOIN workspace_member AS w ON w.workspace = ?1 AND w.user_id = m.id
                 ORDER BY m.created_at, m.id";
            return row::page(self.store, IMPLICIT, from, &arguments, page, show);
        }
        let from = "workspace_member AS w JOIN member AS m ON m.id = w.user_id WHERE w.workspace = ?1
             ORDER BY w.created_at, m.id";
        row::page(self.store, EXPLICIT, from, &arguments, page, show)
    }

    /// The body is the role that they are to have there, or empty for the one that they have in the account.
    fn add(&self, workspace: &Workspace, command: &TeamCommand) -> Answered {
        let ids = match self.known(&command.names)? {
            Ok(ids) => ids,
            Err(answer) => return Ok(answer),
        };
        let (mut added, mut shown) = (0, Vec::new());
        for id in ids {
            let cells = [cell(&workspace.id), id.cell(), self.now.cell()];
            let made = self.store.row(
                "INSERT INTO workspace_member (workspace, user_id, created_at)
                 VALUES (?1, ?2, CAST(?3 AS INTEGER)) ON CONFLICT DO NOTHING RETURNING user_id",
                &cells,
            )?;
            added += usize::from(made.is_some());
            if !command.body.is_empty() {
                let set = "UPDATE workspace_member SET role = ?3 WHERE workspace = ?1 AND user_id = ?2";
                self.store.write(set, &[cell(&workspace.id), id.cell(), cell(&command.body)])?;
            }
            let statement = format!(
                "SELECT {EXPLICIT} FROM workspace_member AS w JOIN member AS m ON m.id = w.user_id
                 WHERE w.workspace = ?1 AND w.user_id = ?2"
            );
            let row = self.store.row(&statement, &cells[..2])?.ok_or(Fault::Corrupt("member"))?;
            shown.push(show_membership(row, &workspace.id)?);
        }
        Ok(TeamAnswer::Done(format!(r#"{{"added_count":{added},"data":[{}]}}"#, shown.join(","))))
    }

    fn remove(&self, workspace: &Workspace, names: &[String]) -> Answered {
        if workspace.id == self.account.as_str() {
            let words = "Every member is in the default workspace";
            return Ok(TeamAnswer::Invalid(words.to_owned()));
        }
        let ids = match self.known(names)? {
            Ok(ids) => ids,
            Err(answer) => return Ok(answer),
        };
        for id in &ids {
            let living = "api_key WHERE workspace_id = ?1 AND creator_user_id = ?2 AND deleted_at IS NULL";
            if row::count(self.store, living, &[cell(&workspace.id), cell(id)])? > 0 {
                return Ok(has_keys(id));
            }
        }
        let mut removed = 0;
        for id in ids {
            let gone = self.store.row(
                "DELETE FROM workspace_member WHERE workspace = ?1 AND user_id = ?2 RETURNING user_id",
                &[cell(&workspace.id), id.cell()],
            )?;
            removed += usize::from(gone.is_some());
        }
        Ok(TeamAnswer::Done(format!(r#"{{"removed_count":{removed}}}"#)))
    }
}

const IMPLICIT: &str = "m.id, m.body, CAST(m.created_at AS TEXT), w.role";
const EXPLICIT: &str = "m.id, m.body, CAST(w.created_at AS TEXT), w.role";

fn show(mut row: Row) -> Result<String, Fault> {
    let (id, body): (String, String) = (row.next()?, row.next()?);
    with(&body, &[("id", json::quote(&id))])
}

/// In a workspace everybody has the role that they have in the account, but for those who were given one.
fn show_membership(mut row: Row, workspace: &str) -> Result<String, Fault> {
    let (user, body): (String, String) = (row.next()?, row.next()?);
    let (created_at, given): (Time, Option<String>) = (row.next()?, row.next()?);
    let members = json::members(&body).map_err(|_| Fault::Corrupt("JSON"))?;
    let role = match members.get("role") {
        Some("\"org:admin\"") => "admin",
        _ => given.as_deref().unwrap_or("member"),
    };
    Ok(format!(
        r#"{{"id":"{}","workspace_id":{},"user_id":{},"role":"{role}","created_at":{}}}"#,
        named_uuid(&format!("member {workspace} {user}")),
        json::quote(workspace),
        json::quote(&user),
        row::time(Some(created_at)),
    ))
}

fn email_of(body: &str) -> Result<String, Fault> {
    let members = json::members(body).map_err(|_| Fault::Corrupt("JSON"))?;
    members.string("email").map(Into::into).ok_or(Fault::Corrupt("address"))
}

fn has_keys(id: &str) -> TeamAnswer {
    TeamAnswer::Invalid(format!("{id} has active API keys here; delete them first"))
}
