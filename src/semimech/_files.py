"""Writing a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from semimech._errors import ConfigError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Lend a temporary path that takes the place of ``path`` when the block ends well.

    A reader sees the old file or the new one, never a part; a block that fails leaves the old one.

    Parameters
    ----------
    path
        Where the file shall stand; missing folders are made.

    Yields
    ------
    pathlib.Path
        A path in the same folder, with the same ending, to write to.

    Raises
    ------
    ConfigError
        If the place cannot be written to.

    Examples
    --------
    >>> with replacing("results/scores.parquet") as temporary:  # doctest: +SKIP
    ...     scores.to_parquet(temporary)
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}); name another place") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
