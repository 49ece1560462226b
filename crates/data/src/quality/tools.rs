//! The tools that a row declares, and the calls that do not fit them.
//!
//! Source: OpenAI's chat completions for tools and calls; JSON Schema 2020-12 for `parameters`, of which only the
//! keywords that tools use are looked at. A keyword that is null counts as absent: tables write it so.

use std::borrow::Cow;
use std::collections::hash_map::{Entry, HashMap};

use serde_json::{Map, Value};

use super::excerpt::excerpt;
use super::finding::Code;
use super::inspect::{tool_calls, Notes};
use crate::example::Message;
use crate::json::type_name;

/// The types that JSON Schema knows.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];
/// Keywords that bring properties of their own.
const COMPOSING: [&str; 5] = ["$ref", "allOf", "anyOf", "oneOf", "patternProperties"];

type Schema = Map<String, Value>;

/// Adds what is wrong with the tools of a row, and with the calls of its turns.
pub(super) fn faults(tools: &[Value], turns: &[Message], found: &mut Notes) {
    let mut declared: HashMap<&str, Option<&Schema>> = HashMap::new();
    for tool in tools {
        let function = function_of(tool);
        let name = function.get("name").and_then(Value::as_str);
        let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
            found.add(Code::ToolSchema, || "a tool has no name".to_owned());
            continue;
        };
        let parameters = function.get("parameters").filter(|parameters| !parameters.is_null());
        if let Some(fault) = parameters.and_then(parameters_fault) {
            found.add(Code::ToolSchema, || format!("`{}`: {fault}", excerpt(name)));
        }
        match declared.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(parameters.and_then(Value::as_object));
            }
            Entry::Occupied(_) => {
                found.add(Code::ToolSchema, || format!("`{}` is declared twice", excerpt(name)));
            }
        }
    }
    if declared.is_empty() {
        return;
    }
    for call in turns.iter().flat_map(tool_calls) {
        if let Some(fault) = call_fault(call, &declared) {
            found.add(Code::ToolMismatch, || fault);
        }
    }
}

/// The arguments of a call, whether written as an object or as JSON text of one; `None` where they are neither.
pub(super) fn arguments_of(call: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match function_of(call).get("arguments") {
        None => Some(Cow::Owned(Map::new())),
        Some(Value::Object(arguments)) => Some(Cow::Borrowed(arguments)),
        Some(Value::String(text)) => {
            serde_json::from_str::<Map<String, Value>>(text).ok().map(Cow::Owned)
        }
        Some(_) => None,
    }
}

/// The arguments of a call as they are written.
pub(super) fn shown_arguments(call: &Value) -> String {
    function_of(call).get("arguments").map_or(String::new(), Value::to_string)
}

/// What holds the name of a tool or a call: its `function`, or the whole.
fn function_of(value: &Value) -> &Value {
    value.get("function").filter(|function| !function.is_null()).unwrap_or(value)
}

/// A keyword of a schema that is there.
fn keyword<'v>(schema: &'v Schema, name: &str) -> Option<&'v Value> {
    schema.get(name).filter(|value| !value.is_null())
}

/// What keeps the parameters of a tool from being the schema of an object.
fn parameters_fault(parameters: &Value) -> Option<String> {
    let Value::Object(schema) = parameters else {
        return Some(format!("`parameters` is {}, expected an object", type_name(parameters)));
    };
    let kinds = keyword(schema, "type");
    let is_object = match kinds {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    };
    match kinds {
        Some(kinds) if !is_object => {
            Some(format!("`parameters` has type `{}`, expected `object`", shown(kinds)))
        }
        _ => object_fault(schema),
    }
}

/// What is wrong with the properties of a schema, and with those that it requires.
fn object_fault(schema: &Schema) -> Option<String> {
    let properties = match keyword(schema, "properties") {
        None => None,
        Some(Value::Object(properties)) => Some(properties),
        Some(other) => {
            return Some(format!("`properties` is {}, expected an object", type_name(other)));
        }
    };
    let mut declared = properties.into_iter().flatten();
    let fault = declared.find_map(|(name, property)| property_fault(name, property));
    fault.or_else(|| required_fault(schema, properties))
}

fn property_fault(name: &str, property: &Value) -> Option<String> {
    let schema = match property {
        Value::Object(schema) => schema,
        // Rows written with one schema for all have null where a tool has nothing.
        Value::Bool(_) | Value::Null => return None,
        other => {
            let found = type_name(other);
            return Some(format!("property `{}` is {found}, expected a schema", excerpt(name)));
        }
    };
    if let Some(kind) = unknown_type(schema) {
        let (name, kind) = (excerpt(name), shown(kind));
        return Some(format!("property `{name}` has type `{kind}`, which JSON schema has not"));
    }
    let of_items = match keyword(schema, "items") {
        Some(items @ Value::Object(_)) => property_fault(name, items),
        _ => None,
    };
    // Without properties, `required` is an old way to say that the property itself is.
    let has_properties = keyword(schema, "properties").is_some();
    of_items.or_else(|| has_properties.then(|| object_fault(schema)).flatten())
}

