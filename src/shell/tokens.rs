//! Access tokens of Google's service accounts: asked for by the core's words, signed by WebCrypto,
//! kept by the isolate until shortly before they end.

use std::cell::RefCell;
use std::collections::HashMap;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use crate::exchange::ServiceLogin;
use crate::id::KeyHash;
use crate::protocol::gemini::vertex::{ServiceAccount, Token, TokenRequest, read_token, token_request};
use crate::shell::bindings;
use crate::shell::clock::now;
use crate::shell::upstream::object;
use crate::shell::wait::Wait;

thread_local! {
    /// By the hash of the key file, so that a file that changes gets a token of its own.
    static TOKENS: RefCell<HashMap<KeyHash, Token>> = RefCell::default();
}

/// A token for `login`, from memory or from Google.
pub async fn token(login: &ServiceLogin) -> Result<String, JsValue> {
    let name = KeyHash::of(login.account.expose());
    let known = TOKENS.with_borrow(|tokens| tokens.get(&name).filter(|token| token.is_fresh(now())).cloned());
    if let Some(token) = known {
        return Ok(token.value);
    }
    let account =
        ServiceAccount::read(login.account.expose()).map_err(|failure| JsValue::from(failure.message))?;
    let token = ask(&account, login).await?;
    TOKENS.with_borrow_mut(|tokens| tokens.insert(name, token.clone()));
    Ok(token.value)
}

async fn ask(account: &ServiceAccount, login: &ServiceLogin) -> Result<Token, JsValue> {
    let sent = now();
    let input = account.signing_input(sent);
    let signed = bindings::sign_rs256(&Uint8Array::from(account.key.as_slice()), &input);
    let signature = Uint8Array::new(&Wait::from(signed).await?).to_vec();
    let TokenRequest { url, content_type, body } = token_request(&input, &signature);
    let init = object(&[
        ("method", "POST".into()),
        ("headers", object(&[("content-type", content_type.into())])?),
        ("body", body.into()),
        ("redirect", "manual".into()),
    ])?;
    let url = login.token_url.as_deref().unwrap_or(url);
    let answer: Response = Wait::from(bindings::fetch(url, &init)?).await?.unchecked_into();
    let body = Uint8Array::new(&Wait::from(answer.array_buffer()?).await?).to_vec();
    // What Google says of a refusal may name the account; it stays here.
    read_token(&body, sent).map_err(|_| JsValue::from("Google gave no token for the service account"))
}
