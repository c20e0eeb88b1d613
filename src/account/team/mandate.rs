//! What a management key may do: everything in its account, or what follows from the roles of the member
//! that it was made for, or from the workspace that it is bound to. Every command that is given by such a
//! key passes here, in the turn that carries it out.

use super::row::cell;
use super::{Deed, TeamCommand, find_workspace, guardrail_of_workspace, shown_workspace};
use crate::account::access::AccessCommand;
use crate::account::books::BooksCommand;
use crate::account::byok::{self, ByokCommand};
use crate::account::store::{Fault, Sql, Store};
use crate::account::{Answer, Command, keyring, ledger};
use crate::error::{Cause, Failure};
use crate::id::{AccountId, KeyHash};
use crate::json;
use crate::time::Time;

/// What a command needs that the key does not have; `None` where nothing is missing.
type Missing = Result<Option<String>, Fault>;

/// The roles by which a management key acts that does not act for the whole account.
struct Mandate<'s> {
    store: &'s Store<'s>,
    account: AccountId,
    key: KeyHash,
    /// The member that it was made for.
    user: Option<String>,
    /// The workspaces in which there is a role, as clients see them, and whether it is an admin's.
    roles: Vec<(String, bool)>,
}

/// The words for a command that a key's role does not reach to, as an [`Answer::Forbidden`] has them.
pub fn forbidden(role: &str, needed: &str) -> Failure {
    let words = format!("This management key acts as {role}; this needs {needed}");
    Failure::new(Cause::PermissionDenied, words).with("role", role).with("needed", needed)
}

/// Carries out `command`, which the holder of a management key gives, if the key may.
pub(in crate::account) fn carry_out(
    sql: &dyn Sql,
    store: &Store,
    now: Time,
    by: &KeyHash,
    command: &str,
) -> Result<Answer, Fault> {
    let mut command = match crate::json::read(command) {
        Ok(Command::Acting { .. }) | Err(_) => return Ok(ledger::invalid("not a command of a key's")),
        Ok(command) => command,
    };
    if let Some(mandate) = Mandate::of(store, by)?
        && let Some(needed) = mandate.missing(&mut command)?
    {
        return Ok(Answer::Forbidden { role: mandate.words(), needed });
    }
    crate::account::execute(sql, now, &command)
}

