//! Errors of embeddings on every wire.

use crate::chat::ProviderError;
use crate::json::Members;
use crate::protocol::fault;

/// Reads the body of a provider's answer that is an error.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read(body, fault_in)
}

/// The error that an object reports, whether under `error` or flat; `None` if it reports none.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<ProviderError> {
    fault::find_unless(&["data", "embeddings", "embedding", "predictions"], members, text)
}
