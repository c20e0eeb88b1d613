//! Replies whose bytes go to the client as they come, and the room that written bytes leave.

use crate::config::Settling;
use crate::protocol::bridge::Bridge;
use crate::protocol::lane::Lane;
use crate::protocol::verbatim::Verbatim;
use crate::time::Time;

use super::{Exchange, Stage, Step};

/// The most room that is kept for the next bytes.
const MOST_SPARE: usize = 64 * 1024;

impl Exchange {
    /// Whether the rest of the reply may be given to the client without asking. What it was given is
    /// then told by [`super::Input::Passed`], as late as the limits of time allow.
    pub fn may_pipe(&self) -> bool {
        matches!(&self.stage, Stage::Streaming(lane) if lane.is_verbatim())
    }

    /// Takes back bytes that were written: their room serves the next.
    pub fn take_back(&mut self, mut written: Vec<u8>) {
        if written.capacity() > self.spare.capacity() && written.capacity() <= MOST_SPARE {
            written.clear();
            self.spare = written;
        }
    }

    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.outbox.push_back(Step::Write(bytes));
        }
    }

    /// The lane of the current attempt's reply.
    pub(super) fn lane(&self, bridge: &Bridge) -> Box<dyn Lane> {
        let lane = bridge.lane(self.identity(), self.quirks());
        // What may end for want of money has to be looked at piece by piece, and so has an end that
        // waits for its charge.
        let may_pass = !self.is_metered() && self.arrival.settling == Settling::AfterEnd;
        match self.arrival.caller.verbatim && bridge.may_be_verbatim() && may_pass {
            true => Box::new(Verbatim::new(lane)),
            false => lane,
        }
    }

    pub(super) fn take_passed(&mut self, now: Time, bytes: &[u8]) {
        let Stage::Streaming(lane) = &mut self.stage else {
            return;
        };
        lane.look(bytes);
        self.last_progress = now;
        self.advance_stream(now, Vec::new());
    }
}
