"""The batteries: what every web application collects beside the framework, built in.

Each is a folder: settings, the verdicts as pure functions, and `extension.py` with the class that users know. It hands
parts to the pipeline (`pipeline/parts.py`) and imports no other battery. Under the Flask alias, the extension whose place
it takes (`flask_cors`, `flask_limiter`, ...) is the same object (`compat/aliases.py`).
"""
