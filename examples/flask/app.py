"""An app with limits. Serve it with: STINT_URL=http://127.0.0.1:8080 STINT_API_KEY=… gunicorn -w 4 app:app"""

import os

from flask import Flask, jsonify, request

from ratelimit import ratelimit

app = Flask(__name__)
app.config.update(STINT_URL=os.environ["STINT_URL"], STINT_API_KEY=os.environ["STINT_API_KEY"])


@app.route("/")
@ratelimit(limit=100, per=3600)
def index():
    return f"hello from {os.getpid()}\n"


def own_answer(decision):
    return jsonify(error="slow down", retry_after=decision.retry_seconds), 429


@app.route("/search")
@ratelimit(limit=5, per=3600, key_func=lambda: request.args.get("user", ""), over_limit=own_answer, send_x_headers=False)
def search():
    return "found\n"
