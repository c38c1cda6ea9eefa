#!/usr/bin/env python3
"""Starts, reads and cancels a payout with Temporal's Python SDK, and nothing of remit's own. Copy what you need;
what holds in every language stands in ../README.md.

  python payout.py start FILE.json
  python payout.py show ID
  python payout.py cancel ID --by WHO --why TEXT

ID is your own id of the payout. The answer is JSON; the exit code is 0 done, 1 no answer, 2 not accepted, 3 refused,
4 no such payout, 5 the id belongs to another request. Where Temporal is comes from TEMPORAL_ADDRESS and the other
settings of all its SDKs.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError, TemporalError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

NO_ANSWER, NOT_ACCEPTED, REFUSED, NOT_FOUND, CONFLICT = 1, 2, 3, 4, 5

# A worker at hand answers in milliseconds. Without a limit, Temporal waits long for one that is not there.
TOLD_WITHIN = timedelta(seconds=5)
# An order has to be written down first.
ANSWERED_WITHIN = timedelta(seconds=20)

Json = dict[str, Any]


class Sad(Exception):
    """Why there is no good answer, and the exit code that says so."""

    def __init__(self, exit_code: int, says: str) -> None:
        super().__init__(says)
        self.exit_code = exit_code


def payout_key(external_id: object) -> str:
    """The key of a payout: what names it for ever, at the provider and in Temporal. Made from your id alone."""
    # Bytes count, not characters. Half of a surrogate pair has no bytes in UTF-8.
    text = external_id if isinstance(external_id, str) else ""
    data = b"" if re.search("[\ud800-\udfff]", text) else text.encode()
    if not 1 <= len(data) <= 255 or 0 in data:
        raise Sad(NOT_ACCEPTED, "externalId: expected 1 to 255 bytes of text without NUL")
    # fullmatch and \Z, since $ also matches before a line break; [0-9], since \d also matches other scripts' digits.
    plain = re.fullmatch("[A-Za-z0-9._-]{1,40}", text) and not re.search(r"^h-|-retry-[0-9]+\Z", text)
    return text if plain else "h-" + hashlib.sha256(data).hexdigest()[:32]


def workflow_id_of(external_id: object) -> str:
    return f"payout-{payout_key(external_id)}"


async def start(client: Client, request: Json) -> Json:
    """Starts a payout, or finds the one that the same request started before: when in doubt, call it again."""
    workflow_id = workflow_id_of(request.get("externalId") if isinstance(request, dict) else None)
    how = "new"
    try:
        await client.start_workflow(
            "payout",
            request,
            id=workflow_id,
            task_queue="remit",
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
    except WorkflowAlreadyStartedError:
        how = "existing"
        if differs := differences(await input_of(client, workflow_id), request):
            says = f"the id of {workflow_id} was used before for another request"
            says += f" (not the same: {', '.join(differs)}); nothing was started"
            raise Sad(CONFLICT, says) from None
    return {"workflowId": workflow_id, "how": how, "claimed": await is_claimed(client, workflow_id)}


async def is_claimed(client: Client, workflow_id: str) -> bool:
    """Whether the payout has claimed its id, which is the first thing it does. A request that is not accepted, and a
    conflict with a payout that Temporal has forgotten, are found out here. False when no worker tells in time: it is
    started all the same, and `show` tells later."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            run = await describe(client, workflow_id)
            if run and (await read(client, run)).get("stage") != "Requested":
                return True
        except (RPCError, TemporalError):
            pass
        await asyncio.sleep(0.1)
    return False


async def input_of(client: Client, workflow_id: str) -> Any:
    """What the workflow of this id was started with."""
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        return (await client.data_converter.decode(payloads))[0]
    raise Sad(NO_ANSWER, f"{workflow_id} exists, and its history cannot be read: look at it in Temporal")


def differences(one: Json, other: Json) -> list[str]:
    """The fields that are not the same in both requests."""
    a, b = facts(one), facts(other)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def facts(request: Json) -> Json:
    """A request without what makes no difference: fields that are null, and the case of a contract address."""
    there = {name: facts(value) if isinstance(value, dict) else value for name, value in request.items()}
    if isinstance(there.get("contract"), str):
        there["contract"] = there["contract"].lower()
    return {name: value for name, value in there.items() if value is not None}


async def show(client: Client, external_id: str) -> Json:
    """Where a payout is, or how it ended."""
    return await read(client, await newest(client, external_id))


