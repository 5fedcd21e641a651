from quaff import Quaff, request
from quaff.ext.limiter import Limiter

# Try: for i in 1 2 3 4; do curl -i http://localhost:5001/search; done
app = Quaff(__name__)
limiter = Limiter(
    app=app,
    default_limits=["3/minute"],
    application_limits=["100/minute"],
    headers_enabled=True,
)


def api_key():
    return request.headers.get("X-Api-Key") or request.remote_addr


@app.get("/search")
def search():
    left = limiter.current_limit.remaining
    return f"found; you may search {left} more times"


@app.get("/report")
@limiter.limit("4/minute", key_func=api_key, cost=2)
def report():
    return "a report costs two"


@app.post("/login")
@limiter.limit("2/minute", deduct_when=lambda response: response.status_code == 401, on_store_failure="fail_closed")
def login():
    return ("in", 200) if request.form.get("password") == "tea" else ("out", 401)


@app.get("/health")
@limiter.exempt
def health():
    return "ok"


@app.errorhandler(429)
def too_often(error):
    return f"too often: {error.description}", 429


if __name__ == "__main__":
    app.run(port=5001)
