//! Which guardrail a key or a member is under: one at most, the last that was assigned.

use super::guardrail::Guardrail;
use super::row::{self, cell};
use super::{Answered, Deed, Office, TeamAnswer, TeamCommand, not_found};
use crate::account::store::{Column, Fault, Row};
use crate::id::named_uuid;
use crate::json;
use crate::time::Time;

const KEYS: &str = "a.guardrail, a.subject, a.assigned_by, CAST(a.created_at AS TEXT), k.name, k.label";
const MEMBERS: &str = "guardrail, subject, assigned_by, CAST(created_at AS TEXT)";

impl Office<'_> {
    pub(super) fn assignments(&self, command: &TeamCommand) -> Answered {
        let guardrail = match command.at.as_str() {
            "" => None,
            at => match self.guardrail(at)? {
                None => return Ok(not_found("guardrail")),
                found => found,
            },
        };
        match (command.deed, &guardrail) {
            (Deed::ListKeyAssignments, _) => self.list_keys(command, guardrail.as_ref()),
            (Deed::ListMemberAssignments, _) => self.list_members(command, guardrail.as_ref()),
            (Deed::AssignKeys, Some(guardrail)) => self.assign(guardrail, "key", command),
            (Deed::AssignMembers, Some(guardrail)) => self.assign(guardrail, "member", command),
            (Deed::UnassignKeys, Some(guardrail)) => self.unassign_from(guardrail, "key", &command.names),
            (_, Some(guardrail)) => self.unassign_from(guardrail, "member", &command.names),
            (_, None) => Ok(not_found("guardrail")),
        }
    }

    fn list_keys(&self, command: &TeamCommand, guardrail: Option<&Guardrail>) -> Answered {
        let from = "guardrail_assignment AS a JOIN api_key AS k ON k.hash = a.subject
            WHERE a.kind = 'key' AND k.deleted_at IS NULL AND (?1 = '' OR a.guardrail = ?1)
            ORDER BY a.created_at, a.subject";
        let at = guardrail.map_or("", |guardrail| &guardrail.id);
        row::page(self.store, KEYS, from, &[cell(at)], (command.offset, command.limit), show_key)
    }

    fn list_members(&self, command: &TeamCommand, guardrail: Option<&Guardrail>) -> Answered {
        let from = "guardrail_assignment WHERE kind = 'member' AND (?1 = '' OR guardrail = ?1)
            ORDER BY created_at, subject";
        let at = guardrail.map_or("", |guardrail| &guardrail.id);
        let show = |row| show_member(row, self.account.as_str());
        row::page(self.store, MEMBERS, from, &[cell(at)], (command.offset, command.limit), show)
    }

    fn assign(&self, guardrail: &Guardrail, kind: &str, command: &TeamCommand) -> Answered {
        if guardrail.default_for.is_some() {
            let words = "A default guardrail holds for everybody and is assigned to nobody";
            return Ok(TeamAnswer::Invalid(words.to_owned()));
        }
        let subjects = match self.subjects(kind, &command.names)? {
            Ok(subjects) => subjects,
            Err(answer) => return Ok(answer),
        };
        for subject in &subjects {
            self.unassign(kind, subject)?;
            self.store.write(
                "INSERT INTO guardrail_assignment (kind, subject, guardrail, assigned_by, created_at)
                 VALUES (?1, ?2, ?3, ?4, CAST(?5 AS INTEGER))",
                &[cell(kind), cell(subject), cell(&guardrail.id), cell(&command.by), self.now.cell()],
            )?;
            self.touch(whose(kind), subject)?;
        }
        self.enforce(guardrail)?;
        Ok(TeamAnswer::Done(format!(r#"{{"assigned_count":{}}}"#, subjects.len())))
    }

    /// Each of them once, or the answer for the first that there is not.
    fn subjects(&self, kind: &str, names: &[String]) -> Result<Result<Vec<String>, TeamAnswer>, Fault> {
        let mut subjects = match kind {
            "key" => {
                let living = "api_key WHERE hash = ?1 AND kind = 'inference' AND deleted_at IS NULL";
                for name in names {
                    if row::count(self.store, living, &[cell(name)])? == 0 {
                        return Ok(Err(TeamAnswer::Invalid(format!(
                            "There is no API key of the hash {name}"
                        ))));
                    }
                }
                names.to_vec()
            }
            _ => match self.known(names)? {
                Ok(ids) => ids,
                Err(answer) => return Ok(Err(answer)),
            },
        };
        subjects.sort();
        subjects.dedup();
        Ok(Ok(subjects))
    }

    fn unassign_from(&self, guardrail: &Guardrail, kind: &str, names: &[String]) -> Answered {
        let mut count = 0;
        for name in names {
            let subject = if kind == "member" { self.member(name)? } else { Some(name.clone()) };
            let Some(subject) = subject else { continue };
            let gone = self.store.row(
                "DELETE FROM guardrail_assignment WHERE kind = ?1 AND subject = ?2 AND guardrail = ?3
                 RETURNING subject",
                &[cell(kind), cell(&subject), cell(&guardrail.id)],
            )?;
            if gone.is_some() {
                count += 1;
                self.touch(whose(kind), &subject)?;
            }
        }
        self.enforce(guardrail)?;
        Ok(TeamAnswer::Done(format!(r#"{{"unassigned_count":{count}}}"#)))
    }

    /// Ends the assignment of a key or a member, whichever guardrail it is to.
    pub(super) fn unassign(&self, kind: &str, subject: &str) -> Result<(), Fault> {
        let gone = self.store.row(
            "DELETE FROM guardrail_assignment WHERE kind = ?1 AND subject = ?2 RETURNING guardrail",
            &[cell(kind), cell(subject)],
        )?;
        let Some(mut gone) = gone else { return Ok(()) };
        let id: String = gone.next()?;
        self.touch(whose(kind), subject)?;
        match self.guardrail(&id)? {
            Some(guardrail) => self.enforce(&guardrail),
            None => Ok(()),
        }
    }
}

fn whose(kind: &str) -> &'static str {
    if kind == "key" { "hash = ?1" } else { "creator_user_id = ?1" }
}

/// The members that both kinds of assignments have, of the first four columns.
fn shown(row: &mut Row, subject: &str) -> Result<String, Fault> {
    let (guardrail, name): (String, String) = (row.next()?, row.next()?);
    let by: Option<String> = row.next()?;
    let created_at: Time = row.next()?;
    Ok(format!(
        r#""id":"{}","guardrail_id":{},"{subject}":{},"assigned_by":{},"created_at":{}"#,
        named_uuid(&format!("assignment {guardrail} {name}")),
        json::quote(&guardrail),
        json::quote(&name),
        by.as_deref().map_or("null".to_owned(), json::quote),
        row::time(Some(created_at)),
    ))
}

fn show_key(mut row: Row) -> Result<String, Fault> {
    let shown = shown(&mut row, "key_hash")?;
    let (name, label): (String, String) = (row.next()?, row.next()?);
    Ok(format!("{{{shown},\"key_name\":{},\"key_label\":{}}}", json::quote(&name), json::quote(&label)))
}

fn show_member(mut row: Row, account: &str) -> Result<String, Fault> {
    Ok(format!("{{{},\"organization_id\":{}}}", shown(&mut row, "user_id")?, json::quote(account)))
}
