from quaff import Flask


class RequestLog:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        print(f"request: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}", flush=True)
        return self.app(environ, start_response)


app = Flask(__name__)
app.wsgi_app = RequestLog(app.wsgi_app)


@app.route("/")
def hello():
    return "Hello, World!"


if __name__ == "__main__":
    app.run(port=5001)
