//! When something that failed may be tried again. Both kinds merge by taking the later of each
//! moment, so news may arrive in any order and twice, and no wait is ever shortened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A wait that a provider has asked for, or that is wise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// Until then nothing is sent: the provider itself has named the moment.
    pub firm: Time,
    /// Until then anything else is better.
    pub soft: Time,
}

/// Opens by failures; after a while lets one attempt through, which closes it or opens it for
/// twice as long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// When it last opened; zero if never.
    pub tripped: Time,
    pub until: Time,
    /// When an attempt that began after it opened was answered.
    pub mended: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    Closed,
    /// Nothing should be sent until then.
    Open {
        until: Time,
    },
    /// One attempt is to show whether it may close.
    HalfOpen,
}

impl Rest {
    /// However long a provider asks for, this much is taken at its word: a limit that one large
    /// request met may have room for the next.
    const FIRMEST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(3600);

    /// Nothing is to be sent until `until`, which the provider named.
    pub fn firmly(&mut self, now: Time, until: Time) {
        self.firm = self.firm.max(until.min(now.plus(Rest::FIRMEST)));
        self.softly(now, until);
    }

    /// Others are to be preferred until `until`.
    pub fn softly(&mut self, now: Time, until: Time) {
        self.soft = self.soft.max(until.min(now.plus(Rest::LONGEST)));
    }

    /// Takes nothing for later than a clock at `latest` could have said.
    pub fn clamp(&mut self, latest: Time) {
        self.firm = self.firm.min(latest.plus(Rest::FIRMEST));
        self.soft = self.soft.min(latest.plus(Rest::LONGEST));
    }

    pub fn merge(&mut self, other: &Rest) {
        self.firm = self.firm.max(other.firm);
        self.soft = self.soft.max(other.soft);
    }

    /// The end of the wait, if there is one at `now`.
    pub fn until(&self, now: Time) -> Option<Time> {
        let until = self.firm.max(self.soft);
        (until > now).then_some(until)
    }
}

impl Breaker {
    /// Opens it for `shortest`, or for twice as long as before where it has not closed since, at
    /// most `longest`. One that is open stays as it is.
    pub fn trip(&mut self, now: Time, shortest: Duration, longest: Duration) {
        let span = match self.position(now) {
            Position::Open { .. } => return,
            Position::Closed => shortest,
            Position::HalfOpen => (self.until.since(self.tripped) * 2).clamp(shortest, longest),
        };
        // After the last mending, however fast one follows the other.
        self.tripped = now.max(self.mended.plus(Duration::from_millis(1)));
        self.until = self.until.max(now.plus(span));
    }

    /// An attempt that began at `sent` was answered.
    pub fn mend(&mut self, now: Time, sent: Time) {
        if sent >= self.tripped && self.position(now) != Position::Closed {
            self.mended = now.max(self.tripped);
        }
    }

    /// Takes nothing for later than a clock at `latest` could have said.
    pub fn clamp(&mut self, latest: Time, longest: Duration) {
        self.tripped = self.tripped.min(latest);
        self.mended = self.mended.min(latest);
        self.until = self.until.min(latest.plus(longest));
    }

    pub fn merge(&mut self, other: &Breaker) {
        self.tripped = self.tripped.max(other.tripped);
        self.until = self.until.max(other.until);
        self.mended = self.mended.max(other.mended);
    }

    pub fn position(&self, now: Time) -> Position {
        if self.mended >= self.tripped {
            Position::Closed
        } else if now < self.until {
            Position::Open { until: self.until }
        } else {
            Position::HalfOpen
        }
    }
}
