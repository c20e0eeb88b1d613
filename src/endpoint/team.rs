//! The URLs of workspaces, members and guardrails.

use super::Endpoint;
use crate::account::team::Deed;
use crate::query;

/// What is asked for, and of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    pub deed: Deed,
    /// A workspace (id or slug), a guardrail or a member; empty for all.
    pub at: String,
    /// The interval of a budget.
    pub interval: String,
}

impl Team {
    pub(super) fn name(&self) -> &'static str {
        match self.deed {
            Deed::ListWorkspaces => "list_workspaces",
            Deed::GetWorkspace => "get_workspace",
            Deed::CreateWorkspace => "create_workspace",
            Deed::UpdateWorkspace => "update_workspace",
            Deed::DeleteWorkspace => "delete_workspace",
            Deed::ListBudgets => "list_workspace_budgets",
            Deed::GetBudget => "get_workspace_budget",
            Deed::SetBudget => "set_workspace_budget",
            Deed::RemoveBudget => "remove_workspace_budget",
            Deed::MoveKeys => "move_keys",
            Deed::ListWorkspaceMembers => "list_workspace_members",
            Deed::AddWorkspaceMembers => "add_workspace_members",
            Deed::RemoveWorkspaceMembers => "remove_workspace_members",
            Deed::ListMembers => "list_members",
            Deed::CreateMember => "create_member",
            Deed::UpdateMember => "update_member",
            Deed::RemoveMember => "remove_member",
            Deed::ListGuardrails => "list_guardrails",
            Deed::GetGuardrail => "get_guardrail",
            Deed::CreateGuardrail => "create_guardrail",
            Deed::UpdateGuardrail => "update_guardrail",
            Deed::DeleteGuardrail => "delete_guardrail",
            Deed::ListKeyAssignments => "list_key_assignments",
            Deed::AssignKeys => "assign_keys",
            Deed::UnassignKeys => "unassign_keys",
            Deed::ListMemberAssignments => "list_member_assignments",
            Deed::AssignMembers => "assign_members",
            Deed::UnassignMembers => "unassign_members",
        }
    }
}

type Way = (&'static str, Deed);

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Vec<(&'static str, Endpoint)> {
    let (at, interval, ways): (&str, &str, &[Way]) = match parts {
        ["workspaces"] => ("", "", &[("GET", Deed::ListWorkspaces), ("POST", Deed::CreateWorkspace)]),
        ["workspaces", at] => (at, "", &WORKSPACE),
        ["workspaces", at, "budgets"] => (at, "", &[("GET", Deed::ListBudgets)]),
        ["workspaces", at, "budgets", interval] => (at, interval, &BUDGET),
        ["workspaces", at, "members"] => (at, "", &[("GET", Deed::ListWorkspaceMembers)]),
        ["workspaces", at, "members", "add"] => (at, "", &[("POST", Deed::AddWorkspaceMembers)]),
        ["workspaces", at, "members", "remove"] => (at, "", &[("POST", Deed::RemoveWorkspaceMembers)]),
        ["organization", "members"] => ("", "", &[("GET", Deed::ListMembers), ("POST", Deed::CreateMember)]),
        ["organization", "members", at] => {
            (at, "", &[("PATCH", Deed::UpdateMember), ("DELETE", Deed::RemoveMember)])
        }
        ["guardrails"] => ("", "", &[("GET", Deed::ListGuardrails), ("POST", Deed::CreateGuardrail)]),
        ["guardrails", "assignments", "keys"] => ("", "", &[("GET", Deed::ListKeyAssignments)]),
        ["guardrails", "assignments", "members"] => ("", "", &[("GET", Deed::ListMemberAssignments)]),
        ["guardrails", at] => (at, "", &GUARDRAIL),
        ["guardrails", at, "assignments", "keys"] => {
            (at, "", &[("GET", Deed::ListKeyAssignments), ("POST", Deed::AssignKeys)])
        }
        ["guardrails", at, "assignments", "members"] => {
            (at, "", &[("GET", Deed::ListMemberAssignments), ("POST", Deed::AssignMembers)])
        }
        ["guardrails", at, "assignments", "keys", "remove"] => (at, "", &[("POST", Deed::UnassignKeys)]),
        ["guardrails", at, "assignments", "members", "remove"] => {
            (at, "", &[("POST", Deed::UnassignMembers)])
        }
        _ => return Vec::new(),
    };
    let team = |deed| Team { deed, at: query::decode(at), interval: interval.to_owned() };
    ways.iter().map(|(method, deed)| (*method, Endpoint::Team(team(*deed)))).collect()
}

const WORKSPACE: [Way; 3] =
    [("GET", Deed::GetWorkspace), ("PATCH", Deed::UpdateWorkspace), ("DELETE", Deed::DeleteWorkspace)];
const BUDGET: [Way; 3] = [("GET", Deed::GetBudget), ("PUT", Deed::SetBudget), ("DELETE", Deed::RemoveBudget)];
const GUARDRAIL: [Way; 3] =
    [("GET", Deed::GetGuardrail), ("PATCH", Deed::UpdateGuardrail), ("DELETE", Deed::DeleteGuardrail)];
