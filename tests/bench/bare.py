"""What a sender without promises takes: `loop` posts ready-made bodies, `script` is what a user would write."""

import asyncio
import csv
import itertools
import json
import sys

import aiohttp

CHUNK_SIZE = 1000


async def loop(url: str, workers: int, calls: int) -> None:
    """So many calls by so many workers, with one of eight bodies each."""
    bodies = [json.dumps({"usernames": [f"customer_{n}_{m}" for n in range(1000)]}).encode() for m in range(8)]
    turns = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for turn in turns:
            async with session.post(url, data=bodies[turn % 8], headers={"Content-Type": "application/json"}) as reply:
                await reply.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(workers)))


async def script(url: str, workers: int, path: str) -> None:
    """Everybody in the CSV, with gather and a semaphore."""
    with open(path, encoding="utf-8", newline="") as stream:  # noqa: ASYNC230, PTH123  # as such a script would
        names = [row["username"].strip().lower() for row in csv.DictReader(stream)]
    free = asyncio.Semaphore(workers)

    async def post(session: aiohttp.ClientSession, chunk: list[str]) -> None:
        async with free, session.post(url, json={"usernames": chunk, "text": "Hello"}) as reply:
            reply.raise_for_status()
            await reply.json()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        starts = itertools.count(0, CHUNK_SIZE)
        chunks = itertools.takewhile(bool, (names[start : start + CHUNK_SIZE] for start in starts))
        await asyncio.gather(*(post(session, chunk) for chunk in chunks))


if __name__ == "__main__":
    kind, url, workers, what = sys.argv[1:]
    asyncio.run(loop(url, int(workers), int(what)) if kind == "loop" else script(url, int(workers), what))
