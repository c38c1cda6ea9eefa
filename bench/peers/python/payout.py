"""What the workflow and its activities tell each other."""

from dataclasses import dataclass


@dataclass
class Asset:
    kind: str
    contract: str


@dataclass
class Destination:
    provider: str
    accountId: str
    instructionsId: str
    currency: str
    country: str
    purpose: str


@dataclass
class Request:
    """As our starters send it, as far as this needs it."""

    externalId: str
    walletId: str
    asset: Asset
    amount: str
    destination: Destination


@dataclass
class Seen:
    """What a reading found."""

    status: str
    executionStatus: str
    walletId: str
    contract: str
    amount: str
    depositAddress: str | None


@dataclass
class Confirmation:
    """What is confirmed."""

    payoutId: str
    walletId: str
    asset: Asset
    amount: str
    to: str


@dataclass
class ActionRequired:
    """What the signal carries."""

    payoutId: str


@dataclass
class Done:
    """How it ended."""

    payoutId: str
    status: str
