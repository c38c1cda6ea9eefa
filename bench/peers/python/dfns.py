"""The provider's API, as far as a payout needs it, and the activities that call it."""

import base64
import json
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from payout import Asset, Confirmation, Request, Seen

Json = dict[str, Any]


class Refusal(Exception):
    """The provider said no."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class Dfns:
    def __init__(self, base: str, token: str, credential_id: str, private_key_pem: bytes) -> None:
        key = load_pem_private_key(private_key_pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("DFNS_PRIVATE_KEY_FILE: expected an Ed25519 key")
        self.key = key
        self.base = base
        self.credential_id = credential_id
        # One session, which keeps its connections.
        self.session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}", "User-Agent": "bare-worker-python"},
            timeout=aiohttp.ClientTimeout(total=10),
        )

    async def __aenter__(self) -> "Dfns":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @activity.defn
    async def quote(self, request: Request) -> None:
        body = {
            "walletId": request.walletId,
            "asset": asset_of(request.asset, request.amount),
            "fiatCurrency": request.destination.currency,
            "provider": request.destination.provider,
            "country": request.destination.country,
        }
        await self.call("POST", "/payouts/quote", encode(body))

    @activity.defn
    async def create(self, request: Request) -> str:
        """Repeated safely: the provider knows a payout by our id of it."""
        payout = await self.signed(
            "/payouts",
            {
                "walletId": request.walletId,
                "asset": asset_of(request.asset, request.amount),
                "fiatCurrency": request.destination.currency,
                "provider": request.destination.provider,
                "country": request.destination.country,
                "borderlessAccountId": request.destination.accountId,
                "paymentInstructionsId": request.destination.instructionsId,
                "paymentPurpose": request.destination.purpose,
                "externalId": request.externalId,
            },
        )
        return payout["id"]

    @activity.defn
    async def read(self, payout_id: str) -> Seen:
        payout = await self.payout(payout_id)
        return Seen(
            status=payout["status"],
            executionStatus=payout["data"]["executionStatus"],
            walletId=payout["walletId"],
            contract=payout["asset"].get("contract", ""),
            amount=payout["asset"]["amount"],
            depositAddress=payout["data"].get("depositAddress"),
        )

    @activity.defn
    async def confirm(self, confirmation: Confirmation) -> None:
        transfer = {**asset_of(confirmation.asset, confirmation.amount), "to": confirmation.to}
        write = {"action": "Confirm", "walletId": confirmation.walletId, "transfer": transfer}
        try:
            await self.signed(f"/payouts/{confirmation.payoutId}/action", write)
        except Refusal as refusal:
            # After an answer that was lost, the second try is refused: it has been confirmed, by us.
            if refusal.status != 412:
                raise
            if "dateConfirmed" not in (await self.payout(confirmation.payoutId))["data"]:
                raise

    @activity.defn
    async def await_completion(self, payout_id: str) -> str:
        status = (await self.payout(payout_id))["status"]
        if status == "Completed":
            return status
        if status != "Processing":
            raise ApplicationError(f"payout {payout_id} is {status}", non_retryable=True)
        # Expected, so it is no warning.
        raise ApplicationError(f"payout {payout_id} is not completed yet", category=ApplicationErrorCategory.BENIGN)

    async def payout(self, payout_id: str) -> Json:
        return await self.call("GET", f"/payouts/{payout_id}")

    async def signed(self, path: str, write: Json) -> Json:
        """A write that Dfns wants signed: a challenge, our answer to it, and the write itself with what that gave."""
        body = encode(write)
        init = {
            "userActionPayload": body.decode(),
            "userActionHttpMethod": "POST",
            "userActionHttpPath": path,
            "userActionServerKind": "Api",
        }
        challenge = await self.call("POST", "/auth/action/init", encode(init))
        # In alphabetical order and without spaces, which Dfns asks for.
        client_data = encode({"challenge": challenge["challenge"], "type": "key.get"})
        assertion = {
            "credId": self.credential_id,
            "clientData": base64url(client_data),
            "signature": base64url(self.key.sign(client_data)),
        }
        answer = {
            "challengeIdentifier": challenge["challengeIdentifier"],
            "firstFactor": {"kind": "Key", "credentialAssertion": assertion},
        }
        action = await self.call("POST", "/auth/action", encode(answer))
        return await self.call("POST", path, body, {"X-DFNS-USERACTION": action["userAction"]})

    async def call(self, method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None) -> Json:
        headers = {**({"Content-Type": "application/json"} if body is not None else {}), **(more or {})}
        async with self.session.request(method, self.base + path, data=body, headers=headers) as response:
            if response.status >= 300:
                raise Refusal(response.status, f"{method} {path}: {response.status}: {await response.text()}")
            return await response.json()


def asset_of(asset: Asset, amount: str) -> Json:
    return {"kind": asset.kind, "contract": asset.contract, "amount": amount}


def encode(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
