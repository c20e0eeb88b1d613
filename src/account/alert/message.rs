//! An alert as it is sent: JSON, signed as standardwebhooks.com has it.

use crate::base64;
use crate::id::AccountId;
use crate::json;
use crate::protocol::bedrock::hmac;
use crate::time::Time;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "whsec_";

/// One attempt to deliver an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub number: u64,
    /// The same at each attempt: who has seen it before may pass over it.
    pub id: String,
    pub body: String,
    pub url: String,
    pub secret: String,
}

/// A secret as it is shown.
pub fn secret(random: &[u8; 32]) -> String {
    format!("{PREFIX}{}", base64::encode(random))
}

pub(super) fn id(account: &AccountId, number: u64) -> String {
    format!("msg_{account}{number}")
}

/// `data` is JSON.
pub(super) fn body(kind: &str, now: Time, account: &AccountId, data: &str) -> String {
    let more = data.strip_prefix('{').and_then(|data| data.strip_suffix('}')).unwrap_or_default();
    let comma = if more.is_empty() { "" } else { "," };
    format!(
        r#"{{"type":{},"timestamp":"{}","data":{{"account_id":"{account}"{comma}{more}}}}}"#,
        json::quote(kind),
        now.to_iso8601(),
    )
}

impl Delivery {
    /// The headers that say who sent it and when.
    pub fn headers(&self, now: Time) -> [(&'static str, String); 3] {
        let signed = format!("{}.{}.{}", self.id, now.seconds(), self.body);
        let secret = self.secret.strip_prefix(PREFIX).and_then(base64::decode).unwrap_or_default();
        let signature = base64::encode(&hmac(&secret, signed.as_bytes()));
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ]
    }
}
