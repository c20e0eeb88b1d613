//! Workspaces, members, guardrails and what they are assigned to: who shares an account, and by which
//! rules. What they are like is JSON that [`request`] has read; this keeps it, and shows it again.
//! Facts: OpenRouter's workspaces, organizations and guardrails.

mod assignment;
mod guardrail;
pub mod mandate;
mod member;
pub mod policy;
pub mod request;
mod row;
mod workspace;

use super::ledger;
use super::store::{Column, Fault, Store};
use super::{Answer, Command};
use crate::id::{AccountId, KeyHash, named_uuid};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most of each that an account may have.
pub const WORKSPACES: u64 = 100;
pub const MEMBERS: u64 = 1000;
pub const GUARDRAILS: u64 = 500;
/// What names the account's own guardrail, and the workspace that every account has.
pub const ACCOUNT_GUARDRAIL: &str = "account";
pub const DEFAULT_WORKSPACE: &str = "default";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    ListWorkspaces,
    GetWorkspace,
    CreateWorkspace,
    UpdateWorkspace,
    DeleteWorkspace,
    ListBudgets,
    GetBudget,
    SetBudget,
    RemoveBudget,
    /// Puts keys into a workspace.
    MoveKeys,
    ListWorkspaceMembers,
    AddWorkspaceMembers,
    RemoveWorkspaceMembers,
    ListMembers,
    CreateMember,
    UpdateMember,
    RemoveMember,
    ListGuardrails,
    GetGuardrail,
    CreateGuardrail,
    UpdateGuardrail,
    DeleteGuardrail,
    ListKeyAssignments,
    AssignKeys,
    UnassignKeys,
    ListMemberAssignments,
    AssignMembers,
    UnassignMembers,
}

/// A command about them. What a deed does not need is left empty. Each can be told again: what is
/// made is named by the caller, and what is there already stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamCommand {
    pub deed: Deed,
    /// Which workspace (id or slug), guardrail or member; empty for all of them.
    #[serde(default)]
    pub at: String,
    /// The id of what is made, or the interval of a budget.
    #[serde(default)]
    pub id: String,
    /// JSON that [`request`] wrote.
    #[serde(default)]
    pub body: String,
    /// Hashes of keys or ids of members; the workspace of guardrails; to whom the keys go of one who leaves.
    #[serde(default)]
    pub names: Vec<String>,
    /// Who asks.
    #[serde(default)]
    pub by: String,
    #[serde(default)]
    pub offset: u64,
    #[serde(default)]
    pub limit: u64,
}

/// What a [`TeamCommand`] is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamAnswer {
    /// The body to be shown.
    Done(String),
    NotFound(String),
    Invalid(String),
    Forbidden(String),
    Conflict(String),
}

impl TeamCommand {
    pub fn new(deed: Deed) -> TeamCommand {
        let (at, id, body, by) = Default::default();
        TeamCommand { deed, at, id, body, names: Vec::new(), by, offset: 0, limit: 0 }
    }

    /// The command as an account is told it.
    pub fn told(&self) -> Command {
        Command::Team { command: serde_json::to_string(self).expect("texts and numbers are always JSON") }
    }
}

impl TeamAnswer {
    /// Reads what an account answered.
    pub fn read(answer: &Answer) -> Option<TeamAnswer> {
        match answer {
            Answer::Team { answer } => crate::json::read(answer).ok(),
            _ => None,
        }
    }
}

type Answered = Result<TeamAnswer, Fault>;

/// The account's tables, and what else a command needs.
struct Office<'s> {
    store: &'s Store<'s>,
    now: Time,
    account: AccountId,
}

/// Carries out a command. Marks the keys whose policy it changes.
pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read::<TeamCommand>(command) else {
        return Ok(ledger::invalid("not a command about workspaces or guardrails"));
    };
    let office = Office { store, now, account: ledger::describe(store)?.id };
    let answer = office.answer(&command)?;
    Ok(Answer::Team { answer: serde_json::to_string(&answer).map_err(|_| Fault::Corrupt("answer"))? })
}

impl Office<'_> {
    fn answer(&self, command: &TeamCommand) -> Answered {
        match command.deed {
            Deed::ListWorkspaces
            | Deed::GetWorkspace
            | Deed::CreateWorkspace
            | Deed::UpdateWorkspace
            | Deed::DeleteWorkspace
            | Deed::ListBudgets
            | Deed::GetBudget
            | Deed::SetBudget
            | Deed::RemoveBudget
            | Deed::MoveKeys => self.workspaces(command),
            Deed::ListWorkspaceMembers
            | Deed::AddWorkspaceMembers
            | Deed::RemoveWorkspaceMembers
            | Deed::ListMembers
            | Deed::CreateMember
            | Deed::UpdateMember
            | Deed::RemoveMember => self.members(command),
            Deed::ListGuardrails
            | Deed::GetGuardrail
            | Deed::CreateGuardrail
            | Deed::UpdateGuardrail
            | Deed::DeleteGuardrail => self.guardrails(command),
            Deed::ListKeyAssignments
            | Deed::AssignKeys
            | Deed::UnassignKeys
            | Deed::ListMemberAssignments
            | Deed::AssignMembers
            | Deed::UnassignMembers => self.assignments(command),
        }
    }
}

/// A key that takes the place of another is under its guardrail.
pub(super) fn inherit(store: &Store, now: Time, old: &KeyHash, new: &KeyHash) -> Result<(), Fault> {
    let cells = [old.cell(), new.cell(), now.cell()];
    let made = store.row(
        "INSERT INTO guardrail_assignment (kind, subject, guardrail, assigned_by, created_at)
         SELECT kind, ?2, guardrail, assigned_by, CAST(?3 AS INTEGER) FROM guardrail_assignment
         WHERE kind = 'key' AND subject = ?1 RETURNING guardrail",
        &cells,
    )?;
    let Some(mut made) = made else { return Ok(()) };
    let (office, id) = (Office { store, now, account: ledger::describe(store)?.id }, made.next::<String>()?);
    office.guardrail(&id)?.map_or(Ok(()), |guardrail| office.enforce(&guardrail))
}

pub(super) fn is_member(store: &Store, id: &str) -> Result<bool, Fault> {
    Ok(store.row("SELECT id FROM member WHERE id = ?1", &[row::cell(id)])?.is_some())
}

/// A workspace by its id or slug, as tables of keys have it.
pub(super) fn find_workspace(store: &Store, account: &AccountId, at: &str) -> Result<Option<String>, Fault> {
    if at.is_empty() || at == account.as_str() || at == DEFAULT_WORKSPACE {
        return Ok(Some(String::new()));
    }
    let row = store.row("SELECT id FROM workspace WHERE id = ?1 OR slug = ?1", &[row::cell(at)])?;
    let id: Option<String> = row.map(|mut row| row.next()).transpose()?;
    Ok(id.map(|id| if id == account.as_str() { String::new() } else { id }))
}

/// A workspace as clients see it, of what tables of keys have. The one that every account has goes by the
/// account's id.
pub fn shown_workspace(account: &AccountId, workspace: &str) -> String {
    if workspace.is_empty() { account.to_string() } else { workspace.to_owned() }
}

/// The id of the guardrail that holds for a whole workspace.
fn guardrail_of_workspace(workspace: &str) -> String {
    named_uuid(&format!("guardrail of workspace {workspace}"))
}

/// The id of the guardrail that holds for the whole account.
fn guardrail_of_account(account: &AccountId) -> String {
    named_uuid(&format!("guardrail of account {account}"))
}

fn not_found(what: &str) -> TeamAnswer {
    TeamAnswer::NotFound(format!("No such {what}"))
}
