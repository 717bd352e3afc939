"""Writes the bars of a database to one Parquet file, as pandas users would: `python3 parquet.py DATABASE FILE`.

Sorted by symbol and time, compressed with zstd, whole columns dictionary-encoded where pyarrow finds it worth it.
"""

import sqlite3
import sys

import pyarrow
import pyarrow.parquet

database, file = sys.argv[1:]
QUERY = """SELECT symbol, timeframe, ts, open, high, low, close, volume, vwap, trades
             FROM bars JOIN series USING (series_id) ORDER BY series_id, ts"""
SCHEMA = pyarrow.schema(
    [("symbol", pyarrow.string()), ("timeframe", pyarrow.string()), ("ts", pyarrow.timestamp("s", "UTC"))]
    + [(name, pyarrow.float64()) for name in ("open", "high", "low", "close", "volume", "vwap")]
    + [("trades", pyarrow.int64())]
)

rows = sqlite3.connect(database).execute(QUERY)
with pyarrow.parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
    while batch := rows.fetchmany(200_000):
        columns = [pyarrow.array(column, field.type) for column, field in zip(zip(*batch), SCHEMA)]
        writer.write_table(pyarrow.table(columns, SCHEMA))
