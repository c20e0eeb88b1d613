//! How amounts, ids and times are written in commands and answers: amounts as picodollars in a
//! string, ids as strings that are checked when read, times as milliseconds.

use crate::id::{AccountId, GenerationId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// Has one spelling as a string.
pub trait Text: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Text for Money {
    fn write(&self) -> String {
        self.to_text()
    }
    fn read(text: &str) -> Option<Money> {
        Money::from_text(text).ok()
    }
}

impl Text for AccountId {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<AccountId> {
        AccountId::parse(text)
    }
}

impl Text for GenerationId {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<GenerationId> {
        GenerationId::parse(text)
    }
}

impl Text for KeyHash {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<KeyHash> {
        KeyHash::parse(text)
    }
}

pub fn serialize<T: Text, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&value.write())
}

pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    read_one(&String::deserialize(from)?)
}

fn read_one<T: Text, E: Error>(text: &str) -> Result<T, E> {
    T::read(text).ok_or_else(|| E::custom("not a well-formed amount or id"))
}

/// A value or null.
pub mod optional {
    use super::*;

    pub fn serialize<T: Text, S: Serializer>(value: &Option<T>, out: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Text::write).serialize(out)
    }

    pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(from)?.map(|text| read_one(&text)).transpose()
    }
}

/// Absent leaves alone, null clears, a value sets. Fields need `default` and `skip_serializing_if`.
pub mod patch {
    use super::*;

    pub fn serialize<T: Text, S: Serializer>(value: &Option<Option<T>>, out: S) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).map(Text::write).serialize(out)
    }

    pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
        optional::deserialize(from).map(Some)
    }

    /// As [`deserialize`], for types with a spelling of their own.
    pub fn plain<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(from).map(Some)
    }
}

/// Milliseconds since 1970.
pub mod ms {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Time, out: S) -> Result<S::Ok, S::Error> {
        time.ms().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        u64::deserialize(from).map(Time::from_ms)
    }
}

/// Milliseconds since 1970, or null.
pub mod optional_ms {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Option<Time>, out: S) -> Result<S::Ok, S::Error> {
        time.map(Time::ms).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Time::from_ms))
    }
}
