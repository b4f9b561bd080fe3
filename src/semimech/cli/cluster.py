"""The processes that a command works in, beside its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from semimech._errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

    from semimech.cli.display import Display
    from semimech.data import Dataset
    from semimech.pipeline import Source

_SECONDS = 30
"""How long a cluster is waited for."""


def read_on(scheduler: str | None, source: Source, out: Path, display: Display) -> Dataset:
    """Read a data set; if it is streamed, on the Dask cluster at an address, if one is given."""
    with cluster(scheduler) as client:
        return display.read(source, out, executor=None if client is None else client.get_executor())


@contextmanager
def cluster(scheduler: str | None, workers: int | None = None) -> Iterator[Client | None]:
    """A client of the Dask cluster at an address, or of one on this machine; ``None`` if neither is asked for.

    Raises
    ------
    ConfigError
        If both are asked for, Dask is missing, or there is no cluster at the address.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise ConfigError("--scheduler and --workers: a cluster has workers of its own; give one of the two")
    if find_spec("distributed") is None:
        raise ConfigError("--scheduler and --workers need Dask: pip install 'semimech[cluster]'")
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        try:
            place = scheduler or stack.enter_context(
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", memory_limit=0)
            )
            client = stack.enter_context(Client(place, timeout=_SECONDS, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"--scheduler {scheduler}: no Dask cluster there ({error}); start one with 'dask scheduler' and 'dask worker ADDRESS --nthreads 1'"
            ) from None
        yield client
