from django.urls import path

from firstbell.classroom import views

urlpatterns = [
    path("roll/", views.rolls_page, name="rolls"),
    path("roll/<int:pk>/concern/<int:student>/", views.concern, name="concern"),
    path("roll/<int:pk>/<str:day>/<int:session>/", views.roll_page, name="roll"),
]
