"""Proxies in front of an app: the middleware `ProxyFix`. Inside a Quaff app, `TRUSTED_PROXIES` does the same and more."""

from .middleware import ProxyFix

__all__ = ["ProxyFix"]
