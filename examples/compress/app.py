import time

from quaff import Quaff, request
from quaff.ext.compress import Compress

app = Quaff(__name__)
compress = Compress(app)


@app.get("/")
def page():
    rows = "".join(f"<li>Item {number}</li>\n" for number in range(1000))
    return f"<!doctype html><title>Compressed</title><ul>{rows}</ul>"


@app.get("/report")
@compress.compressed(algorithm=["br", "gzip"], br_level=9)
def report():
    return [{"item": number, "count": number * number} for number in range(1000)]


@app.get("/steps")
def steps():
    def lines():
        # Each line is in the browser before the next one is made.
        for number in range(1, 4):
            yield f"<p>step {number}</p>\n"
            time.sleep(0.2)

    return lines()


@app.get("/token")
@compress.exempt
def token():
    # A secret beside something that the request chose: its size would tell (BREACH).
    return f"<p>Hello {request.args.get('name', '')}</p>" + "<p>secret</p>\n" * 100


if __name__ == "__main__":
    app.run(port=5001)
