"""Finds the feed that an operator's sources name or lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .access import Access
from .documents import BadFeed, Document, FeedName, read_document
from .fetch import NO_VALIDATORS, Validators, fetch, is_address, without_query


@dataclass(frozen=True)
class Found:
    """`address`: of the feed itself, even if a discovery document led to it. `document` None: the
    feed has not changed. `system`: the system's id, if the sources give one."""

    address: str
    document: Document | None
    validators: Validators
    system: str = ""


def find_feed(
    sources: Sequence[str],
    name: FeedName,
    known: Mapping[str, Validators],
    *,
    with_system: bool = True,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Found:
    """Return the feed `name`. A source is its own address or that of a discovery document.

    `known`: the validators of addresses that were read before. `with_system`: also read the
    system's id if a discovery document lists it. `headers`: for requests to the sources' own
    origins. BadFeed: the feed cannot be had; one line says why.
    """
    access = Access([source for source in sources if is_address(source)], headers)
    found: Found | None = None
    system = ""
    for source in sources:
        each = read(source, known.get(source, NO_VALIDATORS), access)
        if each.document is None or each.document.is_feed(name):
            found = each
        elif each.document.name == FeedName.SYSTEM:
            system = each.document.system
        elif each.document.name == FeedName.DISCOVERY:
            if with_system and not system:
                system = system_listed(each.document, access)
            found = follow(source, each.document, name, known, access)
        else:
            kind = each.document.name or "an unknown kind of feed"
            raise BadFeed(f"{without_query(source)}: it is {kind}, not {name}.")
    if found is None:
        raise BadFeed(f"No source is a {name} feed or lists one.")
    return Found(found.address, found.document, found.validators, system)


def read(source: str, validators: Validators, access: Access) -> Found:
    answer = fetch(source, validators, access)
    if answer is None:
        return Found(source, None, validators)
    try:
        return Found(source, read_document(answer.content), answer.validators)
    except BadFeed as error:
        raise BadFeed(f"{without_query(source)}: {error}") from None


def follow(
    source: str,
    discovery: Document,
    name: FeedName,
    known: Mapping[str, Validators],
    access: Access,
) -> Found:
    address = address_in(discovery, name)
    if address is None:
        raise BadFeed(f"{without_query(source)}: it lists no http(s) address of {name}.")
    found = read(address, known.get(address, NO_VALIDATORS), access)
    if found.document is not None and not found.document.is_feed(name):
        raise BadFeed(f"{without_query(address)}: it is not {name}.")
    return found


def system_listed(discovery: Document, access: Access) -> str:
    address = address_in(discovery, FeedName.SYSTEM)
    document = read(address, NO_VALIDATORS, access).document if address else None
    return document.system if document else ""


def address_in(discovery: Document, name: FeedName) -> str | None:
    """Return a web address or None: a document must not make us read our own files."""
    address = discovery.address_of(name)
    try:
        return address if address is not None and is_address(address) else None
    except BadFeed:
        return None
