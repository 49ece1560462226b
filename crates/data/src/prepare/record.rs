//! A record of a Parquet file as a JSON object.

use ::parquet::record::{Field, Row as Record};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

const SECONDS_OF_A_DAY: i64 = 86_400;

/// A record as an object, without what is null in it.
pub(super) fn object(record: &Record) -> Map<String, Value> {
    let cells = record.get_column_iter();
    cells.filter_map(|(name, field)| Some((name.clone(), value(field)?))).collect()
}

/// What a field holds; `None` for null. Times are written as ISO 8601 has them, bytes that are no text as base64.
fn value(field: &Field) -> Option<Value> {
    let value = match field {
        Field::Group(record) => Value::Object(object(record)),
        Field::ListInternal(list) => {
            let items = list.elements().iter();
            Value::Array(items.map(|item| value(item).unwrap_or(Value::Null)).collect())
        }
        Field::MapInternal(map) => {
            Value::Object(map.entries().iter().filter_map(|(key, held)| entry(key, held)).collect())
        }
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => field.to_json_value(),
        },
        // As many digits as tell the number from its neighbours, not those of the wider type.
        Field::Float(number) => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
        Field::Decimal(_) => match field.to_json_value() {
            Value::String(digits) => digits.trim_end_matches('.').into(),
            other => other,
        },
        Field::Date(days) => {
            let moment = DateTime::from_timestamp(i64::from(*days) * SECONDS_OF_A_DAY, 0);
            moment.map_or_else(|| (*days).into(), |moment| moment.date_naive().to_string().into())
        }
        Field::TimestampMillis(number) => time(DateTime::from_timestamp_millis(*number), *number),
        Field::TimestampMicros(number) => time(DateTime::from_timestamp_micros(*number), *number),
        plain => plain.to_json_value(),
    };
    Some(value).filter(|value| !value.is_null())
}

fn entry(key: &Field, held: &Field) -> Option<(String, Value)> {
    let key = match value(key)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some((key, value(held)?))
}

/// A moment, or the number that stands for it where no calendar has it.
fn time(moment: Option<DateTime<Utc>>, number: i64) -> Value {
    match moment {
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
        None => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::data_type::{ByteArray, Decimal};
    use serde_json::json;

    use super::*;

    #[test]
    fn times_bytes_and_numbers_are_written_as_people_read_them() {
        let bytes = |bytes: &[u8]| Field::Bytes(ByteArray::from(bytes.to_vec()));
        let decimal = |scale: i32| Field::Decimal(Decimal::from_i32(1250, 5, scale));
        let cases = [
            (Field::Date(-1), json!("1969-12-31")),
            (Field::TimestampMillis(0), json!("1970-01-01T00:00:00Z")),
            (Field::TimestampMicros(1_500_000), json!("1970-01-01T00:00:01.500Z")),
            (Field::TimestampMillis(i64::MAX), json!(i64::MAX)),
            (bytes(b"plain"), json!("plain")),
            (bytes(b"\xff\x00"), json!("/wA=")),
            (Field::Float(0.1), json!(0.1)),
            (decimal(2), json!("12.50")),
            (decimal(0), json!("1250")),
            (Field::ULong(u64::MAX), json!(u64::MAX)),
        ];
        for (field, expected) in cases {
            assert_eq!(value(&field), Some(expected));
        }
        assert_eq!([Field::Null, Field::Double(f64::NAN)].map(|field| value(&field)), [None, None]);
    }
}
