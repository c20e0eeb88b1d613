//! A reply that goes to the client as the provider wrote it, byte for byte, for clients that asked for
//! that. Another lane of the same protocol reads it for what the gateway has to know, and has the last
//! word where the provider breaks off.

use super::lane::Lane;
use crate::chat::{Bill, Facts, ProviderError};
use crate::error::Failure;

/// Carries one streamed reply unchanged.
pub struct Verbatim {
    inner: Box<dyn Lane>,
    /// The last bytes that went to the client.
    last: [u8; 4],
    /// The client was told an error in the provider's own words.
    told: bool,
}

impl Verbatim {
    /// `inner` is the lane of the client's protocol and the provider's, which are the same.
    pub fn new(inner: Box<dyn Lane>) -> Verbatim {
        Verbatim { inner, last: *b"\n\n\n\n", told: false }
    }

    /// Closes a frame that the provider broke off, so that another can follow.
    fn close_frame(&self, out: &mut Vec<u8>) {
        let between = ["\n\n", "\r\r", "\n\r\n"].iter().any(|end| self.last.ends_with(end.as_bytes()));
        if !between {
            out.extend_from_slice(b"\n\n");
        }
    }
}

impl Lane for Verbatim {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.look(bytes);
        out.extend_from_slice(bytes);
    }

    fn look(&mut self, bytes: &[u8]) {
        self.inner.look(bytes);
        // What has neither is our own word for bytes that make no sense.
        let worded = |fault: &ProviderError| fault.status.is_some() || fault.code.is_some();
        let facts = self.inner.facts();
        self.told |= facts.fault.as_ref().is_some_and(worded) && !facts.truncated;
        for byte in &bytes[bytes.len().saturating_sub(4)..] {
            self.last.rotate_left(1);
            self.last[3] = *byte;
        }
    }

    fn end_of_input(&mut self, _out: &mut Vec<u8>) {
        // What the other lane would write is left unsaid.
        self.inner.end_of_input(&mut Vec::new());
    }

    fn facts(&self) -> &Facts {
        self.inner.facts()
    }

    /// The provider's usage and end stand; where it wrote none, ours do.
    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        if !self.facts().done {
            self.close_frame(out);
            self.inner.write_end(bill, out);
        }
    }

    /// One error is enough.
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        if !self.told {
            self.close_frame(out);
            self.inner.write_error(failure, bill, out);
        }
    }

    /// None: it could fall into a frame.
    fn keep_alive(&self) -> &'static [u8] {
        b""
    }

    fn is_verbatim(&self) -> bool {
        true
    }
}
