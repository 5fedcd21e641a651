from quaff import Flask, request

app = Flask(__name__)
app.logger.setLevel("INFO")


@app.before_first_request
def prepare():
    app.logger.info("first request")


@app.before_request
def log_headers():
    app.logger.info("Headers: %s", request.headers)


@app.after_request
def deny_frames(response):
    response.headers["X-Frame-Options"] = "DENY"
    return response


@app.teardown_request
def note_error(error=None):
    if error is not None:
        app.logger.error("the request failed: %r", error)


@app.route("/")
def hello():
    return "Hello, World!"


@app.route("/fail")
def fail():
    raise ValueError("on purpose")


if __name__ == "__main__":
    app.run(port=5001)
