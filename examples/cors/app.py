from quaff import Quaff, abort, request
from quaff.ext.cors import CORS, cross_origin

# Open http://localhost:5001/ and look at the console of the browser: that page is of another origin than the API that it
# asks, http://127.0.0.1:5001/.
PAGE = """<!doctype html>
<title>A page of another site</title>
<script>
  const ask = (path, options) =>
    fetch(`http://127.0.0.1:${location.port}${path}`, options).then(async (answer) =>
      console.log(path, answer.status, await answer.text()), (error) => console.log(path, error.message));
  ask("/prices");
  ask("/api/orders", { method: "PUT", headers: { "X-Client": "page" } });
  ask("/api/broken");
  ask("/internal");
</script>
"""

app = Quaff(__name__)
orders = []
CORS(
    app,
    resources={"/api/*": {"origins": "http://localhost:*", "max_age": 600}},
    methods=["GET", "PUT"],
    allow_headers=["X-Client"],
)


@app.before_request
def only_with_a_client():
    # Preflights do not come here: they carry no headers of the page.
    if request.path.startswith("/api/orders") and "X-Client" not in request.headers:
        abort(403)


@app.get("/")
def page():
    return PAGE


@app.get("/prices")
@cross_origin(send_wildcard=True)
def prices():
    return {"tea": 3, "coffee": 4}


@app.put("/api/orders")
def order():
    orders.append(request.headers["X-Client"])
    return {"orders": len(orders)}


@app.get("/api/broken")
def broken():
    raise ZeroDivisionError("on purpose")


@app.get("/internal")
def internal():
    return "for pages of this site only"


if __name__ == "__main__":
    app.run(port=5001)
