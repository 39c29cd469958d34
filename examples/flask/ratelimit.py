"""Rate limits for Flask views, counted by Stint.

    @app.route("/search")
    @ratelimit(limit=300, per=60 * 15)
    def search(): ...

The view may be called limit times in any per seconds by each key (the client's address unless key_func says another), in each scope (the
endpoint unless scope_func says another). All workers and machines that ask one Stint count together, whatever happens to them.
"""

import functools
import os
import sys

from flask import current_app, make_response, request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import stint  # noqa: E402


def client():
    """The app's client: STINT_URL and STINT_API_KEY of its configuration."""
    extensions = current_app.extensions
    if "stint" not in extensions:
        config = current_app.config
        extensions["stint"] = stint.Client(config["STINT_URL"], config["STINT_API_KEY"], fail_open=config.get("STINT_FAIL_OPEN", False))
    return extensions["stint"]


def refused(decision):
    """The answer to a call over the limit."""
    response = make_response(decision.text() + "\n", 429)
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    return response


def ratelimit(limit, per, scope_func=lambda: request.endpoint, key_func=lambda: request.remote_addr, over_limit=refused, send_x_headers=True):
    """limit calls in any per seconds. over_limit makes the answer of a call over it, of a stint.Decision."""

    def decorate(view):
        @functools.wraps(view)
        def limited(*args, **kwargs):
            scope = scope_func()
            decision = client().take({"id": f"{scope} {limit}/{per}"[:64], "rate": stint.rate(limit, per)}, [scope, str(key_func())])
            response = make_response(view(*args, **kwargs) if decision.allowed else over_limit(decision))
            headers = decision.headers()
            for name, value in headers.items():
                if send_x_headers or name == "Retry-After":
                    response.headers[name] = value
            return response

        return limited

    return decorate
