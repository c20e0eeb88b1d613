//! Where Bedrock's runtime is, and under which path a model converses there.

use super::sigv4::percent_encode;

/// The host of a region's runtime. China has its own domain.
pub fn host(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("bedrock-runtime.{region}.{domain}")
}

/// The path as it is sent: the model's id, which may be an ARN, is one segment of it.
pub fn converse_path(model: &str, stream: bool) -> String {
    let action = if stream { "converse-stream" } else { "converse" };
    format!("/model/{}/{action}", percent_encode(model, b""))
}

pub fn converse_url(region: &str, model: &str, stream: bool) -> String {
    format!("https://{}{}", host(region), converse_path(model, stream))
}
