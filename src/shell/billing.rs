//! Sells credit: asks Stripe, hears what it tells, and has the accounts note it.

use std::time::Duration;

use js_sys::{Promise, Uint8Array};
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::Response;

use crate::account::billing::{
    BillingAnswer, BillingCommand, BillingRefusal, Reversal, ReversalState, TopUpAttempt,
};
use crate::account::team::mandate::forbidden;
use crate::account::{Answer, Command, Refusal, code};
use crate::billing::request::{CODE_LENGTH, CheckoutRequest, NewCodeRequest, RefundRequest};
use crate::billing::{self, Form, Told, event, form, reply as stripe_reply, view};
use crate::config::{Config, Stripe};
use crate::endpoint::Billing;
use crate::error::{Cause, Failure};
use crate::exchange::account_down;
use crate::id::{AccountId, hex};
use crate::shell::accounts::AccountClient;
use crate::shell::auth::{authenticate_admin, authenticate_manager};
use crate::shell::bindings::{self, console_log, random};
use crate::shell::edge::Incoming;
use crate::shell::upstream::object;
use crate::shell::wait::Wait;
use crate::shell::{body, clock, reply, wallets};
use stripe_reply::Replied;

/// The object that holds the codes; it holds no account.
const CODES_OBJECT: [u8; AccountId::LENGTH] = [1; AccountId::LENGTH];
/// Stripe answers within this, or the outcome is unknown.
const STRIPE_LIMIT: Duration = Duration::from_secs(20);
/// The largest event of Stripe's that is read, in bytes.
const EVENT_BYTES: u64 = 1024 * 1024;

/// One request about purchases.
pub struct Till<'a> {
    pub request: &'a Incoming,
    pub env: &'a JsValue,
    pub config: &'a Config,
}

