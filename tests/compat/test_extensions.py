"""Extensions as they are released, on top of Quaff, each doing what it is for.

They import `flask`, which is Quaff here, although the real Flask is installed beside them as their dependency. Each test
runs in both pipelines.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import quaff

pytestmark = [
    # What an extension's own code is warned of is not ours; what Quaff says about removed names would be.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("error::quaff.compat.patching.RemovedName"),
    pytest.mark.filterwarnings("error::quaff.compat.patching.RemovedModule"),
]

Load = Callable[[str], Any]


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in both pipelines, with the extensions as they are and no battery in their place."""
    monkeypatch.setenv("QUAFF_COMPILED", "1" if request.param == "compiled" else "0")
    monkeypatch.setenv("QUAFF_BATTERIES", "0")


@pytest.fixture
def load(flask: ModuleType) -> Iterator[Load]:
    """Give a function that imports an extension on top of Quaff, or skips the test when it is not installed."""
    # One that another test has imported, on top of the real Flask, is not what is meant.
    loaded = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_extension(name)}

    def load(name: str) -> Any:
        return pytest.importorskip(name, reason=f"{name} is not installed")

    yield load
    # Another test may want the extension on top of the real Flask, or of a fresh one.
    for name in list(sys.modules):
        if _is_extension(name):
            del sys.modules[name]
    sys.modules.update(loaded)


def _is_extension(name: str) -> bool:
    return name.split(".", maxsplit=1)[0].startswith(("flask_", "wtforms"))


@pytest.fixture
def app(flask: ModuleType) -> quaff.Quaff:
    """Give an app, made as a program that imports `flask` makes it."""
    app: quaff.Quaff = flask.Flask("program")
    app.config.update(SECRET_KEY="secret for the tests, long enough for every algorithm", TESTING=True)
    return app


def test_the_app_is_quaffs(app: quaff.Quaff) -> None:
    """What follows really runs on Quaff."""
    assert type(app) is quaff.Quaff
    assert importlib.metadata.version("flask") == "3.1.3"


class TestLogin:
    """Flask-Login."""

    @pytest.fixture(autouse=True)
    def routes(self, load: Load, app: quaff.Quaff) -> None:
        """Make an app with a user, who can log in and out."""
        flask_login = load("flask_login")

        class User(flask_login.UserMixin):  # type: ignore[misc, name-defined]
            id = "ada"

        manager = flask_login.LoginManager(app)
        manager.login_view = "login"
        manager.user_loader(lambda name: User() if name == "ada" else None)

        @app.route("/login", methods=["GET", "POST"])
        def login() -> str:
            flask_login.login_user(User(), remember=True)
            return "in"

        @app.route("/private")
        @flask_login.login_required  # type: ignore[untyped-decorator]
        def private() -> str:
            return f"hello {flask_login.current_user.id}"

        @app.route("/fresh")
        @flask_login.fresh_login_required  # type: ignore[untyped-decorator]
        def fresh() -> str:
            return "fresh"

        @app.route("/logout")
        def logout() -> str:
            flask_login.logout_user()
            return "out"

        @app.route("/who")
        def who() -> dict[str, bool]:
            return {"known": flask_login.current_user.is_authenticated}

    def test_a_stranger_is_sent_to_the_login_page(self, app: quaff.Quaff) -> None:
        """The place they wanted goes along."""
        response = app.test_client().get("/private")
        assert response.status_code == 302
        assert response.location == "/login?next=%2Fprivate"

    def test_logging_in_and_out(self, app: quaff.Quaff) -> None:
        """The session knows the user until they leave."""
        client = app.test_client()
        assert client.get("/who").json == {"known": False}
        client.post("/login")
        assert client.get("/private").text == "hello ada"
        assert client.get("/fresh").text == "fresh"
        client.get("/logout")
        assert client.get("/private").status_code == 302

    def test_the_remember_cookie(self, app: quaff.Quaff) -> None:
        """Without the session the cookie logs in again, but not freshly."""
        client = app.test_client()
        client.post("/login")
        assert client.get_cookie("remember_token") is not None
        client.delete_cookie("session")
        assert client.get("/private").text == "hello ada"
        assert client.get("/fresh").status_code == 401

    def test_its_own_test_client(self, load: Load, app: quaff.Quaff) -> None:
        """`FlaskLoginClient`, which builds on Flask's, logs a user in from the start."""
        flask_login = load("flask_login")
        app.test_client_class = flask_login.FlaskLoginClient
        with app.test_request_context():
            user = app.login_manager._user_callback("ada")  # type: ignore[attr-defined]
        assert app.test_client(user=user).get("/private").text == "hello ada"


