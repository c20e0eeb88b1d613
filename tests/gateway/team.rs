//! Workspaces, members and guardrails in an account's tables, and what they come to for its keys.

mod requests;
mod roles;

use crate::account::script::{Database, read_command, time};
use millrace::account::team::{Deed, TeamAnswer, TeamCommand};
use millrace::account::{self, Answer, Command, KeySnapshot};
use millrace::guard::Rules;
use millrace::id::KeyHash;
use serde_json::{Value, json};

const WORKSPACE: &str = "11111111-2222-4333-8444-555555555555";
const GUARDRAIL: &str = "99999999-2222-4333-8444-555555555555";

/// An account with a database of its own.
struct Desk(Database);

impl Desk {
    /// With a member and the keys that `keys` has commands for.
    fn open(keys: &[&str]) -> Desk {
        let mut desk = Desk(Database::new());
        desk.run("create");
        desk.run("grant g 100");
        keys.iter().for_each(|key| desk.run(key));
        desk.done(TeamCommand {
            id: "user_1".into(),
            body: r#"{"email":"jane@x.io"}"#.into(),
            ..new(Deed::CreateMember)
        });
        desk
    }

    fn run(&mut self, command: &str) {
        let answer = self.0.tell(time("0s"), &read_command(command));
        assert!(!matches!(answer, Answer::Invalid { .. } | Answer::Fault { .. }), "{command}: {answer:?}");
    }

    fn ask(&mut self, command: TeamCommand) -> TeamAnswer {
        let answer = self.0.tell(time("5s"), &command.told());
        TeamAnswer::read(&answer).unwrap_or_else(|| panic!("{command:?}: {answer:?}"))
    }

    fn done(&mut self, command: TeamCommand) -> Value {
        match self.ask(command.clone()) {
            TeamAnswer::Done(body) => serde_json::from_str(&body).expect("answers are JSON"),
            other => panic!("{command:?}: {other:?}"),
        }
    }

    fn guardrail(&mut self, id: &str, body: Value) -> Value {
        self.done(TeamCommand { id: id.into(), body: body.to_string(), ..new(Deed::CreateGuardrail) })
    }

    fn snapshot(&mut self, key: &str) -> KeySnapshot {
        match self.0.tell(time("6s"), &Command::Authenticate { hash: KeyHash::of(key) }) {
            Answer::Authenticated { snapshot } => snapshot,
            other => panic!("{other:?}"),
        }
    }

    fn policy(&mut self, key: &str) -> Value {
        let snapshot = self.snapshot(key);
        let policy = snapshot.policy.as_deref();
        assert!(policy.is_none_or(|text| Rules::read(text).is_some()), "{policy:?}");
        policy.map_or(Value::Null, |text| serde_json::from_str(text).expect("policies are JSON"))
    }

    /// The keys that KV is to be told of, by their names; all of them are marked as told.
    fn published(&mut self) -> Vec<KeySnapshot> {
        let due = account::due_policies(&self.0, 100).expect("the tables are whole");
        for snapshot in &due {
            account::policy_published(&self.0, &snapshot.hash, snapshot.version)
                .expect("the tables are whole");
        }
        due
    }
}

fn new(deed: Deed) -> TeamCommand {
    TeamCommand { limit: 50, by: "key_me".into(), ..TeamCommand::new(deed) }
}

fn at(deed: Deed, at: &str) -> TeamCommand {
    TeamCommand { at: at.into(), ..new(deed) }
}

fn change(deed: Deed, at: &str, body: Value) -> TeamCommand {
    TeamCommand { at: at.into(), body: body.to_string(), ..new(deed) }
}

fn names(deed: Deed, at: &str, names: &[&str]) -> TeamCommand {
    TeamCommand { at: at.into(), names: names.iter().map(|name| (*name).to_owned()).collect(), ..new(deed) }
}

fn workspace(slug: &str) -> TeamCommand {
    let body = json!({ "name": "Team", "slug": slug }).to_string();
    TeamCommand { id: WORKSPACE.into(), body, ..new(Deed::CreateWorkspace) }
}