impl Till<'_> {
    pub async fn answer(&self, endpoint: Billing) -> Result<Response, Failure> {
        match endpoint {
            Billing::Checkout => self.checkout(&self.manager().await?).await,
            Billing::Purchases => self.purchases(&self.manager().await?).await,
            Billing::Redeem => self.redeem(&self.manager().await?).await,
            Billing::GetTopUp => self.top_up(&self.manager().await?, BillingCommand::GetTopUp).await,
            Billing::SetTopUp => self.set_top_up(&self.manager().await?).await,
            Billing::Coinbase => Err(Failure::new(
                Cause::Gone,
                "Paying by Coinbase is no longer possible; use POST /api/v1/credits/checkout",
            )),
            Billing::Webhook => self.webhook().await,
            Billing::AdminCheckout(account) => self.admin()?.checkout(&account).await,
            Billing::AdminPurchases(account) => self.admin()?.purchases(&account).await,
            Billing::AdminRefund(account) => self.admin()?.refund(&account).await,
            Billing::AdminGetTopUp(account) => self.admin()?.top_up(&account, BillingCommand::GetTopUp).await,
            Billing::AdminSetTopUp(account) => self.admin()?.set_top_up(&account).await,
            Billing::AdminListCodes => self.admin()?.list_codes().await,
            Billing::AdminIssueCode => self.admin()?.issue_code().await,
            Billing::AdminRevokeCode(hash) => self.admin()?.codes(BillingCommand::RevokeCode { hash }).await,
        }
    }

    fn admin(&self) -> Result<&Self, Failure> {
        authenticate_admin(self.request, self.config).map(|()| self)
    }

    async fn manager(&self) -> Result<AccountId, Failure> {
        let key = authenticate_manager(self.request, self.env).await?;
        // Only a key that acts for the account may.
        let credits = Command::Credits.acting(key.hash).map_err(|_| unexpected())?;
        self.command(&key.account, credits).await.map(|_| key.account)
    }

    async fn body(&self) -> Result<Vec<u8>, Failure> {
        body::read(self.request, self.config.limits.body_bytes).await
    }

    fn stripe(&self) -> Result<&Stripe, Failure> {
        self.config.billing.stripe.as_ref().ok_or_else(|| not_configured("STRIPE_SECRET_KEY"))
    }

    async fn tell(&self, account: &AccountId, command: BillingCommand) -> Result<BillingAnswer, Failure> {
        match self.command(account, Command::Billing { command }).await? {
            Answer::Billing { answer: BillingAnswer::Refused { why } } => Err(refusal(why)),
            Answer::Billing { answer } => Ok(answer),
            _ => Err(unexpected()),
        }
    }

    async fn command(&self, account: &AccountId, command: Command) -> Result<Answer, Failure> {
        let client = AccountClient::new(self.env, account);
        match client.call(&command).await.map_err(|_| account_down())? {
            Answer::Missing => Err(Failure::new(Cause::NotFound, "No such account")),
            Answer::Forbidden { role, needed } => Err(forbidden(&role, &needed)),
            Answer::Refused { refusal: Refusal::Credit { .. } } => Err(refusal(BillingRefusal::Spent)),
            Answer::Invalid { message } => Err(Failure::invalid(message)),
            answer => Ok(answer),
        }
    }

    async fn checkout(&self, account: &AccountId) -> Result<Response, Failure> {
        let stripe = self.stripe()?;
        let config = &self.config.billing;
        let home = config.return_url.clone().unwrap_or_else(|| origin(&self.request.url()));
        let id = hex(&random::<16>());
        let request = CheckoutRequest::read(&self.body().await?, config.bounds, id, &home)?;
        // Also finds out whether there is such an account.
        let customer = match self.tell(account, BillingCommand::GetTopUp).await? {
            BillingAnswer::TopUp(row) => row.customer,
            _ => return Err(unexpected()),
        };
        let fee = config.fee.cents(request.credit_cents);
        let asked = form::checkout(account, &request, fee, customer.as_deref());
        let page = stripe_reply::read_page(&done(post(stripe, &asked).await)?)?;
        Ok(reply::json(201, &view::write_page(&page, request.credit_cents, fee)))
    }

    async fn purchases(&self, account: &AccountId) -> Result<Response, Failure> {
        match self.tell(account, BillingCommand::Purchases).await? {
            BillingAnswer::Purchases { purchases } => {
                Ok(reply::json(200, &view::write_purchases(&purchases)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn set_top_up(&self, account: &AccountId) -> Result<Response, Failure> {
        self.stripe()?;
        let rule = billing::read_top_up_rule(&self.body().await?, self.config.billing.bounds)?;
        self.top_up(account, BillingCommand::SetTopUp(rule)).await
    }

    async fn top_up(&self, account: &AccountId, command: BillingCommand) -> Result<Response, Failure> {
        match self.tell(account, command).await? {
            BillingAnswer::TopUp(row) => Ok(reply::json(200, &view::write_top_up(&row))),
            _ => Err(unexpected()),
        }
    }

    /// Takes the credit back first, so that it cannot be spent meanwhile. Asked again with the same
    /// id, Stripe is asked again too, and makes the refund once.
    async fn refund(&self, account: &AccountId) -> Result<Response, Failure> {
        let stripe = self.stripe()?;
        let RefundRequest { id, payment, amount } =
            RefundRequest::read(&self.body().await?, hex(&random::<16>()))?;
        // What isolates hold and do not need is not spent.
        let client = AccountClient::new(self.env, account);
        wallets::flush(&client).await;
        let ask = BillingCommand::AskRefund { id: id.clone(), payment, amount };
        let (payment, amount, state) = match self.tell(account, ask).await? {
            BillingAnswer::RefundAsked { payment, amount, state, .. } => (payment, amount, state),
            _ => return Err(unexpected()),
        };
        if !state.takes() {
            return Ok(reply::json(200, &view::write_refund(&id, &payment, amount, state)));
        }
        let asked = form::refund(account, &id, &payment, amount).ok_or_else(unexpected)?;
        let replied = post(stripe, &asked).await;
        if matches!(replied, Replied::Refused { .. }) {
            let state = ReversalState::RefundFailed;
            let undo = Reversal { id, payment: payment.clone(), amount, state };
            self.tell(account, BillingCommand::Reversed(undo)).await?;
            return Err(done(replied).err().unwrap_or_else(unexpected));
        }
        done(replied).map_err(|failure| failure.with("id", id.trim_start_matches("refund-")))?;
        Ok(reply::json(201, &view::write_refund(&id, &payment, amount, state)))
    }

    async fn webhook(&self) -> Result<Response, Failure> {
        let secrets = &self.config.billing.webhook_secrets;
        if secrets.is_empty() {
            return Err(not_configured("STRIPE_WEBHOOK_SECRET"));
        }
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.expose()).collect();
        let body = body::read(self.request, EVENT_BYTES).await?;
        let header = self.request.headers().get("stripe-signature").ok().flatten().unwrap_or_default();
        billing::verify(&header, &body, &secrets, clock::now()).map_err(bad_signature)?;
        let (account, command) = match event::read_event(&body)? {
            Told::Nothing => return Ok(received()),
            Told::ForAccount(account, command) => (account, command),
            Told::ForOwnerOf(payment, command) => match self.owner(&payment).await? {
                Some(account) => (account, command),
                None => return Ok(received()),
            },
        };
        self.tell(&account, command).await?;
        Ok(received())
    }

    async fn owner(&self, payment: &str) -> Result<Option<AccountId>, Failure> {
        let Some(path) = form::payment_path(payment) else {
            return Ok(None);
        };
        event::read_owner(&done(ask(self.stripe()?, &path, None).await)?)
    }

    async fn tell_codes(&self, command: BillingCommand) -> Result<BillingAnswer, Failure> {
        let object = AccountId::new(&CODES_OBJECT);
        let client = AccountClient::new(self.env, &object);
        match client.call(&Command::Billing { command }).await.map_err(|_| account_down())? {
            // There was never a code.
            Answer::Missing => Ok(BillingAnswer::Codes { codes: Vec::new() }),
            Answer::Billing { answer: BillingAnswer::Refused { why } } => Err(refusal(why)),
            Answer::Billing { answer } => Ok(answer),
            Answer::Invalid { message } => Err(Failure::invalid(message)),
            _ => Err(unexpected()),
        }
    }

    async fn redeem(&self, account: &AccountId) -> Result<Response, Failure> {
        let hash = billing::read_code(&self.body().await?)?;
        let redeem = BillingCommand::Redeem { hash: hash.clone(), account: account.clone() };
        let amount = match self.tell_codes(redeem).await? {
            BillingAnswer::Redeemed { amount, .. } => amount,
            _ => return Err(refusal(BillingRefusal::UnknownCode)),
        };
        // If this is not reached, the customer asks again and is given it then.
        let grant = Command::Grant { id: code::grant_id(&hash), amount, reason: "code".to_owned() };
        match self.command(account, grant).await? {
            Answer::Granted { already, amount, account } => {
                Ok(reply::json(200, &view::write_redeemed(amount, already, account.available)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn issue_code(&self) -> Result<Response, Failure> {
        let wanted = NewCodeRequest::read(&self.body().await?)?;
        let (code, new) = wanted.make(&random::<CODE_LENGTH>());
        match self.tell_codes(BillingCommand::IssueCode(new)).await? {
            BillingAnswer::CodeIssued { code: row } => {
                Ok(reply::json(201, &view::write_new_code(&code, &row)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn list_codes(&self) -> Result<Response, Failure> {
        let url = self.request.url();
        let offset = url.split(['?', '&', '#']).find_map(|part| part.strip_prefix("offset="));
        let offset = match offset.map(str::parse) {
            None => 0,
            Some(Ok(offset)) => offset,
            Some(Err(_)) => return Err(Failure::invalid("offset: must be a whole number")),
        };
        self.codes(BillingCommand::ListCodes { offset }).await
    }

    async fn codes(&self, command: BillingCommand) -> Result<Response, Failure> {
        let revokes = matches!(command, BillingCommand::RevokeCode { .. });
        match (self.tell_codes(command).await?, revokes) {
            (BillingAnswer::Codes { codes }, false) => Ok(reply::json(200, &view::write_codes(&codes))),
            (BillingAnswer::Codes { codes }, true) => {
                let code = codes.first().ok_or_else(|| refusal(BillingRefusal::UnknownCode))?;
                Ok(reply::json(200, &view::write_code(code)))
            }
            (_, _) => Err(unexpected()),
        }
    }
}

/// Makes an attempt of a top-up, and gives the command that tells the account how it went. Called by
/// the account's alarm.
#[wasm_bindgen]
pub fn charge_card(env: JsValue, attempt: String) -> Promise {
    future_to_promise(std::panic::AssertUnwindSafe(async move {
        let attempt: TopUpAttempt =
            crate::json::read(&attempt).map_err(|_| JsValue::from("not an attempt"))?;
        let config = crate::shell::overlay::current(&env);
        let asked = form::top_up(&attempt, |cents| config.billing.fee.cents(cents));
        let replied = match (&config.billing.stripe, asked) {
            (Some(stripe), Some(asked)) => post(stripe, &asked).await,
            (None, _) | (_, None) => Replied::Unknown,
        };
        let command = stripe_reply::read_top_up(&attempt, replied);
        let paid = matches!(command, BillingCommand::Paid(_));
        let line = json!({ "event": "top_up", "account": attempt.account.as_str(), "paid": paid });
        console_log(&line.to_string());
        let command = serde_json::to_string(&Command::Billing { command });
        command.map(JsValue::from).map_err(|error| JsValue::from(error.to_string()))
    }))
}

async fn post(stripe: &Stripe, form: &Form) -> Replied {
    ask(stripe, form.path, Some(form)).await
}

async fn ask(stripe: &Stripe, path: &str, form: Option<&Form>) -> Replied {
    let answer = Box::pin(send(stripe, path, form));
    let answer = clock::within(STRIPE_LIMIT, answer).await.and_then(Result::ok);
    let replied = stripe_reply::read_reply(answer);
    if let Replied::Refused { words, .. } = &replied {
        console_log(&json!({ "event": "stripe_refused", "path": path, "words": words }).to_string());
    }
    replied
}

async fn send(stripe: &Stripe, path: &str, form: Option<&Form>) -> Result<(u16, Vec<u8>), JsValue> {
    let authorization = format!("Bearer {}", stripe.secret_key.expose());
    let mut headers: Vec<(&str, JsValue)> =
        vec![("authorization", authorization.into()), ("stripe-version", form::VERSION.into())];
    let mut init: Vec<(&str, JsValue)> = vec![("redirect", "manual".into())];
    if let Some(form) = form {
        headers.push(("content-type", "application/x-www-form-urlencoded".into()));
        headers.push(("idempotency-key", form.idempotency_key.as_str().into()));
        init.push(("method", "POST".into()));
        init.push(("body", form.body().into()));
    }
    init.push(("headers", object(&headers)?));
    let url = format!("{}{path}", stripe.api_base);
    let answer: Response = Wait::from(bindings::fetch(&url, &object(&init)?)?).await?.unchecked_into();
    let body = Uint8Array::new(&Wait::from(answer.array_buffer()?).await?).to_vec();
    Ok((answer.status(), body))
}

fn done(replied: Replied) -> Result<Vec<u8>, Failure> {
    match replied {
        Replied::Done(body) => Ok(body),
        Replied::Refused { words, declined: true } => {
            Err(Failure::new(Cause::PaymentRequired, format!("The payment was declined: {words}")))
        }
        Replied::Refused { .. } => Err(Failure::new(
            Cause::ProviderUnavailable,
            "Stripe refused the request; the operator's log says why",
        )),
        Replied::OtherRequest => {
            Err(Failure::new(Cause::Conflict, "This id was used for another request already"))
        }
        Replied::Unknown => Err(Failure::new(
            Cause::ProviderUnavailable,
            "Stripe could not be reached; the same request with the same id is safe to repeat",
        )
        .retry_after(5)),
    }
}

fn refusal(why: BillingRefusal) -> Failure {
    let (cause, words) = match why {
        BillingRefusal::UnknownPayment => (Cause::NotFound, "No such payment"),
        BillingRefusal::TooLate => {
            (Cause::Conflict, "Credit can be refunded within 24 hours after its purchase")
        }
        BillingRefusal::Spent => (Cause::Conflict, "Less than that is left of the credit, not spent or held"),
        BillingRefusal::NoCard => {
            (Cause::Conflict, "There is no saved card: buy credit once with save_payment_method set to true")
        }
        BillingRefusal::UnknownCode => (Cause::NotFound, "No such code"),
        BillingRefusal::CodeExpired => (Cause::Conflict, "This code has expired"),
        BillingRefusal::CodeRevoked => (Cause::Conflict, "This code was revoked"),
        BillingRefusal::CodeUsedUp => (Cause::Conflict, "This code has been used already"),
    };
    Failure::new(cause, words)
}

fn bad_signature(flaw: billing::SignatureFlaw) -> Failure {
    let words = match flaw {
        billing::SignatureFlaw::Malformed => "The header Stripe-Signature is missing or malformed",
        billing::SignatureFlaw::Wrong => "The signature is not one of STRIPE_WEBHOOK_SECRET over this body",
        billing::SignatureFlaw::Stale => "The signature is more than five minutes old",
    };
    Failure::invalid(words)
}

fn not_configured(variable: &str) -> Failure {
    let words = format!("Credit is not sold here: {variable} is not set (docs/billing.md)");
    Failure::new(Cause::NotConfigured, words).with("variable", variable)
}

fn received() -> Response {
    reply::json(200, r#"{"received":true}"#)
}

fn unexpected() -> Failure {
    Failure::new(Cause::Internal, "Internal Server Error")
}

/// `https://host/` of an address.
fn origin(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    format!("{}/", &url[..end])
}
