from werkzeug.middleware.proxy_fix import ProxyFix

from quaff import Flask, request

app = Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app)


@app.route("/")
def who():
    return f"{request.remote_addr} over {request.scheme}"


if __name__ == "__main__":
    app.run(port=5001)