#[test]
fn every_account_has_a_workspace_and_may_make_others() {
    let mut desk = Desk::open(&[]);
    let listed = desk.done(new(Deed::ListWorkspaces));
    assert_eq!(listed["total_count"], 1);
    assert_eq!(listed["data"][0]["slug"], "default");
    let made = desk.done(workspace("team"));
    assert_eq!(made, desk.done(workspace("team")), "the same id again makes nothing");
    assert_eq!(
        made["data"],
        json!({ "id": WORKSPACE, "name": "Team", "slug": "team", "description": null, "default_text_model": null,
            "default_image_model": null, "default_provider_sort": null, "is_observability_io_logging_enabled": false,
            "is_observability_broadcast_enabled": false, "is_data_discount_logging_enabled": false,
            "io_logging_sampling_rate": 1, "io_logging_api_key_ids": null, "include_byok_in_budgets": false,
            "default_guardrail_id": made["data"]["default_guardrail_id"], "created_by": "key_me",
            "created_at": made["data"]["created_at"], "updated_at": null })
    );
    let second = TeamCommand { id: "another".into(), ..workspace("team") };
    assert!(matches!(desk.ask(second), TeamAnswer::Invalid(words) if words.contains("slug")));
    let changed = desk.done(change(
        Deed::UpdateWorkspace,
        "team",
        json!({ "slug": "crew", "default_text_model": "a/b" }),
    ));
    assert_eq!((&changed["data"]["slug"], &changed["data"]["name"]), (&json!("crew"), &json!("Team")));
    assert!(changed["data"]["updated_at"].is_string());
    assert!(matches!(desk.ask(at(Deed::GetWorkspace, "team")), TeamAnswer::NotFound(_)));
    assert_eq!(desk.done(at(Deed::GetWorkspace, WORKSPACE)), desk.done(at(Deed::GetWorkspace, "crew")));
    assert!(matches!(desk.ask(at(Deed::DeleteWorkspace, "default")), TeamAnswer::Forbidden(_)));
    assert_eq!(desk.done(at(Deed::DeleteWorkspace, "crew")), json!({ "deleted": true }));
    assert_eq!(desk.done(new(Deed::ListWorkspaces))["total_count"], 1);
}

#[test]
fn budgets_fall_strictly_as_intervals_narrow() {
    let mut desk = Desk::open(&[]);
    desk.done(workspace("team"));
    let set = |interval: &str, usd: &str, byok: Option<bool>| {
        let limit = millrace::money::Money::parse_usd(usd).unwrap().to_text();
        let mut body = json!({ "limit_usd": limit });
        if let Some(byok) = byok {
            body["include_byok_in_budgets"] = json!(byok);
        }
        TeamCommand { id: interval.into(), ..change(Deed::SetBudget, "team", body) }
    };
    let monthly = desk.done(set("monthly", "500", Some(true)));
    assert_eq!(monthly["include_byok_in_budgets"], true);
    assert_eq!(monthly["data"]["limit_usd"], 500);
    assert_eq!(monthly["data"]["reset_interval"], "monthly");
    assert_eq!(
        desk.ask(set("weekly", "600", None)),
        TeamAnswer::Invalid(
            "Budget limits must be strictly decreasing as scope narrows: the monthly limit ($500) must be greater \
             than the weekly limit ($600)."
                .into()
        )
    );
    assert!(matches!(desk.ask(set("lifetime", "500", None)), TeamAnswer::Invalid(_)));
    desk.done(set("weekly", "120.50", None));
    desk.done(set("daily", "20", None));
    let lifetime = desk.done(set("lifetime", "1000", None));
    assert_eq!(lifetime["data"]["reset_interval"], Value::Null);
    assert_eq!(desk.done(set("monthly", "400", None))["data"]["id"], monthly["data"]["id"]);
    let listed = desk.done(at(Deed::ListBudgets, "team"));
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(4));
    assert_eq!(listed["include_byok_in_budgets"], true);
    assert_eq!(desk.0.text("SELECT COUNT(*) FROM budget WHERE include_byok = 1"), "4");
    for _ in 0..2 {
        let remove = TeamCommand { id: "daily".into(), ..at(Deed::RemoveBudget, "team") };
        assert_eq!(desk.done(remove), json!({ "deleted": true }));
    }
    let get = TeamCommand { id: "daily".into(), ..at(Deed::GetBudget, "team") };
    assert!(matches!(desk.ask(get), TeamAnswer::NotFound(_)));
    desk.done(at(Deed::DeleteWorkspace, "team"));
    assert_eq!(desk.0.text("SELECT COUNT(*) FROM budget"), "0");
}

