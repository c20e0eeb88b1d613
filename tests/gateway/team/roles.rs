//! What a management key may do: each command by each role.

use super::{Desk, GUARDRAIL, WORKSPACE, at, change, names, new, workspace};
use crate::account::script::{read_command, time};
use millrace::account::access::{AccessCommand, NewAuthCode};
use millrace::account::books::BooksCommand;
use millrace::account::books::activity::{self, Question};
use millrace::account::byok::ByokCommand;
use millrace::account::command::KeyRow;
use millrace::account::team::mandate::forbidden;
use millrace::account::team::{Deed, TeamCommand};
use millrace::account::{self, Answer, Command};
use millrace::id::KeyHash;
use serde_json::json;

/// The management keys, by what they act as.
const ROLES: [&str; 7] = ["account", "owner", "lead", "bound", "jane", "outside", "gone"];
const ALL: &str = "account owner lead bound jane outside";
const TEAM: &str = "account owner lead bound jane";
const LEADS: &str = "account owner lead bound";
const ACCOUNT: &str = "account owner";

/// An account with a workspace, `team`: its admins are user_lead and what is bound to it, user_1 is a
/// member, user_out is not. user_owner is an admin of the account.
fn office() -> Desk {
    let mut desk = Desk::open(&["key k", "key other", "key account kind management"]);
    desk.done(workspace("team"));
    for (id, role) in
        [("owner", "org:admin"), ("lead", "org:member"), ("out", "org:member"), ("gone", "org:member")]
    {
        let body = json!({ "email": format!("{id}@x.io"), "role": role }).to_string();
        desk.done(TeamCommand { id: format!("user_{id}"), body, ..new(Deed::CreateMember) });
    }
    desk.done(names(Deed::AddWorkspaceMembers, "team", &["user_1"]));
    let lead =
        TeamCommand { body: "admin".into(), ..names(Deed::AddWorkspaceMembers, "team", &["user_lead"]) };
    assert_eq!(desk.done(lead)["data"][0]["role"], "admin");
    for (key, user, workspace) in [
        ("owner", Some("user_owner"), ""),
        ("lead", Some("user_lead"), ""),
        ("bound", None, "team"),
        ("jane", Some("user_1"), ""),
        ("outside", Some("user_out"), ""),
        ("gone", Some("user_gone"), ""),
    ] {
        made(&mut desk, &format!("{key} kind management"), user, workspace);
    }
    for (key, user, workspace) in
        [("t", None, "team"), ("own", Some("user_1"), "team"), ("stray", Some("user_1"), "")]
    {
        made(&mut desk, key, user, workspace);
    }
    desk.done(at(Deed::RemoveMember, "user_gone"));
    let body = json!({ "name": "g" }).to_string();
    desk.done(TeamCommand { id: GUARDRAIL.into(), body, ..names(Deed::CreateGuardrail, "", &["team"]) });
    desk
}

fn wanted(key: &str, user: Option<&str>, workspace: &str) -> Command {
    let Command::CreateKey(mut policy) = read_command(&format!("key {key}")) else { unreachable!() };
    policy.holder.creator_user_id = user.map(str::to_owned);
    policy.workspace = workspace.to_owned();
    Command::CreateKey(policy)
}

fn made(desk: &mut Desk, key: &str, user: Option<&str>, workspace: &str) -> Box<KeyRow> {
    match desk.0.tell(time("0s"), &wanted(key, user, workspace)) {
        Answer::KeyCreated { key, .. } => Box::new(key),
        other => panic!("{other:?}"),
    }
}

/// What the account answers to the holder of a management key.
fn acting(desk: &mut Desk, by: &str, command: &Command) -> Answer {
    let command = command.acting(KeyHash::of(by)).expect("commands are JSON");
    desk.0.tell(time("9s"), &command)
}

/// The same, and nothing is left of it.
fn tried(desk: &Desk, by: &str, command: &Command) -> Answer {
    let command = command.acting(KeyHash::of(by)).expect("commands are JSON");
    desk.0.connection.execute_batch("BEGIN").unwrap();
    let answer = account::execute(&desk.0, time("9s"), &command).unwrap();
    desk.0.connection.execute_batch("ROLLBACK").unwrap();
    answer
}