impl<'s> Mandate<'s> {
    /// `None` for a key that acts for the account.
    fn of(store: &'s Store<'s>, by: &KeyHash) -> Result<Option<Mandate<'s>>, Fault> {
        let (owner, account) = (keyring::owner(store, by)?, ledger::describe(store)?.id);
        let bound = Some(owner.workspace).filter(|workspace| !workspace.is_empty());
        let mut roles = match &owner.user {
            None => bound.iter().map(|bound| (bound.clone(), true)).collect(),
            Some(user) => match org_role(store, user)?.as_deref() {
                Some("org:admin") => bound.iter().map(|bound| (bound.clone(), true)).collect(),
                Some(_) => roles_of(store, &account, user)?,
                // Who is no member any more has no role, and the key none either.
                None => vec![(String::new(), false)],
            },
        };
        if roles.is_empty() {
            return Ok(None);
        }
        roles.retain(|(workspace, _)| {
            !workspace.is_empty() && bound.as_ref().is_none_or(|bound| bound == workspace)
        });
        Ok(Some(Mandate { store, account, key: by.clone(), user: owner.user, roles }))
    }

    fn words(&self) -> String {
        let admin = self.roles.iter().filter(|(_, admin)| *admin).map(|(workspace, _)| workspace.as_str());
        let admin: Vec<&str> = admin.collect();
        match (&self.user, admin.as_slice()) {
            (_, []) if self.roles.is_empty() => "nobody: its member was removed".to_owned(),
            (Some(user), []) => format!("org:member {user}"),
            (Some(user), admin) => format!("org:member {user}, admin of workspace {}", admin.join(", ")),
            (None, admin) => format!("admin of workspace {}", admin.join(", ")),
        }
    }

    /// Also narrows what a command asks for to what the key may see, and names the member in what it makes.
    fn missing(&self, command: &mut Command) -> Missing {
        if self.roles.is_empty() {
            return whole_account();
        }
        match command {
            Command::GetKey { hash, .. } | Command::DeleteKey { hash, .. } => self.key(hash),
            Command::UpdateKey(change) => self.key(&change.hash),
            Command::CreateKey(policy) => {
                let at = self.place(&mut policy.workspace)?;
                self.made_in(&at, &mut policy.holder.creator_user_id)
            }
            Command::ListKeys { workspace, creator, .. } => {
                let at = self.place(workspace.get_or_insert_default())?;
                self.narrowed(&at, creator)
            }
            Command::Books { command } => self.books(command),
            Command::Access { command } => self.access(command),
            Command::Team { command } => self.team(command),
            Command::Byok { command } => self.byok(command),
            _ => whole_account(),
        }
    }

    /// The workspace that is named, as clients see it; for a key that is bound to one, that one where none
    /// is named. Empty where there is none.
    fn place(&self, workspace: &mut String) -> Result<String, Fault> {
        if let (true, [(only, _)]) = (workspace.is_empty(), self.roles.as_slice()) {
            workspace.clone_from(only);
        }
        self.find(workspace)
    }

    fn find(&self, workspace: &str) -> Result<String, Fault> {
        let found = find_workspace(self.store, &self.account, workspace)?;
        Ok(found.map_or_else(String::new, |kept| shown_workspace(&self.account, &kept)))
    }

    fn role(&self, workspace: &str) -> Option<bool> {
        self.roles.iter().find(|(one, _)| one == workspace).map(|(_, admin)| *admin)
    }

    fn admin(&self, workspace: &str) -> Missing {
        Ok((self.role(workspace) != Some(true)).then(|| format!("an admin of {}", named(workspace))))
    }

    fn member(&self, workspace: &str) -> Missing {
        Ok(self.role(workspace).is_none().then(|| format!("a member of {}", named(workspace))))
    }

    /// A key: of a workspace in which this is an admin, or the member's own.
    fn key(&self, hash: &KeyHash) -> Missing {
        if !keyring::exists(self.store, hash)? {
            return Ok(None);
        }
        let owner = keyring::owner(self.store, hash)?;
        let at = shown_workspace(&self.account, &owner.workspace);
        let own = owner.user.is_some() && owner.user == self.user;
        match self.role(&at) {
            Some(true) => Ok(None),
            Some(false) if own => Ok(None),
            _ => Ok(Some(format!("an admin of {}, or the member who made the key", named(&at)))),
        }
    }

    /// What is made is the member's own, unless an admin of the workspace says whose it is.
    fn made_in(&self, at: &str, creator: &mut Option<String>) -> Missing {
        let missing = match creator.is_none() || *creator == self.user {
            true => self.member(at)?,
            false => self.admin(at)?,
        };
        if creator.is_none() {
            creator.clone_from(&self.user);
        }
        Ok(missing)
    }

    /// An admin sees all of a workspace, a member what is its own.
    fn narrowed(&self, at: &str, creator: &mut Option<String>) -> Missing {
        if self.role(at) == Some(false) && (creator.is_none() || *creator == self.user) {
            creator.clone_from(&self.user);
            return Ok(None);
        }
        self.admin(at)
    }

    fn books(&self, command: &mut String) -> Missing {
        let Ok(BooksCommand::Activity(mut question)) = crate::json::read(command) else {
            return whole_account();
        };
        let missing = match (&mut question.workspace, &self.user) {
            // A member's own, wherever it was.
            (None, Some(_)) if question.user.is_none() || question.user == self.user => {
                question.user.clone_from(&self.user);
                None
            }
            (workspace, _) => {
                let at = self.place(workspace.get_or_insert_default())?;
                self.narrowed(&at, &mut question.user)?
            }
        };
        *command = written(&BooksCommand::Activity(question))?;
        Ok(missing)
    }

    fn access(&self, command: &mut String) -> Missing {
        match crate::json::read(command) {
            Ok(AccessCommand::Rotate(rotate)) if rotate.hash == self.key => Ok(None),
            Ok(AccessCommand::Rotate(rotate)) => self.key(&rotate.hash),
            Ok(AccessCommand::MakeCode(mut new)) => {
                let at = self.place(&mut new.workspace)?;
                let missing = self.made_in(&at, &mut new.creator_user_id)?;
                *command = written(&AccessCommand::MakeCode(new))?;
                Ok(missing)
            }
            Ok(AccessCommand::Exchange(_)) | Err(_) => whole_account(),
        }
    }

    fn team(&self, text: &mut String) -> Missing {
        let Ok(mut command) = crate::json::read::<TeamCommand>(text) else {
            return whole_account();
        };
        match command.deed {
            Deed::ListWorkspaces => {
                command.names = self.roles.iter().map(|(workspace, _)| workspace.clone()).collect();
                *text = written(&command)?;
                Ok(None)
            }
            Deed::GetWorkspace | Deed::ListBudgets | Deed::GetBudget | Deed::ListWorkspaceMembers => {
                self.member(&self.find(&command.at)?)
            }
            Deed::UpdateWorkspace
            | Deed::SetBudget
            | Deed::RemoveBudget
            | Deed::AddWorkspaceMembers
            | Deed::RemoveWorkspaceMembers => self.admin(&self.find(&command.at)?),
            Deed::MoveKeys => {
                let to = self.find(&command.at)?;
                Ok(self.keys(&command.names)?.or(self.member(&to)?))
            }
            Deed::ListGuardrails | Deed::CreateGuardrail => {
                let mut at = command.names.first().cloned().unwrap_or_default();
                let missing = self.admin(&self.place(&mut at)?)?;
                command.names = vec![at].into_iter().filter(|at| !at.is_empty()).collect();
                *text = written(&command)?;
                Ok(missing)
            }
            Deed::GetGuardrail
            | Deed::UpdateGuardrail
            | Deed::DeleteGuardrail
            | Deed::ListKeyAssignments
            | Deed::ListMemberAssignments => self.guardrail(&command.at),
            Deed::AssignKeys | Deed::UnassignKeys => {
                let guardrail = self.guardrail(&command.at)?;
                let admin = |hash: &String| -> Missing {
                    let owner = KeyHash::parse(hash).map(|hash| keyring::owner(self.store, &hash));
                    let at = owner.transpose()?.unwrap_or_default().workspace;
                    self.admin(&shown_workspace(&self.account, &at))
                };
                first_missing(guardrail, command.names.iter().map(admin))
            }
            // A member's guardrail holds in every workspace.
            Deed::AssignMembers
            | Deed::UnassignMembers
            | Deed::CreateWorkspace
            | Deed::DeleteWorkspace
            | Deed::ListMembers
            | Deed::CreateMember
            | Deed::UpdateMember
            | Deed::RemoveMember => whole_account(),
        }
    }

    fn keys(&self, hashes: &[String]) -> Missing {
        first_missing(None, hashes.iter().filter_map(|hash| KeyHash::parse(hash)).map(|hash| self.key(&hash)))
    }

    fn guardrail(&self, at: &str) -> Missing {
        if self.roles.iter().any(|(workspace, admin)| *admin && guardrail_of_workspace(workspace) == at) {
            return Ok(None);
        }
        let row = self.store.row("SELECT workspace FROM guardrail WHERE id = ?1", &[cell(at)])?;
        match row.map(|mut row| row.next::<Option<String>>()).transpose()?.flatten() {
            Some(workspace) => self.admin(&workspace),
            None => whole_account(),
        }
    }

    /// An account's own keys at providers, where they are for one workspace.
    fn byok(&self, command: &str) -> Missing {
        let kept = |id: &str| byok::workspace_of(self.store, id);
        let of = |policy: &serde_json::Map<String, serde_json::Value>| {
            policy.get("workspace_id").map(|value| value.as_str().map(str::to_owned))
        };
        let workspaces = match crate::json::read(command) {
            Ok(ByokCommand::List { workspace, .. }) => vec![workspace],
            Ok(ByokCommand::Create { policy, .. }) => vec![of(&policy).flatten()],
            Ok(ByokCommand::Change { id, policy, .. }) => {
                [Some(kept(&id)?), of(&policy)].into_iter().flatten().collect()
            }
            Ok(ByokCommand::Get { id } | ByokCommand::Delete { id }) => vec![kept(&id)?],
            Ok(ByokCommand::Mirror) | Err(_) => return whole_account(),
        };
        let admin = |at: Option<String>| at.map_or_else(whole_account, |at| self.admin(&self.find(&at)?));
        first_missing(None, workspaces.into_iter().map(admin))
    }
}

