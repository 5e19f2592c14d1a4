"""Days as arguments of commands."""

from argparse import ArgumentTypeError
from datetime import date

from django.core.management.base import CommandParser

from ..exceptions import Refusal
from ..kpi.periods import to_date


def add_period(parser: CommandParser) -> None:
    add = parser.add_argument
    add("--from", dest="first", metavar="DATE", type=date_argument, help="the first day")
    add("--to", dest="last", metavar="DATE", type=date_argument, help="the last day, included")


def date_argument(text: str) -> date:
    try:
        return to_date(text)
    except Refusal as error:
        raise ArgumentTypeError(str(error)) from None
