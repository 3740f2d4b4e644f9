from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from annotation.api.views.missing import MissingApi
from frontend.views.api_docs import api_docs_page

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/v1/docs/", api_docs_page, name="api-docs"),
    path("api/v1/", include("annotation.api.urls")),
    path("api/v1/", include("training.api.urls")),
    re_path(r"^api/", MissingApi.as_view()),
    path("", include("frontend.urls")),
]
