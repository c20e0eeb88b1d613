//! Conversations written for Converse: golden, malformed, arbitrary.
