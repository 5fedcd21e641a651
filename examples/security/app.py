from quaff import Quaff, render_template_string
from quaff.ext.security import SecurityHeaders

app = Quaff(__name__)
security = SecurityHeaders(
    app,
    force_https_exempt=["/healthz"],
    content_security_policy_report_endpoint="/csp-reports",
)
# Where TLS ends at a proxy, that says over what its client came; nobody else is believed.
app.config["TRUSTED_PROXIES"] = ["loopback", "private"]

PAGE = """<!doctype html>
<title>Safe</title>
<script nonce="{{ csp_nonce() }}">document.title = "It runs"</script>
<script>alert("it does not: a script without the nonce")</script>
"""


@app.get("/")
def page():
    return render_template_string(PAGE)


@app.get("/widget")
@security(
    frame_options=None,
    content_security_policy={"default-src": "'self'", "frame-ancestors": "https://partner.example"},
    content_security_policy_nonce_in=None,
)
async def widget():
    return "for the pages of a partner"


@app.get("/healthz")
def healthz():
    return "ok"


if __name__ == "__main__":
    app.run(port=5001)
