"""Finds the feed that an operator's sources name or lead to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .access import Access
from .documents import BadFeed, Document, FeedName, read_document
from .fetch import NO_VALIDATORS, Validators, fetch, is_address, without_query

ABOUT = (FeedName.SYSTEM, FeedName.REGIONS)


@dataclass(frozen=True)
class Found:
    """`address`: of the feed itself, even if a discovery document led to it. `document` None: the
    feed has not changed. `about`: what the sources say of the system. `problems`: a sentence for
    each of its documents that is listed and cannot be had."""

    address: str
    document: Document | None
    validators: Validators
    about: Mapping[FeedName, Document] = field(default_factory=dict)
    problems: Mapping[FeedName, str] = field(default_factory=dict)

    @property
    def system(self) -> str:
        return self.about[FeedName.SYSTEM].system if FeedName.SYSTEM in self.about else ""

    @property
    def time_zone(self) -> str:
        return self.about[FeedName.SYSTEM].time_zone if FeedName.SYSTEM in self.about else ""

    @property
    def regions(self) -> Mapping[str, str] | None:
        """Return the names of regions by their ids. None: they are listed and cannot be had."""
        if FeedName.REGIONS in self.about:
            return self.about[FeedName.REGIONS].regions
        return None if FeedName.REGIONS in self.problems else {}


def find_feed(
    sources: Sequence[str],
    name: FeedName,
    known: Mapping[str, Validators],
    *,
    with_system: bool = True,
    wished: Collection[FeedName] = (),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Found:
    """Return the feed `name`. A source is its own address or that of a discovery document.

    `known`: the validators of addresses that were read before. `with_system`: the system's id is
    needed as well. `wished`: documents about the system, to be read if they can be had. `headers`:
    for requests to the sources' own origins. BadFeed: the feed cannot be had; one line says why.
    """
    access = Access([source for source in sources if is_address(source)], headers)
    found: Found | None = None
    about: dict[FeedName, Document] = {}
    problems: dict[FeedName, str] = {}
    needed = {FeedName.SYSTEM} if with_system else set()
    for source in sources:
        each = read(source, known.get(source, NO_VALIDATORS), access)
        if each.document is None or each.document.is_feed(name):
            found = each
        elif each.document.name in ABOUT:
            about[each.document.name] = each.document
        elif each.document.name == FeedName.DISCOVERY:
            read_about(each.document, {*needed, *wished} - about.keys(), about, problems, access)
            if problems.keys() & needed:
                raise BadFeed(problems[FeedName.SYSTEM])
            found = follow(source, each.document, name, known, access)
        else:
            kind = each.document.name or "an unknown kind of feed"
            raise BadFeed(f"{without_query(source)}: it is {kind}, not {name}.")
    if found is None:
        raise BadFeed(f"No source is a {name} feed or lists one.")
    return replace(found, about=about, problems=problems)


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


def read_about(
    discovery: Document,
    names: Collection[FeedName],
    about: dict[FeedName, Document],
    problems: dict[FeedName, str],
    access: Access,
) -> None:
    """Read the listed documents of these names into `about`, or into `problems` why not."""
    for name in names:
        address = address_in(discovery, name)
        try:
            document = read(address, NO_VALIDATORS, access).document if address else None
        except BadFeed as error:
            problems[name] = str(error)
        else:
            about |= {name: document} if document else {}


def address_in(discovery: Document, name: FeedName) -> str | None:
    """Return a web address or None: a document must not make us read our own files."""
    address = discovery.address_of(name)
    try:
        return address if address is not None and is_address(address) else None
    except BadFeed:
        return None
