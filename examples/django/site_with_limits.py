"""A site in one file. Serve it with: STINT_URL=http://127.0.0.1:8080 STINT_API_KEY=… gunicorn -w 4 site_with_limits:application"""

import os

from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for this example alone"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["stint_limits.StintMiddleware"],
    STINT_URL=os.environ["STINT_URL"],
    STINT_API_KEY=os.environ["STINT_API_KEY"],
)

import django  # noqa: E402

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from stint_limits import stint_limited  # noqa: E402


def index(request):
    return HttpResponse(f"hello from {os.getpid()}\n")


@stint_limited("reports", key=lambda request: request.GET.get("user", ""))
def report(request):
    return HttpResponse("a report\n")


urlpatterns = [path("", index), path("report", report)]
application = get_wsgi_application()
