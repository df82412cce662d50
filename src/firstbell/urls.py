from django.urls import include, path

urlpatterns = [
    path("account/", include("allauth.urls")),
    path("", include("firstbell.desk.urls")),
    path("", include("firstbell.classroom.urls")),
    path("", include("firstbell.insight.urls")),
]
handler400 = "firstbell.desk.errors.bad_request"
handler404 = "firstbell.desk.errors.not_found"
handler500 = "firstbell.desk.errors.server_error"
