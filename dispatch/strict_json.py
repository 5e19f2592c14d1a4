"""JSON that every reader understands in the same way, or an error."""

import json
from typing import Any, NoReturn

KEY_SHOWN = 200


class InvalidJson(Exception):
    """Completes the sentence "The body is ..."."""


def loads(text: bytes) -> Any:
    """Parse UTF-8 without duplicate keys, NaN or infinite numbers. InvalidJson: anything else."""
    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=unique_keys,
            parse_float=finite,
            parse_constant=refuse_constant,
        )
    except UnicodeDecodeError:
        raise InvalidJson("not valid UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"{error.msg} at character {error.pos + 1}"
        raise InvalidJson(f"not valid JSON: {where}") from None
    except RecursionError:
        raise InvalidJson("not valid JSON: nested too deeply") from None
    except ValueError:
        raise InvalidJson("not valid JSON: a number with thousands of digits") from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        twice = next(name for name in data if [key for key, _ in pairs].count(name) > 1)
        raise InvalidJson(f"not valid JSON: key {twice[:KEY_SHOWN]!a} given twice")
    return data


def finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidJson("not valid JSON: a number out of range")
    return number


def refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"not valid JSON: {name}")
