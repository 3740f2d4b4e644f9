"""Only this app's part of the site: annotation is tested without what stands above it."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from annotation.api.views.missing import MissingApi

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/v1/", include("annotation.api.urls")),
    re_path(r"^api/", MissingApi.as_view()),
]


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The site's own page belongs to the front end."""
    return HttpResponse(status=403)
