//! Gives keys to those who have a right to one: in place of another.

use web_sys::Response;

use crate::account::access::{AccessAnswer, AccessCommand, AccessRefusal};
use crate::account::key::{KeyKind, NewKey, SECRET_LENGTH};
use crate::account::request::read_rotation;
use crate::account::view;
use crate::endpoint::Access;
use crate::error::{Cause, Failure};
use crate::id::{AccountId, KeyHash};
use crate::shell::auth::{authenticate_admin, authenticate_manager, forget};
use crate::shell::bindings::random;
use crate::shell::manage::{Call, unexpected};
use crate::shell::reply;

pub async fn answer(call: &Call<'_>, endpoint: Access) -> Result<Response, Failure> {
    match endpoint {
        Access::Rotate(hash) => {
            let manager = authenticate_manager(call.request, call.env).await?;
            // A manager may replace itself, and no other manager.
            let only = if manager.hash == hash { None } else { Some(KeyKind::Inference) };
            rotate(call, &manager.account, hash, only).await
        }
        Access::AdminRotate(account, hash) => {
            authenticate_admin(call.request, call.config)?;
            rotate(call, &account, hash, None).await
        }
    }
}

async fn rotate(
    call: &Call<'_>,
    account: &AccountId,
    hash: KeyHash,
    only: Option<KeyKind>,
) -> Result<Response, Failure> {
    let new = NewKey::new(account, &random::<SECRET_LENGTH>());
    let wanted = read_rotation(hash.clone(), only, &new, &call.body().await?)?;
    match tell(call, account, AccessCommand::Rotate(wanted)).await? {
        AccessAnswer::Rotated { key, old_expires_at, .. } => {
            forget(&hash);
            Ok(reply::json(201, &view::write_rotated_key(&key, &new.text, old_expires_at)))
        }
        AccessAnswer::Refused { .. } => Err(unexpected()),
    }
}

async fn tell(call: &Call<'_>, account: &AccountId, command: AccessCommand) -> Result<AccessAnswer, Failure> {
    let answer = call.ask(account, command.told()).await?;
    match AccessAnswer::read(&answer).ok_or_else(unexpected)? {
        AccessAnswer::Refused { why } => Err(refusal(why)),
        answer => Ok(answer),
    }
}

fn refusal(why: AccessRefusal) -> Failure {
    match why {
        AccessRefusal::Replaced(by) => Failure::new(
            Cause::Conflict,
            "This key was rotated already: rotate the key that replaced it, or delete that one first",
        )
        .with("replaced_by", by.as_str()),
        AccessRefusal::Expired => Failure::new(
            Cause::Conflict,
            "The new key would have expired already: say in expires_at when it is to end",
        ),
    }
}
