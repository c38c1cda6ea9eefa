"""A payout as somebody would write it in Python who takes Temporal's samples for a pattern, to compare remit's worker
with. This is its worker; workflow.py is the workflow, dfns.py the provider."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from dfns import Dfns
from settings import number, setting
from workflow import BarePayout


async def main() -> None:
    interrupted = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, interrupted.set)

    private_key = Path(setting("DFNS_PRIVATE_KEY_FILE")).read_bytes()
    client = await Client.connect(setting("TEMPORAL_ADDRESS"), namespace=setting("TEMPORAL_NAMESPACE"))
    more = {}
    if "PEER_CACHED_WORKFLOWS" in os.environ:
        more["max_cached_workflows"] = number("PEER_CACHED_WORKFLOWS")
    async with Dfns(
        setting("DFNS_BASE_URL"), setting("DFNS_TOKEN"), setting("DFNS_CREDENTIAL_ID"), private_key
    ) as dfns:
        async with Worker(
            client,
            task_queue=setting("PEER_TASK_QUEUE"),
            workflows=[BarePayout],
            activities=[dfns.quote, dfns.create, dfns.read, dfns.confirm, dfns.await_completion],
            **more,
        ):
            print("ready", flush=True)
            await interrupted.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"worker: {error}")