/// The type of a schema that is none.
fn unknown_type(schema: &Schema) -> Option<&Value> {
    match keyword(schema, "type")? {
        Value::Array(kinds) => kinds.iter().find(|kind| !is_type(kind)),
        kind => (!is_type(kind)).then_some(kind),
    }
}

fn is_type(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| TYPES.contains(&kind))
}

fn required_fault(schema: &Schema, properties: Option<&Schema>) -> Option<String> {
    let names = match keyword(schema, "required")? {
        Value::Array(names) if names.iter().all(Value::is_string) => names,
        _ => return Some("`required` is no array of names".to_owned()),
    };
    if COMPOSING.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    let is_declared = |name: &str| properties.is_some_and(|all| all.contains_key(name));
    let undeclared = names.iter().filter_map(Value::as_str).find(|name| !is_declared(name))?;
    Some(format!("`required` names `{}`, which is no property", excerpt(undeclared)))
}

/// What in a call does not fit the tools declared; arguments that are no object are told elsewhere.
fn call_fault(call: &Value, declared: &HashMap<&str, Option<&Schema>>) -> Option<String> {
    let name = function_of(call).get("name")?.as_str()?;
    let Some(schema) = declared.get(name) else {
        return Some(format!("`{}` is not declared", excerpt(name)));
    };
    let arguments = arguments_of(call)?;
    let fault = arguments_fault((*schema)?, &arguments)?;
    Some(format!("`{}`: {fault}", excerpt(name)))
}

fn arguments_fault(schema: &Schema, arguments: &Map<String, Value>) -> Option<String> {
    let required = keyword(schema, "required").and_then(Value::as_array);
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(missing) = required.iter().find(|name| !arguments.contains_key(**name)) {
        return Some(format!("no argument `{}`", excerpt(missing)));
    }
    let properties = keyword(schema, "properties").and_then(Value::as_object);
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
        && !schema.contains_key("patternProperties");
    let is_given = |(name, argument): &(&String, &Value)| {
        !argument.is_null() || required.contains(&name.as_str())
    };
    arguments.iter().filter(is_given).find_map(|(name, argument)| {
        match properties.and_then(|properties| properties.get(name)) {
            Some(property) => argument_fault(name, property, argument),
            None if is_closed => Some(format!("argument `{}` is not declared", excerpt(name))),
            None => None,
        }
    })
}

fn argument_fault(name: &str, property: &Value, argument: &Value) -> Option<String> {
    let schema = property.as_object()?;
    if argument.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return None;
    }
    let kinds: Vec<&str> = match keyword(schema, "type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of_type(argument, kind)) {
        let (name, found, kinds) = (excerpt(name), type_name(argument), kinds.join("` or `"));
        return Some(format!("argument `{name}` is {found}, expected `{kinds}`"));
    }
    match keyword(schema, "enum") {
        Some(Value::Array(values)) if !values.iter().any(|value| is_same(value, argument)) => {
            Some(format!("argument `{}` is none of the values declared", excerpt(name)))
        }
        _ => None,
    }
}