fn first_missing(first: Option<String>, others: impl Iterator<Item = Missing>) -> Missing {
    let mut missing = first;
    for other in others {
        missing = missing.or(other?);
    }
    Ok(missing)
}

fn whole_account() -> Missing {
    Ok(Some("an org:admin".to_owned()))
}

fn named(workspace: &str) -> String {
    if workspace.is_empty() {
        "a workspace that there is".to_owned()
    } else {
        format!("workspace {workspace}")
    }
}

fn written(command: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(command).map_err(|_| Fault::Corrupt("command"))
}

/// A member's role in the account; `None` for who is none.
fn org_role(store: &Store, user: &str) -> Result<Option<String>, Fault> {
    let row = store.row("SELECT body FROM member WHERE id = ?1", &[cell(user)])?;
    let Some(mut row) = row else { return Ok(None) };
    let body: String = row.next()?;
    let members = json::members(&body).map_err(|_| Fault::Corrupt("JSON"))?;
    Ok(Some(members.string("role").map_or_else(|| "org:member".to_owned(), Into::into)))
}

/// Everybody is in the default workspace.
fn roles_of(store: &Store, account: &AccountId, user: &str) -> Result<Vec<(String, bool)>, Fault> {
    let rows = store.rows(
        "SELECT workspace, CAST(COALESCE(role = 'admin', 0) AS TEXT) FROM workspace_member WHERE user_id = ?1
         ORDER BY created_at, workspace",
        &[cell(user)],
    )?;
    let rows = rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?)));
    let mut roles: Vec<(String, bool)> = rows.collect::<Result<_, Fault>>()?;
    if roles.iter().all(|(workspace, _)| workspace != account.as_str()) {
        roles.insert(0, (account.to_string(), false));
    }
    Ok(roles)
}
