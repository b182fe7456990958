import asyncio
import weakref

from starlette.types import Message

from router.api.asgi import DisconnectWatcher


async def test_a_watch_that_stopped_leaves_nothing_to_the_garbage_collector() -> None:
    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable: nobody leaves")

    watch = DisconnectWatcher(receive)
    await asyncio.sleep(0)
    watch.stop()
    remains = weakref.ref(watch)
    del watch
    await asyncio.sleep(0.01)
    assert remains() is None