class TestWTF:
    """Flask-WTF."""

    @pytest.fixture(autouse=True)
    def routes(self, load: Load, flask: ModuleType, app: quaff.Quaff) -> None:
        """Make an app with a form and an upload, protected against forged requests."""
        wtf, wtforms, file = load("flask_wtf"), load("wtforms"), load("flask_wtf.file")
        load("flask_wtf.csrf").CSRFProtect(app)

        class NameForm(wtf.FlaskForm):  # type: ignore[misc, name-defined]
            name = wtforms.StringField(validators=[wtforms.validators.DataRequired()])

        class UploadForm(wtf.FlaskForm):  # type: ignore[misc, name-defined]
            upload = file.FileField(validators=[file.FileRequired(), file.FileAllowed(["txt"])])

        @app.route("/", methods=["GET", "POST"])
        def form() -> Any:
            form = NameForm()
            if form.validate_on_submit():
                return {"name": form.name.data}
            return flask.render_template_string("{{ form.csrf_token }}{{ form.name }}{{ form.errors }}", form=form)

        @app.post("/upload")
        def upload() -> Any:
            form = UploadForm()
            return {"valid": form.validate_on_submit(), "name": form.upload.data and form.upload.data.filename}

    def _token(self, client: Any) -> str:
        found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', client.get("/").text)
        assert found is not None
        return found[1]

    def test_a_form_with_its_token(self, app: quaff.Quaff) -> None:
        """The token of the page is accepted with the session's cookie."""
        client = app.test_client()
        token = self._token(client)
        assert client.post("/", data={"csrf_token": token, "name": "Ada"}).json == {"name": "Ada"}
        assert client.post("/", data={"name": "Ada"}, headers={"X-CSRFToken": token}).json == {"name": "Ada"}
        assert "This field is required" in client.post("/", data={"csrf_token": token}).text

    @pytest.mark.parametrize("token", [None, "", "forged"])
    def test_a_forged_request(self, app: quaff.Quaff, token: str | None) -> None:
        """Without the token, or with another, the request is a 400."""
        client = app.test_client()
        self._token(client)
        response = client.post("/", data={"csrf_token": token, "name": "Ada"} if token is not None else {"name": "Ada"})
        assert response.status_code == 400
        assert "CSRF" in response.text

    def test_an_upload(self, app: quaff.Quaff) -> None:
        """Files are validated by their names."""
        import io

        client = app.test_client()
        token = self._token(client)
        for name, valid in (("a.txt", True), ("a.exe", False)):
            data = {"csrf_token": token, "upload": (io.BytesIO(b"text"), name)}
            assert client.post("/upload", data=data).json == {"valid": valid, "name": name}


