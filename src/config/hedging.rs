//! Whether a second attempt is made beside one that is slow, and when.

use std::time::Duration;

use crate::error::Failure;

/// What the operator allows: `MILLRACE_HEDGE` and `MILLRACE_HEDGE_FLOOR_MS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedging {
    pub which: Hedged,
    pub hedge: Hedge,
}

/// Which requests may have a second attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hedged {
    #[default]
    None,
    /// Those with `provider.hedge: true`.
    Asked,
    /// All but those with `provider.hedge: false`.
    All,
}

/// When a second attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// Of a thousand streams of the first endpoint, so many begin sooner.
    pub permille: u32,
    /// However fast they are, never sooner than that.
    pub floor: Duration,
}

impl Default for Hedging {
    fn default() -> Hedging {
        Hedging { which: Hedged::None, hedge: Hedge { permille: 950, floor: Duration::from_millis(500) } }
    }
}

impl Hedging {
    pub(super) fn read(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Hedging {
        let mut hedging = Hedging::default();
        let which = match set("MILLRACE_HEDGE").as_deref() {
            None | Some("off") => Some((Hedged::None, 950)),
            Some("asked") => Some((Hedged::Asked, 950)),
            Some("p90") => Some((Hedged::All, 900)),
            Some("p95") => Some((Hedged::All, 950)),
            Some("p99") => Some((Hedged::All, 990)),
            Some(_) => None,
        };
        match which {
            Some((which, permille)) => (hedging.which, hedging.hedge.permille) = (which, permille),
            None => problems.push("MILLRACE_HEDGE is none of off, asked, p90, p95 and p99".to_owned()),
        }
        match set("MILLRACE_HEDGE_FLOOR_MS").map(|text| text.parse::<u64>()) {
            None => {}
            Some(Ok(ms)) if ms > 0 => hedging.hedge.floor = Duration::from_millis(ms),
            Some(_) => problems.push("MILLRACE_HEDGE_FLOOR_MS is not a positive whole number".to_owned()),
        }
        hedging
    }

    /// The second attempt that a request may have which says this of it. Fails where one is asked
    /// for and the operator allows none.
    pub fn wanted(&self, wish: Option<bool>) -> Result<Option<Hedge>, Failure> {
        match (self.which, wish) {
            (Hedged::None, Some(true)) => Err(Failure::invalid(
                "`provider.hedge` is not allowed by this gateway (MILLRACE_HEDGE is off)",
            )),
            (Hedged::None, None | Some(false)) => Ok(None),
            (Hedged::Asked, wish) => Ok((wish == Some(true)).then_some(self.hedge)),
            (Hedged::All, wish) => Ok((wish != Some(false)).then_some(self.hedge)),
        }
    }
}
