from django.contrib import admin
from django.urls import path

from . import views

app_name = "board"
urlpatterns = [
    path("", admin.site.admin_view(views.page), name="page"),
    path("state.json", admin.site.admin_view(views.state), name="state"),
    path("answer.json", admin.site.admin_view(views.answer), name="answer"),
    path("stations.geojson", admin.site.admin_view(views.places, cacheable=True), name="places"),
    path("stations/<int:number>/", admin.site.admin_view(views.station), name="station"),
]
