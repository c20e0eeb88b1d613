//! How far the choices of a reply have come: which called tools, which have finished, and whether
//! the arguments of their calls are whole.

use crate::json::Balance;

/// The choices of one reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    choices: Vec<Choice>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice {
    index: u64,
    called: bool,
    finished: bool,
    /// The calls, each with its index.
    calls: Vec<(u64, Balance)>,
}

/// As many choices as a request may ask for.
const MOST_CHOICES: usize = 128;
/// More calls than any choice has; each costs memory.
const MOST_CALLS: usize = 4096;

impl Progress {
    /// A choice came.
    pub(super) fn see(&mut self, index: u64) {
        self.choice(index);
    }

    /// A choice calls a tool.
    pub(super) fn call(&mut self, index: u64) {
        if let Some(choice) = self.choice(index) {
            choice.called = true;
        }
    }

    /// More arguments of a call: the JSON string that the provider sent.
    pub(super) fn arguments(&mut self, index: u64, call: u64, quoted: &str) {
        let Some(choice) = self.choice(index) else { return };
        let known = choice.calls.iter().rposition(|(known, _)| *known == call);
        let place = known.unwrap_or(choice.calls.len());
        if place == choice.calls.len() && place < MOST_CALLS {
            choice.calls.push((call, Balance::default()));
        }
        if let Some((_, balance)) = choice.calls.get_mut(place) {
            balance.read_quoted(quoted);
        }
    }

    pub(super) fn finish(&mut self, index: u64) {
        if let Some(choice) = self.choice(index) {
            choice.finished = true;
        }
    }

    pub(super) fn has_called(&self, index: u64) -> bool {
        self.choices.iter().any(|choice| choice.index == index && choice.called)
    }

    /// Whether any choice called a tool.
    pub(super) fn any_called(&self) -> bool {
        self.choices.iter().any(|choice| choice.called)
    }

    /// Whether every choice that came has finished.
    pub(super) fn all_finished(&self) -> bool {
        self.choices.iter().all(|choice| choice.finished)
    }

    /// Whether a call of the choice lacks its end.
    pub(super) fn is_half(&self, index: u64) -> bool {
        let mut own = self.choices.iter().filter(|choice| choice.index == index);
        own.any(|choice| choice.calls.iter().any(|(_, balance)| balance.is_half()))
    }

    /// Whether a call of any choice lacks its end.
    pub(super) fn any_half(&self) -> bool {
        self.choices.iter().any(|choice| self.is_half(choice.index))
    }

    fn choice(&mut self, index: u64) -> Option<&mut Choice> {
        let known = self.choices.iter().position(|choice| choice.index == index);
        let place = known.unwrap_or(self.choices.len());
        if place == self.choices.len() && place < MOST_CHOICES {
            self.choices.push(Choice { index, ..Choice::default() });
        }
        self.choices.get_mut(place)
    }
}
