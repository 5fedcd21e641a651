"""Values in files of one directory."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cachelib import FileSystemCache as CachelibFileSystemCache

from ..clock import file as clock
from ..keys import Hash
from ..serializers import SafeSerializer
from .base import BaseCache
from .simplecache import _old_name

logger: Final = logging.getLogger("quaff.caching")


class FileSystemCache(BaseCache, CachelibFileSystemCache):
    """Keeps each value in a file. Processes of one machine share it. Nothing else may be in the directory.

    SECURITY: the directory, and those above it that are made, are for the owner alone (0700), files are 0600 whatever
    the umask is (CVE-2020-24583). Files hold plain data, never pickles.

    :param cache_dir: the directory; it is made if it is not there.
    :param threshold: how many values are kept; 0 is any number.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param mode: of the files.
    :param hash_method: for the file names.
    :param ignore_errors: COMPAT: the old name of `ignore_delete_many_errors`.
    """

    is_shared = True
    serializer: Any = SafeSerializer()

    def __init__(
        self,
        cache_dir: str | os.PathLike[str],
        threshold: int = 500,
        default_timeout: int = 300,
        mode: int = 0o600,
        hash_method: Hash = hashlib.sha256,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
    ) -> None:
        self._has_failed = False
        make_private_directory(Path(cache_dir))
        CachelibFileSystemCache.__init__(
            self,
            cache_dir=os.fspath(cache_dir),
            threshold=threshold,
            default_timeout=default_timeout,
            mode=mode,
            hash_method=hash_method,
            ignore_delete_many_errors=_old_name(ignore_errors, ignore_delete_many_errors),
        )

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        kwargs.setdefault("threshold", config["CACHE_THRESHOLD"])
        kwargs.setdefault("hash_method", config["CACHE_FILE_HASH_METHOD"])
        return cls(config["CACHE_DIR"], *args, **kwargs)

    @property
    def location(self) -> str:
        """The directory."""
        return self._path

    def _get_filename(self, key: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(f"Key must be a string, received type {type(key)}")
        return os.path.join(self._path, self._hash_method(key.encode("utf-8", "surrogatepass")).hexdigest())

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        found = self._read(key)
        return None if found is None else self.serializer.loads(found)

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        return self._read(key) is not None

    def _read(self, key: str) -> bytes | None:
        try:
            with open(self._get_filename(key), "rb") as file:
                header = file.read(4)
                expires = struct.unpack("I", header)[0]
                return file.read() if expires == 0 or expires >= clock.time() else None
        except FileNotFoundError:
            return None
        except (OSError, struct.error) as error:
            self._note_failure(error)
            return None

    def set(self, key: str, value: Any, timeout: Any = None, mgmt_element: bool = False) -> bool:
        """Store a value; tell whether it was stored.

        :param timeout: seconds or a timedelta; None is the default, 0 for ever.
        :param mgmt_element: whether this is the store's own count of its files.
        """
        content = self.serializer.dumps(value)
        if content is None:
            return False
        if mgmt_element:
            timeout = 0
        else:
            self._prune()
        filename = self._get_filename(key)
        is_new = not os.path.isfile(filename)
        try:
            self._write(filename, struct.pack("I", self._normalize_timeout(timeout)) + content)
        except (OSError, struct.error) as error:
            self._note_failure(error)
            return False
        if self._has_failed:
            self._has_failed = False
            logger.warning("cache in %s is available again", self._path)
        if is_new and not mgmt_element:
            self._update_count(delta=1)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored. Of several processes, one succeeds."""
        lock = f"{self._get_filename(key)}{self._fs_transaction_suffix}"
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            # Who made it may have died since.
            with suppress(OSError):
                if clock.time() - os.stat(lock).st_mtime > 10:
                    os.remove(lock)
            return False
        except OSError as error:
            self._note_failure(error)
            return False
        try:
            return False if self.has(key) else self.set(key, value, timeout)
        finally:
            os.close(descriptor)
            with suppress(OSError):
                os.remove(lock)

    def _write(self, filename: str, content: bytes) -> None:
        """Put a file in its place as a whole: readers see the old one or the new one, and a full disk leaves the old one."""
        descriptor, temporary = tempfile.mkstemp(suffix=self._fs_transaction_suffix, dir=self._path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, self._mode or 0o600)
            self._run_safely(os.replace, temporary, filename)
        except BaseException:
            with suppress(OSError):
                os.remove(temporary)
            raise

    def _note_failure(self, error: Exception) -> None:
        """Say once that the directory cannot be used, until it can be again."""
        if isinstance(error, struct.error):
            logger.warning("A file in %s is damaged; it counts as missing.", self._path)
        elif not self._has_failed:
            self._has_failed = True
            logger.error("cache in %s is unavailable: %s: %s", self._path, type(error).__name__, error)


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for the owner alone, whatever the umask is.

    A directory that is there keeps its mode; the log warns when everybody may write to it.
    """
    missing = []
    parent = path
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for directory in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700)
            os.chmod(directory, 0o700)
    mode = path.stat().st_mode
    if not missing and os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        logger.warning("Everybody on this machine may change what is cached in %s. Run: chmod go-w %s", path, path)
