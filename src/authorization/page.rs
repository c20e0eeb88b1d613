//! The pages of an authorization: plain HTML with one style, no script and nothing from elsewhere.
//! Whoever agrees shows a management key, so no other site can agree for them.

use super::request::Wish;
use crate::account::LimitReset;
use crate::base64;
use crate::money::Money;
use crate::time::Time;
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f6f4;color:#1c1c1a}\
main{max-width:30rem;margin:8vh auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:.5rem}\
h1{font-size:1.3rem;margin-top:0}label{display:block;margin:1rem 0 .25rem}\
input,select{font:inherit;width:100%;box-sizing:border-box;padding:.4rem}\
button{font:inherit;margin:1.5rem 1rem 0 0;padding:.5rem 1.2rem}\
code{overflow-wrap:anywhere}.flaw{color:#a00}.small{font-size:.85rem;color:#555}";

/// A page, and what its browser is to be told beside it.
pub struct Page {
    pub html: String,
    pub headers: Vec<(&'static str, String)>,
}

/// Asks the owner to agree; `flaw` says what was wrong with the last try.
pub fn consent(wish: &Wish, flaw: Option<&str>) -> Page {
    let who = match &wish.callback {
        None => "An app without an address".to_owned(),
        Some(callback) if callback.is_local() => {
            format!("A program on this computer (<b>{}</b>)", escaped(callback.host()))
        }
        Some(callback) => format!("<b>{}</b>", escaped(callback.host())),
    };
    let then = match &wish.callback {
        None => "You will be shown a code to enter there. Agree only if you have started this yourself."
            .to_owned(),
        Some(callback) => format!("You will be sent to <code>{}</code>.", escaped(callback.url())),
    };
    let flaw = flaw.map(|flaw| format!("<p class=flaw role=alert>{}</p>", escaped(flaw))).unwrap_or_default();
    let ends = match wish.expires_at {
        None => "It has no end: delete it when you no longer want the app to have it.".to_owned(),
        Some(end) => format!("It ends on {}.", end.to_iso8601()),
    };
    let cancel = wish.callback.as_ref().map(|callback| {
        let mut members = vec![("error", "access_denied")];
        members.extend(wish.state.as_deref().map(|state| ("state", state)));
        format!("<a rel=noreferrer href=\"{}\">Cancel</a>", escaped(&callback.with(&members)))
    });
    let body = format!(
        "<h1>An app asks for a key</h1><p>{who} asks for an API key of your account. With it, the app can \
         send requests to models and spend your credit, up to the limit you set. It can neither see nor \
         change your other keys.</p><p>{ends} {then}</p>{flaw}<form method=post action=\"/auth\">{}{}\
         <label for=key>A management key of the account</label>\
         <input id=key name=management_key type=password autocomplete=off required>\
         <p class=small>It proves that the account is yours; the app does not get it.</p>\
         <button>Authorize</button>{}</form>",
        hidden(wish),
        limit_fields(wish.limit, wish.limit_reset) + &workspace_field(&wish.workspace),
        cancel.unwrap_or_default(),
    );
    let origin = wish.callback.as_ref().map_or("", |callback| callback.origin());
    page(&body, origin)
}

/// Shows a code that the owner is to enter elsewhere.
pub fn code(text: &str) -> Page {
    let body = format!(
        "<h1>Your code</h1><p>Enter this code in the app, within ten minutes:</p><p><code>{}</code></p>",
        escaped(text)
    );
    page(&body, "")
}

/// Tells of a request that leads nowhere.
pub fn failure(words: &str) -> Page {
    let body = format!("<h1>This link cannot be used</h1><p class=flaw>{}</p>", escaped(words));
    page(&body, "")
}

/// What the form gives back as it came.
fn hidden(wish: &Wish) -> String {
    let challenge = wish.challenge.as_ref();
    let members = [
        ("callback_url", wish.callback.as_ref().map(|callback| callback.url().to_owned())),
        ("code_challenge", challenge.map(|challenge| challenge.text.clone())),
        ("code_challenge_method", challenge.map(|challenge| challenge.method.as_str().to_owned())),
        ("key_label", wish.key_label.clone()),
        ("expires_at", wish.expires_at.map(Time::to_iso8601)),
        ("state", wish.state.clone()),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given
        .map(|(name, value)| format!("<input type=hidden name={name} value=\"{}\">", escaped(&value)))
        .collect()
}

fn workspace_field(workspace: &str) -> String {
    format!(
        "<label for=workspace>The workspace it is in (empty: the default one)</label>\
         <input id=workspace name=workspace_id value=\"{}\">",
        escaped(workspace)
    )
}

fn limit_fields(limit: Option<Money>, reset: Option<LimitReset>) -> String {
    let value = limit.map(Money::to_usd).unwrap_or_default();
    let options =
        [None, Some(LimitReset::Daily), Some(LimitReset::Weekly), Some(LimitReset::Monthly)].map(|each| {
            let (value, words) = each.map_or(("", "in all"), |reset| (reset.as_str(), reset.as_str()));
            let selected = if each == reset { " selected" } else { "" };
            format!("<option value=\"{value}\"{selected}>{words}</option>")
        });
    format!(
        "<label for=limit>The most it may spend, in dollars (empty: no limit)</label>\
         <input id=limit name=limit inputmode=decimal value=\"{value}\">\
         <label for=reset>The limit holds</label><select id=reset name=usage_limit_type>{}</select>",
        options.concat()
    )
}

/// `origin` is where a form's answer may lead beside us: browsers check redirects too.
fn page(body: &str, origin: &str) -> Page {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Authorize an app</title><style>{STYLE}</style><main>{body}</main></html>"
    );
    let style = base64::encode(&Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {origin}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", policy),
        ("cache-control", "no-store".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
    ];
    Page { html, headers }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character => out.push(character),
        }
    }
    out
}
