"""A removal that was asked for behind a start."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock, MagicMock

import pytest

from runtime.engine.container import Container
from runtime.engine.records import ContainerRecord
from runtime.errors import Conflict


@pytest.mark.parametrize("force", [True, False])
def test_a_forced_removal_ends_the_run_whose_start_came_first(force: bool) -> None:
    async def main() -> Container:
        record = ContainerRecord(
            id="1" * 64, name="a", created="", image="", config={}, host_config={}, status="created"
        )
        container = Container(MagicMock(sandboxes=MagicMock(release=AsyncMock())), record)

        async def start() -> None:
            record.status = "running"

        async def stop(*_: object) -> bool:
            record.status = "exited"
            return True

        container.stop = stop  # type: ignore[method-assign, assignment]
        container.post(start)
        try:
            await container.remove(force=force, volumes=False)
        finally:
            await container.close()
        return container

    if force:
        assert asyncio.run(main()).gone
    else:
        with pytest.raises(Conflict, match="started meanwhile"):
            asyncio.run(main())
