//! Commands and answers as they are read: members that any of them has, in whichever order, from which the
//! `type` then takes its own. Reading each kind for itself is six times the code.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ByokAnswer, ByokCommand, ByokRow};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    r#type: String,
    id: Option<String>,
    provider: Option<String>,
    sealed: Option<String>,
    label: Option<String>,
    policy: Option<Map<String, Value>>,
    secret: Option<(String, String)>,
    workspace: Option<String>,
    offset: Option<u64>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
pub struct Answer {
    r#type: String,
    row: Option<ByokRow>,
    rows: Option<Vec<ByokRow>>,
    total: Option<u64>,
    mirror: Option<String>,
    message: Option<String>,
}

const NOT_ONE: &str = "it is none, or lacks a member";

impl TryFrom<Command> for ByokCommand {
    type Error = &'static str;

    fn try_from(told: Command) -> Result<ByokCommand, &'static str> {
        told.into_command().ok_or(NOT_ONE)
    }
}

impl TryFrom<Answer> for ByokAnswer {
    type Error = &'static str;

    fn try_from(told: Answer) -> Result<ByokAnswer, &'static str> {
        told.into_answer().ok_or(NOT_ONE)
    }
}

impl Command {
    fn into_command(self) -> Option<ByokCommand> {
        Some(match self.r#type.as_str() {
            "create" => ByokCommand::Create {
                id: self.id?,
                provider: self.provider?,
                sealed: self.sealed?,
                label: self.label?,
                policy: self.policy?,
            },
            "change" => ByokCommand::Change { id: self.id?, policy: self.policy?, secret: self.secret },
            "delete" => ByokCommand::Delete { id: self.id? },
            "get" => ByokCommand::Get { id: self.id? },
            "list" => ByokCommand::List {
                provider: self.provider,
                workspace: self.workspace,
                offset: self.offset?,
                limit: self.limit?,
            },
            "mirror" => ByokCommand::Mirror,
            _ => return None,
        })
    }
}

impl Answer {
    fn into_answer(self) -> Option<ByokAnswer> {
        Some(match self.r#type.as_str() {
            "one" => ByokAnswer::One { row: self.row? },
            "many" => ByokAnswer::Many { rows: self.rows?, total: self.total? },
            "changed" => ByokAnswer::Changed { row: self.row, mirror: self.mirror? },
            "mirror" => ByokAnswer::Mirror { mirror: self.mirror? },
            "not_found" => ByokAnswer::NotFound,
            "refused" => ByokAnswer::Refused { message: self.message? },
            _ => return None,
        })
    }
}
