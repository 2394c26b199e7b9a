"""Reads the tables of a savepoint with DuckDB and with pyarrow, and prints what each finds.

    readers.py FILE...

One line of JSON per reader: {"reader": ..., "rows": [...]}, a row being {column: value}. Tuples, whose
fields are numbers, become lists, as `tidegate state show` has them.
"""

import json
import sys

import duckdb
import pyarrow.parquet as parquet


def plain(value):
    if isinstance(value, dict):
        if value and all(name.isdigit() for name in value):
            return [plain(value[name]) for name in sorted(value, key=int)]
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def with_duckdb(files):
    relation = duckdb.read_parquet(files)
    for row in relation.fetchall():
        yield dict(zip(relation.columns, row))


def with_pyarrow(files):
    for file in files:
        yield from parquet.read_table(file, partitioning=None).to_pylist()


for name, read in [("duckdb", with_duckdb), ("pyarrow", with_pyarrow)]:
    rows = [{column: plain(cell) for column, cell in row.items()} for row in read(sys.argv[1:])]
    print(json.dumps({"reader": name, "rows": rows}))
