"""A small client of Stint's decision API: the standard library alone.

    limiter = stint.Client("http://127.0.0.1:8080", api_key)
    decision = limiter.take("hourly", "user:alice")
    if not decision.allowed: ...

One connection for each thread is kept open. A service that does not answer is `StintUnavailable`, or an allowed decision marked as
degraded if the client is made with fail_open=True.
"""

import http.client
import json
import math
import threading
import urllib.parse


class StintError(Exception):
    """What the service answered that is no decision: its status and what it says."""

    def __init__(self, status, detail):
        super().__init__(f"stint: {status}: {detail}")
        self.status, self.detail = status, detail


class StintUnavailable(StintError):
    """No decision could be had: the service does not answer, or has lost its store."""


class Decision:
    """allowed, reason, limit, capacity, remaining, retry_after and reset_after, as the service says them; times in seconds."""

    def __init__(self, answer):
        self.allowed = answer["allowed"]
        self.reason = answer.get("reason", "")
        self.limit = answer.get("limit")
        self.capacity = answer.get("capacity")
        self.remaining = answer.get("remaining")
        self.retry_after = answer.get("retry_after")  # None: never, or nobody knows
        self.reset_after = answer.get("reset_after")
        self.degraded = answer.get("degraded", False)

    @property
    def retry_seconds(self):
        """The wait in whole seconds, rounded up and never 0; None if it is never, or nobody knows."""
        return None if self.retry_after is None else max(1, math.ceil(self.retry_after))

    def headers(self):
        """The X-RateLimit headers, and Retry-After on a refusal."""
        headers = {}
        if self.capacity is not None:
            headers["X-RateLimit-Limit"] = str(self.capacity)
            headers["X-RateLimit-Remaining"] = str(self.remaining)
            headers["X-RateLimit-Reset"] = str(math.ceil(self.reset_after or 0))
        if not self.allowed and self.retry_seconds is not None:
            headers["Retry-After"] = str(self.retry_seconds)
        return headers

    def text(self):
        """What a refused caller is told."""
        if self.retry_seconds is None:
            return "Rate limit exceeded"
        return f"Rate limit exceeded. Try again in {self.retry_seconds} seconds"


def rate(limit, per):
    """The text of a limit of so many calls in so many seconds, never more in any span of that length."""
    return f"{int(limit)}/{int(per)}s"


class Client:
    """Safe for threads and for servers that fork, as gunicorn does: each has connections of its own."""

    def __init__(self, url, api_key, timeout=2.0, fail_open=False):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"stint: {url!r} is no address; write http://host:port")
        self._secure, self._host = parts.scheme == "https", parts.netloc
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._timeout, self._fail_open = timeout, fail_open
        self._local = threading.local()

    def take(self, limit, key, cost=1, idempotency_key=None):
        """Takes cost of a limit: the id of one in the policy, or {"id", "rate"} if the policy lets this caller. key is a text, or a list."""
        return self._decide({"limit": limit, "key": key, "cost": cost}, idempotency_key)

    def take_request(self, method, path, idempotency_key=None, **attributes):
        """Takes what the policy says for a request: address, user, plan, host, headers, query, cookies, api_key."""
        return self._decide({"request": {"method": method, "path": path, **attributes}}, idempotency_key)

    def _decide(self, body, idempotency_key):
        try:
            return Decision(self._post("/v1/take", body, idempotency_key))
        except StintUnavailable:
            if not self._fail_open:
                raise
            return Decision({"allowed": True, "reason": "degraded", "degraded": True})

    def _post(self, path, body, idempotency_key):
        headers = dict(self._headers)
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        text = json.dumps(body)
        # The service may have closed a connection that was kept, which shows when nothing comes back. The call is then sent once more;
        # if it was charged all the same, it counts twice, never not at all.
        for attempt in range(2):
            connection, kept = self._connection()
            try:
                connection.request("POST", path, text, headers)
                answer = connection.getresponse()
                content = answer.read()
                break
            except (http.client.HTTPException, OSError) as error:
                self._drop()
                if attempt or not kept or isinstance(error, TimeoutError):
                    raise StintUnavailable(0, f"{self._host} does not answer: {error}") from error
        if answer.status == 200:
            return json.loads(content)
        try:
            detail = json.loads(content)["detail"]
        except (ValueError, KeyError, TypeError):
            detail = content[:200].decode("utf-8", "replace")
        raise (StintUnavailable if answer.status >= 500 else StintError)(answer.status, detail)

    def _connection(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            return connection, True
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        self._local.connection = kind(self._host, timeout=self._timeout)
        return self._local.connection, False

    def _drop(self):
        self._local.connection.close()
        self._local.connection = None
