"""Loops of one service that live and end together."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*loops: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; raises what it raised, and lets the others go."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
