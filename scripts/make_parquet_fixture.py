#!/usr/bin/env python3
"""Writes the Parquet files that tests/prepare.rs reads, as pyarrow and so Hugging Face datasets write them.

    python3 -m venv venv
    venv/bin/pip install pyarrow==26.0.1
    venv/bin/python scripts/make_parquet_fixture.py

It writes tests/fixtures/chats.parquet (snappy, three rows to a row group, nested messages that all have the same
keys) and tests/fixtures/lz4.parquet (a compression that is not unpacked). The rows are made up for this file.
"""

import datetime
import decimal
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures"

ARGUMENTS = pa.struct([("parcel", pa.int64()), ("city", pa.string())])
CALL = pa.struct([("type", pa.string()), ("function", pa.struct([("name", pa.string()), ("arguments", ARGUMENTS)]))])
MESSAGE = pa.struct(
    [("role", pa.string()), ("content", pa.string()), ("name", pa.string()), ("tool_calls", pa.list_(CALL))]
)
CHATS = pa.schema(
    [
        ("messages", pa.list_(MESSAGE)),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("asked_at", pa.timestamp("ms", tz="UTC")),
        ("day", pa.date32()),
        ("score", pa.float32()),
        ("price", pa.decimal128(5, 2)),
        ("turns", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("counts", pa.map_(pa.string(), pa.int32())),
        ("digest", pa.binary()),
        ("note", pa.null()),
    ]
)


def chats():
    ask = lambda text: {"role": "user", "content": text}
    say = lambda text: {"role": "assistant", "content": text}
    call = {"type": "function", "function": {"name": "track", "arguments": {"parcel": 7, "city": None}}}
    return [
        {
            "messages": [ask("Where is my parcel?"), say("In Lyon.")],
            "source": "mail",
            "asked_at": datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.timezone.utc),
            "day": datetime.date(2024, 5, 1),
            "score": 0.1,
            "price": decimal.Decimal("12.50"),
            "turns": 2,
            "tags": ["parcel", None],
            "counts": [("words", 4)],
            "digest": b"\xff\x00",
        },
        {
            "messages": [
                {"role": "system", "content": "You are kind."},
                ask("Track number 7, please."),
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "content": "Oslo", "name": "track"},
                say("It is in Oslo."),
            ],
            "source": "chat",
            "digest": b"plain",
        },
        {"messages": [ask("When do you open?"), say("At nine — every day.")], "source": "mail", "tags": []},
        {"messages": None, "source": "mail"},
        {"messages": [ask("May I mend my kettle?"), say("Yes.")], "source": None, "turns": 2},
    ]


def main():
    table = pa.Table.from_pylist(chats(), schema=CHATS)
    pq.write_table(table, FIXTURES / "chats.parquet", compression="snappy", row_group_size=3)
    pair = pa.table({"prompt": ["Where?"], "completion": ["Here."]})
    pq.write_table(pair, FIXTURES / "lz4.parquet", compression="lz4")


if __name__ == "__main__":
    main()