/// Whether a value is of a type; types that JSON Schema does not know are told where they are declared.
fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// Whether two values are the same to a schema, where 1 is 1.0.
fn is_same(a: &Value, b: &Value) -> bool {
    let as_number = a.as_f64().zip(b.as_f64());
    as_number.map_or_else(|| a == b, |(a, b)| a == b)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => excerpt(text),
        other => excerpt(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::example::Role;

    fn found(tools: Value, calls: Value) -> Vec<(Code, String)> {
        let mut turn = Message::new(Role::Assistant, "");
        turn.extra.insert("tool_calls".to_owned(), calls);
        let mut notes = Notes::default();
        faults(tools.as_array().unwrap(), &[turn], &mut notes);
        notes.0
    }

    fn tool(parameters: Value) -> Value {
        json!({ "type": "function", "function": { "name": "find_hotel", "parameters": parameters } })
    }

    /// What is said of a tool with these parameters, without its name.
    fn schema_fault(parameters: Value) -> Option<String> {
        let mut found = found(json!([tool(parameters)]), json!([]));
        let (code, example) = found.pop()?;
        assert_eq!((code, found.len()), (Code::ToolSchema, 0));
        Some(example.strip_prefix("`find_hotel`: ").unwrap().to_owned())
    }

    fn hotels() -> Value {
        tool(json!({
            "type": "object",
            "properties": {
                "city": { "type": "string" },
                "stars": { "type": ["integer", "null"] },
                "area": { "type": "string", "enum": ["north", "south"] },
                "open": true,
            },
            "required": ["city"],
            "additionalProperties": false,
        }))
    }

    /// What is said of a call of `find_hotel` with these arguments, without its name.
    fn call_fault(arguments: Value) -> Option<String> {
        let call = json!({ "function": { "name": "find_hotel", "arguments": arguments } });
        let mut found = found(json!([hotels()]), json!([call]));
        let (code, example) = found.pop()?;
        assert_eq!((code, found.len()), (Code::ToolMismatch, 0));
        Some(example.strip_prefix("`find_hotel`: ").unwrap().to_owned())
    }

    #[test]
    fn tools_that_can_be_called_are_not_told() {
        assert_eq!(found(json!([hotels(), { "name": "stop" }]), json!([])), []);
        for parameters in [
            Value::Null,
            json!({}),
            json!({ "type": "object", "properties": {}, "required": null }),
            json!({ "type": "object", "required": ["a"], "allOf": [{}] }),
            json!({ "properties": { "a": { "type": "string", "required": true } } }),
            json!({ "properties": { "a": { "$ref": "#/a" }, "b": { "enum": [1, 2] } } }),
        ] {
            assert_eq!(schema_fault(parameters), None);
        }
    }

    #[test]
    fn tools_without_a_name_or_of_one_name_are_told() {
        let nameless = [(Code::ToolSchema, "a tool has no name".to_owned())];
        assert_eq!(found(json!([{ "function": { "name": " " } }]), json!([])), nameless);
        assert_eq!(found(json!([{ "function": "stop" }]), json!([])), nameless);
        let twice = found(json!([{ "name": "stop" }, { "name": "stop" }]), json!([]));
        assert_eq!(twice, [(Code::ToolSchema, "`stop` is declared twice".to_owned())]);
    }

    #[test]
    fn parameters_that_are_no_schema_of_an_object_are_told() {
        let with = |property: Value| json!({ "properties": { "city": property } });
        for (parameters, expected) in [
            (json!([]), "`parameters` is an array, expected an object"),
            (json!({ "type": "dict" }), "`parameters` has type `dict`, expected `object`"),
            (json!({ "properties": [] }), "`properties` is an array, expected an object"),
            (json!({ "required": "city" }), "`required` is no array of names"),
            (json!({ "required": ["city"] }), "`required` names `city`, which is no property"),
            (with(json!("string")), "property `city` is a string, expected a schema"),
            (
                with(json!({ "type": "str" })),
                "property `city` has type `str`, which JSON schema has not",
            ),
            (
                with(json!({ "type": "array", "items": { "type": ["string", 1] } })),
                "property `city` has type `1`, which JSON schema has not",
            ),
            (
                with(json!({ "properties": {}, "required": ["id"] })),
                "`required` names `id`, which is no property",
            ),
        ] {
            assert_eq!(schema_fault(parameters).as_deref(), Some(expected));
        }
    }

    #[test]
    fn calls_that_fit_are_not_told() {
        for arguments in [
            json!({ "city": "Ely", "stars": 4.0, "area": "north", "open": [1] }),
            json!("{\"city\": \"Ely\", \"stars\": null}"),
        ] {
            assert_eq!(call_fault(arguments), None);
        }
        let open = json!([{ "name": "log", "parameters": { "properties": { "a": {} } } }]);
        assert_eq!(found(open, json!([{ "name": "log", "arguments": { "b": 1 } }])), []);
    }

    #[test]
    fn calls_that_do_not_fit_are_told() {
        for (arguments, expected) in [
            (json!({ "stars": 3 }), "no argument `city`"),
            (json!("{}"), "no argument `city`"),
            (json!({ "city": "Ely", "colour": "red" }), "argument `colour` is not declared"),
            (json!({ "city": 7 }), "argument `city` is a number, expected `string`"),
            (
                json!({ "city": "Ely", "stars": 3.5 }),
                "argument `stars` is a number, expected `integer` or `null`",
            ),
            (
                json!({ "city": "Ely", "area": "east" }),
                "argument `area` is none of the values declared",
            ),
        ] {
            assert_eq!(call_fault(arguments).as_deref(), Some(expected));
        }
        let other = json!([{ "name": "find_taxi", "arguments": {} }]);
        let undeclared = [(Code::ToolMismatch, "`find_taxi` is not declared".to_owned())];
        assert_eq!(found(json!([hotels()]), other.clone()), undeclared);
        assert_eq!(found(json!([]), other), []);
    }

    #[test]
    fn arguments_that_are_no_object_are_left_to_another_finding() {
        assert_eq!(call_fault(json!("{\"city\": ")), None);
        assert!(arguments_of(&json!({ "arguments": "[1]" })).is_none());
        assert!(arguments_of(&json!({ "arguments": null })).is_none());
        assert_eq!(arguments_of(&json!({})).map(|arguments| arguments.len()), Some(0));
    }
}
