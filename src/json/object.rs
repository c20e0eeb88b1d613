//! An object that is written member by member, and a list value by value, for what every request writes.

use super::write_string;
use crate::money::Money;

/// The members in the order of the calls. Names are the gateway's own: nothing in them is escaped.
pub struct Object {
    out: Vec<u8>,
}

/// The values in the order of the calls.
pub struct List {
    out: Vec<u8>,
}

/// What may be the value of a member, or in a list.
pub trait Value {
    fn write(&self, out: &mut Vec<u8>);
}

/// JSON as it is.
pub struct Raw<T>(pub T);

/// Appends `pieces`, one behind the other, with nothing between them: what `format!` would write, without its
/// machinery, for what each chunk or reply writes.
pub fn put(out: &mut Vec<u8>, pieces: &[&dyn Value]) {
    for piece in pieces {
        piece.write(out);
    }
}

impl Object {
    pub fn with_capacity(bytes: usize) -> Object {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Object { out }
    }

    pub fn put(&mut self, name: &str, value: impl Value) {
        self.name(name);
        value.write(&mut self.out);
    }

    /// Nothing at all where there is no value.
    pub fn put_some<V: Value>(&mut self, name: &str, value: Option<V>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Nothing at all where there is no text.
    pub fn put_text(&mut self, name: &str, text: &str) {
        self.put_some(name, Some(text).filter(|text| !text.is_empty()));
    }

    /// Nothing at all where it is not so.
    pub fn put_true(&mut self, name: &str, flag: bool) {
        self.put_some(name, Some(flag).filter(|flag| *flag));
    }

    pub fn put_list<V: Value>(&mut self, name: &str, values: impl Iterator<Item = V>) {
        self.name(name);
        write_list(values, &mut self.out);
    }

    /// An object within the object.
    pub fn put_object(&mut self, name: &str, write: impl FnOnce(&mut Object)) {
        self.name(name);
        self.out.push(b'{');
        write(self);
        self.out.push(b'}');
    }

    /// A list of objects, one for each item.
    pub fn put_objects<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(T, &mut Object),
    ) {
        self.name(name);
        self.out.push(b'[');
        for item in items {
            separate(&mut self.out);
            self.out.push(b'{');
            write(item, self);
            self.out.push(b'}');
        }
        self.out.push(b']');
    }

    pub fn end(mut self) -> String {
        self.out.push(b'}');
        String::from_utf8(self.out).expect("every piece of it is text")
    }

    fn name(&mut self, name: &str) {
        separate(&mut self.out);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

impl List {
    pub fn with_capacity(bytes: usize) -> List {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'[');
        List { out }
    }

    pub fn put(&mut self, value: impl Value) {
        separate(&mut self.out);
        value.write(&mut self.out);
    }

    /// Some values as a list within the list.
    pub fn put_row(&mut self, values: &[&dyn Value]) {
        separate(&mut self.out);
        write_list(values.iter().copied(), &mut self.out);
    }

    pub fn end(mut self) -> String {
        self.out.push(b']');
        String::from_utf8(self.out).expect("every piece of it is text")
    }
}

/// Between the members or values of what was opened last. No value ends in a bracket that opens.
fn separate(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
}

fn write_list<V: Value>(values: impl Iterator<Item = V>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value.write(out);
    }
    out.push(b']');
}

impl Value for &dyn Value {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl Value for &str {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }
}

impl Value for &String {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }
}

impl Value for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let (mut at, mut rest) = (digits.len(), *self);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl Value for u16 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }
}

impl Value for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().write(out);
    }
}

impl Value for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

/// Picodollars as a string, as commands have them.
impl Value for Money {
    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[&Raw("\""), &self.pico(), &Raw("\"")]);
    }
}

impl<V: Value> Value for Option<V> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: AsRef<str>> Value for Raw<T> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_ref().as_bytes());
    }
}
