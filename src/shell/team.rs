//! Workspaces, members and guardrails: read here, kept by the account's object, which also tells KV what
//! becomes of the keys that a change is about.

use web_sys::Response;

use crate::account::team::request::{
    For, read_budget, read_guardrail, read_member, read_names, read_role, read_workspace,
};
use crate::account::team::{Deed, TeamAnswer, TeamCommand};
use crate::endpoint::Team;
use crate::error::{Cause, Failure};
use crate::id::{AccountId, KeyHash, base62, uuid};
use crate::query;
use crate::shell::auth::forget_account;
use crate::shell::bindings::random;
use crate::shell::manage::{Call, unexpected};
use crate::shell::{presets, reply};

const INTERVALS: [&str; 4] = ["daily", "weekly", "monthly", "lifetime"];

/// Answers every endpoint of workspaces, members and guardrails.
pub async fn answer(call: &Call<'_>, team: Team) -> Result<Response, Failure> {
    let key = call.manager().await?;
    let deed = team.deed;
    let by = format!("key_{}", &key.hash.as_str()[..16]);
    let command = TeamCommand { at: team.at, by, ..read(call, deed, team.interval).await? };
    let body = tell(call, &key.account, &command).await?;
    Ok(reply::json(if makes(deed) { 201 } else { 200 }, &body))
}

/// Puts a key into a workspace; fails with 400 where there is none.
pub async fn move_key(
    call: &Call<'_>,
    account: &AccountId,
    hash: &KeyHash,
    workspace: String,
) -> Result<(), Failure> {
    let names = vec![hash.to_string()];
    tell(call, account, &TeamCommand { at: workspace, names, ..TeamCommand::new(Deed::MoveKeys) })
        .await
        .map(|_| ())
        .map_err(no_workspace)
}

fn no_workspace(failure: Failure) -> Failure {
    match failure.cause {
        Cause::NotFound => Failure::invalid("workspace_id: no such workspace"),
        _ => failure,
    }
}

/// What the account answers, if it did what was asked.
async fn tell(call: &Call<'_>, account: &AccountId, command: &TeamCommand) -> Result<String, Failure> {
    let answer = call.ask(account, command.told()).await?;
    let (cause, words) = match TeamAnswer::read(&answer).ok_or_else(unexpected)? {
        TeamAnswer::Done(body) => {
            forget_account(account);
            return Ok(body);
        }
        TeamAnswer::NotFound(words) => (Cause::NotFound, words),
        TeamAnswer::Invalid(words) => (Cause::InvalidRequest, words),
        TeamAnswer::Forbidden(words) => (Cause::PermissionDenied, words),
        TeamAnswer::Conflict(words) => (Cause::Conflict, words),
    };
    Err(Failure::new(cause, words))
}

fn makes(deed: Deed) -> bool {
    matches!(deed, Deed::CreateWorkspace | Deed::CreateGuardrail | Deed::CreateMember)
}

/// The command with all that the query and the body say.
async fn read(call: &Call<'_>, deed: Deed, interval: String) -> Result<TeamCommand, Failure> {
    let catalog = call.config.catalog;
    let mut command = TeamCommand::new(deed);
    match deed {
        Deed::ListWorkspaces
        | Deed::ListWorkspaceMembers
        | Deed::ListMembers
        | Deed::ListGuardrails
        | Deed::ListKeyAssignments
        | Deed::ListMemberAssignments => (command.offset, command.limit) = presets::page(call.query)?,
        Deed::GetWorkspace
        | Deed::DeleteWorkspace
        | Deed::ListBudgets
        | Deed::MoveKeys
        | Deed::GetGuardrail
        | Deed::DeleteGuardrail => {}
        Deed::CreateWorkspace => {
            command.body = read_workspace(&call.body().await?, For::New, catalog)?;
            command.id = uuid(&random());
        }
        Deed::UpdateWorkspace => {
            command.body = read_workspace(&call.body().await?, For::Change, catalog)?;
        }
        Deed::GetBudget | Deed::SetBudget | Deed::RemoveBudget => {
            if !INTERVALS.contains(&interval.as_str()) {
                let words = "interval: must be daily, weekly, monthly or lifetime";
                return Err(Failure::invalid(words));
            }
            command.id = interval;
            if deed == Deed::SetBudget {
                command.body = read_budget(&call.body().await?)?;
            }
        }
        Deed::AddWorkspaceMembers | Deed::RemoveWorkspaceMembers => {
            let body = call.body().await?;
            command.names = read_names(&body, "user_ids")?;
            if deed == Deed::AddWorkspaceMembers {
                command.body = read_role(&body)?;
            }
        }
        Deed::RemoveMember => command.names.extend(query::value(call.query, "hand_over_to")),
        Deed::CreateMember => {
            let (body, id) = read_member(&call.body().await?, For::New)?;
            command.body = body;
            command.id = id.unwrap_or_else(|| format!("user_{}", base62(&random::<24>())));
        }
        Deed::UpdateMember => command.body = read_member(&call.body().await?, For::Change)?.0,
        Deed::CreateGuardrail => {
            let (body, workspace) = read_guardrail(&call.body().await?, For::New, catalog)?;
            command.body = body;
            command.id = uuid(&random());
            command.names.extend(workspace);
        }
        Deed::UpdateGuardrail => {
            command.body = read_guardrail(&call.body().await?, For::Change, catalog)?.0;
        }
        Deed::AssignKeys | Deed::UnassignKeys => {
            command.names = read_names(&call.body().await?, "key_hashes")?;
        }
        Deed::AssignMembers | Deed::UnassignMembers => {
            command.names = read_names(&call.body().await?, "member_user_ids")?;
        }
    }
    if deed == Deed::ListGuardrails {
        command.names.extend(query::value(call.query, "workspace_id"));
    }
    Ok(command)
}