class TestSQLAlchemy:
    """Flask-SQLAlchemy."""

    @pytest.fixture
    def db(self, load: Load, app: quaff.Quaff) -> Iterator[Any]:
        """Make an app with a model and routes that read and write it."""
        extension, orm = load("flask_sqlalchemy"), load("sqlalchemy.orm")
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        app.config["SQLALCHEMY_RECORD_QUERIES"] = True
        db = extension.SQLAlchemy(app)

        class User(db.Model):  # type: ignore[misc, name-defined]
            id = orm.mapped_column(db.Integer, primary_key=True)
            name = orm.mapped_column(db.String, unique=True)

        db.User = User

        @app.post("/users/<name>")
        def add(name: str) -> tuple[dict[str, int], int]:
            user = User(name=name)
            db.session.add(user)
            db.session.commit()
            return {"id": user.id}, 201

        @app.get("/users/<int:number>")
        def show(number: int) -> dict[str, str]:
            return {"name": db.get_or_404(User, number).name}

        @app.get("/users")
        def list_all() -> dict[str, Any]:
            page = db.paginate(db.select(User).order_by(User.id), per_page=2)
            return {"names": [user.name for user in page], "pages": page.pages}

        with app.app_context():
            db.create_all()
        yield db
        with app.app_context():
            db.session.remove()
            db.engine.dispose()

    def test_writing_and_reading(self, db: Any, app: quaff.Quaff) -> None:
        """What one request writes the next one reads; a row that is not there is a 404."""
        client = app.test_client()
        assert client.post("/users/ada").json == {"id": 1}
        assert client.get("/users/1").json == {"name": "ada"}
        assert client.get("/users/2").status_code == 404

    def test_pages(self, db: Any, app: quaff.Quaff) -> None:
        """The page comes from the query string."""
        client = app.test_client()
        for name in "abc":
            client.post(f"/users/{name}")
        assert client.get("/users?page=2").json == {"names": ["c"], "pages": 2}
        assert client.get("/users?page=9").status_code == 404

    def test_a_session_for_each_request(self, db: Any, app: quaff.Quaff) -> None:
        """An error is rolled back at the end of its request, and the session is a new one in the next."""
        client = app.test_client()
        client.post("/users/ada")
        app.testing = False
        assert client.post("/users/ada").status_code == 500
        assert client.post("/users/bob").status_code == 201
        assert client.get("/users").json == {"names": ["ada", "bob"], "pages": 1}

    def test_outside_of_a_context(self, db: Any) -> None:
        """It says what is missing."""
        with pytest.raises(RuntimeError, match="Working outside of application context"):
            db.session.execute(db.select(db.User))

    def test_in_a_context(self, db: Any, app: quaff.Quaff, load: Load) -> None:
        """Scripts use it in an app context; queries are recorded in `g`."""
        queries = load("flask_sqlalchemy.record_queries")
        with app.app_context():
            db.session.add(db.User(name="eve"))
            db.session.commit()
            assert db.session.scalar(db.select(db.User.name)) == "eve"
            assert any("SELECT" in query.statement for query in queries.get_recorded_queries())

    def test_the_shell_knows_the_models(self, db: Any, app: quaff.Quaff) -> None:
        """`flask shell` has the database and the models."""
        with app.app_context():
            context = app.make_shell_context()
        assert context["db"] is db
        assert context["User"] is db.User


class TestAdmin:
    """Flask-Admin."""

    @pytest.fixture(autouse=True)
    def admin(self, load: Load, flask: ModuleType, app: quaff.Quaff) -> Iterator[Any]:
        """Make an app with the admin pages of one model and one page of its own."""
        admin, view = load("flask_admin"), load("flask_admin.contrib.sqla")
        extension, orm = load("flask_sqlalchemy"), load("sqlalchemy.orm")
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db = extension.SQLAlchemy(app)

        class Book(db.Model):  # type: ignore[misc, name-defined]
            id = orm.mapped_column(db.Integer, primary_key=True)
            title = orm.mapped_column(db.String)

        class Page(admin.BaseView):  # type: ignore[misc, name-defined]
            @admin.expose("/")  # type: ignore[untyped-decorator]
            def index(self) -> str:
                return f"page at {flask.url_for('page.index')}"

        pages = admin.Admin(app, name="Library")
        pages.add_view(view.ModelView(Book, db))
        pages.add_view(Page(name="Page"))
        with app.app_context():
            db.create_all()
        yield pages
        with app.app_context():
            db.engine.dispose()

    def test_its_pages(self, app: quaff.Quaff) -> None:
        """Start page, page of one's own, static files."""
        client = app.test_client()
        start = client.get("/admin/")
        assert start.status_code == 200
        assert "Library" in start.text
        assert client.get("/admin/page/").text == "page at /admin/page/"
        static = re.search(r'href="(/admin/static/[^"]+\.css[^"]*)"', start.text)
        assert static is not None
        with client.get(static[1]) as response:
            assert response.mimetype == "text/css"

    def test_editing(self, app: quaff.Quaff) -> None:
        """Create, list, search, edit and delete."""
        client = app.test_client()
        assert client.get("/admin/book/").status_code == 200
        assert client.get("/admin/book/new/").status_code == 200
        assert client.post("/admin/book/new/", data={"title": "Frankenstein"}).status_code == 302
        assert "Frankenstein" in client.get("/admin/book/").text
        assert client.post("/admin/book/edit/?id=1", data={"title": "Dracula"}).status_code == 302
        assert "Dracula" in client.get("/admin/book/").text
        assert client.post("/admin/book/delete/", data={"id": "1"}).status_code == 302
        assert "Dracula" not in client.get("/admin/book/").text


