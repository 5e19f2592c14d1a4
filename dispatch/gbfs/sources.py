"""Finds the feed that an operator's sources name or lead to."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .access import Access
from .documents import BadFeed, Document, FeedName, read_document
from .fetch import DEADLINE, NO_VALIDATORS, Validators, fetch, is_address, without_query

ABOUT = (FeedName.SYSTEM, FeedName.REGIONS)


@dataclass(frozen=True)
class Found:
    """`address`: of the feed itself, even if a discovery document led to it. `document` None: the
    feed has not changed. `about`: documents about the system. `problems`: a sentence for each of
    them that is listed and cannot be read."""

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
        """Return the names of regions by their ids. None: they are listed and cannot be read."""
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
    needed as well. `wished`: other documents about the system, read if possible. `headers`: for
    requests to the sources' own origins. BadFeed: the feed cannot be read; one line says why.
    """
    access = Access([source for source in sources if is_address(source)], headers)
    needed = {FeedName.SYSTEM} if with_system else set()
    search = Search(name, known, access, needed, wished)
    found: Found | None = None
    for source in sources:
        found = search.read_source(source) or found
    if found is None:
        raise BadFeed(f"No source is a {name} feed or lists one.")
    return replace(found, about=search.about, problems=search.problems)


def find_listed(
    address: str,
    name: FeedName,
    known: Mapping[str, Validators],
    access: Access,
    *,
    wished: Collection[FeedName] = (),
    listed: str | None = None,
    deadline: float = DEADLINE,
) -> Found:
    """Return the feed `name` of the system whose discovery document has this address.

    `listed`: the address of the feed in a former copy of that document, which is then not read.
    `deadline`: seconds for each document. `known`, `wished` and BadFeed: as in `find_feed`.
    """
    search = Search(name, known, access, frozenset(), wished, deadline)
    found = search.read_source(address) if listed is None else search.read_listed(listed)
    if found is None:
        raise BadFeed(f"{without_query(address)}: it lists no feeds.")
    return replace(found, about=search.about, problems=search.problems)


@dataclass(frozen=True)
class Search:
    name: FeedName
    known: Mapping[str, Validators]
    access: Access
    needed: Set[FeedName]
    wished: Collection[FeedName]
    deadline: float = DEADLINE
    about: dict[FeedName, Document] = field(default_factory=dict)
    problems: dict[FeedName, str] = field(default_factory=dict)

    def read_source(self, source: str) -> Found | None:
        """None: the source is a document about the system."""
        found = self.read(source)
        document = found.document
        if document is None or document.is_feed(self.name):
            return found
        if document.name == FeedName.DISCOVERY:
            self.read_about(document)
            return self.follow(source, document)
        if document.name not in ABOUT:
            kind = document.name or "an unknown kind of feed"
            raise BadFeed(f"{without_query(source)}: it is {kind}, not {self.name}.")
        self.about[document.name] = document
        return None

    def read(self, address: str) -> Found:
        return self.fetch(address, self.known.get(address, NO_VALIDATORS))

    def fetch(self, address: str, validators: Validators) -> Found:
        answer = fetch(address, validators, self.access, deadline=self.deadline)
        if answer is None:
            return Found(address, None, validators)
        try:
            return Found(address, read_document(answer.content), answer.validators)
        except BadFeed as error:
            raise BadFeed(f"{without_query(address)}: {error}") from None

    def follow(self, source: str, discovery: Document) -> Found:
        address = address_in(discovery, self.name)
        if address is None:
            raise BadFeed(f"{without_query(source)}: it lists no http(s) address of {self.name}.")
        return self.read_listed(address)

    def read_listed(self, address: str) -> Found:
        found = self.read(address)
        if found.document is not None and not found.document.is_feed(self.name):
            raise BadFeed(f"{without_query(address)}: it is not {self.name}.")
        return found

    def read_about(self, discovery: Document) -> None:
        """Read the listed documents about the system. BadFeed: a needed one cannot be read."""
        for name in sorted({*self.needed, *self.wished} - self.about.keys()):
            address = address_in(discovery, name)
            try:
                document = self.fetch(address, NO_VALIDATORS).document if address else None
            except BadFeed as error:
                self.problems[name] = str(error)
                if name in self.needed:
                    raise
                continue
            if document is not None:
                self.about[name] = document


def address_in(discovery: Document, name: FeedName) -> str | None:
    """Return a web address or None: a document must not make us read our own files."""
    address = discovery.address_of(name)
    try:
        return address if address is not None and is_address(address) else None
    except BadFeed:
        return None
