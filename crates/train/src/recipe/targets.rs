//! Which layers a recipe gives an adapter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

/// Which layers get an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetModules {
    /// Every linear layer but the output head.
    AllLinear,
    /// Those of these names, or matched by a pattern.
    Chosen(ModuleNames),
}

impl Serialize for TargetModules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AllLinear => serializer.serialize_str("all-linear"),
            Self::Chosen(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TargetModules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match ModuleNames::deserialize(deserializer)? {
            ModuleNames::Names(names) if names == ["all-linear"] => Self::AllLinear,
            chosen => Self::Chosen(chosen),
        })
    }
}

impl JsonSchema for TargetModules {
    fn schema_name() -> Cow<'static, str> {
        "TargetModules".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        ModuleNames::json_schema(generator)
    }
}

/// Layer names, or one regular expression over whole paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleNames {
    /// Whole paths or their ends.
    Names(Vec<String>),
    /// A regular expression that matches the whole path.
    Pattern(String),
}

impl Serialize for ModuleNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Names(names) => names.serialize(serializer),
            Self::Pattern(pattern) => serializer.serialize_str(pattern),
        }
    }
}

impl<'de> Deserialize<'de> for ModuleNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match ListOrText::deserialize(deserializer)? {
            ListOrText::List(names) => return Ok(Self::Names(names)),
            ListOrText::Text(text) => text,
        };
        // No path has a comma or a blank, and a pattern without an operator matches at most the path it spells:
        // such a text can only be meant as names.
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-., ".contains(c);
        if text.chars().all(plain) {
            Ok(Self::Names(comma_separated(&text)))
        } else {
            Ok(Self::Pattern(text))
        }
    }
}

impl JsonSchema for ModuleNames {
    fn schema_name() -> Cow<'static, str> {
        "ModuleNames".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        })
    }
}

/// A value for some layers, by name or regular expression, in the order of the recipe: the first match counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patterns<T>(pub Vec<(String, T)>);

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, value)| (pattern, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PatternVisitor(PhantomData))
    }
}

struct PatternVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for PatternVisitor<T> {
    type Value = Patterns<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("layer names or patterns with a number each")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut patterns: Vec<(String, T)> = Vec::new();
        while let Some((pattern, value)) = map.next_entry::<String, T>()? {
            if patterns.iter().any(|(known, _)| *known == pattern) {
                let message = format!("`{pattern}` stands here a second time, expected once");
                return Err(de::Error::custom(message));
            }
            patterns.push((pattern, value));
        }
        Ok(Patterns(patterns))
    }
}

impl<T: JsonSchema> JsonSchema for Patterns<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("PatternsOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        <BTreeMap<String, T>>::json_schema(generator)
    }
}

/// Numbers of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layers(pub Vec<usize>);

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a block's number or a list of them")]
        enum Raw {
            One(usize),
            Many(Vec<usize>),
            Text(String),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::One(layer) => return Ok(Self(vec![layer])),
            Raw::Many(layers) => return Ok(Self(layers)),
            Raw::Text(text) => text,
        };
        let numbers: Result<Vec<usize>, _> =
            comma_separated(&text).iter().map(|number| number.parse()).collect();
        numbers.map(Self).map_err(|_| {
            de::Error::invalid_value(
                de::Unexpected::Str(&text),
                &"a block's number or a list of them",
            )
        })
    }
}

impl JsonSchema for Layers {
    fn schema_name() -> Cow<'static, str> {
        "Layers".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "array", "items": { "type": "integer", "minimum": 0 } }
            ]
        })
    }
}

impl fmt::Display for TargetModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllLinear => f.write_str("`all-linear`"),
            Self::Chosen(ModuleNames::Names(names)) => write!(f, "`{}`", names.join(",")),
            Self::Chosen(ModuleNames::Pattern(pattern)) => write!(f, "`{pattern}`"),
        }
    }
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(super) enum ListOrText {
    List(Vec<String>),
    Text(String),
}

/// The parts between commas, without blanks around them; empty parts left out.
pub(super) fn comma_separated(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
