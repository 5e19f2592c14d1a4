"""From what an operator names to the feed that is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .documents import BadFeed, Document, FeedName, read_document
from .fetch import NO_VALIDATORS, Validators, fetch, is_address, without_query


@dataclass(frozen=True)
class Found:
    """`document` None: the feed is what `known` had. `system`: as the source calls it, if it does.

    `address`: of the feed itself, also where a discovery document led to it.
    """

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
) -> Found:
    """The feed `name`, given by its own address or by a discovery document's.

    `known`: what addresses were last read with. `with_system`: also ask what the system is called,
    where a discovery document says whom. BadFeed: the feed cannot be had, in one line.
    """
    found: Found | None = None
    system = ""
    for source in sources:
        each = read(source, known.get(source, NO_VALIDATORS))
        if each.document is None or each.document.name == name:
            found = each
        elif each.document.name == FeedName.SYSTEM:
            system = each.document.system
        elif each.document.name == FeedName.DISCOVERY:
            if with_system and not system:
                system = system_listed(each.document)
            found = follow(source, each.document, name, known)
        else:
            told = each.document.name or "nothing that is known"
            raise BadFeed(f"{without_query(source)}: it is {told}, not {name}.")
    if found is None:
        raise BadFeed(f"No source is a {name} feed or leads to one.")
    return Found(found.address, found.document, found.validators, system)


def read(source: str, validators: Validators) -> Found:
    answer = fetch(source, validators)
    if answer is None:
        return Found(source, None, validators)
    try:
        return Found(source, read_document(answer.content), answer.validators)
    except BadFeed as error:
        raise BadFeed(f"{without_query(source)}: {error}") from None


def follow(
    source: str, discovery: Document, name: FeedName, known: Mapping[str, Validators]
) -> Found:
    address = address_in(discovery, name)
    if address is None:
        raise BadFeed(f"{without_query(source)}: it lists no {name} on the web.")
    found = read(address, known.get(address, NO_VALIDATORS))
    if found.document is not None and found.document.name != name:
        raise BadFeed(f"{without_query(address)}: it is not {name}.")
    return found


def system_listed(discovery: Document) -> str:
    address = address_in(discovery, FeedName.SYSTEM)
    document = read(address, NO_VALIDATORS).document if address else None
    return document.system if document else ""


def address_in(discovery: Document, name: FeedName) -> str | None:
    """A document says where to look on the web; never which of our files to read."""
    address = discovery.address_of(name)
    try:
        return address if address is not None and is_address(address) else None
    except BadFeed:
        return None
