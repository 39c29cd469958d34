"""Rate limits for Django, counted by Stint: a middleware for the whole site, and a decorator for views.

    MIDDLEWARE = [..., "django.contrib.auth.middleware.AuthenticationMiddleware", "stint_limits.StintMiddleware"]
    STINT_URL, STINT_API_KEY = "http://127.0.0.1:8080", os.environ["STINT_API_KEY"]

The middleware lets Stint's policy decide each request, by its path, the signed-in user and the address. The decorator names a limit of the
policy for one view:

    @stint_limited("per-user")
    def report(request): ...
"""

import functools
import os
import sys
import threading

from django.conf import settings
from django.http import HttpResponse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import stint  # noqa: E402

_made, _lock = {}, threading.Lock()


def client():
    """The client of this process: STINT_URL, STINT_API_KEY and STINT_FAIL_OPEN of the settings."""
    config = (settings.STINT_URL, settings.STINT_API_KEY, getattr(settings, "STINT_FAIL_OPEN", False))
    with _lock:
        if config not in _made:
            _made[config] = stint.Client(config[0], config[1], fail_open=config[2])
        return _made[config]


def user_of(request):
    """The name of the user who is signed in; empty if nobody is."""
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else ""


def user_or_address(request):
    """Who is counted: the user who is signed in, or else the client's address."""
    user = user_of(request)
    return f"user:{user}" if user else f"address:{request.META['REMOTE_ADDR']}"


def answer(decision):
    """The answer to a call over a limit."""
    return HttpResponse(decision.text() + "\n", status=429, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


def marked(response, decision):
    for name, value in decision.headers().items():
        response[name] = value
    return response


class StintMiddleware:
    """Decides every request by Stint's policy."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        attributes = {"address": request.META["REMOTE_ADDR"], "host": request.get_host()}
        user = user_of(request)
        if user:
            attributes["user"] = user
        decision = client().take_request(request.method, request.path, **attributes)
        return marked(self.get_response(request) if decision.allowed else answer(decision), decision)


def stint_limited(limit, cost=1, key=user_or_address):
    """Holds a view to a limit of the policy, by user or address, or what key makes of the request."""

    def decorate(view):
        @functools.wraps(view)
        def limited(request, *args, **kwargs):
            decision = client().take(limit, [limit, key(request)], cost)
            return marked(view(request, *args, **kwargs) if decision.allowed else answer(decision), decision)

        return limited

    return decorate