fn list(workspace: &str) -> Command {
    let Command::ListKeys { offset, include_disabled, include_expired, include_apps, .. } =
        read_command("keys")
    else {
        unreachable!()
    };
    let workspace = Some(workspace.to_owned());
    Command::ListKeys { offset, include_disabled, include_expired, include_apps, workspace, creator: None }
}

fn activity(workspace: Option<&str>, user: Option<&str>) -> Command {
    let (workspace, user) = (workspace.map(str::to_owned), user.map(str::to_owned));
    BooksCommand::Activity(Question { to: 99_999, workspace, user, ..Question::default() }).command()
}

fn code(workspace: &str) -> Command {
    let new = NewAuthCode {
        hash: KeyHash::of("code"),
        challenge: None,
        name: "app".into(),
        app: "app.example".into(),
        limit: None,
        limit_reset: None,
        expires_at: None,
        workspace: workspace.into(),
        creator_user_id: None,
    };
    AccessCommand::MakeCode(new).told()
}

fn own_keys(workspace: Option<&str>) -> Command {
    let workspace = workspace.map(str::to_owned);
    let list = ByokCommand::List { provider: None, workspace, offset: 0, limit: 9 };
    Command::Byok { command: json!(list).to_string() }
}

/// Who may do what: the commands that endpoints give, as `PUT /workspaces/team/budgets/daily` and so on.
#[test]
fn every_command_reaches_as_far_as_the_role_of_its_key() {
    let own = KeyHash::of("own");
    let of = |command: TeamCommand| command.told();
    let mut desk = office();
    let default = desk.done(at(Deed::GetWorkspace, "team"))["data"]["default_guardrail_id"].clone();
    let default = default.as_str().expect("an id").to_owned();
    let budget = TeamCommand {
        id: "daily".into(),
        ..change(Deed::SetBudget, "team", json!({ "limit_usd": "1000000000000" }))
    };
    let table: Vec<(&str, Command, &str)> = vec![
        ("GET /credits", Command::Credits, ACCOUNT),
        ("GET /statements", BooksCommand::Statements.command(), ACCOUNT),
        ("GET /budgets", read_command("budgets"), ACCOUNT),
        ("GET /keys", list(""), ALL),
        ("GET /keys?workspace_id=team", list("team"), TEAM),
        ("GET /keys?workspace_id=none", list("none"), ACCOUNT),
        ("GET /keys/{in the team}", read_command("get t"), LEADS),
        ("GET /keys/{one's own}", read_command("get own"), TEAM),
        ("GET /keys/{somebody's}", read_command("get k"), ACCOUNT),
        ("GET /keys/{unknown}", read_command("get nobodys"), ALL),
        ("PATCH /keys/{in the team}", read_command("update t disabled true"), LEADS),
        ("PATCH /keys/{one's own}", read_command("update own disabled true"), TEAM),
        ("DELETE /keys/{somebody's}", read_command("delete k"), ACCOUNT),
        ("PATCH /keys to the team", of(names(Deed::MoveKeys, "team", &[own.as_str()])), TEAM),
        (
            "PATCH /keys out of it",
            of(names(Deed::MoveKeys, "default", &[own.as_str()])),
            "account owner lead jane",
        ),
        ("POST /keys", wanted("fresh", None, ""), ALL),
        ("POST /keys in the team", wanted("fresh", None, "team"), TEAM),
        ("POST /keys for another", wanted("fresh", Some("user_1"), "team"), TEAM),
        ("POST /keys for an outsider", wanted("fresh", Some("user_out"), "team"), LEADS),
        ("POST /auth/keys/code", code("team"), TEAM),
        ("GET /activity", activity(None, None), ALL),
        ("GET /activity?user_id=user_1", activity(None, Some("user_1")), "account owner bound jane"),
        ("GET /activity?workspace_id=team", activity(Some("team"), None), TEAM),
        ("GET /workspaces", of(new(Deed::ListWorkspaces)), ALL),
        ("POST /workspaces", of(TeamCommand { id: "w2".into(), ..workspace("crew") }), ACCOUNT),
        ("GET /workspaces/team", of(at(Deed::GetWorkspace, "team")), TEAM),
        ("PATCH /workspaces/team", of(change(Deed::UpdateWorkspace, "team", json!({}))), LEADS),
        ("PATCH /workspaces/default", of(change(Deed::UpdateWorkspace, "default", json!({}))), ACCOUNT),
        ("GET …/members", of(at(Deed::ListWorkspaceMembers, "team")), TEAM),
        ("POST …/members/add", of(names(Deed::AddWorkspaceMembers, "team", &["user_out"])), LEADS),
        ("GET …/budgets", of(at(Deed::ListBudgets, "team")), TEAM),
        ("PUT …/budgets/daily", of(budget), LEADS),
        ("GET /organization/members", of(new(Deed::ListMembers)), ACCOUNT),
        ("PATCH /organization/members", of(change(Deed::UpdateMember, "user_1", json!({}))), ACCOUNT),
        ("GET /guardrails", of(new(Deed::ListGuardrails)), "account owner bound"),
        ("GET /guardrails?workspace_id=team", of(names(Deed::ListGuardrails, "", &["team"])), LEADS),
        ("GET /guardrails/{id}", of(at(Deed::GetGuardrail, GUARDRAIL)), LEADS),
        (
            "PATCH /guardrails/{the workspace's}",
            of(change(Deed::UpdateGuardrail, &default, json!({}))),
            LEADS,
        ),
        ("PATCH /guardrails/account", of(change(Deed::UpdateGuardrail, "account", json!({}))), ACCOUNT),
        ("POST …/assignments/keys", of(names(Deed::AssignKeys, GUARDRAIL, &[own.as_str()])), LEADS),
        (
            "POST …/assignments/keys, another's",
            of(names(Deed::AssignKeys, GUARDRAIL, &[KeyHash::of("k").as_str()])),
            ACCOUNT,
        ),
        ("POST …/assignments/members", of(names(Deed::AssignMembers, GUARDRAIL, &["user_1"])), ACCOUNT),
        ("GET /byok", own_keys(None), ACCOUNT),
        ("GET /byok?workspace_id=team", own_keys(Some("team")), LEADS),
        ("DELETE /workspaces/team", of(at(Deed::DeleteWorkspace, "team")), ACCOUNT),
    ];
    for (name, command, who) in &table {
        let mut may = Vec::new();
        for role in ROLES {
            match tried(&desk, role, command) {
                Answer::Forbidden { role, needed } => {
                    let failure = forbidden(&role, &needed);
                    assert!(failure.cause.status() == 403 && !needed.is_empty(), "{name}: {needed}");
                }
                Answer::Invalid { message } => panic!("{name}: {message}"),
                _ => may.push(role),
            }
        }
        assert_eq!(may.join(" "), *who, "{name}");
    }
}