async def newest(client: Client, external_id: str) -> WorkflowExecutionDescription:
    """The run of a payout. An operator may have opened another attempt at a payout that is over: then that counts."""
    workflow_id = workflow_id_of(external_id)
    run = await describe(client, workflow_id)
    if run is None:
        raise Sad(NOT_FOUND, f"no {workflow_id} in Temporal: never started, or over for longer than it is kept")
    for attempt in range(1, 100):
        if run.status == WorkflowExecutionStatus.RUNNING:
            break
        following = await describe(client, f"{workflow_id}-retry-{attempt}")
        if following is None:
            break
        run = following
    return run


async def describe(client: Client, workflow_id: str) -> WorkflowExecutionDescription | None:
    """What Temporal says of the workflow of this id; None if there is none."""
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise


async def read(client: Client, described: WorkflowExecutionDescription) -> Json:
    """While it runs, the answer of its query `status`; when it is over, its outcome. The first needs a worker."""
    run = client.get_workflow_handle(described.id, run_id=described.run_id)
    if described.status != WorkflowExecutionStatus.RUNNING:
        try:
            return await run.result()
        except WorkflowFailureError as error:
            raise why_it_failed(described.id, error.cause) from None
    try:
        return await run.query("status", rpc_timeout=TOLD_WITHIN)
    except (RPCError, TemporalError) as error:
        says = f"{described.id} does not tell its status: is a worker running? ({error})"
        raise TemporalError(says) from None


def why_it_failed(workflow_id: str, cause: BaseException) -> Sad:
    """Every ending of a payout is a result. A run fails only when its input was refused or its id belongs to another
    request; anything else was done to it from outside."""
    kind, message = (cause.type, cause.message) if isinstance(cause, ApplicationError) else (None, str(cause))
    if kind == "remit.refused":
        return Sad(NOT_ACCEPTED, f"{workflow_id} refused its input: {message}")
    if kind == "remit.conflict":
        return Sad(CONFLICT, f"{workflow_id} stopped: {message}")
    says = f"{workflow_id} was ended in Temporal ({message})"
    return Sad(NO_ANSWER, f"{says}; start the same request again to take it up where it was left")


async def cancel(client: Client, external_id: str, by: str, why: str) -> Json:
    """Calls a payout off. Refused once it may have been confirmed: then the answer says what happens instead."""
    workflow_id = (await newest(client, external_id)).id
    payout = client.get_workflow_handle(workflow_id)
    try:
        return await payout.execute_update("cancel", {"by": by, "why": why}, rpc_timeout=ANSWERED_WITHIN)
    except WorkflowUpdateFailedError as error:
        raise Sad(NOT_ACCEPTED, f"{workflow_id} does not take the order: {error.cause}") from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        says = f"{workflow_id} has not answered; whether it will be called off is not known"
        raise Sad(NO_ANSWER, f"{says}: give the same order again, it may be given twice") from None
    except RPCError as error:
        # Temporal takes no orders for a run that is over.
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        outcome = await show(client, external_id)
        if "ending" not in outcome:
            raise
        return {"answer": "refused", "stage": outcome["ending"], "says": f"it is over: {outcome['reason']}"}


def asked(args: list[str]) -> Callable[[Client], Awaitable[Json]]:
    """What the command line asks for. Read before anything is connected."""
    parser = argparse.ArgumentParser(description="Starts, reads and cancels payouts.")  # exits with 2 where it is wrong
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start").add_argument("file", metavar="FILE.json", type=Path)
    commands.add_parser("show").add_argument("id", metavar="ID")
    order = commands.add_parser("cancel")
    order.add_argument("id", metavar="ID")
    order.add_argument("--by", metavar="WHO", required=True)
    order.add_argument("--why", metavar="TEXT", required=True)
    given = parser.parse_args(args)
    if given.command == "show":
        return lambda client: show(client, given.id)
    if given.command == "cancel":
        return lambda client: cancel(client, given.id, given.by, given.why)
    try:
        request = json.loads(given.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Sad(NOT_ACCEPTED, f"{given.file} is not read: {error}") from None
    return lambda client: start(client, request)


async def main(args: list[str]) -> int:
    ask = asked(args)
    settings = {"target_host": "localhost:7233", **ClientConfig.load_client_connect_config()}
    answer = await ask(await Client.connect(**settings))
    print(json.dumps(answer, indent=2))
    return REFUSED if answer.get("answer") == "refused" else 0


def run(args: list[str]) -> int:
    try:
        return asyncio.run(main(args))
    except (Sad, RPCError, TemporalError, RuntimeError) as error:
        print(f"payout: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, Sad) else NO_ANSWER


if __name__ == "__main__":
    exit_code = run(sys.argv[1:])
    # Some of the SDK's threads outlive the event loop, and now and then crash a short-lived process while Python is
    # taken down, after the answer (https://github.com/temporalio/sdk-python/issues/300). Leaving at once avoids that.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
