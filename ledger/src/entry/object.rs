//! One pass over a line: its known fields, and the others as they are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_LINE_BYTES, plain};
use crate::content::{Member, excerpt, key_twice};
use crate::{Invalid, Reason};

/// The fields that Saldo reads, but for the amount.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Tenant,
    Account,
    Date,
    Type,
    OccurredAt,
    Kind,
    Currency,
    Description,
    Category,
}

const FIELDS: usize = 10;
const AMOUNT_BIT: u16 = 1 << FIELDS;

impl Field {
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Tenant => "tenant",
            Self::Account => "account",
            Self::Date => "date",
            Self::Type => "type",
            Self::OccurredAt => "occurred_at",
            Self::Kind => "kind",
            Self::Currency => "currency",
            Self::Description => "description",
            Self::Category => "category",
        }
    }
}

pub(super) enum Key<'a> {
    Known(Field),
    Amount,
    Other(Cow<'a, str>),
}

impl<'a> Key<'a> {
    pub fn of(name: Cow<'a, str>) -> Self {
        Self::Known(match name.as_bytes() {
            b"id" => Field::Id,
            b"tenant" => Field::Tenant,
            b"account" => Field::Account,
            b"date" => Field::Date,
            b"type" => Field::Type,
            b"occurred_at" => Field::OccurredAt,
            b"kind" => Field::Kind,
            b"currency" => Field::Currency,
            b"description" => Field::Description,
            b"category" => Field::Category,
            b"amount" => return Self::Amount,
            _ => return Self::Other(name),
        })
    }
}

/// What a line gives for a field. `null` is the same as nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Given<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    /// Another JSON type. Kept until the field is asked for: a line of unknown type may mean something else by it.
    NoText,
}

/// A line as a JSON object, before any field is checked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object<'a> {
    texts: [Given<'a>; FIELDS],
    amount: Option<&'a str>,
    /// A bit for each field that has stood in the line, be it as `null`.
    stood: u16,
    /// All other fields in the order of the line, `null` included.
    pub others: Vec<Member<'a>>,
}

impl<'a> Object<'a> {
    /// Reads a line without its line feed.
    pub fn read(line: &'a [u8]) -> Result<Self, Invalid> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Invalid::new(Reason::LineTooLong, format!("a line has at most {MAX_LINE_BYTES} bytes")));
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| Invalid::new(Reason::Malformed, format!("the line is not UTF-8: {error}")))?;
        plain::read(text).map_or_else(|| Self::read_any(text), Ok)
    }

    /// Reads whatever JSON allows.
    pub fn read_any(text: &'a str) -> Result<Self, Invalid> {
        serde_json::from_str(text).map_err(|error| Invalid::new(Reason::Malformed, excerpt(&error.to_string())))
    }

    /// Notes what a line gives for a field; `None` if it stood there before.
    pub fn give(&mut self, field: Field, given: Given<'a>) -> Option<()> {
        self.stands_first(1 << field as u16).then(|| self.texts[field as usize] = given)
    }

    /// As [`Self::give`], for the amount as JSON text.
    pub fn give_amount(&mut self, json: &'a str) -> Option<()> {
        self.stands_first(AMOUNT_BIT).then(|| self.amount = (json != "null").then_some(json))
    }

    /// Takes the text of a field out.
    pub fn text(&mut self, field: Field) -> Result<Option<Cow<'a, str>>, Invalid> {
        match std::mem::take(&mut self.texts[field as usize]) {
            Given::Nothing => Ok(None),
            Given::Text(text) => Ok(Some(text)),
            Given::NoText => Err(Invalid::new(Reason::Malformed, format!("{} is a JSON string", field.name()))),
        }
    }

    /// Takes the text of a mandatory field out.
    pub fn mandatory(&mut self, field: Field) -> Result<Cow<'a, str>, Invalid> {
        self.text(field)?.ok_or_else(|| missing(field.name()))
    }

    /// The amount as JSON text.
    pub fn amount(&self) -> Result<&'a str, Invalid> {
        self.amount.ok_or_else(|| missing("amount"))
    }

    fn stands_first(&mut self, bit: u16) -> bool {
        let first = self.stood & bit == 0;
        self.stood |= bit;
        first
    }

    fn take_member<A: MapAccess<'a>>(&mut self, key: Key<'a>, map: &mut A) -> Result<(), A::Error> {
        match key {
            Key::Known(field) => {
                if !self.stands_first(1 << field as u16) {
                    return Err(de::Error::custom(key_twice(field.name()).detail));
                }
                self.texts[field as usize] = map.next_value_seed(GivenSeed)?;
            }
            Key::Amount => {
                if !self.stands_first(AMOUNT_BIT) {
                    return Err(de::Error::custom(key_twice("amount").detail));
                }
                let json = map.next_value::<&'a RawValue>()?.get();
                self.amount = (json != "null").then_some(json);
            }
            Key::Other(name) => self.others.push((name, map.next_value::<&'a RawValue>()?.get())),
        }
        Ok(())
    }
}

pub(super) fn missing(name: &str) -> Invalid {
    Invalid::new(Reason::MissingField, format!("{name} is missing"))
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            object.take_member(key, &mut map)?;
        }
        Ok(object)
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::of(Cow::Borrowed(name)))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key<'de>, E> {
        Ok(Key::of(Cow::Owned(name.to_owned())))
    }
}

struct GivenSeed;

impl<'de> DeserializeSeed<'de> for GivenSeed {
    type Value = Given<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GivenSeed {
    type Value = Given<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Given<'de>, E> {
        Ok(Given::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given<'de>, E> {
        Ok(Given::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Given<'de>, E> {
        Ok(Given::Nothing)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Given<'de>, E> {
        Ok(Given::NoText)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Given<'de>, E> {
        Ok(Given::NoText)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Given<'de>, E> {
        Ok(Given::NoText)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Given<'de>, E> {
        Ok(Given::NoText)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Given<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given::NoText)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Given::NoText)
    }
}