class TestJWT:
    """Flask-JWT-Extended."""

    @pytest.fixture(autouse=True)
    def routes(self, load: Load, flask: ModuleType, app: quaff.Quaff) -> None:
        """Make an app that gives tokens and asks for them."""
        jwt = load("flask_jwt_extended")
        app.config.update(JWT_TOKEN_LOCATION=["headers", "cookies"], JWT_COOKIE_CSRF_PROTECT=True)
        jwt.JWTManager(app)

        @app.post("/login")
        def login() -> Any:
            token = jwt.create_access_token("ada", additional_claims={"role": "admin"}, fresh=True)
            response = flask.jsonify(access=token, refresh=jwt.create_refresh_token("ada"))
            jwt.set_access_cookies(response, token)
            return response

        @app.route("/private", methods=["GET", "POST"])
        @jwt.jwt_required()  # type: ignore[untyped-decorator]
        def private() -> dict[str, str]:
            return {"who": jwt.get_jwt_identity(), "role": jwt.get_jwt().get("role", "")}

        @app.post("/refresh")
        @jwt.jwt_required(refresh=True)  # type: ignore[untyped-decorator]
        def refresh() -> dict[str, str]:
            return {"access": jwt.create_access_token(jwt.get_jwt_identity(), fresh=False)}

        @app.get("/fresh")
        @jwt.jwt_required(fresh=True)  # type: ignore[untyped-decorator]
        def fresh() -> str:
            return "fresh"

    def _get(self, client: Any, path: str, token: str, method: str = "GET") -> Any:
        return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"})

    def test_tokens_in_headers(self, app: quaff.Quaff) -> None:
        """A token opens the route; none, a broken one or one of the wrong kind does not, and says why."""
        tokens = app.test_client().post("/login").json
        client = app.test_client()
        assert self._get(client, "/private", tokens["access"]).json == {"who": "ada", "role": "admin"}
        missing = client.get("/private")
        assert (missing.status_code, "Missing" in missing.json["msg"]) == (401, True)
        assert self._get(client, "/private", "broken").status_code == 422
        assert self._get(client, "/private", tokens["refresh"]).status_code == 422

    def test_refreshing(self, app: quaff.Quaff) -> None:
        """A refreshed token opens what needs no fresh one."""
        client = app.test_client()
        tokens = client.post("/login").json
        client = app.test_client()
        again = self._get(client, "/refresh", tokens["refresh"], "POST").json["access"]
        assert self._get(client, "/private", again).json["who"] == "ada"
        assert self._get(client, "/fresh", again).status_code == 401
        assert self._get(client, "/fresh", tokens["access"]).text == "fresh"

    def test_tokens_in_cookies(self, app: quaff.Quaff) -> None:
        """A cookie opens the route; to change something, the second cookie has to come back as a header."""
        client = app.test_client()
        client.post("/login")
        assert client.get("/private").json["who"] == "ada"
        assert client.post("/private").status_code == 401
        cookie = client.get_cookie("csrf_access_token")
        assert cookie is not None
        assert client.post("/private", headers={"X-CSRF-TOKEN": cookie.value}).json["who"] == "ada"

    def test_an_expired_token(self, app: quaff.Quaff, load: Load) -> None:
        """It is a 401 that says so."""
        from datetime import timedelta

        jwt = load("flask_jwt_extended")
        with app.app_context():
            token = jwt.create_access_token("ada", expires_delta=timedelta(seconds=-10))
        response = self._get(app.test_client(), "/private", token)
        assert response.status_code == 401
        assert response.json == {"msg": "Token has expired"}


