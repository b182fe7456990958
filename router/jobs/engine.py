"""The durable engine under jobs: DBOS, a library that checkpoints steps in a database and runs them again after a kill.

Only this module knows it. It is loaded with the first job, or at a start that finds unfinished ones. It writes JSON,
opens no port, sends nothing anywhere and logs only errors. Jobs run in the event loop of the server; what DBOS does for
them happens in its own threads.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine

from router.database.engine import sqlite_path
from router.database.private import make_file
from router.jobs.workflow import Json

if TYPE_CHECKING:
    from dbos import DBOS

STEPS_VERSION = 1  # of the order of a job's steps: jobs of another one cannot be gone on with
APPLICATION = "tierwise"
WORKFLOW = "tierwise.job"
QUEUE = "tierwise.jobs"
SCHEMA = "dbos"
POLL_S = 0.5
MOST_PRIORITY = 2**31 - 1
Run = Callable[[str, "DurableSteps"], Awaitable[None]]
Result = TypeVar("Result")


class RecordedError(Exception):
    """An error of a step as it was checkpointed."""


class JsonSerializer:
    """Writes what DBOS stores as JSON; its own way would be pickle, which runs what it reads."""

    def serialize(self, value: Any) -> str:
        """Write a value; an exception by its words."""
        if isinstance(value, BaseException):
            value = {ERROR: f"{type(value).__name__}: {value}"}
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """Read it back."""
        value = json.loads(serialized_data)
        return RecordedError(value[ERROR]) if isinstance(value, dict) and ERROR in value else value

    def name(self) -> str:
        """Name the way of writing, as DBOS stores it beside each value."""
        return "tierwise_json"


ERROR = "$error"


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many jobs run in this worker, and of one segment in all; how many begin a minute (None: no limit)."""

    per_worker: int
    per_segment: int
    per_minute: int | None = None


class DurableSteps:
    """The checkpoints of one run of a job. `loop` is DBOS's, in which its bookkeeping is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def step(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        """Do a piece of work in the loop of the caller, or return what it returned in an earlier run."""
        from dbos import DBOS

        home = asyncio.get_running_loop()

        async def at_home() -> Json:
            return await across(home, work())

        return await across(self._loop, DBOS.run_step_async({"name": name}, at_home))


class JobEngine:
    """Launches DBOS and hands jobs to it. Everything here blocks, and belongs to a thread of its own."""

    def __init__(self, books: Engine, state_dir: Path, worker: str, limits: QueueLimits) -> None:
        self._books = books
        self._state_dir = state_dir
        self._limits = limits
        self._dbos: DBOS | None = None
        self.worker = worker

    @property
    def is_running(self) -> bool:
        """Tell whether jobs can be handed over."""
        return self._dbos is not None

    def launch(self, home: asyncio.AbstractEventLoop, run: Run) -> None:
        """Load and start DBOS, which runs jobs in the loop `home`; raises SQLAlchemyError where a database is away."""
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # or it would add one of its own
        from dbos import DBOS, DBOSConfig, _dbos, _serialization

        if _dbos._dbos_global_instance is not None:
            raise RuntimeError("jobs run already, of another server in this process")
        serializer: Any = JsonSerializer()
        _serialization.DBOSDefaultSerializer = serializer  # nothing is ever unpickled, whatever a row says
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._address(),
            "dbos_system_schema": SCHEMA,
            "application_version": f"jobs-{STEPS_VERSION}",
            "executor_id": self.worker,
            "serializer": serializer,
            "enable_otlp": False,
            "use_listen_notify": False,
            "log_level": "ERROR",
            "sys_db_pool_size": 5,
            "scheduler_polling_interval_sec": 3600.0,
        }

        async def job(job_id: str) -> None:
            steps = DurableSteps(asyncio.get_running_loop())
            await across(home, run(job_id, steps))

        dbos = DBOS(config=config)
        try:
            DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(job)
            DBOS.launch()
            limits, rate = self._limits, self._limits.per_minute
            DBOS.register_queue(
                QUEUE,
                worker_concurrency=limits.per_worker,
                partition_concurrency=limits.per_segment,
                limiter=None if rate is None else {"limit": rate, "period": 60.0},
                polling_interval_sec=POLL_S,
                on_conflict="always_update",
            )
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            raise
        self._dbos = dbos

    def hand_over(self, job_id: str, segment: str, priority: int) -> None:
        """Put a job into the queue; nothing happens where it is there."""
        from dbos import DBOS, EnqueueOptions

        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": job_id,
            "priority": min(max(priority, 1), MOST_PRIORITY),
            "queue_partition_key": segment,
        }
        DBOS.enqueue_workflow_with_options(options, job_id)

    def take_over(self, workers: Sequence[str]) -> None:
        """Put what dead workers ran back into the queue."""
        from dbos import DBOS

        DBOS._recover_pending_workflows(list(workers))

    def read_steps(self, job_id: str) -> Iterable[Any]:
        """Read what the steps of a job returned."""
        from dbos import DBOS

        return [step["output"] for step in DBOS.list_workflow_steps(job_id) if step["output"] is not None]

    def forget(self, job_ids: Sequence[str]) -> None:
        """Remove all that is stored of jobs."""
        from dbos import DBOS

        if job_ids:
            DBOS.delete_workflows(list(job_ids))

    def stop(self) -> None:
        """Stop; what runs goes on in another worker."""
        if self._dbos is not None:
            from dbos import DBOS

            self._dbos = None
            DBOS.destroy(destroy_registry=True)

    def _address(self) -> str:
        """The database of the engine: a file of its own beside the spool, or a schema of the books' PostgreSQL."""
        if sqlite_path(str(self._books.url)) is None:
            return self._books.url.render_as_string(hide_password=False)
        path = self._state_dir / "jobs.db"
        make_file(path)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.close()
        return f"sqlite:///{path}"


async def across(loop: asyncio.AbstractEventLoop, work: Awaitable[Result]) -> Result:
    """Await something in another event loop, with the context of here."""

    async def there() -> Result:
        return await work

    coroutine: Coroutine[Any, Any, Result] = there()
    if loop is asyncio.get_running_loop():
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
