"""What happens to a request between the server and the view, twice: as reference and compiled per route.

`reference.py` is Flask's way, through the app's overridable methods. `compile.py` writes one function for a route out of
the lines that `steps.py` knows for each phase (`phases.py`), with everything left out that `plan.py` found unused;
`table.py` holds the compiled routes of one revision of the app. The two must never be told apart: `tests/differential/`
compares them.
"""
