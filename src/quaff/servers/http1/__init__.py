"""Quaff's own server for event loops: HTTP/1.1 and WebSockets, straight into the app.

It serves apps whose clients stay connected, with WebSockets and event streams. Granian, which serves everything else, keeps
150 KB for each idle WebSocket, has no subprotocols, close codes or back-pressure, and passes every message between threads.
Here a connection is one object on the loop, and between server and app there is no protocol to translate.

What is hard is left to libraries: `httptools` (llhttp, the parser of Node.js) reads HTTP, `websockets` whatever is unusual
about frames. Read first: `connection.py`, then `exchange.py` for requests and `websocket.py` for the rest.
"""