#[test]
fn members_are_in_the_default_workspace_and_in_those_they_are_added_to() {
    let mut desk = Desk::open(&[]);
    desk.done(workspace("team"));
    let bob = TeamCommand {
        id: "user_2".into(),
        body: r#"{"email":"bob@x.io","role":"org:admin"}"#.into(),
        ..new(Deed::CreateMember)
    };
    let made = desk.done(bob.clone());
    assert_eq!(
        made["data"],
        json!({ "id": "user_2", "email": "bob@x.io", "first_name": null, "last_name": null, "role": "org:admin" })
    );
    assert_eq!(desk.done(bob.clone()), made);
    assert!(matches!(desk.ask(TeamCommand { id: "user_3".into(), ..bob }), TeamAnswer::Conflict(_)));
    assert_eq!(desk.done(at(Deed::ListWorkspaceMembers, "default"))["total_count"], 2);
    let added = desk.done(names(Deed::AddWorkspaceMembers, "team", &["user_1", "bob@x.io"]));
    assert_eq!(added["added_count"], 2);
    assert_eq!((&added["data"][0]["role"], &added["data"][1]["role"]), (&json!("member"), &json!("admin")));
    assert_eq!(desk.done(names(Deed::AddWorkspaceMembers, "team", &["user_1"]))["added_count"], 0);
    assert!(matches!(
        desk.ask(names(Deed::AddWorkspaceMembers, "team", &["nobody"])),
        TeamAnswer::Invalid(_)
    ));
    assert_eq!(desk.done(at(Deed::ListWorkspaceMembers, "team"))["data"][1]["user_id"], "user_2");
    assert!(matches!(
        desk.ask(names(Deed::RemoveWorkspaceMembers, "default", &["user_1"])),
        TeamAnswer::Invalid(_)
    ));
    assert_eq!(desk.done(names(Deed::RemoveWorkspaceMembers, "team", &["user_1"]))["removed_count"], 1);
    desk.done(change(Deed::UpdateMember, "user_2", json!({ "role": "org:member", "first_name": "Bob" })));
    assert_eq!(desk.done(at(Deed::ListWorkspaceMembers, "team"))["data"][0]["role"], "member");
    desk.done(at(Deed::RemoveMember, "user_2"));
    assert_eq!(desk.done(new(Deed::ListMembers))["total_count"], 1);
    assert_eq!(desk.done(at(Deed::ListWorkspaceMembers, "team"))["total_count"], 0);
}

