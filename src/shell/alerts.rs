//! Alerts: sets where they go, and takes them there.

use std::time::Duration;

use futures::future::join_all;
use js_sys::Promise;
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortController, Response};

use crate::account::alert::message::{self, Delivery};
use crate::account::alert::{AlertAnswer, AlertCommand, Ended, Outcome, view};
use crate::endpoint::Alert;
use crate::error::Failure;
use crate::media::Hosts;
use crate::shell::bindings::{self, console_log, random};
use crate::shell::clock::{now, within};
use crate::shell::manage::{Call, unexpected};
use crate::shell::reply;
use crate::shell::upstream::object;
use crate::shell::wait::Wait;

/// How long an endpoint may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

pub async fn answer(call: &Call<'_>, endpoint: Alert) -> Result<Response, Failure> {
    let manager = call.manager().await?;
    let command = match endpoint {
        Alert::Get => AlertCommand::Get,
        Alert::Test => AlertCommand::Test,
        Alert::Set => {
            let (settings, renew) = view::read(&call.body().await?, &call.config.media_hosts)?;
            AlertCommand::Set { settings, secret: message::secret(&random::<32>()), renew }
        }
    };
    let answer = call.ask(&manager.account, command.told()).await?;
    match AlertAnswer::read(&answer) {
        Some(AlertAnswer::Standing { standing, new_secret }) => {
            Ok(reply::json(200, &view::write(standing.as_ref(), new_secret.as_deref())))
        }
        Some(AlertAnswer::Due(_) | AlertAnswer::Noted) | None => Err(unexpected()),
    }
}

/// Makes deliveries, all at once, and gives the command that tells the account how they went. Called by
/// the account's alarm.
#[wasm_bindgen]
pub fn deliver_alerts(env: JsValue, due: String) -> Promise {
    future_to_promise(std::panic::AssertUnwindSafe(async move {
        let due: Vec<Delivery> = crate::json::read(&due).map_err(|_| JsValue::from("not deliveries"))?;
        let config = crate::shell::overlay::current(&env);
        let ended = join_all(due.iter().map(|delivery| deliver(delivery, &config.media_hosts))).await;
        for (delivery, ended) in due.iter().zip(&ended) {
            let delivered = ended.outcome == Outcome::Delivered;
            console_log(&json!({ "event": "alert", "id": delivery.id, "delivered": delivered }).to_string());
        }
        let command = serde_json::to_string(&AlertCommand::Ended(ended).told());
        command.map(JsValue::from).map_err(|error| JsValue::from(error.to_string()))
    }))
}

async fn deliver(delivery: &Delivery, hosts: &Hosts) -> Ended {
    let outcome = match view::check_url(&delivery.url, hosts) {
        Err(why) => Outcome::Failed(why.to_owned()),
        Ok(address) => send(delivery, address.url()).await,
    };
    Ended { number: delivery.number, outcome }
}

async fn send(delivery: &Delivery, url: &str) -> Outcome {
    let Ok(abort) = AbortController::new() else {
        return Outcome::Failed("the request could not be made".to_owned());
    };
    let answer = within(LIMIT, Box::pin(post(delivery, url, &abort))).await;
    match answer {
        None => {
            abort.abort();
            Outcome::Failed("the endpoint did not answer within 10 seconds".to_owned())
        }
        Some(Err(_)) => Outcome::Failed("the endpoint could not be reached".to_owned()),
        Some(Ok(200..=299)) => Outcome::Delivered,
        Some(Ok(410)) => Outcome::Gone,
        Some(Ok(status)) => Outcome::Failed(format!("the endpoint answered with status {status}")),
    }
}

/// The status of the answer, whose body nobody reads.
async fn post(delivery: &Delivery, url: &str, abort: &AbortController) -> Result<u16, JsValue> {
    let mut headers: Vec<(&str, JsValue)> = vec![
        ("content-type", "application/json".into()),
        ("user-agent", concat!("millrace/", env!("CARGO_PKG_VERSION")).into()),
    ];
    let signed = delivery.headers(now());
    headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str().into())));
    let init = object(&[
        ("method", "POST".into()),
        ("headers", object(&headers)?),
        ("body", delivery.body.as_str().into()),
        // What was checked is the address itself.
        ("redirect", "manual".into()),
        ("signal", abort.signal().into()),
    ])?;
    let answer: Response = Wait::from(bindings::fetch(url, &init)?).await?.dyn_into()?;
    if let Some(body) = answer.body() {
        let _ = body.cancel();
    }
    Ok(answer.status())
}
