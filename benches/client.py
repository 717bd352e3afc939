"""What people write by hand: asyncio, httpx and sqlite3.

Asks polygon's pages of each symbol in turn, three symbols at once, and puts the rows of each page into
the same table by `executemany`, one transaction a page. It neither validates nor logs.

    python3 client.py BASE_URL DATABASE FROM_MS TO_MS SYMBOL...
"""

import asyncio
import sqlite3
import sys
from urllib.parse import urlsplit

import httpx

PARALLEL = 3


async def fetch(client, places, database, base, series, symbol, start, end):
    path = f"/v2/aggs/ticker/{symbol}/range/1/minute/{start}/{end}"
    async with places:
        while path:
            answer = await client.get(base + path)
            answer.raise_for_status()
            page = answer.json()
            rows = [
                (series, r["t"] // 1000, r["o"], r["h"], r["l"], r["c"], r["v"], r["vw"], r["n"])
                for r in page["results"]
            ]
            with database:
                database.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            following = page.get("next_url")
            path = following and urlsplit(following).path


async def main():
    base, file, start, end, *symbols = sys.argv[1:]
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    places = asyncio.Semaphore(PARALLEL)
    async with httpx.AsyncClient(timeout=60) as client:
        await asyncio.gather(
            *(
                fetch(client, places, database, base, series, symbol, start, end)
                for series, symbol in enumerate(symbols, 1)
            )
        )
    database.close()


asyncio.run(main())
