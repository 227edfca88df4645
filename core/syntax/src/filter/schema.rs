//! What a filter sees of records.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use proconsul_types::TextMap;

/// The selectors of one kind of record.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in selectors, case-sensitive.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds, and so which operators it has.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `==` `!=` `in` `contains` (both substring) `matches`.
    Text,
    /// `==` `!=`.
    Bool,
    /// `==` `!=`.
    Int,
    /// `in` `contains` `is empty`.
    TextList,
    /// `in` `contains` (keys) `is empty`; `Field.key` is a text.
    TextMap,
    /// Only its own fields.
    Record(&'static Schema),
    /// `is empty`; `Field.X` is true if it is for any element.
    Records(&'static Schema),
    /// `in` `contains` (keys) `is empty`; `Field.key.X`.
    RecordMap(&'static Schema),
}

/// What a record holds under a field; it must be of the field's [`Kind`].
pub enum Value<'a> {
    /// For [`Kind::Text`].
    Text(&'a str),
    /// For [`Kind::Bool`].
    Bool(bool),
    /// For [`Kind::Int`].
    Int(i64),
    /// For [`Kind::TextList`].
    TextList(&'a [Arc<str>]),
    /// For [`Kind::TextMap`].
    TextMap(&'a TextMap),
    /// For [`Kind::Record`].
    Record(&'a dyn Record),
    /// For [`Kind::Record`], made for the question.
    Made(Box<dyn Record + 'a>),
    /// For [`Kind::Records`].
    Records(Vec<Box<dyn Record + 'a>>),
    /// For [`Kind::RecordMap`], with its keys.
    RecordMap(Vec<(&'a str, Box<dyn Record + 'a>)>),
    /// There is no such thing here: an empty text, list or map, 0 or false, as the kind asks.
    Absent,
}

/// A record that a filter can look into.
pub trait Record {
    /// What the field called `name` holds. Only names of the record's [`Schema`] are asked for.
    fn field(&self, name: &str) -> Value<'_>;
}

impl<R: Record + ?Sized> Record for &R {
    fn field(&self, name: &str) -> Value<'_> {
        (**self).field(name)
    }
}

impl Schema {
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.kind)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Bool(bool) => f.debug_tuple("Bool").field(bool).finish(),
            Self::Int(number) => f.debug_tuple("Int").field(number).finish(),
            Self::TextList(list) => f.debug_tuple("TextList").field(list).finish(),
            Self::TextMap(map) => f.debug_tuple("TextMap").field(map).finish(),
            Self::Record(_) | Self::Made(_) => f.write_str("Record"),
            Self::Records(list) => write!(f, "Records({})", list.len()),
            Self::RecordMap(map) => write!(f, "RecordMap({})", map.len()),
            Self::Absent => f.write_str("Absent"),
        }
    }
}