#[test]
fn what_applies_to_a_key_is_gathered_from_all_that_it_belongs_to() {
    let mut desk = Desk::open(&["key k", "key other"]);
    desk.0
        .connection
        .execute_batch("UPDATE api_key SET creator_user_id = 'user_1' WHERE name = 'k'")
        .unwrap();
    assert_eq!(desk.policy("k"), Value::Null);
    desk.guardrail(GUARDRAIL, json!({ "name": "g", "allowed_providers": ["openai"], "limit_usd": null }));
    assert_eq!(desk.policy("k"), Value::Null, "a new guardrail enforces nothing");
    desk.done(names(Deed::AssignKeys, GUARDRAIL, &[KeyHash::of("k").as_str()]));
    assert_eq!(desk.policy("k"), json!({ "layers": [{ "allowed_providers": ["openai"] }] }));
    desk.guardrail("member", json!({ "name": "m", "enforce_zdr_openai": true, "enforce_zdr_xai": false }));
    desk.done(names(Deed::AssignMembers, "member", &["jane@x.io"]));
    let own = desk.done(at(Deed::GetWorkspace, "default"))["data"]["default_guardrail_id"].clone();
    let own = own.as_str().expect("an id");
    assert!(matches!(desk.ask(at(Deed::GetGuardrail, own)), TeamAnswer::NotFound(_)), "it says nothing yet");
    let made = desk.done(change(Deed::UpdateGuardrail, own, json!({ "ignored_models": ["a/*"] })));
    assert!(
        made["data"]["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("Workspace ") && name.ends_with(" Default"))
    );
    assert!(matches!(
        desk.ask(change(Deed::UpdateGuardrail, own, json!({ "name": "x" }))),
        TeamAnswer::Invalid(_)
    ));
    desk.done(change(Deed::UpdateGuardrail, "account", json!({ "enable_paid_model_training": false })));
    desk.done(change(
        Deed::UpdateWorkspace,
        "default",
        json!({ "default_text_model": "a/b", "default_provider_sort": "price" }),
    ));
    assert_eq!(
        desk.policy("k"),
        json!({ "model": "a/b", "sort": "price", "layers": [{ "allowed_providers": ["openai"] },
            { "enforce_zdr_openai": true }, { "ignored_models": ["a/*"] }, { "enable_paid_model_training": false }] })
    );
    assert_eq!(
        desk.policy("other")["layers"],
        json!([{ "ignored_models": ["a/*"] }, { "enable_paid_model_training": false }])
    );
    // Only one guardrail for each: the last.
    desk.guardrail("second", json!({ "name": "s", "allowed_models": ["c/d"] }));
    assert_eq!(
        desk.done(names(Deed::AssignKeys, "second", &[KeyHash::of("k").as_str()])),
        json!({ "assigned_count": 1 })
    );
    assert_eq!(desk.done(at(Deed::ListKeyAssignments, GUARDRAIL))["total_count"], 0);
    let listed = desk.done(new(Deed::ListKeyAssignments));
    assert_eq!(
        (&listed["data"][0]["guardrail_id"], &listed["data"][0]["key_name"]),
        (&json!("second"), &json!("k"))
    );
    assert_eq!(
        desk.done(names(Deed::UnassignKeys, "second", &[KeyHash::of("k").as_str(), "x"])),
        json!({ "unassigned_count": 1 })
    );
    desk.done(at(Deed::DeleteGuardrail, "member"));
    assert_eq!(desk.done(new(Deed::ListMemberAssignments))["total_count"], 0);
    assert_eq!(desk.policy("k")["layers"], desk.policy("other")["layers"]);
}

#[test]
fn kv_is_told_of_the_keys_that_a_change_is_about_and_of_no_others() {
    let mut desk = Desk::open(&["key k", "key other", "key m kind management"]);
    let before = desk.snapshot("k").version;
    desk.guardrail(GUARDRAIL, json!({ "name": "g", "allowed_providers": ["openai"] }));
    assert!(desk.published().is_empty());
    desk.done(names(Deed::AssignKeys, GUARDRAIL, &[KeyHash::of("k").as_str()]));
    let told = desk.published();
    assert_eq!(told.iter().map(|one| &one.hash).collect::<Vec<_>>(), [&KeyHash::of("k")]);
    assert!(told[0].version > before && told[0].policy.is_some());
    assert!(desk.published().is_empty());
    desk.done(change(Deed::UpdateGuardrail, "account", json!({ "enforce_zdr_openai": true })));
    assert_eq!(desk.published().len(), 2, "management keys ask no models");
    // What was written meanwhile is not the last: the key stays due.
    desk.done(change(Deed::UpdateGuardrail, GUARDRAIL, json!({ "allowed_providers": null })));
    let due = account::due_policies(&desk.0, 1).unwrap();
    desk.done(change(Deed::UpdateGuardrail, GUARDRAIL, json!({ "allowed_providers": ["groq"] })));
    account::policy_published(&desk.0, &due[0].hash, due[0].version).unwrap();
    assert_eq!(desk.published().len(), 1);
    desk.done(at(Deed::DeleteGuardrail, GUARDRAIL));
    assert_eq!(desk.published().len(), 1);
}

#[test]
fn guardrails_set_budgets_for_those_they_hold_for() {
    let mut desk = Desk::open(&["key k", "key other"]);
    let budgets = |desk: &Desk| {
        desk.0.text("SELECT COALESCE(group_concat(scope || ' ' || per || ' ' || COALESCE(window, '-') || ' ' || amount, ', '), '') \
            FROM (SELECT * FROM budget ORDER BY scope, per, subject)")
    };
    desk.guardrail(GUARDRAIL, json!({ "name": "g", "limit_usd": 5, "reset_interval": "daily" }));
    assert_eq!(budgets(&desk), "");
    let both = [KeyHash::of("k"), KeyHash::of("other")];
    desk.done(names(Deed::AssignKeys, GUARDRAIL, &[both[0].as_str(), both[1].as_str()]));
    desk.done(names(Deed::AssignMembers, GUARDRAIL, &["user_1"]));
    assert_eq!(
        budgets(&desk),
        "key all daily 5000000000000, key all daily 5000000000000, user all daily 5000000000000"
    );
    desk.done(change(Deed::UpdateGuardrail, GUARDRAIL, json!({ "limit_usd": 2.5 })));
    desk.done(names(Deed::UnassignKeys, GUARDRAIL, &[both[1].as_str()]));
    assert_eq!(budgets(&desk), "key all daily 2500000000000, user all daily 2500000000000");
    desk.done(change(Deed::UpdateGuardrail, GUARDRAIL, json!({ "limit_usd": null })));
    assert_eq!(budgets(&desk), "");
    desk.done(change(Deed::UpdateGuardrail, "account", json!({ "limit_usd": 1 })));
    assert_eq!(budgets(&desk), "account key - 1000000000000, account user - 1000000000000");
    desk.done(at(Deed::DeleteGuardrail, "account"));
    assert_eq!(budgets(&desk), "");
}

#[test]
fn a_key_goes_by_the_rules_of_the_workspace_that_it_is_in() {
    let mut desk = Desk::open(&["key k", "key other"]);
    let made = desk.done(workspace("team"));
    let own = made["data"]["default_guardrail_id"].as_str().expect("an id").to_owned();
    desk.done(change(Deed::UpdateGuardrail, &own, json!({ "allowed_models": ["a/b"] })));
    assert!(desk.published().is_empty(), "no key is in there");
    desk.done(names(Deed::MoveKeys, "team", &[KeyHash::of("k").as_str()]));
    assert_eq!(desk.published().len(), 1);
    assert_eq!(desk.policy("k"), json!({ "layers": [{ "allowed_models": ["a/b"] }] }));
    assert_eq!(desk.policy("other"), Value::Null);
    let listed = |desk: &mut Desk, workspace: Option<&str>| {
        let workspace = workspace.map(str::to_owned);
        let list = Command::ListKeys {
            offset: 0,
            include_disabled: true,
            include_expired: true,
            include_apps: true,
            workspace,
            creator: None,
        };
        match desk.0.tell(time("7s"), &list) {
            Answer::Keys { keys } => {
                keys.into_iter().map(|key| format!("{} {}", key.name, key.workspace_id)).collect()
            }
            other => vec![format!("{other:?}")],
        }
    };
    assert_eq!(listed(&mut desk, Some("team")), [format!("k {WORKSPACE}")]);
    assert_eq!(listed(&mut desk, Some("none")), ["NotFound"]);
    assert_eq!(listed(&mut desk, Some("default")), listed(&mut desk, Some("")));
    assert_eq!((listed(&mut desk, Some("")).len(), listed(&mut desk, None).len()), (1, 2));
    assert!(matches!(desk.ask(at(Deed::DeleteWorkspace, "team")), TeamAnswer::Invalid(_)));
    desk.done(names(Deed::MoveKeys, "default", &[KeyHash::of("k").as_str()]));
    assert_eq!(desk.policy("k"), Value::Null);
    desk.done(at(Deed::DeleteWorkspace, "team"));
    assert_eq!(desk.0.text("SELECT COUNT(*) FROM guardrail"), "0");
}
