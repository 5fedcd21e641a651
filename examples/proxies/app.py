from quaff import Quaff, request

app = Quaff(__name__)
# Whoever connects from this machine or from a private network is a proxy of ours; nobody else is believed.
app.config["TRUSTED_PROXIES"] = ["loopback", "private"]


@app.get("/")
async def who():
    return f"{request.remote_addr or 'somebody'} over {request.scheme}"


if __name__ == "__main__":
    app.run(port=5001)