class TestSmorest:
    """flask-smorest."""

    @pytest.fixture(autouse=True)
    def routes(self, load: Load, app: quaff.Quaff) -> None:
        """Make an API of pets."""
        smorest, marshmallow, views = load("flask_smorest"), load("marshmallow"), load("flask.views")
        app.config.update(API_TITLE="Pets", API_VERSION="v1", OPENAPI_VERSION="3.0.2", OPENAPI_URL_PREFIX="/")
        api = smorest.Api(app)
        blueprint = smorest.Blueprint("pets", "pets", url_prefix="/pets", description="Pets")
        pets: list[dict[str, Any]] = []

        class Pet(marshmallow.Schema):  # type: ignore[misc, name-defined]
            id = marshmallow.fields.Int(dump_only=True)
            name = marshmallow.fields.Str(required=True)

        class Query(marshmallow.Schema):  # type: ignore[misc, name-defined]
            name = marshmallow.fields.Str()

        @blueprint.route("/")
        class Pets(views.MethodView):  # type: ignore[misc, name-defined]
            @blueprint.arguments(Query, location="query")  # type: ignore[untyped-decorator]
            @blueprint.response(200, Pet(many=True))  # type: ignore[untyped-decorator]
            @blueprint.paginate(smorest.Page)  # type: ignore[untyped-decorator]
            def get(self, args: dict[str, str]) -> list[dict[str, Any]]:
                return [pet for pet in pets if args.get("name", pet["name"]) == pet["name"]]

            @blueprint.arguments(Pet)  # type: ignore[untyped-decorator]
            @blueprint.response(201, Pet)  # type: ignore[untyped-decorator]
            def post(self, data: dict[str, Any]) -> dict[str, Any]:
                pets.append({"id": len(pets) + 1, **data})
                return pets[-1]

        @blueprint.route("/<int:number>")
        @blueprint.etag  # type: ignore[untyped-decorator]
        @blueprint.response(200, Pet)  # type: ignore[untyped-decorator]
        def one(number: int) -> dict[str, Any]:
            if number > len(pets):
                smorest.abort(404, message="No such pet.")
            return pets[number - 1]

        api.register_blueprint(blueprint)

    def test_arguments_and_responses(self, app: quaff.Quaff) -> None:
        """What goes in is checked, what comes out is shaped, errors are JSON."""
        client = app.test_client()
        created = client.post("/pets/", json={"name": "Rex"})
        assert (created.status_code, created.json) == (201, {"id": 1, "name": "Rex"})
        client.post("/pets/", json={"name": "Tom"})
        listed = client.get("/pets/?name=Tom")
        assert listed.json == [{"id": 2, "name": "Tom"}]
        assert '"total": 1' in listed.headers["X-Pagination"]
        wrong = client.post("/pets/", json={"nom": "Rex"})
        assert wrong.status_code == 422
        assert set(wrong.json["errors"]["json"]) == {"name", "nom"}
        assert client.get("/pets/9").json == {"code": 404, "status": "Not Found", "message": "No such pet."}
        assert client.get("/nowhere").json == {"code": 404, "status": "Not Found"}

    def test_etags(self, app: quaff.Quaff) -> None:
        """A copy that is still good is not sent again."""
        client = app.test_client()
        client.post("/pets/", json={"name": "Rex"})
        first = client.get("/pets/1")
        assert first.json == {"id": 1, "name": "Rex"}
        assert client.get("/pets/1", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304

    def test_the_description(self, app: quaff.Quaff) -> None:
        """The OpenAPI document knows the routes and their converters."""
        described = app.test_client().get("/openapi.json").json
        assert described["info"] == {"title": "Pets", "version": "v1"}
        assert set(described["paths"]) == {"/pets/", "/pets/{number}"}
        (parameter,) = described["paths"]["/pets/{number}"]["parameters"]
        assert parameter["schema"] == {"type": "integer", "minimum": 0}
