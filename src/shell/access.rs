//! Gives keys to those who have a right to one: in place of another, or as an app that the account's
//! owner has agreed to.

use serde_json::json;
use web_sys::Response;

use crate::account::Answer;
use crate::account::access::{AccessAnswer, AccessCommand, AccessRefusal};
use crate::account::key::{KeyKind, NewKey, SECRET_LENGTH};
use crate::account::request::read_rotation;
use crate::account::view;
use crate::authorization::page::{self, Page};
use crate::authorization::{AuthCode, ExchangeRequest, Wish, app_id, parse_code};
use crate::endpoint::Access;
use crate::error::{Cause, Failure};
use crate::exchange::account_down;
use crate::id::{AccountId, KeyHash};
use crate::query;
use crate::shell::accounts::AccountClient;
use crate::shell::auth::{authenticate_admin, authenticate_manager_by, forget};
use crate::shell::bindings::random;
use crate::shell::clock::now;
use crate::shell::manage::{Call, unexpected};
use crate::shell::reply;

pub async fn answer(call: &Call<'_>, endpoint: Access) -> Result<Response, Failure> {
    match endpoint {
        Access::Rotate(hash) => {
            let manager = call.manager().await?;
            // A manager may replace itself, and no other manager.
            let only = if manager.hash == hash { None } else { Some(KeyKind::Inference) };
            rotate(call, &manager.account, hash, only).await
        }
        Access::AdminRotate(account, hash) => {
            authenticate_admin(call.request, call.config)?;
            rotate(call, &account, hash, None).await
        }
        Access::Page => Ok(match Wish::from_pairs(query::pairs(call.query)) {
            Ok(wish) => shown(200, &page::consent(&wish, None)),
            Err(failure) => shown(failure.cause.status(), &page::failure(&failure.message)),
        }),
        Access::Agree => agree(call).await,
        Access::MakeCode => {
            let manager = call.manager().await?;
            let wish = Wish::from_body(&call.body().await?)?;
            let app = app_id(wish.app());
            let code = make_code(call, &manager.account, wish).await?;
            let data = json!({ "id": code.text, "app_id": app, "created_at": now().to_iso8601() });
            Ok(reply::json(200, &json!({ "data": data }).to_string()))
        }
        Access::Exchange => exchange(call).await,
    }
}

/// The owner's answer on the page. What is wrong is said on the page as well, and the app is not told.
async fn agree(call: &Call<'_>) -> Result<Response, Failure> {
    let body = call.body().await?;
    let form = String::from_utf8_lossy(&body);
    let wish = match Wish::from_pairs(query::pairs(&form)) {
        Ok(wish) => wish,
        Err(failure) => return Ok(shown(failure.cause.status(), &page::failure(&failure.message))),
    };
    let key = query::value(&form, "management_key").unwrap_or_default();
    let made = match authenticate_manager_by(key.trim(), call.env).await {
        Ok(manager) => {
            call.act_as(&manager);
            make_code(call, &manager.account, wish.clone()).await
        }
        Err(failure) => Err(failure),
    };
    let code = match made {
        Ok(code) => code,
        Err(failure) => {
            return Ok(shown(failure.cause.status(), &page::consent(&wish, Some(&failure.message))));
        }
    };
    let Some(callback) = &wish.callback else {
        return Ok(shown(200, &page::code(&code.text)));
    };
    let mut members = vec![("code", code.text.as_str())];
    members.extend(wish.state.as_deref().map(|state| ("state", state)));
    let Page { mut headers, .. } = page::code("");
    headers.push(("location", callback.with(&members)));
    // The browser asks for the app's address anew, without the form and the key in it.
    Ok(reply::page(303, &headers, ""))
}

async fn make_code(call: &Call<'_>, account: &AccountId, wish: Wish) -> Result<AuthCode, Failure> {
    let code = AuthCode::new(account, &random::<SECRET_LENGTH>());
    match tell(call, account, AccessCommand::MakeCode(wish.code(code.hash.clone()))).await? {
        AccessAnswer::CodeMade => Ok(code),
        AccessAnswer::Rotated { .. } | AccessAnswer::Exchanged(_) | AccessAnswer::Refused { .. } => {
            Err(unexpected())
        }
    }
}

async fn exchange(call: &Call<'_>) -> Result<Response, Failure> {
    let wanted = ExchangeRequest::read(&call.body().await?)?;
    let account = parse_code(&wanted.code).ok_or_else(|| refusal(AccessRefusal::WrongCode))?;
    let new = NewKey::new(&account, &random::<SECRET_LENGTH>());
    let client = AccountClient::new(call.env, &account);
    let command = AccessCommand::Exchange(wanted.told(&new)).told();
    match client.call(&command).await.map_err(|_| account_down())? {
        Answer::Missing => Err(refusal(AccessRefusal::WrongCode)),
        answer => match AccessAnswer::read(&answer) {
            Some(AccessAnswer::Exchanged(user)) => {
                Ok(reply::json(200, &json!({ "key": new.text, "user_id": user }).to_string()))
            }
            Some(AccessAnswer::Refused { why }) => Err(refusal(why)),
            Some(AccessAnswer::Rotated { .. } | AccessAnswer::CodeMade) | None => Err(unexpected()),
        },
    }
}

fn shown(status: u16, page: &Page) -> Response {
    reply::page(status, &page.headers, &page.html)
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
        AccessAnswer::CodeMade | AccessAnswer::Exchanged(_) | AccessAnswer::Refused { .. } => {
            Err(unexpected())
        }
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
        AccessRefusal::NoWorkspace => Failure::invalid("workspace_id: no such workspace"),
        AccessRefusal::TooManyCodes => {
            Failure::new(Cause::Conflict, "Too many codes were made within a day. Please try again later.")
        }
        AccessRefusal::WrongCode => Failure::new(Cause::PermissionDenied, "Invalid code or code_verifier"),
        AccessRefusal::WrongMethod => Failure::invalid("Invalid code_challenge_method"),
        AccessRefusal::CodeExpired => Failure::new(Cause::PermissionDenied, "Authorization code expired"),
    }
}
