"""Values as objects in a bucket of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from ...._internal.imports import need
from ..backends.base import BaseCache, StoreMissing
from ..keys import stored_key
from ..serializers import SafeSerializer


class GoogleCloudStorageCache(BaseCache):
    """Keeps values in a bucket, with `Custom-Time` as the time when they expire.

    Expired objects stay until they are read or until a life-cycle rule of the bucket deletes them:
    `{"rule": [{"action": {"type": "Delete"}, "condition": {"daysSinceCustomTime": 0}}]}`.

    :param bucket: the name of a bucket that exists.
    :param key_prefix: stands before each key.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param delete_expired_objects_on_read: whether an expired object is deleted when it is found.
    :param anonymous: whether to go without credentials, for tests.
    :param kwargs: for `google.cloud.storage.Client`.
    """

    is_remote = True
    is_shared = True
    serializer: Any = SafeSerializer()

    def __init__(
        self,
        bucket: str,
        key_prefix: str | None = None,
        default_timeout: int = 300,
        delete_expired_objects_on_read: bool = False,
        anonymous: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(default_timeout, kwargs.pop("ignore_delete_many_errors", False))
        if not isinstance(bucket, str):
            raise ValueError("GCSCache bucket parameter must be a string")
        self._storage = _load("google.cloud.storage")
        self._exceptions = _load("google.cloud.exceptions")
        if anonymous:
            kwargs = {
                "credentials": _load("google.auth.credentials").AnonymousCredentials(),
                "project": "test",
                **kwargs,
            }
        self._client = self._storage.Client(**kwargs)
        self.bucket = self._client.get_bucket(bucket)
        self.key_prefix = key_prefix or ""
        self.delete_expired_objects_on_read = delete_expired_objects_on_read

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        return cls(config["CACHE_GCS_BUCKET"], *args, **{"key_prefix": config["CACHE_KEY_PREFIX"], **kwargs})

    @property
    def location(self) -> str:
        """The bucket."""
        return f"gs://{self.bucket.name}"

    def _name(self, key: str) -> str:
        return stored_key(key, self.key_prefix)

    def _find(self, name: str) -> Any:
        blob = self.bucket.get_blob(name)
        if blob is None or not blob.custom_time or datetime.now(UTC) <= blob.custom_time:
            return blob
        if self.delete_expired_objects_on_read:
            self._delete([name])
        return None

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        blob = self._find(self._name(key))
        if blob is None:
            return None
        try:
            return self.serializer.loads(blob.download_as_bytes())
        except self._exceptions.NotFound:
            return None

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        return self._find(self._name(key)) is not None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value; tell whether it was stored."""
        blob = self.bucket.blob(self._name(key))
        seconds = self._normalize_timeout(timeout)
        if seconds:
            blob.custom_time = datetime.now(UTC) + timedelta(seconds=seconds)
        try:
            blob.upload_from_string(self.serializer.dumps(value), content_type="application/octet-stream")
        except self._exceptions.TooManyRequests:
            return False
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        return False if self.has(key) else self.set(key, value, timeout)

    def delete(self, key: str) -> bool:
        """Delete the value at *key*."""
        return self._delete([self._name(key)])

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete values; return their keys."""
        self._delete(map(self._name, keys))
        return list(keys)

    def clear(self) -> bool:
        """Delete all values with the prefix."""
        blobs = self._client.list_blobs(self.bucket, prefix=self.key_prefix, fields="items(name),nextPageToken")
        names: Iterator[str] = (blob.name for blob in blobs)
        while batch := list(islice(names, 100)):
            self._delete(batch)
        return True

    def _delete(self, names: Iterable[str]) -> bool:
        try:
            with self._client.batch():
                for name in names:
                    self.bucket.delete_blob(name)
        except (self._exceptions.NotFound, self._exceptions.TooManyRequests):
            pass
        return True


def _load(module: str) -> Any:
    try:
        return need(module, "caching", "A cache in Google Cloud Storage")
    except ImportError as error:
        raise StoreMissing("no google-cloud-storage module found. Run: pip install google-cloud-storage") from error