#[test]
fn members_see_and_make_what_is_their_own() {
    let mut desk = office();
    let mut listed = |by: &str, workspace: &str| match acting(&mut desk, by, &list(workspace)) {
        Answer::Keys { keys } => keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(" "),
        other => panic!("{other:?}"),
    };
    for (by, workspace, names) in [
        ("jane", "", "stray"),
        ("jane", "team", "own"),
        ("lead", "team", "t own"),
        ("bound", "", "t own"),
        ("lead", "", ""),
        ("owner", "", "k other stray"),
        ("outside", "default", ""),
    ] {
        assert_eq!(listed(by, workspace), names, "{by} of {workspace:?}");
    }
    match acting(&mut desk, "jane", &wanted("fresh", None, "team")) {
        Answer::KeyCreated { key, .. } => {
            assert_eq!(key.holder.creator_user_id.as_deref(), Some("user_1"));
            assert_eq!(key.workspace_id, WORKSPACE);
        }
        other => panic!("{other:?}"),
    }
    match acting(&mut desk, "jane", &new(Deed::ListWorkspaces).told()) {
        Answer::Team { answer } => {
            assert!(answer.contains(WORKSPACE) && answer.contains("\\\"total_count\\\":2"))
        }
        other => panic!("{other:?}"),
    }
    match acting(&mut desk, "bound", &new(Deed::ListWorkspaces).told()) {
        Answer::Team { answer } => assert!(answer.contains("\\\"total_count\\\":1"), "{answer}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_role_that_changes_changes_what_its_keys_may_at_once() {
    let mut desk = office();
    let forbidden = |desk: &mut Desk, by: &str, command: &Command| {
        matches!(acting(desk, by, command), Answer::Forbidden { .. })
    };
    assert!(forbidden(&mut desk, "jane", &Command::Credits));
    desk.done(change(Deed::UpdateMember, "user_1", json!({ "role": "org:admin" })));
    assert!(!forbidden(&mut desk, "jane", &Command::Credits));
    desk.done(change(Deed::UpdateMember, "user_1", json!({ "role": "org:member" })));
    assert!(forbidden(&mut desk, "jane", &Command::Credits));
    let demoted =
        TeamCommand { body: "member".into(), ..names(Deed::AddWorkspaceMembers, "team", &["user_lead"]) };
    desk.done(demoted);
    assert!(forbidden(&mut desk, "lead", &read_command("get t")));
    // No command is given in another's name through a key's.
    let twice = Command::Credits.acting(KeyHash::of("account")).expect("commands are JSON");
    assert!(matches!(acting(&mut desk, "jane", &twice), Answer::Invalid { .. }));
}

#[test]
fn who_leaves_leaves_keys_that_are_disabled_or_another_members() {
    let mut desk = office();
    let state = |desk: &Desk, key: &str| {
        desk.0.text(&format!("SELECT disabled || ' ' || creator_user_id FROM api_key WHERE name = '{key}'"))
    };
    desk.published();
    let heir = names(Deed::RemoveMember, "user_1", &["out@x.io"]);
    assert!(matches!(
        desk.ask(names(Deed::RemoveMember, "user_1", &["user_1"])),
        millrace::account::team::TeamAnswer::Invalid(_)
    ));
    desk.done(heir);
    assert_eq!((state(&desk, "own"), state(&desk, "jane")), ("0 user_out".into(), "0 user_out".into()));
    let members = desk.done(at(Deed::ListWorkspaceMembers, "team"));
    assert_eq!(members["total_count"], 2, "who has keys of a workspace is in it: {members}");
    desk.published();
    assert!(!matches!(acting(&mut desk, "outside", &code("team")), Answer::Forbidden { .. }));
    desk.done(at(Deed::RemoveMember, "user_out"));
    assert_eq!((state(&desk, "own"), state(&desk, "stray")), ("1 user_out".into(), "1 user_out".into()));
    let told = desk.published();
    assert!(told.len() >= 2 && told.iter().all(|snapshot| snapshot.disabled), "{told:?}");
    assert_eq!(desk.0.text("SELECT COUNT(*) FROM auth_code"), "0", "nor is a code good that they agreed to");
    // Also if it is switched on again: nobody's role is none.
    desk.0.connection.execute_batch("UPDATE api_key SET disabled = 0").unwrap();
    let answer = acting(&mut desk, "jane", &read_command("get own"));
    assert!(matches!(&answer, Answer::Forbidden { role, .. } if role.starts_with("nobody")), "{answer:?}");
}

#[test]
fn a_management_key_is_made_for_a_member_that_there_is_and_in_a_workspace_that_there_is() {
    let mut desk = office();
    for (user, workspace, words) in [
        (Some("user_none"), "", "creator_user_id"),
        (None, "none", "workspace_id"),
        (Some("user_gone"), "team", "creator"),
    ] {
        match desk.0.tell(time("1s"), &wanted("x kind management", user, workspace)) {
            Answer::Invalid { message } => assert!(message.starts_with(words), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    // One that is bound to the default workspace does not act for the account.
    let bound = made(&mut desk, "d kind management", None, "default");
    assert_eq!(bound.workspace_id, bound.account.to_string());
    assert!(matches!(acting(&mut desk, "d", &Command::Credits), Answer::Forbidden { .. }));
    assert!(matches!(acting(&mut desk, "d", &read_command("get k")), Answer::Key { .. }));
    let rows = acting(&mut desk, "d", &activity(None, None));
    assert!(matches!(&rows, Answer::Books { answer } if activity::read_rows(answer).is_some()), "{rows:?}");
}
