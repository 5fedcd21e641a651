"""What Quaff costs, measured against Flask, Falcon and a bare WSGI function on the same machine in the same run.

`run.py` is the way in (`make bench`); `README.md` says how each figure is taken and why it is fair.
Everything that runs in the caller's interpreter uses the standard library only. What is measured runs in child
processes of the environments that `environment.py` makes.
"""
