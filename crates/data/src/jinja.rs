//! Filters, tests and printing where the template engine differs from Jinja2.

use minijinja::value::ValueKind;
use minijinja::{escape_formatter, Environment, Error, Output, State, Value};

use crate::python;

/// Letters that `urllib.parse.quote` leaves alone.
const UNRESERVED: &[u8] = b"_.-~";

/// Makes the environment do as Jinja2 does.
///
/// Source: `jinja2.tests.test_sequence`, `jinja2.filters` (3.1).
pub(crate) fn follow_jinja2(environment: &mut Environment<'static>) {
    environment.set_formatter(print);
    environment.add_test("sequence", is_sequence);
    environment.add_filter("string", string);
    environment.add_filter("float", float);
    environment.add_filter("wordcount", word_count);
    environment.add_filter("urlencode", url_encode);
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match python::float_display(value) {
        Some(text) => escape_formatter(out, state, &Value::from(text)),
        None => escape_formatter(out, state, value),
    }
}

/// Whether Python can ask the value for its length and its items; an absent value says yes too.
fn is_sequence(value: &Value) -> bool {
    let kinds = [ValueKind::String, ValueKind::Seq, ValueKind::Map, ValueKind::Undefined];
    kinds.contains(&value.kind())
}

fn string(value: &Value) -> Value {
    match (value.as_str(), python::float_display(value)) {
        (Some(_), _) => value.clone(),
        (None, Some(text)) => Value::from(text),
        (None, None) => Value::from(value.to_string()),
    }
}

/// The value as a float; `default` (0.0) for what is none.
fn float(value: &Value, default: Option<Value>) -> Value {
    let number = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None if value.is_none() || value.is_undefined() => None,
        None => f64::try_from(value.clone()).ok(),
    };
    number.map(Value::from).or(default).unwrap_or_else(|| Value::from(0.0))
}

fn word_count(value: &Value) -> usize {
    let text = value.to_string();
    let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    words.filter(|word| !word.is_empty()).count()
}

/// A text as part of an address, or a mapping as its query.
fn url_encode(value: &Value) -> Result<String, Error> {
    if value.kind() != ValueKind::Map {
        return Ok(quote(&string(value).to_string(), b"/"));
    }
    let plus = |value: &Value| quote(&string(value).to_string(), b" ").replace(' ', "+");
    let mut parts = Vec::new();
    for key in value.try_iter()? {
        parts.push(format!("{}={}", plus(&key), plus(&value.get_item(&key)?)));
    }
    Ok(parts.join("&"))
}

fn quote(text: &str, safe: &[u8]) -> String {
    let quoted = |byte: u8| match byte.is_ascii_alphanumeric()
        || UNRESERVED.contains(&byte)
        || safe.contains(&byte)
    {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> String {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(python::method);
        follow_jinja2(&mut environment);
        environment.render_str(source, ()).unwrap()
    }

    /// Expected values printed by Jinja2 3.1.
    #[test]
    fn texts_are_those_of_jinja2() {
        for (source, expected) in [
            ("{{ 1e22 }}|{{ 1e-7 }}|{{ 1.5 }}|{{ 1e16 }}|{{ 1e22|string }}", "1e+22|1e-07|1.5|1e+16|1e+22"),
            ("{{ 'x' is sequence }}{{ {} is sequence }}{{ [] is sequence }}{{ nope is sequence }}{{ 1 is sequence }}", "TrueTrueTrueTrueFalse"),
            ("{{ 'word'|float }}|{{ 'word'|float(2) }}|{{ '1.5'|float }}|{{ none|float }}|{{ '1e3'|float }}|{{ ' 2 '|float }}|{{ 'inf'|float }}|{{ [1]|float }}", "0.0|2|1.5|0.0|1000.0|2.0|inf|0.0"),
            ("{{ 'a b_c-d  é, x' | wordcount }}", "5"),
            ("{{ 'a b/é?&~' | urlencode }}|{{ {'a b': 1, 'c/': 'x y'} | urlencode }}|{{ 1.5|urlencode }}", "a%20b/%C3%A9%3F%26~|a+b=1&c%2F=x+y|1.5"),
            ("{{ '-5'.zfill(4) }}|{{ '12'.zfill(5) }}|{{ '+x'.zfill(4) }}|{{ 'abc'.zfill(2) }}", "-005|00012|+00x|abc"),
            ("{{ 'ab'.center(5,'*') }}|{{ 'abc'.center(6,'*') }}|{{ 'ab'.center(1) }}|{{ 'ab'.center(6) }}|{{ 'a'.ljust(3,'*') }}|{{ 'a'.rjust(3) }}", "**ab*|*abc**|ab|  ab  |a**|  a"),
            ("{{ 'aBß'.swapcase() }}", "AbSS"),
            ("{{ 'a-b'.partition('-') }}|{{ 'ab'.rpartition('-') }}", "('a', '-', 'b')|('', '', 'ab')"),
        ] {
            assert_eq!(rendered(source), expected, "{source}");
        }
    }
}
