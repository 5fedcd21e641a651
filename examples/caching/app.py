import time

from quaff import Quaff, render_template_string, request, session
from quaff.ext.caching import Cache

app = Quaff(__name__)
app.secret_key = "only for this example"
app.config["CACHE_TYPE"] = "SimpleCache"
cache = Cache(app)

prices = {"tea": 3, "coffee": 4}

SHOP = """<!doctype html>
<title>Shop</title>
<ul>{% for item, price in items.items() %}<li>{{ item }}: {{ price }}</li>{% endfor %}</ul>
<p>made at {{ now }}</p>
{% cache 3600, "footer" %}<footer>rendered once, at {{ now }}</footer>{% endcache %}
"""


@cache.memoize(60, tags=["prices"])
def price_with_tax(item: str) -> float:
    time.sleep(0.2)  # a slow calculation
    return round(prices[item] * 1.2, 2)


@app.get("/")
@cache.cached(30, tags=["prices"])
def shop():
    items = {item: price_with_tax(item) for item in prices}
    return render_template_string(SHOP, items=items, now=time.time())


@app.get("/hello")
@cache.cached(30)
def hello():
    # It reads the session, so it is never shared: each visitor gets a page of their own.
    session["visits"] = session.get("visits", 0) + 1
    return f"Visit {session['visits']}"


@app.get("/language")
@cache.cached(30)
def language():
    # It reads a header, so there is one page for each of its values.
    return f"{request.accept_languages.best_match(['de', 'en'])} {time.time()}"


@app.get("/news")
@cache.cached(1, stale_for=60)
def news():
    # After a second it is made anew in the background; nobody waits for it.
    return f"News of {time.time()}"


@app.post("/prices/<item>/<int:price>")
def change(item: str, price: int):
    prices[item] = price
    cache.delete_tagged("prices")
    return {item: price}


if __name__ == "__main__":
    app.run(port=5001)
