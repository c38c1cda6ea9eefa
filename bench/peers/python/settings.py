"""What the environment says."""

import os
from datetime import timedelta


def setting(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise ValueError(f"{name} is not set; ../README.md says what this worker needs")


def number(name: str) -> int:
    value = setting(name)
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise ValueError(f"{name}: expected a whole number above zero, got {value!r}")
    return int(value)


def milliseconds(name: str) -> timedelta:
    return timedelta(milliseconds=number(name))
