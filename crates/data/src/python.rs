//! What templates expect of Python: its JSON, its methods on strings and lists, its clock.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Local};
use minijinja::value::{from_args, Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// The most letters a text is filled up to: a template that asks for more is at fault.
const MAX_WIDTH: usize = 1 << 16;

/// The text of `json.dumps(value)` with the arguments that templates may pass.
///
/// Source: the `tojson` filter of transformers (`ensure_ascii` false, key order kept, nothing escaped for HTML).
pub(crate) fn to_json(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let argument = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        match args.get(index) {
            Some(value) => Ok(Some(value.clone())),
            None => kwargs.get::<Option<Value>>(name),
        }
    };
    let ensure_ascii = argument(0, "ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = argument(1, "indent")?.filter(|value| !value.is_none());
    let separators = argument(2, "separators")?.filter(|value| !value.is_none());
    let sort_keys = argument(3, "sort_keys")?.is_some_and(|value| value.is_true());
    kwargs.assert_all_used()?;
    let indent = indent.map(indent_text).transpose()?;
    let (item, key) = match separators {
        Some(pair) => (text_at(&pair, 0)?, text_at(&pair, 1)?),
        None if indent.is_some() => (",".to_string(), ": ".to_string()),
        None => (", ".to_string(), ": ".to_string()),
    };
    let style = JsonStyle { ensure_ascii, indent, item, key, sort_keys };
    let mut out = String::new();
    style.write(&mut out, value, 0)?;
    Ok(Value::from(out))
}

fn indent_text(value: Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_string()),
        None => Ok(" ".repeat(usize::try_from(value)?)),
    }
}

fn text_at(pair: &Value, index: usize) -> Result<String, Error> {
    let value = pair.get_item_by_index(index)?;
    match value.as_str() {
        Some(text) => Ok(text.to_string()),
        None => Err(invalid("`separators` expects two strings")),
    }
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}

struct JsonStyle {
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
}

impl JsonStyle {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number_text(value)?),
            ValueKind::String => self.write_text(out, value.as_str().unwrap_or_default()),
            ValueKind::Map => self.write_map(out, value, depth)?,
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.write_all(out, ('[', ']'), &items, depth, |style, out, item| {
                    style.write(out, item, depth + 1)
                })?;
            }
            kind => return Err(invalid(format!("a value of type {kind} has no JSON"))),
        }
        Ok(())
    }

    fn write_map(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        let mut entries = Vec::new();
        for key in value.try_iter()? {
            let item = value.get_item(&key)?;
            let name = match key.kind() {
                ValueKind::String => key.as_str().unwrap_or_default().to_string(),
                _ => {
                    let mut name = String::new();
                    self.write(&mut name, &key, 0)?;
                    name
                }
            };
            entries.push((name, item));
        }
        if self.sort_keys {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.write_all(out, ('{', '}'), &entries, depth, |style, out, (name, item)| {
            style.write_text(out, name);
            out.push_str(&style.key);
            style.write(out, item, depth + 1)
        })
    }

    fn write_all<T>(
        &self,
        out: &mut String,
        (open, close): (char, char),
        items: &[T],
        depth: usize,
        mut write: impl FnMut(&Self, &mut String, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.item);
            }
            self.break_line(out, depth + 1);
            write(self, out, item)?;
        }
        if !items.is_empty() {
            self.break_line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn break_line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        }
    }

    fn write_text(&self, out: &mut String, text: &str) {
        out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                letter if letter < ' ' || (self.ensure_ascii && !letter.is_ascii()) => {
                    let mut units = [0u16; 2];
                    for unit in letter.encode_utf16(&mut units) {
                        // Writing into a string cannot fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                letter => out.push(letter),
            }
        }
        out.push('"');
    }
}

fn number_text(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    Ok(float_text(f64::try_from(value.clone())?))
}

/// The shortest decimal that reads back as `x`, as Python writes it.
fn float_text(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = x.to_string();
    if plain.contains('.') {
        plain
    } else {
        format!("{plain}.0")
    }
}

/// How Python prints the value; `None` where it is no float.
pub(crate) fn float_display(value: &Value) -> Option<String> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    let text = float_text(f64::try_from(value.clone()).ok()?);
    Some(text.replace("NaN", "nan").replace("Infinity", "inf"))
}

