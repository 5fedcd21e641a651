"""Small tools that know nothing of HTTP: sentinels, lazy references, change tracking, generated code, deprecations.

Nothing here imports another room of Quaff. Users should not import from here; names may change without notice.
"""
