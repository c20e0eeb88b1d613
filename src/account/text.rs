//! How amounts, ids and times are spelt where they cross a border. In SQL everything is text; in
//! commands and answers amounts and ids are strings, times numbers of milliseconds.

use super::budget::{Per, Scope};
use super::document::{Kind, Status};
use super::key::KeyKind;
use super::limit::LimitReset;
use crate::id::{AccountId, GenerationId, KeyHash, LeaseId};
use crate::money::Money;
use crate::time::{Day, Time};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// Has one spelling as text.
pub trait Text: Sized {
    /// What a text that cannot be read is said to be no valid one of.
    const NAME: &'static str;
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! spelt {
    ($type:ty, $name:literal, $write:expr, $read:expr) => {
        impl Text for $type {
            const NAME: &'static str = $name;
            fn write(&self) -> String {
                $write(self)
            }
            fn read(text: &str) -> Option<$type> {
                $read(text)
            }
        }
    };
}

spelt!(Money, "amount", |money: &Money| money.to_text(), |text| Money::from_text(text).ok());
spelt!(AccountId, "account", AccountId::to_string, AccountId::parse);
spelt!(GenerationId, "generation", GenerationId::to_string, GenerationId::parse);
spelt!(LeaseId, "lease", LeaseId::to_string, LeaseId::parse);
spelt!(KeyHash, "key", KeyHash::to_string, KeyHash::parse);
spelt!(KeyKind, "kind of key", |kind: &KeyKind| kind.as_str().to_owned(), KeyKind::parse);
spelt!(Kind, "kind of document", |kind: &Kind| kind.as_str().to_owned(), |text| {
    [Kind::Preset, Kind::Catalog].into_iter().find(|kind| kind.as_str() == text)
});
spelt!(Status, "status", |status: &Status| status.as_str().to_owned(), Status::parse);
spelt!(Scope, "scope", |scope: &Scope| scope.as_str().to_owned(), Scope::parse);
spelt!(Per, "kind of count", |per: &Per| per.as_str().to_owned(), Per::parse);
spelt!(LimitReset, "limit reset", |reset: &LimitReset| reset.as_str().to_owned(), LimitReset::parse);
// The database's integers end at i64::MAX: a time beyond that is as good as never.
spelt!(Time, "time", |time: &Time| time.ms().min(i64::MAX as u64).to_string(), |text: &str| {
    text.parse().ok().map(Time::from_ms)
});
spelt!(Day, "day", |day: &Day| day.number().to_string(), |text: &str| text
    .parse()
    .ok()
    .map(Day::from_number));
spelt!(String, "text", String::clone, |text: &str| Some(text.to_owned()));
spelt!(u64, "number", u64::to_string, |text: &str| text.parse().ok());
spelt!(bool, "flag", |flag: &bool| u8::from(*flag).to_string(), |text| match text {
    "0" => Some(false),
    "1" => Some(true),
    _ => None,
});

pub fn serialize<T: Text, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&value.write())
}

pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    read_one(&String::deserialize(from)?)
}

fn read_one<T: Text, E: Error>(text: &str) -> Result<T, E> {
    T::read(text).ok_or_else(|| E::custom(format_args!("not a valid {}", T::NAME)))
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

/// [`patch`] of milliseconds.
pub mod patch_ms {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Option<Option<Time>>, out: S) -> Result<S::Ok, S::Error> {
        time.flatten().map(Time::ms).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Time>>, D::Error> {
        optional_ms::deserialize(from).map(Some)
    }
}

/// A value as JSON in a string.
pub mod nested {
    use super::*;

    pub fn serialize<T: Serialize, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(serde::ser::Error::custom)?;
        out.serialize_str(&text)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        crate::json::read(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A text that is read often and never changed.
pub mod shared {
    use super::*;
    use std::rc::Rc;

    pub fn serialize<S: Serializer>(value: &Option<Rc<str>>, out: S) -> Result<S::Ok, S::Error> {
        value.as_deref().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Rc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Rc::from))
    }
}
