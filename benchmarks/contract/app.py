"""The service as its contract describes it, on FastAPI and SQLAlchemy.

As described, each claim sorts the whole backlog, and 40 threads share 15 connections. TUNED=1
fixes these faults and changes nothing else: an index for the claim, 8 threads, and a connection for
each client. (A request holds its connection while it waits for a thread to write its answer: with 8
connections the service froze when all clients reached one process.)
"""

import enum
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, DateTime, Enum, Index, Integer, String, create_engine, select
from sqlalchemy.orm import Session, declarative_base, sessionmaker

TUNED = bool(os.environ.get("TUNED"))
THREADS, CONNECTIONS = 8, 16

sizes = {"pool_size": CONNECTIONS, "max_overflow": 0} if TUNED else {}
engine = create_engine(os.environ["CONTRACT_DATABASE_URL"], **sizes)
SessionLocal = sessionmaker(bind=engine, autoflush=False)
Base = declarative_base()


class Status(enum.StrEnum):
    READY = "ready"
    ASSIGNED = "assigned"
    COMPLETED = "completed"


class Suggestion(Base):
    __tablename__ = "suggestions"
    id = Column(Integer, primary_key=True, index=True)
    from_station_id = Column(Integer, nullable=False)
    to_station_id = Column(Integer, nullable=False)
    qty = Column(Integer, nullable=False)
    reason = Column(String, nullable=False)
    created_at = Column(DateTime, default=datetime.utcnow)


class Task(Base):
    __tablename__ = "tasks"
    id = Column(Integer, primary_key=True, index=True)
    from_station_id = Column(Integer, nullable=False)
    to_station_id = Column(Integer, nullable=False)
    qty = Column(Integer, nullable=False)
    reason = Column(String)
    status = Column(
        Enum(Status, values_callable=lambda kind: [each.value for each in kind]),
        nullable=False,
        default=Status.READY,
    )
    worker_id = Column(String)
    created_at = Column(DateTime, default=datetime.utcnow)


if TUNED:
    Index("queue", Task.created_at, postgresql_where=Task.status == Status.READY)


class Move(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    from_station_id: int
    to_station_id: int
    qty: int
    reason: str | None


class TaskOut(Move):
    status: Status
    worker_id: str | None
    created_at: datetime


class Approval(BaseModel):
    suggestion_id: int


class Claim(BaseModel):
    worker_id: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    if TUNED:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)


def session() -> Iterator[Session]:
    with SessionLocal() as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


@app.get("/")
def health() -> dict[str, str]:
    return {"message": "Bay Wheels Orchestration & Dispatch Service"}


@app.get("/suggestions", response_model=list[Move])
def suggestions(database: Database) -> list[Suggestion]:
    return database.query(Suggestion).all()


@app.post("/task/approve", response_model=TaskOut)
def approve(body: Approval, database: Database) -> Task:
    suggestion = database.query(Suggestion).filter(Suggestion.id == body.suggestion_id).first()
    if suggestion is None:
        raise HTTPException(404, "Suggestion not found")
    task = Task(
        from_station_id=suggestion.from_station_id,
        to_station_id=suggestion.to_station_id,
        qty=suggestion.qty,
        reason=suggestion.reason,
        status=Status.READY,
    )
    database.add(task)
    database.delete(suggestion)
    database.commit()
    database.refresh(task)
    return task


@app.post("/dispatch/next", response_model=TaskOut)
def dispatch(body: Claim, database: Database) -> Task:
    ready = select(Task).where(Task.status == Status.READY).order_by(Task.created_at.asc())
    task = database.execute(ready.with_for_update(skip_locked=True).limit(1)).scalar_one_or_none()
    if task is None:
        raise HTTPException(404, "No available tasks")
    task.status = Status.ASSIGNED
    task.worker_id = body.worker_id
    database.commit()
    database.refresh(task)
    return task


@app.post("/task/{task_id}/complete", response_model=TaskOut)
def complete(task_id: int, database: Database) -> Task:
    task = database.query(Task).filter(Task.id == task_id).first()
    if task is None:
        raise HTTPException(404, "Task not found")
    task.status = Status.COMPLETED
    database.commit()
    database.refresh(task)
    return task


def create_tables() -> None:
    Base.metadata.create_all(engine)