/// The date and time `now` in the form a template asks for.
///
/// # Errors
/// A form that the clock does not know.
pub(crate) fn format_time(now: &DateTime<Local>, form: &str) -> Result<String, Error> {
    let items: Vec<Item<'_>> = StrftimeItems::new(form).collect();
    if items.contains(&Item::Error) {
        return Err(invalid(format!("`strftime_now` does not know the form `{form}`")));
    }
    Ok(now.format_with_items(items.iter()).to_string())
}

/// Whether Python counts `letter` as white space.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// The filter `trim`: `str.strip` with Python's white space.
pub(crate) fn trim(value: &Value, letters: Option<String>) -> String {
    let text = value.to_string();
    let strip = |letter: char| match &letters {
        Some(letters) => letters.contains(letter),
        None => is_space(letter),
    };
    text.trim_matches(strip).to_string()
}

/// The value of a Python method on a string, list or mapping.
pub(crate) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => match text_method(text, name, args)? {
            Some(result) => Ok(result),
            None => unknown_method_callback(state, value, name, args),
        },
        None => unknown_method_callback(state, value, name, args),
    }
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let result = match (name, args) {
        ("strip", []) => Value::from(text.trim_matches(is_space)),
        ("lstrip", []) => Value::from(text.trim_start_matches(is_space)),
        ("rstrip", []) => Value::from(text.trim_end_matches(is_space)),
        ("removeprefix", _) => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        ("removesuffix", _) => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        ("partition", _) => {
            let (separator,): (&str,) = from_args(args)?;
            tuple(match text.split_once(separator) {
                Some((before, after)) => [before, separator, after],
                None => [text, "", ""],
            })
        }
        ("rpartition", _) => {
            let (separator,): (&str,) = from_args(args)?;
            tuple(match text.rsplit_once(separator) {
                Some((before, after)) => [before, separator, after],
                None => ["", "", text],
            })
        }
        ("rsplit", [_, ..]) => {
            let (separator, limit): (&str, Option<usize>) = from_args(args)?;
            let mut parts: Vec<&str> = match limit {
                Some(limit) => text.rsplitn(limit + 1, separator).collect(),
                None => text.rsplit(separator).collect(),
            };
            parts.reverse();
            texts(&parts)
        }
        ("swapcase", []) => Value::from(swapped(text)),
        ("zfill", _) => {
            let (width,): (usize,) = from_args(args)?;
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let (sign, missing) = (text.strip_suffix(digits).unwrap_or(""), missing(text, width)?);
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        ("center" | "ljust" | "rjust", _) => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            let missing = missing(text, width)?;
            let before = match name {
                "center" => missing / 2 + (missing & width & 1),
                "ljust" => 0,
                _ => missing,
            };
            let fill = |count| fill.unwrap_or(' ').to_string().repeat(count);
            Value::from(format!("{}{text}{}", fill(before), fill(missing - before)))
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

/// How many letters `text` is short of `width`.
fn missing(text: &str, width: usize) -> Result<usize, Error> {
    match width <= MAX_WIDTH {
        true => Ok(width.saturating_sub(text.chars().count())),
        false => Err(invalid(format!("a width of {width}, expected at most {MAX_WIDTH}"))),
    }
}

/// The text with small letters for large ones and the reverse.
fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_uppercase() {
            true => out.extend(letter.to_lowercase()),
            false => out.extend(letter.to_uppercase()),
        }
    }
    out
}

fn tuple(parts: [&str; 3]) -> Value {
    Value::from(Tuple::from(parts.map(Value::from)))
}

fn texts(parts: &[&str]) -> Value {
    parts.iter().map(|part| Value::from(*part)).collect()
}

/// JSON as a template sees it, keys in order.
pub(crate) fn template_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(template_value).collect(),
        serde_json::Value::Object(entries) => Value::from_pairs(
            entries.iter().map(|(key, item)| (key.as_str(), template_value(item))),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        let texts: Vec<String> =
            [1.0, 0.1, 1e15, 1e16, 1.5e300, 1e-4, 1.25e-5, -0.0].map(float_text).to_vec();
        let expected =
            ["1.0", "0.1", "1000000000000000.0", "1e+16", "1.5e+300", "0.0001", "1.25e-05", "-0.0"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn an_unknown_time_form_is_an_error() {
        assert!(format_time(&Local::now(), "%Q").is_err());
    }
}
