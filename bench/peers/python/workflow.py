"""The workflow: quote, create, wait, read, compare, confirm, wait."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

# Once for the process rather than once for each workflow's sandbox, as the samples do with their activities.
with workflow.unsafe.imports_passed_through():
    from dfns import Dfns
    from payout import ActionRequired, Confirmation, Done, Request, Seen
    from settings import milliseconds

    # How often is asked when nobody tells: the same for every run, as a constant of a deployed build would be.
    POLL_FIRST = milliseconds("PEER_POLL_FIRST_MS")
    POLL_MAX = milliseconds("PEER_POLL_MAX_MS")

ONE_ATTEMPT = timedelta(seconds=15)


@workflow.defn(name="bare_payout")
class BarePayout:
    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def action_required(self, _: ActionRequired) -> None:
        self.told = True

    @workflow.run
    async def run(self, request: Request) -> Done:
        await workflow.execute_activity_method(Dfns.quote, request, start_to_close_timeout=ONE_ATTEMPT)
        payout_id = await workflow.execute_activity_method(Dfns.create, request, start_to_close_timeout=ONE_ATTEMPT)

        seen = await self.until_action_required(payout_id)
        same = (
            seen.walletId == request.walletId
            and seen.amount == request.amount
            and seen.contract.lower() == request.asset.contract.lower()
        )
        if not same or not seen.depositAddress:
            raise ApplicationError(f"payout {payout_id} is not what was asked for")
        await workflow.execute_activity_method(
            Dfns.confirm,
            Confirmation(payout_id, request.walletId, request.asset, request.amount, seen.depositAddress),
            start_to_close_timeout=ONE_ATTEMPT,
        )

        # Retried by the server until it is so: the sample "infrequent polling".
        status = await workflow.execute_activity_method(
            Dfns.await_completion,
            payout_id,
            start_to_close_timeout=ONE_ATTEMPT,
            retry_policy=RetryPolicy(initial_interval=POLL_FIRST, backoff_coefficient=1.5, maximum_interval=POLL_MAX),
        )
        return Done(payout_id, status)

    async def until_action_required(self, payout_id: str) -> Seen:
        """Returns once the provider waits for us: told by the signal, or found by a reading."""
        pause = POLL_FIRST
        while True:
            try:
                await workflow.wait_condition(lambda: self.told, timeout=pause)
            except asyncio.TimeoutError:
                pass
            self.told = False
            seen = await workflow.execute_activity_method(Dfns.read, payout_id, start_to_close_timeout=ONE_ATTEMPT)
            if seen.executionStatus == "AwaitingPayoutConfirmation":
                return seen
            if seen.status != "Processing":
                raise ApplicationError(f"payout {payout_id} is {seen.status}")
            pause = min(2 * pause, POLL_MAX)
