//! The values that recipe keys take.

use schemars::JsonSchema;
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use tunewise_data::{ExcessLength, OnBadRow, RowFormat, TrainOn};

use super::targets::{comma_separated, ListOrText};
use crate::schedule::ScheduleShape;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataFormat {
    /// Found from the first row of each file.
    Auto,
    /// `messages`.
    Messages,
    /// `prompt` and `completion`.
    #[serde(alias = "prompt_completion")]
    PromptCompletion,
    /// `text`.
    Text,
    /// `instruction`, `input`, `output`.
    Alpaca,
    /// `conversations`.
    #[serde(rename = "sharegpt")]
    ShareGpt,
    /// `chosen` and `rejected`.
    Preference,
}

impl DataFormat {
    /// The format to insist on; `None` for `auto`.
    pub fn required(self) -> Option<RowFormat> {
        Some(match self {
            Self::Auto => return None,
            Self::Messages => RowFormat::Messages,
            Self::PromptCompletion => RowFormat::PromptCompletion,
            Self::Text => RowFormat::Text,
            Self::Alpaca => RowFormat::Alpaca,
            Self::ShareGpt => RowFormat::ShareGpt,
            Self::Preference => RowFormat::Preference,
        })
    }
}

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FinetuneType {
    /// An adapter.
    Lora,
    /// Every weight of the model.
    Full,
}

/// What a bad row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RowFault {
    /// Stops before training.
    Fail,
    /// Is left out and counted.
    Skip,
}

impl From<RowFault> for OnBadRow {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Fail => OnBadRow::Fail,
            RowFault::Skip => OnBadRow::Skip,
        }
    }
}

/// Which assistant turns are trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrainedTurns {
    /// Every one.
    All,
    /// The last one.
    Last,
}

impl From<TrainedTurns> for TrainOn {
    fn from(turns: TrainedTurns) -> Self {
        match turns {
            TrainedTurns::All => TrainOn::All,
            TrainedTurns::Last => TrainOn::Last,
        }
    }
}

/// What a row longer than `max_length` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LengthStrategy {
    /// Stops before training.
    Raise,
    /// Loses its end.
    Truncate,
    /// Is left out.
    Drop,
}

impl From<LengthStrategy> for ExcessLength {
    fn from(strategy: LengthStrategy) -> Self {
        match strategy {
            LengthStrategy::Raise => ExcessLength::Raise,
            LengthStrategy::Truncate => ExcessLength::Truncate,
            LengthStrategy::Drop => ExcessLength::Drop,
        }
    }
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleName {
    /// Half a cosine wave.
    Cosine,
    /// A straight line.
    Linear,
    /// Not at all.
    Constant,
}

impl From<ScheduleName> for ScheduleShape {
    fn from(name: ScheduleName) -> Self {
        match name {
            ScheduleName::Cosine => ScheduleShape::Cosine,
            ScheduleName::Linear => ScheduleShape::Linear,
            ScheduleName::Constant => ScheduleShape::Constant,
        }
    }
}

/// The number format of the base weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaseNumbers {
    /// What suits the model's files and the processor.
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDevice {
    /// The best device there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    #[schemars(skip)]
    Cuda,
    /// An Apple graphics processor.
    #[schemars(skip)]
    Metal,
}

/// A log to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// `metrics.jsonl`.
    Jsonl,
    /// TensorBoard event files.
    Tensorboard,
    /// Weights & Biases.
    Wandb,
    /// MLflow.
    Mlflow,
    /// Comet.
    #[serde(alias = "comet_ml")]
    Comet,
    /// Trackio.
    Trackio,
    /// SwanLab.
    Swanlab,
}

impl Report {
    /// Whether this version writes it.
    pub fn is_built(self) -> bool {
        matches!(self, Self::Jsonl | Self::Tensorboard)
    }
}

/// How the adapter starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitLoraWeights {
    /// A from the Kaiming distribution, B at zero.
    Kaiming,
    /// A from the normal distribution, B at zero.
    Gaussian,
    /// One of PEFT's other ways, by its value there.
    NotBuilt(&'static str),
}

const OTHER_INITS: [&str; 8] =
    ["false", "pissa", "olora", "loftq", "eva", "corda", "orthogonal", "mica"];

impl Serialize for InitLoraWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Kaiming => serializer.serialize_bool(true),
            Self::Gaussian => serializer.serialize_str("gaussian"),
            Self::NotBuilt("false") => serializer.serialize_bool(false),
            Self::NotBuilt(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for InitLoraWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = match SwitchOrText::deserialize(deserializer)? {
            SwitchOrText::Switch(true) => return Ok(Self::Kaiming),
            SwitchOrText::Switch(false) => "false".to_owned(),
            SwitchOrText::Text(name) if name == "gaussian" => return Ok(Self::Gaussian),
            SwitchOrText::Text(name) => name,
        };
        // PEFT writes `pissa_niter_4` for PiSSA with four iterations.
        let known = OTHER_INITS.iter().find(|other| name.split('_').next() == Some(**other));
        known.map(|other| Self::NotBuilt(other)).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&name), &"`true` or `gaussian`")
        })
    }
}

impl JsonSchema for InitLoraWeights {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InitLoraWeights".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "enum": [true, "gaussian"] })
    }
}

/// Whether, and from where, an earlier run is continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// A new run.
    No,
    /// From the latest checkpoint of `output_dir`.
    Latest,
    /// From this folder.
    From(String),
}

impl Serialize for Resume {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Latest => serializer.serialize_bool(true),
            Self::From(dir) => serializer.serialize_str(dir),
        }
    }
}

impl<'de> Deserialize<'de> for Resume {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<SwitchOrText>::deserialize(deserializer)? {
            None | Some(SwitchOrText::Switch(false)) => Self::No,
            Some(SwitchOrText::Switch(true)) => Self::Latest,
            Some(SwitchOrText::Text(dir)) => Self::From(dir),
        })
    }
}

impl JsonSchema for Resume {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Resume".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["boolean", "string", "null"] })
    }
}

/// The logs to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports(pub Vec<Report>);

impl Reports {
    /// Whether this log is written.
    pub fn has(&self, report: Report) -> bool {
        self.0.contains(&report)
    }
}

impl Serialize for Reports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            serializer.serialize_str("none")
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Reports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = match Option::<ListOrText>::deserialize(deserializer)? {
            None => Vec::new(),
            Some(ListOrText::List(names)) => names,
            Some(ListOrText::Text(text)) => comma_separated(&text),
        };
        let mut reports = Vec::new();
        for name in names {
            match name.as_str() {
                "none" => {}
                "all" => reports.extend([Report::Jsonl, Report::Tensorboard]),
                other => {
                    let name = de::value::StrDeserializer::<D::Error>::new(other);
                    reports.push(Report::deserialize(name)?);
                }
            }
        }
        Ok(Self(reports))
    }
}

impl JsonSchema for Reports {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reports".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = ["jsonl", "tensorboard", "all", "none"];
        schemars::json_schema!({
            "anyOf": [{ "enum": names }, { "type": "array", "items": { "enum": names } }]
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`true`, `false` or a text")]
enum SwitchOrText {
    Switch(bool),
    Text(String),
}
