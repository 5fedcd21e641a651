"""Values in Google Cloud Storage. A stand-in for its client is used: the service is not to be had here."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from quaff.ext.caching.backends.base import StoreMissing
from quaff.ext.caching.contrib import googlecloudstoragecache
from quaff.ext.caching.contrib.googlecloudstoragecache import GoogleCloudStorageCache
from quaff.ext.caching.settings import read_settings
from tests.ext.caching.stores import StoreTests


class NotFound(Exception):
    """An object is not there."""


class TooManyRequests(Exception):
    """The service refuses."""


class Blob:
    """An object in a bucket."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self.bucket, self.name = bucket, name
        self.custom_time: datetime | None = None
        self.content = b""

    def upload_from_string(self, content: bytes, content_type: str) -> None:
        if self.bucket.refuses:
            raise TooManyRequests
        self.content = content
        self.bucket.blobs[self.name] = self

    def download_as_bytes(self) -> bytes:
        if self.name not in self.bucket.blobs:
            raise NotFound
        return self.content


class Bucket:
    """A bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blobs: dict[str, Blob] = {}
        self.refuses = False

    def blob(self, name: str) -> Blob:
        return Blob(self, name)

    def get_blob(self, name: str) -> Blob | None:
        return self.blobs.get(name)

    def delete_blob(self, name: str) -> None:
        if self.blobs.pop(name, None) is None:
            raise NotFound


class Client:
    """A client with one bucket."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def get_bucket(self, name: str) -> Bucket:
        return Bucket(name)

    def batch(self) -> Any:
        return nullcontext()

    def list_blobs(self, bucket: Bucket, prefix: str, fields: str) -> list[Blob]:
        return [blob for name, blob in bucket.blobs.items() if name.startswith(prefix)]


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins in the place of Google's libraries."""
    modules = {
        "google.cloud.storage": SimpleNamespace(Client=Client),
        "google.cloud.exceptions": SimpleNamespace(NotFound=NotFound, TooManyRequests=TooManyRequests),
        "google.auth.credentials": SimpleNamespace(AnonymousCredentials=lambda: "anonymous"),
    }
    monkeypatch.setattr(googlecloudstoragecache, "_load", modules.__getitem__)


class TestGoogleCloudStorageCache(StoreTests):
    @pytest.fixture
    def store(self) -> Any:
        return GoogleCloudStorageCache("bucket", key_prefix="p/", anonymous=True)

    def test_one_of_many_adds(self, store: Any) -> None:
        """This service cannot promise that; the first of two that do not meet adds."""
        assert [store.add("a", 1), store.add("a", 2)] == [True, False]


def test_expiry() -> None:
    """What has expired is missing, and deleted when it is found if that is wanted."""
    store = GoogleCloudStorageCache("bucket", delete_expired_objects_on_read=True)
    store.set("a", 1)
    [blob] = store.bucket.blobs.values()
    blob.custom_time = datetime.now(UTC) - timedelta(seconds=1)
    assert store.get("a") is None
    assert store.bucket.blobs == {}


def test_settings() -> None:
    """Bucket and prefix come from the settings; a bucket has to be named."""
    config = read_settings({"CACHE_GCS_BUCKET": "mine"}).config
    store = GoogleCloudStorageCache.factory(None, config, [], {"default_timeout": 5, "anonymous": True})
    assert (store.location, store.key_prefix, store.default_timeout) == ("gs://mine", "flask_cache_", 5)
    assert store._client.options == {"credentials": "anonymous", "project": "test"}
    with pytest.raises(ValueError, match="must be a string"):
        GoogleCloudStorageCache.factory(None, read_settings({}).config, [], {})


def test_a_service_that_refuses() -> None:
    """Too many requests: nothing is stored; an object that vanished is missing."""
    store = GoogleCloudStorageCache("bucket")
    store.bucket.refuses = True
    assert not store.set("a", 1)
    store.bucket.refuses = False
    store.set("a", 1)
    blob = store.bucket.blobs["a"]
    store.bucket.get_blob = lambda name: blob
    store.bucket.blobs.clear()
    assert store.get("a") is None


def test_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.undo()
    with pytest.raises(StoreMissing, match="pip install google-cloud-storage"):
        GoogleCloudStorageCache("bucket")
