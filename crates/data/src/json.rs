//! One line of text as an object: strict where `serde_json` is lenient.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::field::{excerpt, Field};
use crate::problem::RowProblem;

/// The most levels of arrays and objects in a row: below the parser's own limit of 128, so that ours is met first.
const MAX_DEPTH: usize = 100;

/// A float from here on may be an integer that 64 bits cannot hold: 2^63, where negative ones end first.
const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

/// The line as an object that keeps its order of keys.
///
/// # Errors
/// Text that is no JSON, a key that an object has twice, nesting without end, another type than an object.
pub(crate) fn parse_object(line: &str) -> Result<Map<String, Value>, RowProblem> {
    let problem = RefCell::new(None);
    let strict = Strict { line, field: Field::Row, depth: 0, problem: &problem };
    let mut parser = serde_json::Deserializer::from_str(line);
    let parsed = strict.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(RowProblem::NotAnObject { found: type_name(&other) }),
        Err(error) => Err(problem.into_inner().unwrap_or_else(|| not_json(&error))),
    }
}

/// The JSON type of a value, with its article.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn not_json(error: &serde_json::Error) -> RowProblem {
    let told = error.to_string();
    // The parser counts lines inside the text it was given, which is always one line of the file.
    let reason = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason);
    RowProblem::NotJson { column: error.column(), reason: reason.to_owned(), cut: error.is_eof() }
}

/// The first integer in a line of JSON that 64 bits cannot hold.
fn long_integer(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        at += match byte {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => {
                let part =
                    |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = rest.iter().take_while(part).count();
                let number = line.get(at..at + length).unwrap_or_default();
                let whole = !number.contains(['.', 'e', 'E']);
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(number);
                }
                length
            }
            _ => 1,
        };
    }
    None
}

/// Bytes of the JSON string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Builds a value and leaves in `problem` what `serde_json` has no error for.
#[derive(Clone, Copy)]
struct Strict<'a> {
    line: &'a str,
    field: Field<'a>,
    depth: usize,
    problem: &'a RefCell<Option<RowProblem>>,
}

impl<'a> Strict<'a> {
    /// The builder of the array or object that starts here.
    fn enter<E: Error>(self) -> Result<Strict<'a>, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(self.refuse(RowProblem::TooDeep { limit: MAX_DEPTH }));
        }
        Ok(Strict { depth, ..self })
    }

    fn refuse<E: Error>(self, problem: RowProblem) -> E {
        let error = E::custom(&problem);
        self.problem.replace(Some(problem));
        error
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // The parser gives an integer beyond 64 bits as a float; only the text tells the two apart.
        let long = || long_integer(self.line);
        match (value.abs() >= BEYOND_INTEGERS).then(long).flatten() {
            Some(found) => Err(self.refuse(RowProblem::LongInteger { found: excerpt(found) })),
            None => Ok(Number::from_f64(value).map_or(Value::Null, Value::Number)),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let inside = self.enter()?;
        let mut items = Vec::new();
        while let Some(item) =
            array.next_element_seed(Strict { field: self.field.item(items.len()), ..inside })?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inside = self.enter()?;
        let mut entries = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if entries.contains_key(&key) {
                return Err(self.refuse(RowProblem::DuplicateKey {
                    field: self.field.to_string(),
                    key: excerpt(&key),
                }));
            }
            let value = object.next_value_seed(Strict { field: self.field.key(&key), ..inside })?;
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_values_their_type() {
        let line = r#"{"z": 1, "a": [true, null, -2, 2.5, "é\n"], "m": {"y": 18446744073709551615, "b": {}}}"#;
        let object = parse_object(line).unwrap();
        assert_eq!(
            Value::Object(object).to_string(),
            r#"{"z":1,"a":[true,null,-2,2.5,"é\n"],"m":{"y":18446744073709551615,"b":{}}}"#
        );
    }

    #[test]
    fn a_hundred_levels_are_read_and_one_more_is_not() {
        let nested =
            |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(&nested(99)).is_ok());
        assert_eq!(parse_object(&nested(100)), Err(RowProblem::TooDeep { limit: 100 }));
        let open = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert_eq!(parse_object(&open), Err(RowProblem::TooDeep { limit: 100 }));
    }

    #[test]
    fn an_integer_that_would_lose_digits_is_refused_and_a_float_is_not() {
        let line = r#"{"a": 1e30, "s": "18446744073709551616 \" 1e99", "b": 18446744073709551615, "c": -9223372036854775808}"#;
        assert!(parse_object(line).is_ok());
        for number in ["18446744073709551616", "-9223372036854775809"] {
            let line = format!(r#"{{"a": 1e30, "s": "\\", "b": [{number}]}}"#);
            assert_eq!(
                parse_object(&line),
                Err(RowProblem::LongInteger { found: number.to_string() })
            );
        }
    }

    #[test]
    fn a_key_may_return_in_another_object_only() {
        assert!(parse_object(r#"{"a": {"b": 1}, "b": {"b": 2}}"#).is_ok());
        assert_eq!(
            parse_object(r#"{"a": [{}, {"b": {"c": 1, "c": 1}}]}"#),
            Err(RowProblem::DuplicateKey { field: "a[1].b".into(), key: "c".into() })
        );
        assert_eq!(
            parse_object(r#"{"a": 1, "\u0061": 2}"#),
            Err(RowProblem::DuplicateKey { field: String::new(), key: "a".into() })
        );
    }
}
